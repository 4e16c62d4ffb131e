/**
 * Statistics: how the sums of one layer lie in a byte string.
 *
 *   Statistic[] (a family's order) + bytes ──▶ viewStatistics ──▶ sums and counts of each statistic
 *
 * The bytes: for every statistic in order its `matrices × columns` sums, matrix after matrix, as
 * signed 128-bit integers of 16 bytes; then for every statistic in the same order its `matrices`
 * counts, unsigned 64-bit. All little endian. The same bytes go through memory, disk and network.
 * What the integers mean is told by fixed-point.ts; merging them is partial-sums.ts.
 */

import { assert } from '../../../proto/assert.ts';
import { FaultError } from '../../../proto/fault.ts';
import type { Statistic } from '../models/forward.ts';
import { importanceFaults } from './faults.ts';

/** Bytes of a sum. */
export const SUM_BYTES = 16;
/** Bytes of a count. */
export const COUNT_BYTES = 8;

/** Bytes of the sums and counts of a layer with these statistics. */
export function sumsBytes(statistics: readonly Statistic[]): number {
  return countsOffset(statistics) + COUNT_BYTES * total(statistics, ({ matrices }) => matrices);
}

/** Where the counts begin, which is where the sums end. */
export function countsOffset(statistics: readonly Statistic[]): number {
  return SUM_BYTES * total(statistics, ({ matrices, columns }) => matrices * columns);
}

function total(statistics: readonly Statistic[], sizeOf: (statistic: Statistic) => number): number {
  return statistics.reduce((sum, statistic) => sum + sizeOf(statistic), 0);
}

/** One statistic's part of a layer's bytes; both are views, not copies. */
export interface StatisticView {
  readonly statistic: Statistic;
  /** (matrices, columns) sums of SUM_BYTES. */
  readonly sums: Uint8Array;
  /** (matrices) counts of COUNT_BYTES. */
  readonly counts: Uint8Array;
}

/** The parts of a layer's bytes, statistic by statistic. */
export function viewStatistics(
  statistics: readonly Statistic[],
  bytes: Uint8Array,
): StatisticView[] {
  assert(bytes.length === sumsBytes(statistics), 'sums have the size of their statistics');
  let sumsAt = 0;
  let countsAt = countsOffset(statistics);
  return statistics.map((statistic) => {
    const sumsEnd = sumsAt + SUM_BYTES * statistic.matrices * statistic.columns;
    const countsEnd = countsAt + COUNT_BYTES * statistic.matrices;
    const sums = bytes.subarray(sumsAt, sumsEnd);
    const counts = bytes.subarray(countsAt, countsEnd);
    sumsAt = sumsEnd;
    countsAt = countsEnd;
    return { statistic, sums, counts };
  });
}

/** The counts of a statistic as numbers; `checkSums` has shown that they are exact. */
export function readCounts(counts: Uint8Array): number[] {
  const view = new DataView(counts.buffer, counts.byteOffset, counts.byteLength);
  return Array.from({ length: counts.length / COUNT_BYTES }, (_, matrix) => {
    const count = Number(view.getBigUint64(COUNT_BYTES * matrix, true));
    assert(Number.isSafeInteger(count), `a count of ${count} tokens was let in`);
    return count;
  });
}

// Tokens of a calibration: at a thousand a second, nine years. Far below 2^53, so that counts of
// thousands of groups add up to exact numbers.
export const COUNT_MAX: number = 2 ** 38;

/** `tensor, matrix and column` of the sum at `index`, for a fault. */
export function placeOfSum(
  statistics: readonly Statistic[],
  index: number,
): { readonly tensor: string; readonly why: string } {
  let start = 0;
  for (const { names, matrices, columns } of statistics) {
    const at = index - start;
    if (at < matrices * columns) {
      const why = `in column ${at % columns} of matrix ${Math.floor(at / columns)}`;
      return { tensor: names.join(', '), why };
    }
    start += matrices * columns;
  }
  assert(false, `no statistic has the sum ${index}`);
}

/**
 * Checks bytes from another machine: the size, that no sum is negative, that counts are counts.
 * @throws FaultError badSums
 */
export function checkSums(statistics: readonly Statistic[], bytes: Uint8Array): void {
  const wanted = sumsBytes(statistics);
  if (bytes.length !== wanted) {
    const why = `${bytes.length} bytes instead of ${wanted}`;
    throw new FaultError(importanceFaults.badSums, { why });
  }
  const end = countsOffset(statistics);
  for (let at = SUM_BYTES - 1; at < end; at += SUM_BYTES) {
    if ((bytes[at] ?? 0) < 0x80) continue;
    const { tensor, why } = placeOfSum(statistics, (at - SUM_BYTES + 1) / SUM_BYTES);
    throw new FaultError(importanceFaults.badSums, { tensor, why: `a negative sum ${why}` });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = end; at < wanted; at += COUNT_BYTES) {
    const count = view.getBigUint64(at, true);
    if (count <= BigInt(COUNT_MAX)) continue;
    throw new FaultError(importanceFaults.badSums, { why: `a count of ${count}` });
  }
}
