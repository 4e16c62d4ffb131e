/**
 * Leaf digests: what the coordinator vouches for of its source, piece by piece.
 *
 *   piece of a file ──▶ SHA-256 of each of its leaves, read once
 */

import { LEAF_BYTES } from '../../proto/peer-messages.ts';
import type { LayerPiece } from '../core/plan/layer-source.ts';
import type { Kernels, Source } from '../ports.ts';

type Piece = Pick<LayerPiece, 'file' | 'fileDigest' | 'offset' | 'bytes'>;

export class LeafDigests {
  readonly #source: Pick<Source, 'read'>;
  readonly #kernels: Pick<Kernels, 'sha256'>;
  readonly #known = new Map<string, Promise<Uint8Array[]>>();
  /** One piece at a time is read for it, a leaf at a time. */
  #hashing: Promise<unknown> = Promise.resolve();
  readonly #buffer = new Uint8Array(LEAF_BYTES);

  constructor(source: Pick<Source, 'read'>, kernels: Pick<Kernels, 'sha256'>) {
    this.#source = source;
    this.#kernels = kernels;
  }

  of(piece: Piece): Promise<Uint8Array[]> {
    const key = pieceKey(piece.fileDigest, piece.offset, piece.bytes);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const digests = this.#hashing.then(() => this.#hash(piece));
    this.#hashing = digests.catch(() => undefined);
    this.#known.set(key, digests);
    return digests;
  }

  async #hash({ file, offset, bytes }: Piece): Promise<Uint8Array[]> {
    const digests: Uint8Array[] = [];
    for (let at = 0; at < bytes; at += LEAF_BYTES) {
      const leaf = this.#buffer.subarray(0, Math.min(LEAF_BYTES, bytes - at));
      await this.#source.read(file, offset + at, leaf);
      digests.push(await this.#kernels.sha256(leaf));
    }
    return digests;
  }
}

export function pieceKey(fileDigest: string, offset: number, bytes: number): string {
  return `${fileDigest}/${offset}/${bytes}`;
}
