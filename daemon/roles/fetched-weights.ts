/**
 * Fetched weights: a layer's weights on this machine's disk, fetched from a hub by itself.
 *
 *   pieces of a layer ──▶ own store, else the hub, else the coordinator ──▶ their leaves told ──▶ paths
 *
 * No layer is run before the coordinator has written down the leaves of just these bytes: what is
 * measured with them can be traced to them whatever happens afterwards. Beside pulled-weights.ts,
 * which does the same for a source that the coordinator has. Read next: origin-pieces.ts.
 */

import { joinBytes } from '../../proto/bytes.ts';
import type { PeerId, RunId, SourceOrigin } from '../../proto/peer-messages.ts';
import { pieceKey } from '../core/plan/file-segments.ts';
import type { LayerPiece, WeightSource } from '../core/plan/layer-source.ts';
import { hex } from '../core/plan/unit-id.ts';
import type { Clock, Network, WeightPiece } from '../ports.ts';
import type { OriginPieces } from './origin-pieces.ts';
import { placedPieces, provideAll, tryAgain } from './weight-pieces.ts';

export interface FetchedWeightsParts {
  readonly run: RunId;
  readonly origin: SourceOrigin;
  readonly origins: OriginPieces;
  readonly network: Pick<Network, 'pull'>;
  readonly clock: Pick<Clock, 'after'>;
  readonly coordinator: PeerId;
}

export class FetchedWeights {
  readonly #parts: FetchedWeightsParts;
  /** Of the pieces that this process has fetched, or read again and found whole. */
  readonly #leaves = new Map<string, readonly Uint8Array[]>();
  readonly #layers = new Map<number, readonly LayerPiece[]>();
  /** Why some of it did not come from the hub. */
  detour: string | undefined;

  constructor(parts: FetchedWeightsParts) {
    this.#parts = parts;
  }

  /** Where the pieces of each weight lie, in order; all are there when it has resolved. */
  async locate(
    layer: number,
    sources: readonly WeightSource[],
    signal: AbortSignal,
  ): Promise<WeightPiece[][]> {
    const { run, origins } = this.#parts;
    const pieces = sources.flatMap((source) => source.pieces);
    const waiting = pieces.filter((piece) => !this.#leaves.has(pieceKey(piece)));
    await provideAll(waiting, (piece, into) => this.#provide(piece, into, signal));
    this.#layers.set(layer, pieces);
    await this.#tell(layer, signal);
    return placedPieces(sources, (piece) => origins.path(run, piece));
  }

  /** The leaves of a layer that was located: 32 bytes for each, in the order of its weights. */
  leaves(layer: number): Uint8Array | undefined {
    const pieces = this.#layers.get(layer);
    return pieces && joinBytes(pieces.flatMap((piece) => this.#leaves.get(pieceKey(piece)) ?? []));
  }

  /** @param into of the piece's length; whatever it holds afterwards is of no use to anyone */
  async #provide(piece: LayerPiece, into: Uint8Array, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { run, origin, origins, network, coordinator, clock } = this.#parts;
    const { fileDigest, offset, bytes } = piece;
    // A layer may name a piece twice.
    if (this.#leaves.has(pieceKey(piece))) return;
    const detour = (stop: AbortSignal): Promise<void> => {
      const blob = { kind: 'source', run, fileDigest, offset, bytes } as const;
      const pull = () => network.pull([coordinator], blob, into, { signal: stop });
      return tryAgain(pull, clock, stop);
    };
    const found = await origins.provide(run, origin, piece, into, detour, signal);
    if (found.unkept !== undefined) throw found.unkept;
    this.detour = found.detour ?? this.detour;
    this.#leaves.set(pieceKey(piece), found.leaves);
  }

  /**
   * Asks for the leaves that the run has of the layer: it asks back for these where it does not know
   * of this machine.
   */
  async #tell(layer: number, signal: AbortSignal): Promise<void> {
    const { run, network, coordinator, clock } = this.#parts;
    const own = this.leaves(layer) ?? new Uint8Array(0);
    if (own.length === 0) return;
    const said = new Uint8Array(own.length);
    const blob = { kind: 'layer-leaves', run, layer, bytes: said.length } as const;
    await tryAgain(() => network.pull([coordinator], blob, said, { signal }), clock, signal);
    if (hex(said) !== hex(own)) throw new Error('the run knows other bytes of these weights');
  }
}
