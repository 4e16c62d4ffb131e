import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fma, fromBits, toBits } from './binary32.ts';

const SUBNORMAL_EXPONENT = -149;

/** A finite binary32 number as a whole number of 2^-149. */
function scaled(value: number): bigint {
  const bits = toBits(value);
  const exponent = (bits >>> 23) & 255;
  const fraction = BigInt(bits & 0x7fffff);
  const magnitude = exponent === 0 ? fraction : (fraction | (1n << 23n)) << BigInt(exponent - 1);
  return bits >>> 31 === 0 ? magnitude : -magnitude;
}

/** The binary32 number nearest to value · 2^-298, to even; `zero` where that is exactly 0. */
function nearest(value: bigint, zero: number): number {
  if (value === 0n) return zero;
  const magnitude = value < 0n ? -value : value;
  const length = magnitude.toString(2).length;
  // The last bit that stays, and what it is worth.
  const dropped = BigInt(Math.max(length - 24, -SUBNORMAL_EXPONENT));
  const half = 1n << (dropped - 1n);
  const rest = magnitude & ((1n << dropped) - 1n);
  let kept = magnitude >> dropped;
  if (rest > half || (rest === half && (kept & 1n) === 1n)) kept++;
  const result = Number(kept) * 2 ** (Number(dropped) + 2 * SUBNORMAL_EXPONENT);
  const finite = result >= 2 ** 128 ? Number.POSITIVE_INFINITY : result;
  return value < 0n ? -finite : finite;
}

function exactFma(a: number, b: number, c: number): number {
  const sum = scaled(a) * scaled(b) + (scaled(c) << BigInt(-SUBNORMAL_EXPONENT));
  return nearest(sum, a * b + c);
}

const anyBits = fc.integer({ min: 0, max: 0xffffffff }).map(fromBits).filter(Number.isFinite);
const anyNear = fc
  .record({
    sign: fc.integer({ min: 0, max: 1 }),
    exponent: fc.integer({ min: 120, max: 134 }),
    // Few bits set, so that halves of the last bit are hit.
    low: fc.integer({ min: 0, max: 3 }),
    high: fc.integer({ min: 0, max: 3 }),
  })
  .map(({ sign, exponent, low, high }) =>
    fromBits(((sign << 31) | (exponent << 23) | (high << 21) | low) >>> 0),
  );
const anySmall = fc
  .record({ sign: fc.boolean(), low: fc.integer({ min: 0, max: 1 << 25 }) })
  .map(({ sign, low }) => fromBits((low | (sign ? 1 << 31 : 0)) >>> 0));
const anyOperand = fc.oneof(anyBits, anyNear, anySmall);

// Goal: one rounding, also among subnormal numbers and at the halves. Method: whole numbers.
test('fma is the nearest binary32 number to a·b + c', () => {
  fc.assert(
    fc.property(anyOperand, anyOperand, anyOperand, (a, b, c) => {
      expect(fma(a, b, c)).toBe(exactFma(a, b, c));
    }),
    { numRuns: 3_000 },
  );
});

// Goal: cases in which binary64 alone goes wrong are among those tried. Method: c is what a·b
// nearly cancels, or a last bit far below.
test('fma is right where rounding twice is not', () => {
  let different = 0;
  fc.assert(
    fc.property(anyNear, anyNear, fc.integer({ min: -90, max: -20 }), (a, b, shift) => {
      for (const c of [-Math.fround(a * b), Math.fround(2 ** shift), -Math.fround(2 ** shift)]) {
        if (Math.fround(a * b + c) !== fma(a, b, c)) different++;
        expect(fma(a, b, c)).toBe(exactFma(a, b, c));
      }
    }),
    { numRuns: 3_000 },
  );
  expect(different).toBeGreaterThan(0);
});

test('zeros have the sign that IEEE 754 gives them', () => {
  expect(fma(-0, 1, -0)).toBe(-0);
  expect(fma(-0, 1, 0)).toBe(0);
  expect(fma(2, 3, -6)).toBe(0);
  expect(fma(Number.POSITIVE_INFINITY, 1, 5)).toBe(Number.POSITIVE_INFINITY);
  expect(fma(Number.POSITIVE_INFINITY, 0, 5)).toBeNaN();
});
