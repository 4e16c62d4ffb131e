/**
 * Estimate: how large an output's tensor data will be, to the byte, before any of it exists.
 *
 *   tensors + assignments ──▶ estimateData ──▶ bytes, bits per weight
 */

import { assert } from '../../../proto/assert.ts';
import { rowBytes } from '../gguf/block-types.ts';
import type { TypeAssignment } from './type-rules.ts';

// Every tensor of a GGUF without `general.alignment` begins at a multiple of this.
const ALIGNMENT_BYTES = 32;

export interface DataEstimate {
  /** Of the tensor data with its padding; the file's header comes on top. */
  readonly bytes: number;
  readonly elements: number;
  /** Without the padding, which belongs to no weight. */
  readonly bitsPerWeight: number;
}

/** Shapes are in elements, fastest dimension first; tensors and assignments run in parallel. */
export function estimateData(
  tensors: readonly { readonly shape: readonly number[] }[],
  assignments: readonly TypeAssignment[],
): DataEstimate {
  assert(assignments.length === tensors.length, 'every tensor has one assignment');
  let bytes = 0;
  let paddedBytes = 0;
  let elements = 0;
  for (const [index, { type }] of assignments.entries()) {
    const shape = tensors[index]?.shape ?? [];
    const [columns = 1, ...others] = shape;
    const rows = others.reduce((product, dimension) => product * dimension, 1);
    const tensorBytes = rowBytes(type, columns) * rows;
    bytes += tensorBytes;
    paddedBytes += Math.ceil(tensorBytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    elements += columns * rows;
  }
  assert(Number.isSafeInteger(paddedBytes * 8), 'the checkpoint has been checked to be smaller');
  return { bytes: paddedBytes, elements, bitsPerWeight: elements > 0 ? (bytes * 8) / elements : 0 };
}
