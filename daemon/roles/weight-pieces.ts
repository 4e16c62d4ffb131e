/**
 * Weight pieces: what fetching a layer's weights has in common, wherever they come from.
 *
 *   pieces ──▶ provideAll, some at a time ──▶ on this machine's disk ──▶ placedPieces
 *
 * Read next: pulled-weights.ts (from the coordinator), fetched-weights.ts (from a hub).
 */

import type { LayerPiece, WeightSource } from '../core/plan/layer-source.ts';
import type { Clock, WeightPiece } from '../ports.ts';

// While one piece is written the next comes.
const PIECES_AT_A_TIME = 3;
const ATTEMPTS_MAX = 5;
const PAUSE_MS = 1000;

/** @param provide takes a buffer of the piece's length, whose bytes are of no use afterwards */
export async function provideAll<Piece extends LayerPiece>(
  pieces: readonly Piece[],
  provide: (piece: Piece, into: Uint8Array) => Promise<void>,
): Promise<void> {
  const waiting = [...pieces];
  const most = waiting.reduce((bytes, piece) => Math.max(bytes, piece.bytes), 0);
  const lane = async (): Promise<void> => {
    // One for all its pieces: the collector would be busy with new ones all the time.
    const buffer = new Uint8Array(waiting.length === 0 ? 0 : most);
    for (let piece = waiting.shift(); piece !== undefined; piece = waiting.shift()) {
      await provide(piece, buffer.subarray(0, piece.bytes));
    }
  };
  await Promise.all(Array.from({ length: PIECES_AT_A_TIME }, lane));
}

/** Where the pieces of each weight lie, in order: each in a file of its own. */
export function placedPieces(
  sources: readonly WeightSource[],
  pathOf: (piece: LayerPiece) => string,
): WeightPiece[][] {
  return sources.map(({ pieces }) =>
    pieces.map((piece) => ({ path: pathOf(piece), offset: 0, rows: piece.rows })),
  );
}

/** Tries again what another machine may be able to give in a moment. */
export async function tryAgain(
  work: () => Promise<void>,
  clock: Pick<Clock, 'after'>,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await work();
      return;
    } catch (error) {
      if (signal.aborted || attempt === ATTEMPTS_MAX) throw error;
      await new Promise<void>((resolve) => clock.after(PAUSE_MS, resolve));
    }
  }
}
