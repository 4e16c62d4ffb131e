/**
 * Quantizer types: what the comparison needs to know of each type, written down a second time so
 * that a wrong table in the kernels cannot hide.
 */

export interface QuantizerType {
  readonly name: string;
  /** `ggml_type`. */
  readonly id: number;
  readonly elements: number;
  readonly bytes: number;
  /** Where a block's 16-bit fields with an exponent lie, and the mask of that exponent. */
  readonly exponentAt: readonly number[];
  readonly exponent: 0x7c00 | 0x7f80;
}

const row = (
  name: string,
  id: number,
  elements: number,
  bytes: number,
  exponentAt: readonly number[],
  exponent: 0x7c00 | 0x7f80 = 0x7c00,
): QuantizerType => ({ name, id, elements, bytes, exponentAt, exponent });

export const quantizerTypes: readonly QuantizerType[] = [
  row('F32', 0, 1, 4, [2], 0x7f80),
  row('F16', 1, 1, 2, [0]),
  row('BF16', 30, 1, 2, [0], 0x7f80),
  row('Q4_0', 2, 32, 18, [0]),
  row('Q4_1', 3, 32, 20, [0, 2]),
  row('Q5_0', 6, 32, 22, [0]),
  row('Q5_1', 7, 32, 24, [0, 2]),
  row('Q8_0', 8, 32, 34, [0]),
  row('Q2_K', 10, 256, 84, [80, 82]),
  row('Q3_K', 11, 256, 110, [108]),
  row('Q4_K', 12, 256, 144, [0, 2]),
  row('Q5_K', 13, 256, 176, [0, 2]),
  row('Q6_K', 14, 256, 210, [208]),
];

/** Types that a row of `columns` elements can be made into. */
export function typesFor(columns: number): readonly QuantizerType[] {
  return quantizerTypes.filter(({ elements }) => columns % elements === 0);
}

export function bytesOf({ elements, bytes }: QuantizerType, count: number): number {
  return (count / elements) * bytes;
}

/** The first element of the first block with an infinite scale; undefined when there is none. */
export function firstOverflow(type: QuantizerType, blocks: Uint8Array): number | undefined {
  for (let block = 0; block * type.bytes < blocks.length; block++) {
    for (const at of type.exponentAt) {
      const byte = block * type.bytes + at;
      const bits = (blocks[byte] ?? 0) | ((blocks[byte + 1] ?? 0) << 8);
      if ((bits & type.exponent) === type.exponent) return block * type.elements;
    }
  }
  return undefined;
}
