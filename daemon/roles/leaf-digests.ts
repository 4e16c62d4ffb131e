/**
 * Leaf digests: what the coordinator vouches for of its source, piece by piece.
 *
 *   piece of a file ──▶ SHA-256 of each of its leaves, read once
 */

import { LEAF_BYTES } from '../../proto/peer-messages.ts';
import { type FilePiece, pieceKey } from '../core/plan/file-segments.ts';
import { hex, type Sha256 } from '../core/plan/unit-id.ts';
import type { Kernels, Source } from '../ports.ts';

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

  of(piece: FilePiece): Promise<Uint8Array[]> {
    const key = pieceKey(piece);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const digests = this.#hashing.then(() => this.#hash(piece));
    this.#hashing = digests.catch(() => undefined);
    this.#known.set(key, digests);
    return digests;
  }

  async #hash({ file, offset, bytes }: FilePiece): Promise<Uint8Array[]> {
    const digests: Uint8Array[] = [];
    for (let at = 0; at < bytes; at += LEAF_BYTES) {
      const leaf = this.#buffer.subarray(0, Math.min(LEAF_BYTES, bytes - at));
      await this.#source.read(file, offset + at, leaf);
      digests.push(await this.#kernels.sha256(leaf));
    }
    return digests;
  }
}

/** The name of a piece of a source in the store: the same for every run of the same source. */
export function leafKey(sha256: Sha256, piece: Omit<FilePiece, 'file'>): string {
  return hex(sha256(new TextEncoder().encode(pieceKey(piece))));
}
