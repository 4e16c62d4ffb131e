/**
 * Fixed point: sums of squares as 128-bit integers with 64 fractional bits.
 *
 *   binary64 sum of a chunk ──▶ writeFixed ──▶ integers, added and subtracted in any order
 *                           ──▶ toBinary32: rounded once, at the very end
 *
 * Integers add up to the same bytes in whatever order and grouping they come, which no floating
 * point does; that is why partial sums of any peers can be merged. Conversion in and out rounds to
 * the nearest, ties to even. An integer is 16 bytes, little endian, two's complement.
 */

import { assert } from '../../../proto/assert.ts';
import { FaultError } from '../../../proto/fault.ts';
import type { Statistic } from '../models/forward.ts';
import { importanceFaults } from './faults.ts';
import { placeOfSum, SUM_BYTES } from './statistics.ts';

const FRACTION_BITS = 64n;

/** Sums of one chunk end below this, so that two never overflow and overflow is seen. */
export const SUM_END: number = 2 ** 62;

/**
 * A binary64 as fixed point, nearest even: the plain form that faster ones are compared with.
 * @param sum finite, and below SUM_END in size
 */
export function fixedOf(sum: number): bigint {
  assert(Math.abs(sum) < SUM_END, `a sum of ${sum} is refused before it is converted`);
  const bits = new BigUint64Array(Float64Array.of(sum).buffer)[0] ?? 0n;
  const exponentField = (bits >> 52n) & 0x7ffn;
  const fraction = bits & 0xf_ffff_ffff_ffffn;
  // A binary64 is mantissa × 2^exponent; subnormals have no hidden bit.
  const mantissa = exponentField === 0n ? fraction : fraction | (1n << 52n);
  const exponent = (exponentField === 0n ? 1n : exponentField) - 1075n;
  const shift = exponent + FRACTION_BITS;
  const size = shift >= 0n ? mantissa << shift : shiftDownNearestEven(mantissa, -shift);
  return bits >> 63n === 1n ? -size : size;
}

function shiftDownNearestEven(mantissa: bigint, shift: bigint): bigint {
  const whole = mantissa >> shift;
  const rest = mantissa - (whole << shift);
  const half = 1n << (shift - 1n);
  const up = rest > half || (rest === half && (whole & 1n) === 1n);
  return up ? whole + 1n : whole;
}

/**
 * The sums of one chunk of a layer, in the order of the bytes, as those bytes.
 * @param sums of all statistics, each (matrices, columns)
 * @param into SUM_BYTES for each sum
 * @throws FaultError sumRefused, which names tensor, matrix and column
 */
export function writeFixed(
  statistics: readonly Statistic[],
  sums: Float64Array,
  into: Uint8Array,
): void {
  assert(into.length >= SUM_BYTES * sums.length, 'every sum has its place');
  const view = viewOf(into);
  for (let i = 0; i < sums.length; i++) {
    const sum = sums[i] ?? 0;
    if (!(sum >= 0 && sum < SUM_END)) {
      const { tensor, why } = placeOfSum(statistics, i);
      throw new FaultError(importanceFaults.sumRefused, { tensor, why: `${sum} ${why}` });
    }
    const fixed = fixedOf(sum);
    view.setBigUint64(SUM_BYTES * i, BigInt.asUintN(64, fixed), true);
    view.setBigInt64(SUM_BYTES * i + 8, fixed >> 64n, true);
  }
}

/**
 * Sums in binary32, each rounded once, nearest even.
 * @param sums SUM_BYTES each, none negative
 */
export function toBinary32(sums: Uint8Array): Float32Array {
  const view = viewOf(sums);
  const numbers = new Float32Array(sums.length / SUM_BYTES);
  for (let i = 0; i < numbers.length; i++) numbers[i] = sumAt(view, SUM_BYTES * i);
  return numbers;
}

// What the lowest bit of a word of 32 bits is worth, from the lowest word up.
const WORD_WORTH = [2 ** -64, 2 ** -32, 1, 2 ** 32] as const;

/** The sum at a byte, with at least 33 correct bits and in the last a trace of those left out. */
function sumAt(view: DataView, at: number): number {
  const w0 = view.getUint32(at, true);
  const w1 = view.getUint32(at + 4, true);
  const w2 = view.getUint32(at + 8, true);
  const w3 = view.getUint32(at + 12, true);
  assert(w3 < 2 ** 31, 'a sum of squares is not negative');
  if (w3 !== 0) return leading(w3, w2, (w1 | w0) !== 0) * WORD_WORTH[2];
  if (w2 !== 0) return leading(w2, w1, w0 !== 0) * WORD_WORTH[1];
  return leading(w1, w0, false) * WORD_WORTH[0];
}

/**
 * `high × 2^32 + low` in at most 53 bits. Bits that do not fit, and those below, set the lowest bit
 * that does: it is far below the half of a binary32's last place, so it breaks ties and nothing
 * else, and the one rounding to binary32 comes out as if it had seen all bits.
 */
function leading(high: number, low: number, below: boolean): number {
  if (high < 2 ** 21) {
    const exact = high * 2 ** 32 + low;
    return below && low % 2 === 0 ? exact + 1 : exact;
  }
  const kept = low >>> 11;
  const trace = below || (low & 0x7ff) !== 0;
  return (high * 2 ** 21 + (trace ? kept | 1 : kept)) * 2 ** 11;
}

/**
 * Adds sums to sums, each SUM_BYTES.
 * @returns the index of the first sum that has left 128 bits; undefined where none has
 */
export function addFixed(into: Uint8Array, added: Uint8Array): number | undefined {
  assert(into.length === added.length, 'sums of one layer have one size');
  const a = viewOf(into);
  const b = viewOf(added);
  let overflow: number | undefined;
  for (let at = 0; at < into.length; at += SUM_BYTES) {
    let carry = 0;
    for (let word = at; word < at + 12; word += 4) {
      // Below 2^33, so exact.
      const sum = a.getUint32(word, true) + b.getUint32(word, true) + carry;
      a.setUint32(word, sum, true);
      carry = sum >= 2 ** 32 ? 1 : 0;
    }
    const sum = a.getInt32(at + 12, true) + b.getInt32(at + 12, true) + carry;
    a.setInt32(at + 12, sum, true);
    if (sum !== (sum | 0)) overflow ??= at / SUM_BYTES;
  }
  return overflow;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
