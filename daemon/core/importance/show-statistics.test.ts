import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ImportanceMatrix, MatrixEntry } from './importance-matrix.ts';
import { statisticsOf } from './show-statistics.ts';

function entry(name: string, sums: readonly number[], counts: readonly number[]): MatrixEntry {
  const columns = sums.length / counts.length;
  return { name, columns, matrices: counts.length, sums: Float32Array.from(sums), counts };
}

const matrixOf = (...entries: readonly MatrixEntry[]): ImportanceMatrix => ({
  entries,
  datasets: ['t'],
  chunkCount: 3,
  chunkSize: 512,
});

// Worked out by hand: mean squares 1, 1, 1, 5; mean 2, deviation sqrt(3), of which 5 is 1.73 away;
// entropy of 1/8, 1/8, 1/8, 5/8.
test('the numbers of a tensor', () => {
  const { tensors } = statisticsOf('f', matrixOf(entry('output.weight', [2, 2, 2, 10], [2])));
  expect(tensors).toEqual([
    {
      tensor: 'output.weight',
      columns: 4,
      sum: 8,
      least: 1,
      most: 5,
      mean: 2,
      deviation: Math.sqrt(3),
      active: 100,
      entropy: expect.closeTo(9 / 8 + (5 / 8) * Math.log2(8 / 5), 12),
      evenness: expect.closeTo((100 * (9 / 8 + (5 / 8) * Math.log2(8 / 5))) / 2, 10),
      outliers: 25,
    },
  ]);
});

test('experts that no token reached are left out, unused columns are not active', () => {
  const { tensors } = statisticsOf('f', matrixOf(entry('e', [3, 0, 9, 9, 0, 1e-6], [3, 0, 1])));
  expect(tensors[0]).toMatchObject({ columns: 4, least: 0, most: 1, active: 25 });
  const empty = statisticsOf('f', matrixOf(entry('e', [0, 0], [0]))).tensors[0];
  expect(empty).toMatchObject({ columns: 0, sum: 0, entropy: 0, evenness: 0 });
});

test('tensors are compared with the layer before, and layers are their means', () => {
  const { tensors, layers } = statisticsOf(
    'f',
    matrixOf(
      entry('blk.10.q', [0, 4], [1]),
      entry('blk.9.q', [3, 4], [1]),
      entry('blk.9.k', [1, 1, 1, 1, 1, 1], [1]),
      entry('blk.10.k', [1, 1], [1]),
      entry('output.weight', [1, 1], [1]),
    ),
  );
  expect(tensors.map(({ tensor, similarity }) => [tensor, similarity])).toEqual([
    ['blk.9.k', undefined],
    ['blk.9.q', undefined],
    // Of another size than in the layer before.
    ['blk.10.k', undefined],
    ['blk.10.q', 0.8],
    ['output.weight', undefined],
  ]);
  expect(layers).toEqual([
    { layer: 9, sum: (6 * 6 + 2 * 7) / 8, outliers: 0 },
    { layer: 10, sum: 3, outliers: 0, similarity: 0.8 },
  ]);
});

// Goal: shares are shares and bounds are bounds, for any numbers. Method: random matrices.
test('numbers stay within their bounds', () => {
  const anyEntry = fc
    .array(fc.double({ min: 0, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 40 })
    .map((sums) => entry('blk.0.q', sums, [7]));
  fc.assert(
    fc.property(anyEntry, anyEntry, (one, other) => {
      const { tensors } = statisticsOf('f', matrixOf(one, { ...other, name: 'blk.1.q' }));
      for (const { least, mean, most, active, evenness, outliers, similarity = 0 } of tensors) {
        expect(least).toBeLessThanOrEqual(mean * (1 + 1e-12));
        expect(mean).toBeLessThanOrEqual(most * (1 + 1e-12));
        for (const percent of [active, evenness, outliers]) {
          expect(percent).toBeGreaterThanOrEqual(0);
          expect(percent).toBeLessThanOrEqual(100 + 1e-9);
        }
        expect(similarity).toBeGreaterThanOrEqual(0);
        expect(similarity).toBeLessThanOrEqual(1 + 1e-12);
      }
    }),
  );
});
