/**
 * Sums: the bytes of a layer's sums over a group of chunks, out of the interpreter's numbers.
 *
 *   Statistic[] + ChunkSums[] of each chunk ──▶ groupSums ──▶ bytes
 *
 * Whole numbers of any size are added one by one: the plain way, for comparing.
 */

import { fixedOf } from '../../daemon/core/importance/fixed-point.ts';
import { COUNT_BYTES, SUM_BYTES, sumsBytes } from '../../daemon/core/importance/statistics.ts';
import type { Statistic } from '../../daemon/core/models/forward.ts';
import type { ChunkSums } from './interpreter.ts';

/** @param chunks of each chunk of the group, what the layer collected */
export function groupSums(
  statistics: readonly Statistic[],
  chunks: readonly (readonly ChunkSums[])[],
): Uint8Array {
  const bytes = new Uint8Array(sumsBytes(statistics));
  const view = new DataView(bytes.buffer);
  let offset = 0;
  for (const [index, { matrices, columns }] of statistics.entries()) {
    for (let place = 0; place < matrices * columns; place++) {
      const sum = chunks.reduce(
        (all, chunk) => all + fixedOf(chunk[index]?.squares[place] ?? 0),
        0n,
      );
      view.setBigUint64(offset, BigInt.asUintN(64, sum), true);
      view.setBigInt64(offset + 8, sum >> 64n, true);
      offset += SUM_BYTES;
    }
  }
  for (const [index, { matrices }] of statistics.entries()) {
    for (let matrix = 0; matrix < matrices; matrix++) {
      const count = chunks.reduce((all, chunk) => all + (chunk[index]?.counts[matrix] ?? 0), 0);
      view.setBigUint64(offset, BigInt(count), true);
      offset += COUNT_BYTES;
    }
  }
  return bytes;
}
