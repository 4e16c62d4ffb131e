/**
 * Open imatrix: reads an importance matrix, of either form, for the tensors of one model.
 *
 *   file ──▶ index and numbers (read-imatrix.ts), entry by entry ─┐
 *   measured or merged ImportanceMatrix ──────────────────────────┴▶ Importance
 *                                                (core/importance/importance.ts)
 *
 * Numbers of tensors that the model does not have are checked and let go, so a file costs no more
 * memory than the model's own weights need.
 */

import {
  chooseEntries,
  type EntryFilters,
  type ImportanceEntry,
} from '../core/importance/entries.ts';
import { TensorFit, type WeightedTensor } from '../core/importance/fit-tensors.ts';
import type { Importance, TensorImportance } from '../core/importance/importance.ts';
import {
  baseNameOf,
  type ImportanceMatrix,
  type MatrixEntry,
} from '../core/importance/importance-matrix.ts';
import { numberBytes } from '../core/importance/weights.ts';
import type { Kernels } from '../ports.ts';
import { type OpenFile, withMatrix } from './read-imatrix.ts';

export interface ImportanceRequest {
  /** Absolute. */
  readonly path: string;
  /** As the user wrote it. */
  readonly given: string;
  readonly filters: EntryFilters;
}

export interface ImportancePorts {
  readonly openFile: OpenFile;
  readonly splitPath: (path: string) => { file: string };
  readonly kernels: Pick<Kernels, 'sha256'>;
}

/**
 * @param tensors of the model
 * @throws FaultError QD-43xx, and QD-31xx for a damaged GGUF
 */
export async function openImatrix(
  { path, given, filters }: ImportanceRequest,
  tensors: readonly WeightedTensor[],
  { openFile, splitPath, kernels }: ImportancePorts,
): Promise<Importance> {
  return await withMatrix(openFile, { path, file: given }, async ({ index, numbers, divisor }) => {
    const { entries, datasets, chunks } = index;
    const source = {
      entries,
      datasets,
      chunks,
      sums: (entry: ImportanceEntry) => numbers(entry.sums),
      divisor,
    };
    return await importanceFrom(
      source,
      { file: splitPath(path).file, given, filters },
      tensors,
      kernels,
    );
  });
}

/**
 * What opening the matrix's file would give, without a file.
 * @param request.file the name that its file has or would have: it stands in the outputs
 * @throws FaultError bothFilters, nothingLeft
 */
export async function useMatrix(
  { entries, datasets, chunkCount }: ImportanceMatrix,
  request: MatrixRequest,
  tensors: readonly WeightedTensor[],
  { kernels }: Pick<ImportancePorts, 'kernels'>,
): Promise<Importance> {
  const source: MatrixSource<MatrixEntry> = {
    entries,
    // As a file names and holds them: without folders, in binary32.
    datasets: datasets.map(baseNameOf),
    chunks: chunkCount,
    sums: async ({ sums }) => sums,
    divisor: async ({ counts }) => Float32Array.from(counts),
  };
  return await importanceFrom(source, request, tensors, kernels);
}

export type MatrixRequest = Pick<Importance, 'file' | 'given'> & { readonly filters: EntryFilters };

/** Where the numbers of entries come from. */
interface MatrixSource<E extends { readonly name: string }> {
  readonly entries: readonly E[];
  readonly datasets: readonly string[];
  readonly chunks: number;
  sums(entry: E): Promise<Float32Array>;
  divisor(entry: E): Promise<Float32Array | number>;
}

async function importanceFrom<E extends { readonly name: string }>(
  source: MatrixSource<E>,
  { file, given, filters }: MatrixRequest,
  tensors: readonly WeightedTensor[],
  kernels: ImportancePorts['kernels'],
): Promise<Importance> {
  const entries = chooseEntries(source.entries, filters);
  const fit = new TensorFit(given, tensors);
  const fitted = new Map<string, TensorImportance>();
  for (const entry of entries) {
    const sums = await source.sums(entry);
    const weighted = fit.fit(entry.name, sums, await source.divisor(entry));
    if (weighted === undefined) continue;
    const { tensor, weights, slices } = weighted;
    fitted.set(tensor, { weights, digests: await digestsOf(weights, slices, kernels) });
  }
  return {
    file,
    given,
    entries: entries.length,
    dataset: source.datasets[0],
    chunks: source.chunks,
    tensors: fitted,
    ...fit.findings(),
  };
}

function digestsOf(
  weights: Float32Array,
  slices: number,
  kernels: ImportancePorts['kernels'],
): Promise<Uint8Array[]> {
  const bytes = numberBytes(weights);
  const each = bytes.length / slices;
  return Promise.all(
    Array.from({ length: slices }, (_, slice) =>
      kernels.sha256(bytes.subarray(slice * each, (slice + 1) * each)),
    ),
  );
}
