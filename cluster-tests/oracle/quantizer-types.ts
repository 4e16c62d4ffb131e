/**
 * Quantizer types: what the comparison needs to know of each type, written down a second time so
 * that a wrong table in the kernels cannot hide.
 */

import type { KernelInfo } from '../../daemon/ports.ts';

/** What an importance matrix does to a type: nothing, something, or nothing goes without it. */
export type ImportanceUse = 'ignored' | 'used' | 'required';

export interface QuantizerType {
  readonly name: string;
  /** `ggml_type`. */
  readonly id: number;
  readonly elements: number;
  readonly bytes: number;
  readonly importance: ImportanceUse;
  /** Whether levels come out of a grid, of which the oracle's table takes seconds to build. */
  readonly codebook: boolean;
  /** Whether a scale of the block at `at` is infinite or no number. */
  readonly isBad: (blocks: Uint8Array, at: number) => boolean;
}

const word = (blocks: Uint8Array, at: number): number =>
  (blocks[at] ?? 0) | ((blocks[at + 1] ?? 0) << 8);
const isBadHalf = (bits: number): boolean => (bits & 0x7c00) === 0x7c00;

/** Halves at these offsets. */
const halves =
  (...offsets: readonly number[]): QuantizerType['isBad'] =>
  (blocks, at) =>
    offsets.some((offset) => isBadHalf(word(blocks, at + offset)));
/** The upper 16 bits of a float lie there. */
const float =
  (offset: number): QuantizerType['isBad'] =>
  (blocks, at) =>
    (word(blocks, at + offset) & 0x7f80) === 0x7f80;
/** A half in the top nibbles of four words, the lowest nibble first. */
const spreadHalf =
  (offset: number): QuantizerType['isBad'] =>
  (blocks, at) =>
    isBadHalf(
      [0, 1, 2, 3].reduce(
        (bits, i) => bits | ((word(blocks, at + offset + 2 * i) >> 12) << (4 * i)),
        0,
      ),
    );
/** A power of two, of which 255 is no number. */
const power: QuantizerType['isBad'] = (blocks, at) => blocks[at] === 255;
const never: QuantizerType['isBad'] = () => false;

const row = (
  name: string,
  id: number,
  elements: number,
  bytes: number,
  importance: ImportanceUse,
  isBad: QuantizerType['isBad'],
): QuantizerType => ({
  ...{ name, id, elements, bytes, importance, isBad },
  codebook: /^IQ[123]/.test(name),
});

/** Every type that a GGUF of a model is quantized to. */
export const quantizerTypes: readonly QuantizerType[] = [
  row('F32', 0, 1, 4, 'ignored', float(2)),
  row('F16', 1, 1, 2, 'ignored', halves(0)),
  row('BF16', 30, 1, 2, 'ignored', float(0)),
  row('Q4_0', 2, 32, 18, 'used', halves(0)),
  row('Q4_1', 3, 32, 20, 'used', halves(0, 2)),
  row('Q5_0', 6, 32, 22, 'used', halves(0)),
  row('Q5_1', 7, 32, 24, 'used', halves(0, 2)),
  row('Q8_0', 8, 32, 34, 'ignored', halves(0)),
  row('Q2_K', 10, 256, 84, 'used', halves(80, 82)),
  row('Q3_K', 11, 256, 110, 'used', halves(108)),
  row('Q4_K', 12, 256, 144, 'used', halves(0, 2)),
  row('Q5_K', 13, 256, 176, 'used', halves(0, 2)),
  row('Q6_K', 14, 256, 210, 'used', halves(208)),
  row('IQ2_XXS', 16, 256, 66, 'required', halves(0)),
  row('IQ2_XS', 17, 256, 74, 'required', halves(0)),
  row('IQ3_XXS', 18, 256, 98, 'used', halves(0)),
  row('IQ1_S', 19, 256, 50, 'required', halves(0)),
  row('IQ4_NL', 20, 32, 18, 'used', halves(0)),
  row('IQ3_S', 21, 256, 110, 'used', halves(0)),
  row('IQ2_S', 22, 256, 82, 'used', halves(0)),
  row('IQ4_XS', 23, 256, 136, 'used', halves(0)),
  row('IQ1_M', 29, 256, 56, 'used', spreadHalf(48)),
  row('TQ1_0', 34, 256, 54, 'ignored', halves(52)),
  row('TQ2_0', 35, 256, 66, 'ignored', halves(64)),
  row('MXFP4', 39, 32, 17, 'ignored', power),
  row('NVFP4', 40, 64, 36, 'ignored', never),
  row('Q1_0', 41, 128, 18, 'ignored', halves(0)),
  row('Q2_0', 42, 64, 18, 'ignored', halves(0)),
];

/**
 * The types that kernels can make of a row of `columns` elements, with or without importance. A
 * type that ignores importance is made either way.
 */
export function typesFor(
  { quantizers }: Pick<KernelInfo, 'quantizers'>,
  columns: number,
  weighted: boolean,
): readonly QuantizerType[] {
  return quantizerTypes.filter(({ id, elements, importance }) => {
    const kernel = quantizers.find(({ type }) => type === id);
    const uses = weighted && importance !== 'ignored';
    return columns % elements === 0 && (uses ? kernel?.weighted : kernel?.plain) === true;
  });
}

export function bytesOf({ elements, bytes }: QuantizerType, count: number): number {
  return (count / elements) * bytes;
}

/** The first element of the first block with a scale that is no number; undefined without one. */
export function firstOverflow(type: QuantizerType, blocks: Uint8Array): number | undefined {
  for (let block = 0; block * type.bytes < blocks.length; block++) {
    if (type.isBad(blocks, block * type.bytes)) return block * type.elements;
  }
  return undefined;
}
