/**
 * Merge files: several importance matrices of one model as one.
 *
 *   MatrixFile[] (roles/read-imatrix.ts) + a fresh measurement ──▶ mergeMatrices ──▶ ImportanceMatrix
 *
 * Sums and counts add up, in binary32 and in the order given, the fresh measurement last: its exact
 * sums have been rounded once before. One file alone is converted: what was read in one form can be
 * written in the other. docs/imatrix.md tells the rules.
 */

import { FaultError } from '../../../proto/fault.ts';
import { importanceFaults } from './faults.ts';
import { type ImportanceMatrix, type MatrixEntry, sortedByName } from './importance-matrix.ts';
import { COUNT_MAX } from './statistics.ts';

/** A file of either form with all its numbers. */
export interface MatrixFile {
  /** For faults. */
  readonly file: string;
  readonly entries: readonly {
    readonly name: string;
    readonly sums: Float32Array;
    /** One a slice; or a number of calls, where 0 and less mean that the sums are weights already. */
    readonly divisor: Float32Array | number;
  }[];
  readonly datasets: readonly string[];
  /** 0 where the file does not tell. */
  readonly chunks: number;
  readonly chunkSize: number | undefined;
}

// What llama-imatrix uses unless told otherwise.
const CHUNK_SIZE_DEFAULT = 512;
// What fits into the file.
const CHUNKS_MAX = 2 ** 32 - 1;

/** An entry that grows; its numbers are its own. */
interface Growing {
  readonly sums: Float32Array;
  counts: readonly number[];
}

/**
 * The sum of all of them. The size of a chunk is the measurement's, else that of the first file that
 * tells one, else 512.
 * @param measured on this run, if it was
 * @throws FaultError entriesDiffer, badCount, badWeight, mergedCount, badMetadata
 */
export function mergeMatrices(
  files: readonly MatrixFile[],
  measured?: ImportanceMatrix,
): ImportanceMatrix {
  const told =
    measured?.chunkSize ?? files.find(({ chunkSize }) => chunkSize !== undefined)?.chunkSize;
  const chunkSize = told ?? CHUNK_SIZE_DEFAULT;
  const merged = new Map<string, Growing>();
  let chunkCount = 0;
  for (const matrix of files) {
    const { file } = matrix;
    if (matrix.chunkSize === 0) {
      const why = 'it is 0';
      throw new FaultError(importanceFaults.badMetadata, { file, key: 'imatrix.chunk_size', why });
    }
    for (const entry of matrix.entries) {
      addEntry(merged, file, entry.name, countedOf(file, entry, chunkSize));
    }
    chunkCount += Math.ceil((chunksOf(matrix) * (matrix.chunkSize ?? chunkSize)) / chunkSize);
  }
  for (const { name, sums, counts } of measured?.entries ?? []) {
    addEntry(merged, 'the calibration', name, { sums, counts });
  }
  chunkCount += measured?.chunkCount ?? 0;
  if (chunkCount > CHUNKS_MAX) {
    throw new FaultError(importanceFaults.mergedCount, { why: `${chunkCount} chunks` });
  }
  const datasets = [...files, ...(measured === undefined ? [] : [measured])].flatMap(
    (matrix) => matrix.datasets,
  );
  const entries = [...merged].map(([name, { sums, counts }]): MatrixEntry => {
    const matrices = counts.length;
    return { name, columns: sums.length / matrices, matrices, sums, counts };
  });
  return { entries: sortedByName(entries), datasets, chunkCount, chunkSize };
}

/** The older form holds means for each call; a call is a chunk. */
function countedOf(
  file: string,
  { name, sums, divisor }: MatrixFile['entries'][number],
  chunkSize: number,
): Growing {
  if (typeof divisor !== 'number') {
    const counts = [...divisor];
    const odd = counts.find((count) => !isCount(count));
    if (odd !== undefined) throw badCount(file, name, `${odd}`);
    return { sums, counts };
  }
  const count = Math.max(1, divisor) * chunkSize;
  if (!isCount(count)) throw badCount(file, name, `${divisor} calls of ${chunkSize} tokens`);
  return { sums: sums.map((sum) => sum * chunkSize), counts: [count] };
}

function isCount(count: number): boolean {
  return Number.isInteger(count) && count >= 0 && count <= COUNT_MAX;
}

function badCount(file: string, tensor: string, why: string): FaultError {
  return new FaultError(importanceFaults.badCount, { file, tensor, why });
}

/** As the file says, else as many as its busiest entry was called. */
function chunksOf({ chunks, entries }: MatrixFile): number {
  if (chunks > 0) return chunks;
  const calls = entries.map(({ divisor }) => (typeof divisor === 'number' ? divisor : 0));
  return calls.reduce((most, some) => Math.max(most, some), 0);
}

function addEntry(
  merged: Map<string, Growing>,
  file: string,
  name: string,
  { sums, counts }: Growing,
): void {
  const present = merged.get(name);
  const into = present ?? { sums: new Float32Array(sums.length), counts: counts.map(() => 0) };
  if (present === undefined) merged.set(name, into);
  const slices = slicesOf(into.counts, counts);
  if (slices === undefined || into.sums.length !== sums.length) {
    const size = (of: Growing): string => `${of.sums.length} values for ${of.counts.length} counts`;
    const why = `${size({ sums, counts })}, elsewhere ${size(into)}`;
    throw new FaultError(importanceFaults.entriesDiffer, { file, tensor: name, why });
  }
  addSums(file, name, into.sums, { sums, counts });
  // One count for several slices is a count of each of them.
  into.counts = Array.from(
    { length: slices },
    (_, slice) => (into.counts[slice] ?? into.counts[0] ?? 0) + (counts[slice] ?? counts[0] ?? 0),
  );
}

/** How many slices two entries have together; undefined where they disagree. */
function slicesOf(one: readonly number[], other: readonly number[]): number | undefined {
  if (one.length === other.length || other.length === 1) return one.length;
  return one.length === 1 ? other.length : undefined;
}

function addSums(
  file: string,
  tensor: string,
  into: Float32Array,
  { sums, counts }: Growing,
): void {
  const columns = sums.length / counts.length;
  for (let i = 0; i < sums.length; i++) {
    // Sums that nobody has counted are none; llama-imatrix leaves zeros there.
    if (counts[Math.floor(i / columns)] === 0) continue;
    const added = sums[i] ?? 0;
    const sum = Math.fround((into[i] ?? 0) + added);
    into[i] = sum;
    if (added >= 0 && sum < Infinity) continue;
    const why = `${added} in column ${i % columns} of slice ${Math.floor(i / columns)}`;
    throw new FaultError(importanceFaults.badWeight, { file, tensor, why });
  }
}
