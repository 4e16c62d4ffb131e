/**
 * Measured: finished sums of layers as entries of an importance matrix.
 *
 *   a layer's sums ──▶ layerEntries ──▶ MatrixEntry[] (roles/open-imatrix.ts uses them,
 *                                       encode-imatrix.ts writes them)
 *
 * Sums are rounded to binary32 here, once. From then on they go the way of numbers that were read
 * from a file, so that what is quantized with the one is byte for byte what is with the other.
 */

import { assert } from '../../../proto/assert.ts';
import type { Statistic } from '../models/forward.ts';
import { toBinary32 } from './fixed-point.ts';
import { type MatrixEntry, sortedByName } from './importance-matrix.ts';
import { readCounts, viewStatistics } from './statistics.ts';

/** The finished sums of a layer, or of what stands behind the last. */
export interface MeasuredLayer {
  readonly statistics: readonly Statistic[];
  /** As statistics.ts lays them out. */
  readonly bytes: Uint8Array;
}

/** One entry for each name of each statistic; names of one statistic share their numbers. */
export function layerEntries({ statistics, bytes }: MeasuredLayer): MatrixEntry[] {
  return viewStatistics(statistics, bytes).flatMap(({ statistic, sums, counts }) => {
    const { names, columns, matrices } = statistic;
    const numbers = { columns, matrices, sums: toBinary32(sums), counts: readCounts(counts) };
    return names.map((name) => ({ name, ...numbers }));
  });
}

/** The entries of all layers, sorted. */
export function measuredEntries(layers: readonly MeasuredLayer[]): MatrixEntry[] {
  const entries = layers.flatMap(layerEntries);
  const names = new Set(entries.map(({ name }) => name));
  assert(names.size === entries.length, 'every tensor has one input');
  return sortedByName(entries);
}
