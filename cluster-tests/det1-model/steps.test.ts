import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  activate,
  capped,
  exp,
  fma,
  logSum,
  multiplyRows,
  norm,
  roundToBfloat16,
  route,
} from './steps.ts';

const anyBits = fc.oneof(
  fc.integer({ min: 0, max: 0xffff_ffff }),
  // Few bits and near exponents, where sums fall in the middle between two numbers.
  fc
    .tuple(fc.integer({ min: 110, max: 140 }), fc.integer({ min: 0, max: 15 }), fc.nat(1))
    .map(([exponent, bits, sign]) => sign * 0x8000_0000 + exponent * 0x80_0000 + bits * 0x8_0000),
  fc
    .tuple(fc.integer({ min: 0, max: 140 }), fc.integer({ min: 0, max: 3 }), fc.nat(1))
    .map(([exponent, bits, sign]) => sign * 0x8000_0000 + exponent * 0x80_0000 + bits),
);
const numberOf = (bits: number): number =>
  new Float32Array(Uint32Array.of(bits).buffer)[0] ?? Number.NaN;
const anyNumber = anyBits.map(numberOf).filter(Number.isFinite);

/** What every finite binary32 is a whole multiple of, to the power of -1. */
const LEAST_BITS = 149n;

/** A finite binary32 as a whole number of 2^-149. */
function whole(x: number): bigint {
  const bits = new Uint32Array(Float32Array.of(x).buffer)[0] ?? 0;
  const exponent = (bits >>> 23) & 0xff;
  const fraction = bits & 0x7f_ffff;
  const size = BigInt(exponent === 0 ? fraction : fraction | 0x80_0000);
  const shifted = size << BigInt(Math.max(1, exponent) - 1);
  return bits >>> 31 === 1 ? -shifted : shifted;
}

/** The binary32 nearest to `value` · 2^-298, ties to even; Infinity past the largest. */
function nearest(value: bigint): number {
  const size = value < 0n ? -value : value;
  const sign = value < 0n ? -1 : 1;
  const bits = BigInt(size.toString(2).length);
  // Down to 24 bits, but not below what the smallest number is a multiple of.
  const drop = bits - 24n > LEAST_BITS ? bits - 24n : LEAST_BITS;
  const kept = size >> drop;
  const rest = size - (kept << drop);
  const half = 1n << (drop - 1n);
  const up = rest > half || (rest === half && (kept & 1n) === 1n) ? 1n : 0n;
  // Two exact factors, because 2^-298 alone is none of binary64's normal numbers for so small a number.
  const scale = Number(drop - 2n * LEAST_BITS);
  return Math.fround(sign * Number(kept + up) * 2 ** scale);
}

// Goal: one rounding. Method: whole numbers of any size, rounded once.
test('fma is exact but for one rounding', () => {
  fc.assert(
    fc.property(anyNumber, anyNumber, anyNumber, (a, b, c) => {
      const exact = whole(a) * whole(b) + (whole(c) << LEAST_BITS);
      const expected = exact === 0n ? 0 : nearest(exact);
      const found = fma(a, b, c);
      if (!Number.isFinite(expected)) return;
      expect(found + 0, `${a} · ${b} + ${c}`).toBe(expected + 0);
    }),
    { numRuns: 20_000 },
  );
  // Rounding the product first, or the sum twice, gives other numbers for these.
  const e = 2 ** -12;
  expect(fma(1 + e, 1 + e, -1)).toBe(2 * e + e * e);
  expect(fma(1 + 2 ** -23, 2 ** -24, 1 + 2 ** -23)).toBe(1 + 2 ** -22);
  expect(fma(-(1 + 2 ** -23), 2 ** -24, 1 + 2 ** -22)).toBe(1 + 2 ** -23);
});

// Goal: the written steps compute the functions. Method: the library's, within some of binary32's
// last places.
describe('near the functions', () => {
  const anyX = fc.float({ min: -80, max: 80, noNaN: true });
  test('exp', () => {
    fc.assert(
      fc.property(anyX, (x) => {
        expect(Math.abs(exp(x) / Math.exp(x) - 1)).toBeLessThan(2 ** -21);
      }),
    );
    expect([exp(-87.5), exp(-Infinity), exp(0), exp(Number.NaN)]).toEqual([0, 0, 1, Number.NaN]);
    expect(exp(100)).toBe(exp(88));
  });

  test('gates', () => {
    fc.assert(
      fc.property(fc.float({ min: -9, max: 9, noNaN: true }), (x) => {
        const inner = Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);
        const gelu = 0.5 * x * (1 + Math.tanh(inner));
        expect(Math.abs(activate('gelu', x) - gelu)).toBeLessThan(1e-6 * (1 + Math.abs(x)));
        const silu = x / (1 + Math.exp(-x));
        expect(Math.abs(activate('silu', x) - silu)).toBeLessThan(1e-6 * (1 + Math.abs(x)));
      }),
    );
  });

  test('the cap and the sum of a row of logits', () => {
    fc.assert(
      fc.property(fc.array(anyX, { minLength: 1, maxLength: 700 }), (values) => {
        const logits = Float32Array.from(values, (z) => capped(z, 30));
        values.forEach((z, place) => {
          expect(Math.abs((logits[place] ?? 99) - 30 * Math.tanh(z / 30))).toBeLessThan(1e-5);
        });
        const { largest, sum } = logSum(logits);
        const all = logits.reduce((total, z) => total + Math.exp(z - largest), 0);
        expect(largest).toBe(Math.max(...logits));
        expect(Math.abs(sum / all - 1)).toBeLessThan(1e-5);
      }),
    );
  });

  test('norms', () => {
    const row = Float32Array.from({ length: 40 }, (_, i) => Math.sin(i) * 3);
    const size = Math.sqrt(row.reduce((sum, x) => sum + x * x, 0) / 40 + 1e-6);
    const weight = Float32Array.from(row, (_, i) => 1 + i / 40);
    norm(row, 40, weight, 1e-6).forEach((y, i) => {
      expect(y).toBeCloseTo(((row[i] ?? 0) / size) * (1 + i / 40), 5);
    });
    // Two heads of a row are two norms.
    const heads = norm(row, 20, undefined, 1e-6);
    expect([...heads.subarray(20)]).toEqual([...norm(row.slice(20), 20, undefined, 1e-6)]);
  });
});

test('bfloat16 is the nearest, ties to even', () => {
  expect([1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20].map(roundToBfloat16)).toEqual([
    1,
    1 + 2 ** -6,
    1 + 2 ** -7,
  ]);
  expect(roundToBfloat16(-Infinity)).toBe(-Infinity);
  expect(roundToBfloat16(3.4e38)).toBe(Infinity);
  expect(roundToBfloat16(Number.NaN)).toBeNaN();
});

test('mode B sums even and odd columns by themselves, 32 at a time, and nothing below 2^-55', () => {
  // Of 2^-24 one alone is lost beside 1, two that meet first are not.
  const sumOf = (...columns: number[]): number | undefined => {
    const values = new Float32Array(columns.length === 0 ? 1 : Math.max(...columns) + 1);
    for (const column of columns) values[column] = 2 ** -24;
    values[0] = 1;
    const rows = { mode: 'B', columns: values.length, values } as const;
    return multiplyRows(new Float32Array(values.length).fill(1), rows, 0, 1)[0];
  };
  expect(sumOf(2, 4)).toBe(1);
  expect(sumOf(1, 3)).toBe(1 + 2 ** -23);
  expect(sumOf(1, 2)).toBe(1);
  expect(sumOf(30, 32)).toBe(1);
  expect(sumOf(32, 34)).toBe(1 + 2 ** -23);
  expect(sumOf(32, 33)).toBe(1 + 2 ** -23);
  const tiny = { mode: 'B', columns: 2, values: Float32Array.of(1, 1) } as const;
  expect(multiplyRows(Float32Array.of(2 ** -56, 0), tiny, 0, 1)[0]).toBe(0);
  expect(multiplyRows(Float32Array.of(2 ** -55, 0), tiny, 0, 1)[0]).toBe(2 ** -55);
  expect(multiplyRows(Float32Array.of(2 ** -56, 0), { ...tiny, mode: 'A' }, 0, 1)[0]).toBe(
    2 ** -56,
  );
});

test('among equals the lower expert is chosen; weights are shares of the chosen', () => {
  const chosen = route(Float32Array.of(0, 1, 1, 1, -2), 2, undefined);
  expect(chosen).toEqual([
    { expert: 1, weight: 0.5 },
    { expert: 2, weight: 0.5 },
  ]);
  const scaled = route(Float32Array.of(5, 1), 1, Float32Array.of(3, 7));
  expect(scaled).toEqual([{ expert: 0, weight: 3 }]);
});
