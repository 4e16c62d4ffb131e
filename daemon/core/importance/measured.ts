/**
 * Measured: finished sums of all layers as an importance matrix, and as the weights of a model.
 *
 *   layers' sums ──▶ measuredEntries ──▶ ImportanceMatrix (encode-imatrix.ts writes it)
 *   ImportanceMatrix + tensors ──▶ measuredImportance ──▶ Importance
 *
 * What is quantized with the one is byte for byte what is quantized with the file of the other:
 * sums are rounded to binary32 here, once, and go the way of numbers that were read.
 */

import { assert } from '../../../proto/assert.ts';
import type { Statistic } from '../models/forward.ts';
import type { Sha256 } from '../plan/unit-id.ts';
import { chooseNamed, type EntryFilters } from './entries.ts';
import { TensorFit, type WeightedTensor } from './fit-tensors.ts';
import { toBinary32 } from './fixed-point.ts';
import type { Importance, TensorImportance } from './importance.ts';
import {
  baseNameOf,
  type ImportanceMatrix,
  type MatrixEntry,
  sortedByName,
} from './importance-matrix.ts';
import { readCounts, viewStatistics } from './statistics.ts';
import { numberBytes } from './weights.ts';

/** The finished sums of a layer, or of what stands behind the last. */
export interface MeasuredLayer {
  readonly statistics: readonly Statistic[];
  /** As statistics.ts lays them out. */
  readonly bytes: Uint8Array;
}

/** One entry for each name of each statistic, sorted; names of one statistic share their numbers. */
export function measuredEntries(layers: readonly MeasuredLayer[]): MatrixEntry[] {
  const entries = layers.flatMap(({ statistics, bytes }) =>
    viewStatistics(statistics, bytes).flatMap(({ statistic, sums, counts }) => {
      const { names, columns, matrices } = statistic;
      const numbers = { columns, matrices, sums: toBinary32(sums), counts: readCounts(counts) };
      return names.map((name) => ({ name, ...numbers }));
    }),
  );
  const names = new Set(entries.map(({ name }) => name));
  assert(names.size === entries.length, 'every tensor has one input');
  return sortedByName(entries);
}

export interface MeasuredRequest {
  /** The name that its file has or would have, without folders: it stands in the outputs. */
  readonly file: string;
  /** The path as the user wrote it. */
  readonly given: string;
  readonly filters: EntryFilters;
  readonly tensors: readonly WeightedTensor[];
}

/**
 * What opening the matrix's file would give.
 * @throws FaultError bothFilters, nothingLeft
 */
export function measuredImportance(
  { entries, datasets, chunkCount }: Omit<ImportanceMatrix, 'chunkSize'>,
  { file, given, filters, tensors }: MeasuredRequest,
  sha256: Sha256,
): Importance {
  const chosen = chooseNamed(entries, filters);
  const fit = new TensorFit(file, tensors);
  const fitted = new Map<string, TensorImportance>();
  for (const { name, sums, counts } of chosen) {
    // A file holds counts in binary32 too.
    const weighted = fit.fit(name, sums, Float32Array.from(counts));
    if (weighted === undefined) continue;
    const { tensor, weights, slices } = weighted;
    fitted.set(tensor, { weights, digests: sliceDigests(weights, slices, sha256) });
  }
  const [dataset] = datasets;
  return {
    file,
    given,
    entries: chosen.length,
    dataset: dataset === undefined ? undefined : baseNameOf(dataset),
    chunks: chunkCount,
    tensors: fitted,
    ...fit.findings(),
  };
}

function sliceDigests(weights: Float32Array, slices: number, sha256: Sha256): Uint8Array[] {
  const columns = weights.length / slices;
  return Array.from({ length: slices }, (_, slice) =>
    sha256(numberBytes(weights.subarray(slice * columns, (slice + 1) * columns))),
  );
}
