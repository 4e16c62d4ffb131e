/**
 * Row groups: cuts each tensor into runs of whole rows, the same cut in every cluster.
 *
 *   ModelTensor ──▶ cutRowGroups ──▶ RowGroup[]  (read next: plan.ts)
 *
 * The cut depends on the tensor alone (never on peers, memory or threads), because it is part of
 * every unit's id.
 */

import { assert } from '../../../proto/assert.ts';
import type { SourceRange } from '../checkpoint/checkpoint.ts';
import { type BlockTypeName, rowBytes } from '../gguf/block-types.ts';
import type { ModelTensor } from '../models/family.ts';

/** Large enough that a read costs little beside its bytes, small enough that a few fit anywhere. */
export const ROW_GROUP_BYTES_MAX: number = 8 * 1024 * 1024;

/** Rows [rowStart, rowStart + rows) of a tensor whose slices (experts) follow one another. */
export interface RowGroup {
  readonly rowStart: number;
  readonly rows: number;
  /** Where the rows lie in the source, in order; empty for a generated tensor. */
  readonly ranges: readonly SourceRange[];
  readonly sourceBytes: number;
}

/** Elements of a row, rows of a slice (an expert's matrix), and slices. */
export function tensorRows(shape: readonly number[]): {
  columns: number;
  rowsPerSlice: number;
  slices: number;
} {
  const [columns = 1, rowsPerSlice = 1, ...outer] = shape;
  return { columns, rowsPerSlice, slices: outer.reduce((product, size) => product * size, 1) };
}

/** How the elements lie in the source; generated tensors are F32. */
export function sourceType({ source }: ModelTensor): BlockTypeName {
  return source.kind === 'generated' ? 'F32' : source.dtype;
}

/** Covers every row once, in order; no group crosses from one slice into the next. */
export function cutRowGroups(tensor: ModelTensor): RowGroup[] {
  const { columns, rowsPerSlice, slices } = tensorRows(tensor.shape);
  const bytesPerRow = rowBytes(sourceType(tensor), columns);
  // What is made of a quantized source is larger than it is, so it counts as if it were halves.
  const countedPerRow = Math.max(bytesPerRow, 2 * columns);
  const rowsMax = Math.max(1, Math.floor(ROW_GROUP_BYTES_MAX / countedPerRow));
  const groups: RowGroup[] = [];
  for (let slice = 0; slice < slices; slice++) {
    for (let row = 0; row < rowsPerSlice; row += rowsMax) {
      const rows = Math.min(rowsMax, rowsPerSlice - row);
      const rowStart = slice * rowsPerSlice + row;
      const sourceBytes = rows * bytesPerRow;
      groups.push({
        rowStart,
        rows,
        sourceBytes,
        ranges: rangesOf(tensor, rowStart * bytesPerRow, sourceBytes),
      });
    }
  }
  return groups;
}

/** The source ranges that hold bytes [start, start + bytes) of the tensor's elements. */
function rangesOf(tensor: ModelTensor, start: number, bytes: number): SourceRange[] {
  if (tensor.source.kind === 'generated') return [];
  const ranges: SourceRange[] = [];
  let partStart = 0;
  for (const part of tensor.source.parts) {
    const from = Math.max(start, partStart);
    const to = Math.min(start + bytes, partStart + part.bytes);
    if (from < to) {
      ranges.push({ file: part.file, offset: part.offset + (from - partStart), bytes: to - from });
    }
    partStart += part.bytes;
  }
  const found = ranges.reduce((sum, range) => sum + range.bytes, 0);
  assert(found === bytes, `the parts of ${tensor.name} hold fewer bytes than its shape`);
  return ranges;
}
