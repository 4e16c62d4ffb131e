/**
 * Pulled weights: a layer's weights on this machine's disk, taken from the coordinator once.
 *
 *   pieces of a layer ──▶ digests of their leaves ──▶ own store, else pulled into it ──▶ paths
 *
 * The same pieces under the same names as quantizing uses: no source byte crosses the network twice.
 */

import { DIGEST_BYTES } from '../../proto/peer-limits.ts';
import { LEAF_BYTES, type PeerId, type RunId } from '../../proto/peer-messages.ts';
import { type LayerPiece, leavesOf, type WeightSource } from '../core/plan/layer-source.ts';
import { hex, type Sha256 } from '../core/plan/unit-id.ts';
import type { Clock, Kernels, LeafStore, Network, WeightPiece } from '../ports.ts';
import { leafKey } from './leaf-digests.ts';
import { placedPieces, provideAll, tryAgain } from './weight-pieces.ts';

export interface PulledWeightsParts {
  readonly run: RunId;
  readonly network: Network;
  readonly store: LeafStore;
  readonly kernels: Pick<Kernels, 'sha256'>;
  readonly clock: Clock;
  readonly sha256: Sha256;
  /** Who can be asked for source bytes, the best first. */
  readonly sources: readonly PeerId[];
}

interface Checked extends LayerPiece {
  /** Its name in the store. */
  readonly key: string;
  readonly leaves: readonly Uint8Array[];
}

export class PulledWeights {
  readonly #parts: PulledWeightsParts;
  /** Pieces that this process has compared with their digests. */
  readonly #checked = new Set<string>();

  constructor(parts: PulledWeightsParts) {
    this.#parts = parts;
  }

  /** Where the pieces of each weight lie, in order; all are there when it has resolved. */
  async locate(
    layer: number,
    sources: readonly WeightSource[],
    signal: AbortSignal,
  ): Promise<WeightPiece[][]> {
    const pieces = sources.flatMap((source) => source.pieces);
    const checked = await this.#withLeaves(layer, pieces, signal);
    const waiting = checked.filter(({ key }) => !this.#checked.has(key));
    await provideAll(waiting, (piece, into) => this.#provide(piece, into, signal));
    const { run, store, sha256 } = this.#parts;
    return placedPieces(sources, (piece) => store.path(run, leafKey(sha256, piece)));
  }

  async #withLeaves(
    layer: number,
    pieces: readonly LayerPiece[],
    signal: AbortSignal,
  ): Promise<Checked[]> {
    const { run, network, sources, clock } = this.#parts;
    const count = pieces.reduce((sum, piece) => sum + leavesOf(piece), 0);
    const digests = new Uint8Array(count * DIGEST_BYTES);
    const blob = { kind: 'layer-leaves', run, layer, bytes: digests.length } as const;
    if (digests.length > 0) {
      await tryAgain(() => network.pull(sources, blob, digests, { signal }), clock, signal);
    }
    let at = 0;
    return pieces.map((piece) => {
      const leaves = Array.from({ length: leavesOf(piece) }, () => {
        at += DIGEST_BYTES;
        return digests.slice(at - DIGEST_BYTES, at);
      });
      return { ...piece, key: leafKey(this.#parts.sha256, piece), leaves };
    });
  }

  /** @param into of the piece's length; whatever it holds afterwards is of no use to anyone */
  async #provide(piece: Checked, into: Uint8Array, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { run, network, store, sources, clock } = this.#parts;
    const { key } = piece;
    // A layer may name a piece twice.
    if (this.#checked.has(key)) return;
    const isThere = (await store.read(run, key, into)) && (await this.#isRight(piece, into));
    if (!isThere) {
      const { fileDigest, offset, bytes, leaves } = piece;
      const blob = { kind: 'source', run, fileDigest, offset, bytes } as const;
      const pull = () => network.pull(sources, blob, into, { digests: leaves, signal });
      await tryAgain(pull, clock, signal);
      await store.put(run, key, into);
    }
    this.#checked.add(key);
  }

  async #isRight({ leaves }: Checked, bytes: Uint8Array): Promise<boolean> {
    for (const [index, leaf] of leaves.entries()) {
      const part = bytes.subarray(index * LEAF_BYTES, (index + 1) * LEAF_BYTES);
      if (hex(await this.#parts.kernels.sha256(part)) !== hex(leaf)) return false;
    }
    return true;
  }
}
