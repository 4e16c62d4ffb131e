/**
 * Pulled weights: a layer's weights on this machine's disk, taken from the coordinator once.
 *
 *   pieces of a layer ──▶ digests of their leaves ──▶ own store, else pulled into it ──▶ paths
 *
 * The same pieces under the same names as quantizing uses: no source byte crosses the network twice.
 */

import { LEAF_BYTES, type PeerId, type RunId } from '../../proto/peer-messages.ts';
import { type LayerPiece, leavesOf, type WeightSource } from '../core/plan/layer-source.ts';
import { hex, type Sha256 } from '../core/plan/unit-id.ts';
import type { Clock, Kernels, LeafStore, Network, WeightPiece } from '../ports.ts';
import { leafKey } from './leaf-digests.ts';

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

const DIGEST_BYTES = 32;
// While one piece is written the next comes.
const PIECES_AT_A_TIME = 3;
const ATTEMPTS_MAX = 5;
const PAUSE_MS = 1000;

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
    const most = waiting.reduce((bytes, piece) => Math.max(bytes, piece.bytes), 0);
    const lane = async (): Promise<void> => {
      // One for all its pieces: the collector would be busy with new ones all the time.
      const buffer = new Uint8Array(waiting.length === 0 ? 0 : most);
      for (let piece = waiting.shift(); piece !== undefined; piece = waiting.shift()) {
        await this.#provide(piece, buffer.subarray(0, piece.bytes), signal);
      }
    };
    await Promise.all(Array.from({ length: PIECES_AT_A_TIME }, lane));
    return sources.map((source) =>
      source.pieces.map((piece) => {
        const path = this.#parts.store.path(this.#parts.run, leafKey(this.#parts.sha256, piece));
        return { path, offset: 0, rows: piece.rows };
      }),
    );
  }

  async #withLeaves(
    layer: number,
    pieces: readonly LayerPiece[],
    signal: AbortSignal,
  ): Promise<Checked[]> {
    const { run, network, sources } = this.#parts;
    const count = pieces.reduce((sum, piece) => sum + leavesOf(piece), 0);
    const digests = new Uint8Array(count * DIGEST_BYTES);
    const blob = { kind: 'layer-leaves', run, layer, bytes: digests.length } as const;
    if (digests.length > 0) {
      await this.#again(() => network.pull(sources, blob, digests, { signal }), signal);
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
    const { run, network, store, sources } = this.#parts;
    const { key } = piece;
    // A layer may name a piece twice.
    if (this.#checked.has(key)) return;
    const isThere = (await store.read(run, key, into)) && (await this.#isRight(piece, into));
    if (!isThere) {
      const { fileDigest, offset, bytes, leaves } = piece;
      const blob = { kind: 'source', run, fileDigest, offset, bytes } as const;
      await this.#again(
        () => network.pull(sources, blob, into, { digests: leaves, signal }),
        signal,
      );
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

  async #again(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await work();
        return;
      } catch (error) {
        if (signal.aborted || attempt === ATTEMPTS_MAX) throw error;
        await new Promise<void>((resolve) => this.#parts.clock.after(PAUSE_MS, resolve));
      }
    }
  }
}
