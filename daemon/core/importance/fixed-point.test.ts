import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FaultError } from '../../../proto/fault.ts';
import type { Statistic } from '../models/forward.ts';
import { addFixed, fixedOf, SUM_END, toBinary32, writeFixed } from './fixed-point.ts';
import { SUM_BYTES } from './statistics.ts';

const statistics: readonly Statistic[] = [
  { names: ['a.weight'], matrices: 1, columns: 3 },
  { names: ['b.weight', 'c.weight'], matrices: 2, columns: 2 },
];

function bytesOf(values: readonly bigint[]): Uint8Array {
  const bytes = new Uint8Array(SUM_BYTES * values.length);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) {
    view.setBigUint64(SUM_BYTES * i, BigInt.asUintN(64, value), true);
    view.setBigInt64(SUM_BYTES * i + 8, BigInt.asIntN(64, value >> 64n), true);
  }
  return bytes;
}

function valuesOf(bytes: Uint8Array): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from(
    { length: bytes.length / SUM_BYTES },
    (_, i) =>
      (view.getBigInt64(SUM_BYTES * i + 8, true) << 64n) | view.getBigUint64(SUM_BYTES * i, true),
  );
}

/** `value × 2^-64` in binary32: the nearest of two neighbours, by exact comparison. */
function slowBinary32(value: bigint): number {
  if (value === 0n) return 0;
  const bits = BigInt(value.toString(2).length);
  const drop = bits > 24n ? bits - 24n : 0n;
  let kept = value >> drop;
  const rest = value - (kept << drop);
  const half = drop === 0n ? 1n : 1n << (drop - 1n);
  if (rest > half || (rest === half && (kept & 1n) === 1n)) kept += 1n;
  return Number(kept) * 2 ** (Number(drop) - 64);
}

// Values of every magnitude, and those around halves of a binary32's last place, where two
// roundings and one differ.
const anyMagnitude = fc
  .tuple(fc.bigInt({ min: 0n, max: (1n << 127n) - 1n }), fc.bigInt({ min: 0n, max: 127n }))
  .map(([value, shift]) => value >> shift);
const nearTie = fc
  .record({
    mantissa: fc.integer({ min: 2 ** 23, max: 2 ** 24 - 1 }),
    shift: fc.integer({ min: 1, max: 103 }),
    off: fc.constantFrom(-1n, 0n, 1n),
  })
  .map(({ mantissa, shift, off }) => {
    const drop = BigInt(shift);
    return (BigInt(mantissa) << drop) + (1n << (drop - 1n)) + off;
  });
const anySum = fc.oneof(anyMagnitude, nearTie);

describe('fixed point to binary32', () => {
  // Goal: one rounding, nearest even. Method: exact integers, with ties and their neighbours.
  test('is the nearest', () => {
    fc.assert(
      fc.property(fc.array(anySum, { minLength: 1, maxLength: 20 }), (values) => {
        expect([...toBinary32(bytesOf(values))]).toEqual(values.map(slowBinary32));
      }),
      { numRuns: 2000 },
    );
  });

  test('is exact at the borders of words', () => {
    const values = [0n, 1n, 2n ** 32n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n, 2n ** 85n, 2n ** 126n];
    expect([...toBinary32(bytesOf(values))]).toEqual(values.map(slowBinary32));
  });
});

const anyBinary64 = fc.oneof(
  fc.double({ min: 0, max: SUM_END, maxExcluded: true, noNaN: true }),
  fc
    .tuple(fc.double({ min: 1, max: 2, noNaN: true }), fc.integer({ min: -140, max: 60 }))
    .map(([mantissa, exponent]) => mantissa * 2 ** exponent),
);

describe('binary64 to fixed point', () => {
  test('is exact from 2^-12 up, and else off by half of 2^-64 at most', () => {
    fc.assert(
      fc.property(anyBinary64, (sum) => {
        const fixed = fixedOf(sum);
        // Both sides times 2^1138, which makes any binary64 an integer.
        const exact = exactOf(sum);
        const off = (fixed << 1074n) - exact;
        if (sum >= 2 ** -12) expect(off).toBe(0n);
        const size = off < 0n ? -off : off;
        expect(size <= 1n << 1073n).toBe(true);
        if (size === 1n << 1073n) expect(fixed & 1n).toBe(0n);
        expect(fixedOf(-sum)).toBe(-fixed);
      }),
      { numRuns: 2000 },
    );
  });

  test('breaks ties to even', () => {
    expect([0.5, 1, 1.5, 2.5, 3.5].map((units) => fixedOf(units * 2 ** -64))).toEqual([
      0n,
      1n,
      2n,
      2n,
      4n,
    ]);
    expect(fixedOf(Number.MIN_VALUE)).toBe(0n);
  });

  test('fills the bytes in order', () => {
    const sums = Float64Array.of(0, 1, 2 ** -64, 3, 2 ** 61, 0.1, SUM_END - 512);
    const bytes = new Uint8Array(SUM_BYTES * sums.length);
    writeFixed(statistics, sums, bytes);
    expect(valuesOf(bytes)).toEqual([...sums].map(fixedOf));
  });

  test.each([
    [Number.NaN, 0, 'tensor a.weight): NaN in column 0 of matrix 0'],
    [Infinity, 2, 'tensor a.weight): Infinity in column 2 of matrix 0'],
    [SUM_END, 4, 'tensor b.weight, c.weight): 4611686018427388000 in column 1 of matrix 0'],
    [-1, 5, 'tensor b.weight, c.weight): -1 in column 0 of matrix 1'],
  ])('refuses %d by name', (sum, index, said) => {
    const sums = new Float64Array(7);
    sums[index] = sum;
    try {
      writeFixed(statistics, sums, new Uint8Array(SUM_BYTES * 7));
      expect.unreachable();
    } catch (error) {
      expect((error as FaultError).kind.code).toBe('QD-4321');
      expect((error as FaultError).message).toContain(said);
    }
  });
});

/** `sum × 2^1138` as an integer, from its decimal digits in base 2. */
function exactOf(sum: number): bigint {
  let mantissa = sum;
  let exponent = 1138;
  while (!Number.isInteger(mantissa)) {
    mantissa *= 2;
    exponent--;
  }
  return BigInt(mantissa) << BigInt(exponent);
}

describe('adding', () => {
  const anySigned = fc
    .tuple(
      fc.bigInt({ min: -(1n << 127n), max: (1n << 127n) - 1n }),
      fc.bigInt({ min: 0n, max: 127n }),
    )
    .map(([value, shift]) => value >> shift);

  // Goal: 128-bit integers, and an overflow is never silent. Method: the same with BigInt.
  test('are those of integers', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(anySigned, anySigned), { maxLength: 8 }), (pairs) => {
        const left = pairs.map(([a]) => a);
        const right = pairs.map(([, b]) => b);
        const sums = pairs.map(([a, b]) => a + b);
        const plus = bytesOf(left);
        expect(addFixed(plus, bytesOf(right))).toBe(firstOutside(sums));
        expect(valuesOf(plus)).toEqual(sums.map((sum) => BigInt.asIntN(128, sum)));
      }),
      { numRuns: 1000 },
    );
  });
});

function firstOutside(values: readonly bigint[]): number | undefined {
  const index = values.findIndex((value) => BigInt.asIntN(128, value) !== value);
  return index < 0 ? undefined : index;
}
