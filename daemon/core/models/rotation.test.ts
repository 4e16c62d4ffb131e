import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { frequenciesOf, ln, rotationsOf } from './rotation.ts';

/** How many units in the last place of binary64 two numbers are apart, about. */
const unitsApart = (one: number, other: number): number =>
  Math.abs(one - other) / (Math.abs(other) * 2 ** -52 || 2 ** -1074);

const anyBase = fc.oneof(
  fc.constantFrom(1, 2, 1e4, 5e5, 1e6, 1e12),
  fc.double({ min: 1, max: 1e12, noNaN: true }),
);
const anyWidth = fc.integer({ min: 1, max: 300 }).map((pairs) => 2 * pairs);

// Goal: the own steps compute the functions they are named after. Method: those of the machine's
// library, whose own error is about one unit in the last place.
describe('near the library', () => {
  test('ln', () => {
    const anyPositive = fc.double({ min: 1e-300, max: 1e300, noNaN: true });
    fc.assert(
      fc.property(fc.oneof(anyPositive, fc.double({ min: 0.5, max: 2, noNaN: true })), (x) => {
        if (x === 1) return;
        expect(unitsApart(ln(x), Math.log(x)), String(x)).toBeLessThan(2);
      }),
      { numRuns: 3000 },
    );
    expect(ln(1)).toBe(0);
  });

  test('frequencies', () => {
    fc.assert(
      fc.property(anyBase, anyWidth, (base, width) => {
        frequenciesOf({ width, base }).forEach((frequency, pair) => {
          // The library rounds the exponent: powers of two make it exact, others cost some units.
          const exact = Number.isInteger(Math.log2(width));
          const tolerance = exact ? 3 : 3 + 2 * Math.log(base);
          const expected = base ** ((-2 * pair) / width);
          expect(unitsApart(frequency, expected)).toBeLessThan(tolerance);
        });
      }),
    );
  });

  // A binary32 of an error of some units in binary64 is the nearest but for one in 2^27.
  test('cosines and sines, to the bit of binary32', () => {
    let [different, numbers] = [0, 0];
    for (const [base, width] of [[1e4, 256] as const, [1e6, 512] as const, [1e4, 64] as const]) {
      const { cosine, sine } = rotationsOf({ width, base }, 1100);
      const frequencies = frequenciesOf({ width, base });
      for (const [place, cos] of cosine.entries()) {
        const position = Math.floor(place / frequencies.length);
        const angle = position * (frequencies[place % frequencies.length] ?? 0);
        if (cos !== Math.fround(Math.cos(angle))) different++;
        if (sine[place] !== Math.fround(Math.sin(angle))) different++;
        numbers += 2;
      }
    }
    expect(numbers).toBeGreaterThan(900_000);
    expect(different).toBe(0);
  });

  test('angles of the longest context', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 262_143 }), (position) => {
        const { cosine, sine } = rotationsOf({ width: 2, base: position }, 2);
        // The only pair turns by 1 a position.
        expect([cosine[1], sine[1]]).toEqual([Math.cos(1), Math.sin(1)].map(Math.fround));
      }),
      { numRuns: 10 },
    );
    const { cosine, sine } = rotationsOf({ width: 2, base: 1e4 }, 262_144);
    let worst = 0;
    for (const [position, cos] of cosine.entries()) {
      worst = Math.max(worst, Math.abs(cos - Math.cos(position)));
      worst = Math.max(worst, Math.abs((sine[position] ?? 9) - Math.sin(position)));
    }
    expect(worst).toBeLessThan(2 ** -24);
  });
});

// Goal: what no library may change. Method: bits written down from this code, once it was near.
test('the bits are fixed', () => {
  const bits = (values: readonly number[]): string[] =>
    values.map((value) =>
      new DataView(new Float64Array([value]).buffer).getBigUint64(0, true).toString(16),
    );
  expect(bits([ln(2), ln(10), ln(262_144), ln(0.1)])).toMatchInlineSnapshot(`
    [
      "3fe62e42fefa39ef",
      "40026bb1bbb55516",
      "4028f40b5ed9812d",
      "c0026bb1bbb55515",
    ]
  `);
  const frequencies = frequenciesOf({ width: 512, base: 1e6 });
  expect(bits([1, 2, 63, 255].map((pair) => frequencies[pair] ?? 0))).toMatchInlineSnapshot(`
    [
      "3fee519f071af75a",
      "3fecb9da5d7cd6eb",
      "3fa116b1022a873d",
      "3eb1b51f1bd39a7b",
    ]
  `);
});

test('a factor divides the angle, and one of 1e30 leaves a pair as it is', () => {
  const factors = new Float32Array([1, 2, 1e30, 1e30]);
  const plain = frequenciesOf({ width: 8, base: 1e6 });
  const divided = frequenciesOf({ width: 8, base: 1e6, factors });
  expect(divided[0]).toBe(plain[0]);
  expect(divided[1]).toBe((plain[1] ?? 0) / 2);
  const { cosine, sine } = rotationsOf({ width: 8, base: 1e6, factors }, 1000);
  expect(cosine[999 * 4 + 3]).toBe(1);
  expect(Math.abs(sine[999 * 4 + 3] ?? 1)).toBeLessThan(1e-25);
});

test('no logarithm of what has none, no angle past the parts of π / 2', () => {
  for (const x of [0, -1, Number.NaN, Infinity]) expect(() => ln(x)).toThrow();
  const oneTurn = { width: 2, base: 2, factors: new Float32Array([1e-6]) };
  expect(() => rotationsOf(oneTurn, 2)).toThrow();
});
