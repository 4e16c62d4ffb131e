/** Goal: chunks are those of llama-imatrix. Method: its rules again, written as one loop over ids. */

import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FaultError } from '../../../proto/fault.ts';
import {
  type ChunkOptions,
  cutCalibration,
  type FileTokens,
  GROUP_CHUNKS,
  groupOf,
  groups,
} from './chunks.ts';

const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();

const ids = (length: number, first = 100): Int32Array =>
  Int32Array.from({ length }, (_, index) => first + index);
const file = (length: number, name = 'a.txt'): FileTokens => ({
  name,
  given: `some/${name}`,
  ids: ids(length),
});
const options = (more: Partial<ChunkOptions> = {}): ChunkOptions => ({
  ...{ chunkTokens: 16, fromChunk: 0, keepReserve: false },
  ...more,
});

const cases = fc.record({
  lengths: fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 4 }),
  chunkTokens: fc.integer({ min: 16, max: 24 }),
  fromChunk: fc.integer({ min: 0, max: 10 }),
  chunksMax: fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined }),
  bos: fc.option(fc.constant(2), { nil: undefined }),
});

test('every chunk is the next run of one file, begun with bos', () => {
  fc.assert(
    fc.property(cases, ({ lengths, chunkTokens, fromChunk, chunksMax, bos }) => {
      const wanted: number[][] = [];
      for (const length of lengths) {
        for (let at = 0; at + chunkTokens <= length; at += chunkTokens) {
          const chunk = [...ids(length)].slice(at, at + chunkTokens);
          wanted.push(bos === undefined ? chunk : [bos, ...chunk.slice(1)]);
        }
      }
      const isRefused =
        lengths.some((length) => length < 2 * chunkTokens) || wanted.length < fromChunk + 2;
      const cut = (): ReturnType<typeof cutCalibration> =>
        cutCalibration(
          lengths.map((length) => file(length)),
          bos,
          {
            ...{ chunkTokens, fromChunk, keepReserve: false },
            ...(chunksMax === undefined ? {} : { chunksMax }),
          },
          sha256,
        );
      if (isRefused) {
        expect(cut).toThrow(FaultError);
        return;
      }
      const { calibration, chunksOfFiles } = cut();
      const left = wanted.slice(fromChunk).slice(0, chunksMax);
      expect(calibration.chunks.map((chunk) => [...chunk])).toEqual(left);
      expect(calibration.reserve).toEqual([]);
      expect(chunksOfFiles.reduce((sum, count) => sum + count, 0)).toBe(left.length);
    }),
  );
});

test('chunks of each file are told, whatever is left out in front and behind', () => {
  const { chunksOfFiles, calibration } = cutCalibration(
    [file(64, 'a'), file(70, 'b'), file(64, 'c')],
    2,
    options({ fromChunk: 3, chunksMax: 6 }),
    sha256,
  );
  expect(chunksOfFiles).toEqual([1, 4, 1]);
  expect(calibration.datasets).toEqual(['a', 'b', 'c']);
});

test('the reserve is what follows, and begins at the end of a group', () => {
  const cut = (more: Partial<ChunkOptions>): number[] => {
    const { calibration } = cutCalibration([file(16 * 40)], 2, options(more), sha256);
    return [calibration.chunks.length, calibration.reserve.length];
  };
  expect(cut({ keepReserve: true })).toEqual([40, 0]);
  expect(cut({ keepReserve: true, chunksMax: 3 })).toEqual([16, 24]);
  expect(cut({ keepReserve: true, chunksMax: 16, fromChunk: 1 })).toEqual([16, 23]);
  expect(cut({ keepReserve: true, chunksMax: 33 })).toEqual([40, 0]);
  expect(cut({ chunksMax: 3 })).toEqual([3, 0]);
});

test('the digest tells apart what would be measured differently, and nothing else', () => {
  const digest = (files: FileTokens[], more: Partial<ChunkOptions> = {}): string =>
    Buffer.from(cutCalibration(files, 2, options(more), sha256).calibration.digest).toString('hex');
  const same = digest([file(64)]);
  expect(digest([file(64, 'other.txt')])).toBe(same);
  // What no chunk holds is not measured.
  expect(digest([file(79)])).toBe(same);
  const others = [
    digest([file(80)]),
    digest([file(64)], { chunksMax: 3 }),
    digest([file(64)], { chunkTokens: 32 }),
    digest([file(64)], { chunksMax: 1, keepReserve: true }),
    digest([{ ...file(64), ids: ids(64, 101) }]),
  ];
  expect(new Set(others).size).toBe(others.length);
  // With so few chunks the reserve is empty: the same are measured.
  expect(others[3]).toBe(same);
});

test('too short a text says how many tokens it lacks', () => {
  const cut = (): unknown => cutCalibration([file(31)], 2, options(), sha256);
  expect(cut).toThrow(/QD-8406.*some\/a\.txt.*31 tokens.*1 more/);
  const late = (): unknown => cutCalibration([file(64)], 2, options({ fromChunk: 3 }), sha256);
  expect(late).toThrow(/QD-8407.*4 chunks/);
});

test('groups hold every chunk once, in order, sixteen at a time', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100 }), (length) => {
      const chunks = Array.from({ length }, () => new Int32Array());
      const all = groups({ chunks });
      const members = all.flatMap(({ group, first, end }) => {
        expect(end - first).toBeLessThanOrEqual(GROUP_CHUNKS);
        return Array.from({ length: end - first }, (_, index) => [first + index, group]);
      });
      expect(members).toEqual(chunks.map((_, chunk) => [chunk, groupOf(chunk)]));
    }),
  );
});
