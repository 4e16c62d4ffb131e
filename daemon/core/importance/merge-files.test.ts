import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FaultError } from '../../../proto/fault.ts';
import { baseNameOf, type ImportanceMatrix, sortedByName } from './importance-matrix.ts';
import { type MatrixFile, mergeMatrices } from './merge-files.ts';

function codeOf(work: () => unknown): string {
  try {
    work();
    return 'none';
  } catch (error) {
    return (error as FaultError).kind?.code ?? String(error);
  }
}

function fileOf(changes: Partial<MatrixFile> = {}): MatrixFile {
  return { file: 'f', entries: [], datasets: [], chunks: 0, chunkSize: undefined, ...changes };
}

function entry(
  name: string,
  sums: readonly number[],
  divisor: readonly number[] | number,
): MatrixFile['entries'][number] {
  const counts = typeof divisor === 'number' ? divisor : Float32Array.from(divisor);
  return { name, sums: Float32Array.from(sums), divisor: counts };
}

const shapes: Readonly<Record<string, readonly [columns: number, matrices: number]>> = {
  a: [3, 1],
  b: [2, 4],
  c: [5, 2],
};
const anyFile = fc.subarray(Object.keys(shapes)).chain((names) =>
  fc.tuple(
    ...names.map((name) => {
      const [columns = 1, matrices = 1] = shapes[name] ?? [];
      const values = { minLength: columns * matrices, maxLength: columns * matrices };
      return fc.record({
        name: fc.constant(name),
        sums: fc.float32Array({ ...values, min: 0, max: 2 ** 60, noNaN: true }),
        divisor: fc
          .array(fc.integer({ min: 1, max: 10_000 }), { minLength: matrices, maxLength: matrices })
          .map((counts) => Float32Array.from(counts)),
      });
    }),
  ),
);

describe('merging', () => {
  // Goal: sums and counts add up, in binary32 and in order. Method: a slow twin, entry by entry.
  test('adds sums and counts of each name', () => {
    fc.assert(
      fc.property(fc.array(anyFile, { minLength: 1, maxLength: 4 }), (files) => {
        const merged = mergeMatrices(
          files.map((entries, index) =>
            fileOf({ entries, datasets: [`${index}`], chunks: 2, chunkSize: 256 }),
          ),
        );
        const all = files.flat();
        expect(merged.entries.map(({ name }) => name)).toEqual(
          [...new Set(all.map(({ name }) => name))].sort(),
        );
        for (const { name, columns, matrices, sums, counts } of merged.entries) {
          expect([columns, matrices]).toEqual(shapes[name]);
          const same = all.filter((one) => one.name === name);
          const sum = (index: number): number =>
            same.reduce((so, one) => Math.fround(so + (one.sums[index] ?? NaN)), 0);
          expect([...sums]).toEqual([...sums].map((_, index) => sum(index)));
          const count = (index: number): number =>
            same.reduce((so, one) => so + (one.divisor[index] ?? NaN), 0);
          expect(counts).toEqual(counts.map((_, index) => count(index)));
        }
        expect(merged.datasets).toEqual(files.map((_, index) => `${index}`));
        expect([merged.chunkCount, merged.chunkSize]).toEqual([2 * files.length, 256]);
      }),
    );
  });

  test('gives one count to every expert, whichever comes first', () => {
    const experts = fileOf({ entries: [entry('e', [1, 2, 3, 4], [5, 0])] });
    const older = fileOf({ entries: [entry('e', [1, 1, 1, 1], 2)] });
    // Two calls of 512 tokens; the slice that was never reached has no sums of its own.
    const wanted = {
      name: 'e',
      columns: 2,
      matrices: 2,
      sums: Float32Array.of(513, 514, 512, 512),
      counts: [1029, 1024],
    };
    expect(mergeMatrices([experts, older]).entries).toEqual([wanted]);
    expect(mergeMatrices([older, experts]).entries).toEqual([wanted]);
    expect(mergeMatrices([older]).entries).toEqual([
      { ...wanted, columns: 4, matrices: 1, sums: new Float32Array(4).fill(512), counts: [1024] },
    ]);
  });

  test('adds a fresh measurement last, and takes its size of a chunk', () => {
    const measured: ImportanceMatrix = {
      entries: [
        { name: 'a', columns: 1, matrices: 1, sums: Float32Array.of(2 ** 24), counts: [7] },
      ],
      datasets: ['new.txt'],
      chunkCount: 3,
      chunkSize: 256,
    };
    const old = (sum: number): MatrixFile =>
      fileOf({ entries: [entry('a', [sum], [1])], datasets: ['o'], chunks: 3, chunkSize: 512 });
    // 1 + 1 + 2^24 is exact in this order, and would lose both in the other.
    const merged = mergeMatrices([old(1), old(1)], measured);
    expect(merged.entries[0]?.sums[0]).toBe(2 ** 24 + 2);
    expect(merged).toMatchObject({
      datasets: ['o', 'o', 'new.txt'],
      chunkCount: 15,
      chunkSize: 256,
    });
    expect(measured.entries[0]?.sums[0]).toBe(2 ** 24);
    expect(merged.entries[0]?.counts).toEqual([9]);
  });

  test('counts the chunks of a file without an end by its calls', () => {
    const old = fileOf({ entries: [entry('a', [1], 4), entry('b', [1], 9)] });
    expect(mergeMatrices([old]).chunkCount).toBe(9);
    // Without calls the sums are weights already.
    const weights = mergeMatrices([fileOf({ entries: [entry('a', [3], -1)] })]).entries[0];
    expect((weights?.sums[0] ?? 0) / (weights?.counts[0] ?? 0)).toBe(3);
  });

  test.each<readonly [string, readonly MatrixFile[], string]>([
    [
      'other columns',
      [fileOf({ entries: [entry('a', [1], [1])] }), fileOf({ entries: [entry('a', [1, 2], [1])] })],
      'QD-4324',
    ],
    [
      'other experts',
      [
        fileOf({ entries: [entry('a', [1, 2, 3, 4, 5, 6], [1, 1])] }),
        fileOf({ entries: [entry('a', [1, 2, 3, 4, 5, 6], [1, 1, 1])] }),
      ],
      'QD-4324',
    ],
    ['half a count', [fileOf({ entries: [entry('a', [1], [0.5])] })], 'QD-4314'],
    ['a count beyond all texts', [fileOf({ entries: [entry('a', [1], [2 ** 39])] })], 'QD-4314'],
    ['a negative sum', [fileOf({ entries: [entry('a', [-1], [1])] })], 'QD-4313'],
    ['a sum that is no number', [fileOf({ entries: [entry('a', [Number.NaN], [1])] })], 'QD-4313'],
    [
      'sums beyond binary32',
      [
        fileOf({ entries: [entry('a', [3e38], [1])] }),
        fileOf({ entries: [entry('a', [3e38], [1])] }),
      ],
      'QD-4313',
    ],
    ['chunks of nothing', [fileOf({ chunkSize: 0 })], 'QD-4304'],
    [
      'too many chunks',
      [fileOf({ chunks: 2 ** 32 - 1, chunkSize: 512 }), fileOf({ chunks: 1, chunkSize: 512 })],
      'QD-4325',
    ],
  ])('refuses %s', (_, files, code) => {
    expect(codeOf(() => mergeMatrices(files))).toBe(code);
  });
});

test('names are ordered by their bytes, and lose their folders', () => {
  const anyNames = fc.array(fc.string({ unit: 'binary', minLength: 1 }), { maxLength: 8 });
  fc.assert(
    fc.property(anyNames, (names) => {
      const sorted = sortedByName(names.map((name) => ({ name }))).map(({ name }) => name);
      const wanted = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect(sorted).toEqual(wanted);
    }),
  );
  const paths = ['a/b.txt', 'C:\\x\\b.txt', 'b.txt', '/b.txt/', ''];
  expect(paths.map(baseNameOf)).toEqual(['b.txt', 'b.txt', 'b.txt', 'b.txt', '']);
});
