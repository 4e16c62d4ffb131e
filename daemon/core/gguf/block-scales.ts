/**
 * Block scales: whether the numbers that blocks are scaled by are finite.
 *
 *   bytes of whole blocks ──▶ firstBadBlock ──▶ its index, or undefined where all are well
 *
 * Blocks that are copied pass through no kernel; a scale that is infinite or no number is then the
 * one sign of damage that every type can show. The layouts are in docs/quantization.md.
 */

import { type BlockTypeName, blockTypes } from './block-types.ts';

/** Bits of one byte of a block. */
type Bits = readonly [byte: number, mask: number];
/** A scale that is not finite has all of these bits set. */
type Scale = readonly Bits[];

// A half is infinite or no number when all bits of its exponent are set, whatever its sign.
const half = (at: number): Scale => [[at + 1, 0x7c]];

const scales: Readonly<Partial<Record<BlockTypeName, readonly Scale[]>>> = {
  Q4_0: [half(0)],
  Q4_1: [half(0), half(2)],
  Q5_0: [half(0)],
  Q5_1: [half(0), half(2)],
  Q8_0: [half(0)],
  Q2_K: [half(80), half(82)],
  Q3_K: [half(108)],
  Q4_K: [half(0), half(2)],
  Q5_K: [half(0), half(2)],
  Q6_K: [half(208)],
  IQ2_XXS: [half(0)],
  IQ2_XS: [half(0)],
  IQ2_S: [half(0)],
  IQ3_XXS: [half(0)],
  IQ3_S: [half(0)],
  IQ1_S: [half(0)],
  // Its half lies in the upper nibbles of four words: the exponent in those of the last two.
  IQ1_M: [
    [
      [53, 0xc0],
      [55, 0x70],
    ],
  ],
  IQ4_NL: [half(0)],
  IQ4_XS: [half(0)],
  TQ1_0: [half(52)],
  TQ2_0: [half(64)],
  // A power of two, of which the last one means: no number.
  MXFP4: [[[0, 0xff]]],
  Q1_0: [half(0)],
  Q2_0: [half(0)],
};

/** The first block of `bytes`, which are whole blocks of `type`, with a scale that is not finite. */
export function firstBadBlock(type: BlockTypeName, bytes: Uint8Array): number | undefined {
  const { blockBytes } = blockTypes[type];
  const found = (scales[type] ?? []).flatMap((scale) => firstWith(scale, blockBytes, bytes) ?? []);
  return found.length > 0 ? Math.min(...found) : undefined;
}

function firstWith([first, ...others]: Scale, step: number, bytes: Uint8Array): number | undefined {
  if (first === undefined) return undefined;
  const [byte, mask] = first;
  for (let block = 0; block + byte < bytes.length; block += step) {
    if (((bytes[block + byte] ?? 0) & mask) !== mask) continue;
    if (others.every(([at, bits]) => ((bytes[block + at] ?? 0) & bits) === bits)) {
      return block / step;
    }
  }
  return undefined;
}
