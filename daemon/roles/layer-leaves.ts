/**
 * Layer leaves: what the coordinator of a measurement gives of its source, and what it is told of it.
 *
 *   layer-leaves and source blobs ◀── own source, or what the asker itself has fetched, written down first
 *
 * Where the source is here its digests are those that count. Where machines fetch by themselves, who asks
 * for the leaves of a layer is asked for its own: it runs nothing on weights that are not written down.
 * Read next: measure-pool.ts, the rest of the wire; pulled-weights.ts and fetched-weights.ts, the other end.
 */

import type { BlobName } from '../../proto/blob-names.ts';
import { joinBytes } from '../../proto/bytes.ts';
import { DIGEST_BYTES } from '../../proto/peer-limits.ts';
import type { PeerId, RunId, StageLease } from '../../proto/peer-messages.ts';
import type { MeasuredModel } from '../core/models/measured-model.ts';
import { pieceKey } from '../core/plan/file-segments.ts';
import { type LayerPiece, leavesOf, type WeightSource } from '../core/plan/layer-source.ts';
import type { Network, Source } from '../ports.ts';
import type { FileChains } from './file-chains.ts';
import type { LeafDigests } from './leaf-digests.ts';
import { digestAt } from './origin-pieces.ts';

export interface LayerLeavesParts {
  readonly network: Pick<Network, 'pull'>;
  readonly run: RunId;
  readonly source: Pick<Source, 'read'>;
  readonly model: MeasuredModel;
  readonly leaves: LeafDigests;
  /** Where machines fetch weights by themselves: what they say of them is kept there. */
  readonly chains?: FileChains | undefined;
  /** The pieces of a layer's weights. */
  readonly weightsOf: (layer: number) => readonly WeightSource[];
  readonly onFailure: (error: unknown) => void;
}

type SourceBlob = Extract<BlobName, { kind: 'source' }>;

export class LayerLeaves {
  readonly #parts: LayerLeavesParts;
  /** What may be pulled of the source: pieces of layers that have been asked for. */
  readonly #pieces = new Map<string, LayerPiece>();
  readonly #over = new AbortController();

  constructor(parts: LayerLeavesParts) {
    this.#parts = parts;
  }

  /** Nobody is asked any more. */
  close(): void {
    this.#over.abort(new Error('the measurement is over'));
  }

  /** Who cannot fetch the weights of its layers gets them from here. */
  allow({ from, to }: StageLease): void {
    if (this.#parts.chains === undefined) return;
    for (let layer = from; layer < to; layer++) this.#allowed(layer);
  }

  /** The digests of a layer's leaves; undefined where the peer does not say what it has. */
  async of(peer: PeerId, layer: number): Promise<Uint8Array | undefined> {
    const { chains, leaves } = this.#parts;
    if (chains !== undefined) return await this.#told(peer, layer, chains);
    const digests: Uint8Array[] = [];
    for (const piece of this.#allowed(layer)) digests.push(...(await leaves.of(piece)));
    return joinBytes(digests);
  }

  /** Whether it is a piece that may be had. */
  has(blob: SourceBlob): boolean {
    return this.#pieces.has(pieceKey(blob));
  }

  async readSource(
    blob: SourceBlob,
    offset: number,
    bytes: number,
  ): Promise<Uint8Array | undefined> {
    const piece = this.#pieces.get(pieceKey(blob));
    if (piece === undefined) return undefined;
    const { source, chains } = this.#parts;
    const into = new Uint8Array(bytes);
    if (chains === undefined) await source.read(piece.file, piece.offset + offset, into);
    else await chains.relay(piece.file, piece.offset + offset, into);
    return into;
  }

  #allowed(layer: number): readonly LayerPiece[] {
    const pieces = this.#piecesOf(layer);
    for (const piece of pieces) this.#pieces.set(pieceKey(piece), piece);
    return pieces;
  }

  #piecesOf(layer: number): LayerPiece[] {
    const { weightsOf, model } = this.#parts;
    if (layer >= model.layers.length) return [];
    return weightsOf(layer).flatMap((weight) => weight.pieces);
  }

  /** What the peer has, in its own words, once they are written down. */
  async #told(peer: PeerId, layer: number, chains: FileChains): Promise<Uint8Array | undefined> {
    const told = await this.#ask(peer, layer);
    if (told === undefined) return undefined;
    try {
      let at = 0;
      for (const piece of this.#piecesOf(layer)) {
        const first = at;
        at += leavesOf(piece);
        const leaves = Array.from({ length: at - first }, (_, leaf) =>
          digestAt(told, first + leaf),
        );
        chains.note(peer, piece, leaves);
      }
      await chains.records.write();
      return told;
    } catch (error) {
      this.#parts.onFailure(error);
      return undefined;
    }
  }

  async #ask(peer: PeerId, layer: number): Promise<Uint8Array | undefined> {
    const { network, run } = this.#parts;
    const count = this.#piecesOf(layer).reduce((sum, piece) => sum + leavesOf(piece), 0);
    const told = new Uint8Array(count * DIGEST_BYTES);
    if (told.length === 0) return told;
    const blob = { kind: 'layer-leaves', run, layer, bytes: told.length } as const;
    try {
      await network.pull([peer], blob, told, { signal: this.#over.signal });
      return told;
    } catch {
      // It asks again.
      return undefined;
    }
  }
}
