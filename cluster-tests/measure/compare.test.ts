import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  compareStatistics,
  findFlips,
  firstFlip,
  largestDifference,
  meanSquares,
  relativeRms,
  wrongArgmax,
} from './compare.ts';
import type { Statistic } from './llama-forward.ts';

const numbers = fc.array(fc.double({ min: -100, max: 100, noNaN: true }), { minLength: 1 });

// Goal: the distance means what its tolerance says. Method: scale the reference; nothing differs
// from itself, and a factor of 1 + e is e away.
test('a relative distance is the factor that was applied', () => {
  fc.assert(
    fc.property(numbers, fc.double({ min: 1e-6, max: 1, noNaN: true }), (theirs, e) => {
      expect(relativeRms(theirs, theirs)).toBe(0);
      fc.pre(theirs.some((value) => Math.abs(value) > 1e-3));
      const ours = theirs.map((value) => value * (1 + e));
      expect(relativeRms(ours, theirs)).toBeCloseTo(e, 9);
    }),
  );
});

// Goal: what is not a number is never within a tolerance. Method: put one anywhere.
test('no tolerance admits NaN', () => {
  fc.assert(
    fc.property(numbers, fc.nat(), (theirs, place) => {
      const ours = theirs.with(place % theirs.length, Number.NaN);
      expect(relativeRms(ours, theirs) < 1e9).toBe(false);
      expect(largestDifference(ours, theirs) < 1e9).toBe(false);
    }),
  );
  const broken = statistic({ sums: [Number.NaN, 4], counts: [2] });
  const fine = new Map([['a', statistic({ sums: [2, 4], counts: [2] })]]);
  const [worst] = compareStatistics(
    new Map([...fine, ['b', broken]]),
    new Map([...fine, ['b', fine.get('a') ?? broken]]),
  );
  expect(worst?.name).toBe('b');
  expect(worst?.meanSquares).toBeNaN();
});

function statistic({
  sums,
  counts,
}: {
  readonly sums: number[];
  readonly counts: number[];
}): Statistic {
  return {
    columns: sums.length / counts.length,
    matrices: counts.length,
    sums: Float64Array.from(sums),
    counts: Float64Array.from(counts),
  };
}

test('statistics are compared by their means, and by name', () => {
  const theirs = statistic({ sums: [2, 6, 0, 0], counts: [2, 0] });
  expect([...meanSquares(theirs)]).toEqual([1, 3, 0, 0]);
  const doubled = statistic({ sums: [4, 12, 0, 0], counts: [4, 0] });
  const seen = statistic({ sums: [2, 6, 1, 0], counts: [2, 1] });
  const compare = (ours: Statistic) =>
    compareStatistics(new Map([['a', ours]]), new Map([['a', theirs]]));
  expect(compare(doubled)).toEqual([{ name: 'a', meanSquares: 0, counts: 1 }]);
  expect(compare(seen)).toEqual([{ name: 'a', meanSquares: 0.25, counts: 0.5 }]);
  expect(compare(statistic({ sums: [2, 6], counts: [2] }))[0]?.meanSquares).toBe(Infinity);
  const named = compareStatistics(new Map([['a', theirs]]), new Map([['b', theirs]]));
  expect(named.map(({ meanSquares: far }) => far)).toEqual([Infinity, Infinity]);
});

test('a flip names its token, its experts and their gap', () => {
  const theirs = {
    experts: 4,
    slots: 2,
    logits: Float32Array.of(4, 3, 2.5, 1, 4, 3, 2, 1, 1, 2, 3, 4),
    chosen: Int32Array.of(0, 1, 0, 1, 3, 2),
  };
  expect(findFlips([1, 0, 0, 1, 2, 3], theirs)).toEqual([]);
  const flips = findFlips([0, 2, 1, 0, 0, 1], theirs);
  expect(flips).toEqual([
    { token: 0, ours: [2], theirs: [1], gap: 0.5 },
    { token: 2, ours: [0, 1], theirs: [2, 3], gap: 3 },
  ]);
  expect(firstFlip([[], flips.slice(1), []], 3)).toBe(2);
  expect(firstFlip([[], []], 3)).toBe(3);
});

test('the largest logit may move only where two are close', () => {
  const theirs = [1, 1.1, 0, 5, 1, 0];
  const ours = [1.1, 1, 0, 1, 5, 0];
  const options = { vocabulary: 3, difference: 0.1 };
  expect(wrongArgmax(theirs, theirs, options)).toEqual([]);
  expect(wrongArgmax(ours, theirs, options)).toEqual([1]);
  expect(wrongArgmax(ours, theirs, { ...options, difference: 0.01 })).toEqual([0, 1]);
  expect(wrongArgmax(ours, theirs, { ...options, difference: 3 })).toEqual([]);
});
