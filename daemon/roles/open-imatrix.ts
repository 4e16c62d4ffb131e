/**
 * Open imatrix: reads an importance matrix, of either form, for the tensors of one model.
 *
 *   file ──▶ index and numbers (read-imatrix.ts), entry by entry
 *        ──▶ Importance (core/importance/importance.ts)
 *
 * Numbers of tensors that the model does not have are checked and let go, so a file costs no more
 * memory than the model's own weights need.
 */

import { chooseEntries, type EntryFilters } from '../core/importance/entries.ts';
import { TensorFit, type WeightedTensor } from '../core/importance/fit-tensors.ts';
import type { Importance, TensorImportance } from '../core/importance/importance.ts';
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
  return await withMatrix(openFile, { path, file: given }, async (matrix) => {
    const index = chooseEntries(matrix.index, filters);
    const fit = new TensorFit(given, tensors);
    const fitted = new Map<string, TensorImportance>();
    for (const entry of index.entries) {
      const sums = await matrix.numbers(entry.sums);
      const weighted = fit.fit(entry.name, sums, await matrix.divisor(entry));
      if (weighted === undefined) continue;
      const { tensor, weights, slices } = weighted;
      fitted.set(tensor, { weights, digests: await digestsOf(weights, slices, kernels) });
    }
    return {
      file: splitPath(path).file,
      given,
      entries: index.entries.length,
      dataset: index.datasets[0],
      chunks: index.chunks,
      tensors: fitted,
      ...fit.findings(),
    };
  });
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
