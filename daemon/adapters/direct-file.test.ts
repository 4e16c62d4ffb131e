/**
 * Goal: past the page cache or not, in whatever memory and at whatever place, a file has the bytes that
 * were written to it, and its digests are theirs.
 * Method: random pieces on the real disk, compared with what node:fs reads and node:crypto digests; a
 * disk that refuses is had by lying about where memory begins.
 */

import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, expect, test, vi } from 'vitest';
import { loadKernels } from './kernels.ts';
import { openOutputDirectory } from './output-files.ts';

const addonPath = fileURLToPath(new URL('../../build/kernels/quantd.node', import.meta.url));
// The repository's own disk: a temporary directory may be memory, which has nothing to be passed.
const scratch = mkdtempSync(
  join(fileURLToPath(new URL('../../build', import.meta.url)), 'direct-'),
);
const elsewhere = mkdtempSync(join(tmpdir(), 'quantd-direct-'));
const kernels = loadKernels({ addonPath, threads: 2 });
afterAll(() => {
  kernels.close();
  for (const path of [scratch, elsewhere]) rmSync(path, { recursive: true });
});

const digest = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
const PAGE = 4096;

/** Where pieces lie in memory: as in the file, at a page, or anywhere. */
const anyMemory = fc.constantFrom('as in the file', 'a page', 'anywhere');
const anyPieces = fc.array(
  fc.record({ bytes: fc.integer({ min: 1, max: 2_500_000 }), memory: anyMemory }),
  { minLength: 1, maxLength: 5 },
);
type Piece = typeof anyPieces extends fc.Arbitrary<(infer One)[]> ? One : never;

function content({ bytes, memory }: Piece, offset: number, seed: number): Uint8Array {
  const shift = { 'as in the file': offset % PAGE, 'a page': 0, anywhere: 13 }[memory];
  const view = new Uint8Array(kernels.memory(bytes + PAGE), shift, bytes);
  for (let i = 0; i < bytes; i++) view[i] = (i * (seed + 3) + (i >> 9)) % 251;
  return view;
}

const liar = { ...kernels, pageOffset: () => 0 };
const { sha256Step: _, ...noSteps } = kernels;

test.each([
  ['the disk', scratch, kernels],
  ['a temporary directory', elsewhere, kernels],
  ['a disk that refuses', scratch, liar],
  ['a disk past whose cache nothing is read', scratch, noSteps],
] as const)('what %s has been given is there, and digested as that', async (_, place, hasher) => {
  await fc.assert(
    fc.asyncProperty(fc.nat(9000), anyPieces, async (start, pieces) => {
      const path = mkdtempSync(join(place, 'out-'));
      const directory = await openOutputDirectory(path, hasher);
      const sizes = pieces.map(({ bytes }) => bytes);
      const total = sizes.reduce((sum, size) => sum + size, start);
      const file = await directory.open('model.gguf', total, { overwrite: true });
      await file.draft();
      const expected = Buffer.alloc(total);
      let at = start;
      const placed = pieces.map((piece, index) => {
        const bytes = content(piece, at, index);
        expected.set(bytes, at);
        at += piece.bytes;
        return { offset: at - piece.bytes, bytes };
      });
      await Promise.all(placed.map(({ offset, bytes }) => file.write(offset, bytes)));
      const found = await file.hash(start, sizes);
      expect(found.pieces.map((each) => Buffer.from(each))).toEqual(
        placed.map(({ bytes }) => digest(bytes)),
      );
      expect(Buffer.from(found.digest)).toEqual(digest(expected.subarray(start)));
      await file.sync();
      expect(readFileSync(join(path, 'model.gguf.part')).equals(expected)).toBe(true);
      await expect(file.hash(start, [...sizes, 1])).rejects.toMatchObject({
        kind: { code: 'QD-6104' },
      });
      await file.discard();
      await directory.close();
    }),
    { numRuns: 8 },
  );
});

// Goal: an error that is no refusal is the run's: the rest does not go through the page cache then.
test('a disk that is full is full past the page cache too', async () => {
  const directory = await openOutputDirectory(mkdtempSync(join(scratch, 'out-')), kernels);
  const file = await directory.open('model.gguf', 1 << 20, { overwrite: true });
  await file.draft();
  const { open } = await import('node:fs/promises');
  const probe = await open(join(scratch, 'probe'), 'w');
  const full = Object.assign(new Error('no space'), { code: 'ENOSPC' });
  const write = vi.spyOn(Object.getPrototypeOf(probe), 'write').mockRejectedValueOnce(full);
  const bytes = new Uint8Array(kernels.memory(1 << 20));
  await expect(file.write(0, bytes)).rejects.toMatchObject({ kind: { code: 'QD-6102' } });
  expect(write).toHaveBeenCalledTimes(1);
  write.mockRestore();
  await probe.close();
  await file.write(0, bytes);
  await file.discard();
  await directory.close();
});
