/**
 * Tensor size: from a shape and a block type to elements and bytes, every step checked.
 *
 * Reader and writer share it. Public attacks on GGUF readers were products of dimensions, row
 * sizes and paddings that wrap around; here a size that is not exact is no size.
 */

import { type BlockTypeName, blockTypes } from './block-types.ts';
import { DIMENSIONS_MAX, times } from './limits.ts';

export type TensorSize =
  | { readonly ok: true; readonly elements: number; readonly bytes: number }
  | { readonly ok: false; readonly why: string };

/** Elements and bytes of a tensor; shape fastest first. Padding is not counted. */
export function tensorSize(shape: readonly number[], type: BlockTypeName): TensorSize {
  const { blockElements, blockBytes } = blockTypes[type];
  const [columns] = shape;
  if (columns === undefined || shape.length > DIMENSIONS_MAX) {
    return { ok: false, why: `${shape.length} dimensions instead of 1 to ${DIMENSIONS_MAX}` };
  }
  let elements: number | undefined = 1;
  for (const dimension of shape) {
    if (!Number.isSafeInteger(dimension) || dimension < 1) {
      return { ok: false, why: `a dimension of ${dimension}` };
    }
    elements = times(elements, dimension);
    if (elements === undefined) return { ok: false, why: '2^53 or more elements' };
  }
  if (columns % blockElements !== 0) {
    const why = `rows of ${columns} elements are no whole ${type} blocks of ${blockElements}`;
    return { ok: false, why };
  }
  const bytes = times(elements / blockElements, blockBytes);
  return bytes === undefined
    ? { ok: false, why: '2^53 or more bytes' }
    : { ok: true, elements, bytes };
}
