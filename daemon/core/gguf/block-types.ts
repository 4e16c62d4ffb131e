/**
 * Block types: one row for each way a tensor's elements can lie in a GGUF.
 *
 * The ids, block sizes and byte counts are those of the GGUF format (`ggml_type`); the layouts
 * are in docs/quantization.md. Adding a type is one row here and one kernel.
 */

import { assert } from '../../../proto/assert.ts';

export interface BlockType {
  /** `ggml_type` as it stands in a GGUF tensor info. */
  readonly id: number;
  readonly name: string;
  /** Elements of one block; a row is a whole number of blocks. */
  readonly blockElements: number;
  readonly blockBytes: number;
  /** Whether elements are packed in blocks with a scale, rather than plain numbers. */
  readonly quantized: boolean;
  /** Whether there are kernels that make it; some do so only with an importance matrix. */
  readonly makeable: boolean;
}

const plain = (id: number, name: string, blockBytes: number, makeable = false): BlockType => ({
  id,
  name,
  blockElements: 1,
  blockBytes,
  quantized: false,
  makeable,
});
const blocks = (
  id: number,
  name: string,
  blockElements: number,
  blockBytes: number,
  makeable = false,
): BlockType => ({ id, name, blockElements, blockBytes, quantized: true, makeable });

const rows = {
  F32: plain(0, 'F32', 4, true),
  F16: plain(1, 'F16', 2, true),
  Q4_0: blocks(2, 'Q4_0', 32, 18, true),
  Q4_1: blocks(3, 'Q4_1', 32, 20, true),
  Q5_0: blocks(6, 'Q5_0', 32, 22, true),
  Q5_1: blocks(7, 'Q5_1', 32, 24, true),
  Q8_0: blocks(8, 'Q8_0', 32, 34, true),
  Q8_1: blocks(9, 'Q8_1', 32, 36),
  Q2_K: blocks(10, 'Q2_K', 256, 84, true),
  Q3_K: blocks(11, 'Q3_K', 256, 110, true),
  Q4_K: blocks(12, 'Q4_K', 256, 144, true),
  Q5_K: blocks(13, 'Q5_K', 256, 176, true),
  Q6_K: blocks(14, 'Q6_K', 256, 210, true),
  Q8_K: blocks(15, 'Q8_K', 256, 292),
  IQ2_XXS: blocks(16, 'IQ2_XXS', 256, 66, true),
  IQ2_XS: blocks(17, 'IQ2_XS', 256, 74, true),
  IQ3_XXS: blocks(18, 'IQ3_XXS', 256, 98, true),
  IQ1_S: blocks(19, 'IQ1_S', 256, 50, true),
  IQ4_NL: blocks(20, 'IQ4_NL', 32, 18, true),
  IQ3_S: blocks(21, 'IQ3_S', 256, 110, true),
  IQ2_S: blocks(22, 'IQ2_S', 256, 82, true),
  IQ4_XS: blocks(23, 'IQ4_XS', 256, 136, true),
  I8: plain(24, 'I8', 1),
  I16: plain(25, 'I16', 2),
  I32: plain(26, 'I32', 4),
  I64: plain(27, 'I64', 8),
  F64: plain(28, 'F64', 8),
  IQ1_M: blocks(29, 'IQ1_M', 256, 56, true),
  BF16: plain(30, 'BF16', 2, true),
  TQ1_0: blocks(34, 'TQ1_0', 256, 54, true),
  TQ2_0: blocks(35, 'TQ2_0', 256, 66, true),
  MXFP4: blocks(39, 'MXFP4', 32, 17, true),
  NVFP4: blocks(40, 'NVFP4', 64, 36, true),
  Q1_0: blocks(41, 'Q1_0', 128, 18, true),
  Q2_0: blocks(42, 'Q2_0', 64, 18, true),
} as const satisfies Record<string, BlockType>;

export type BlockTypeName = keyof typeof rows;

export const blockTypes: Readonly<Record<BlockTypeName, BlockType>> = rows;

const byId = new Map<number, BlockTypeName>(
  Object.entries(rows).map(([name, row]) => [row.id, name as BlockTypeName]),
);

/** The type with a GGUF id; undefined for ids that were never given out or are retired. */
export function blockTypeById(id: number): BlockTypeName | undefined {
  return byId.get(id);
}

/** Bytes of one row of `elements` elements, which must fill whole blocks. */
export function rowBytes(type: BlockTypeName, elements: number): number {
  const { blockElements, blockBytes } = blockTypes[type];
  assert(elements % blockElements === 0, `${elements} elements are no whole ${type} blocks`);
  return (elements / blockElements) * blockBytes;
}
