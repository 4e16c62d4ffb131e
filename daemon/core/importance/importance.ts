/**
 * Importance: the weights of a model's tensors, and what of an importance matrix is not used.
 *
 *   entries' weights + tensors ──▶ Importance ──▶ plan/outputs.ts (types, keys), plan/plan.ts (ids)
 *
 * What an entry is good for is decided here as llama-quantize decides it; docs/imatrix.md lists
 * the cases. Reading the file: roles/open-imatrix.ts.
 */

import { assert } from '../../../proto/assert.ts';
import { FaultError } from '../../../proto/fault.ts';
import { type BlockTypeName, blockTypes } from '../gguf/block-types.ts';
import type { ModelTensor } from '../models/family.ts';
import { sourceType } from '../plan/row-groups.ts';
import { categoryOf } from '../recipe/categories.ts';
import type { TypeAssignment } from '../recipe/type-rules.ts';
import { importanceFaults } from './faults.ts';

/** The weights of one tensor. */
export interface TensorImportance {
  /** (slices, columns). */
  readonly weights: Float32Array;
  /** SHA-256 of the binary32 bytes, little endian, of each slice. */
  readonly digests: readonly Uint8Array[];
}

export interface Importance {
  /** Its name without folders. */
  readonly file: string;
  /** The path as the user wrote it. */
  readonly given: string;
  /** How many entries the filters have left. */
  readonly entries: number;
  readonly dataset: string | undefined;
  readonly chunks: number;
  /** By tensor name: the entries whose size is that of a tensor. */
  readonly tensors: ReadonlyMap<string, TensorImportance>;
  /** By tensor name: entries of another size than their tensor. */
  readonly misfits: ReadonlyMap<string, { readonly values: number; readonly wanted: number }>;
  /** What the user should know of the file, one sentence each. */
  readonly notices: readonly string[];
}

// Plain numbers have nothing to choose. Of the packed types these store a scale and round to it;
// the others fit scales, where weights matter. The lists of llama.cpp v0.5.0.
const ignoring: ReadonlySet<BlockTypeName> = new Set([
  'Q8_0',
  'Q8_1',
  'Q8_K',
  'Q1_0',
  'Q2_0',
  'MXFP4',
  'NVFP4',
  'TQ1_0',
  'TQ2_0',
]);

/** Whether the bytes of a block of this type depend on the weights of its columns. */
export function usesImportance(type: BlockTypeName): boolean {
  return blockTypes[type].quantized && !ignoring.has(type);
}

/** How many weights a tensor of this shape needs: one a column, for every slice. */
export function weightsWanted(shape: readonly number[]): number {
  const [columns = 1, , ...slices] = shape;
  return slices.reduce((product, size) => product * size, columns);
}

/** Weights of one slice, such as those of one expert; undefined where the tensor has none. */
export function sliceOf(
  importance: TensorImportance | undefined,
  slice: number,
): { readonly weights: Float32Array; readonly digest: Uint8Array } | undefined {
  if (importance === undefined) return undefined;
  const { weights, digests } = importance;
  const digest = digests[slice];
  assert(digest !== undefined, `importance of ${digests.length} slices has no slice ${slice}`);
  const columns = weights.length / digests.length;
  return { weights: weights.subarray(slice * columns, (slice + 1) * columns), digest };
}

interface Assigned {
  readonly name: string;
  readonly sourceType: BlockTypeName;
}

/**
 * Refuses an importance matrix whose entry for a tensor that is to be quantized has another size:
 * it was made with another model. Embeddings are excepted, their entry is not used.
 * @throws FaultError sizeDiffers
 */
export function checkSizes(
  { file, misfits }: Importance,
  tensors: readonly Assigned[],
  assignments: readonly TypeAssignment[],
): void {
  assert(assignments.length === tensors.length, 'every tensor has one assignment');
  for (const [index, { name, sourceType }] of tensors.entries()) {
    const misfit = misfits.get(name);
    const assignment = assignments[index];
    if (misfit === undefined || assignment === undefined) continue;
    // What is copied is not looked up.
    if (assignment.reason === 'kept' || assignment.type === sourceType) continue;
    if (categoryOf(name) === 'embedding') continue;
    const why = `${misfit.values} weights instead of ${misfit.wanted}`;
    throw new FaultError(importanceFaults.sizeDiffers, { file, tensor: name, why });
  }
}

/** What the outputs make of the importance matrix and a user may not expect, a sentence each. */
export function coverageNotices(
  { tensors: covered, misfits }: Importance,
  tensors: readonly ModelTensor[],
  outputs: readonly { readonly types: ReadonlyMap<string, BlockTypeName> }[],
): string[] {
  // What stays what it is in its source is copied.
  const stored = new Map(tensors.map((tensor) => [tensor.name, sourceType(tensor)]));
  const weighted = new Set<string>();
  for (const [name, type] of outputs.flatMap(({ types }) => [...types])) {
    if (usesImportance(type) && stored.get(name) !== type) weighted.add(name);
  }
  const missing = [...weighted].filter((name) => !covered.has(name) && !misfits.has(name));
  const unused = [...misfits]
    .filter(([name]) => weighted.has(name) && categoryOf(name) === 'embedding')
    .map(([name, { values, wanted }]) => `${name} (${values} weights instead of ${wanted})`);
  return [
    ...sentence('the importance matrix has no entry for', missing, 'made without importance'),
    ...sentence('an entry of another size is not used for', unused, 'made without importance'),
  ];
}

// A notice is read by a person; a thousand names say no more than the first few.
const NAMED_MAX = 8;

/** `what: a, b and 3 more; then`, or nothing where there are no names. */
export function sentence(what: string, names: readonly string[], then?: string): string[] {
  if (names.length === 0) return [];
  const more = names.length - NAMED_MAX;
  const list = names.slice(0, NAMED_MAX).join(', ');
  const end = then === undefined ? '' : `; ${then}`;
  return [`${what} ${list}${more > 0 ? ` and ${more} more` : ''}${end}`];
}
