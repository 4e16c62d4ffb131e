/** Whatever the pieces of a file are, each is hashed once, in order, and not too many at a time. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { evenPieces, hashPieces } from './hash-pieces.ts';

const MIB = 1024 * 1024;
const BATCH_BYTES = 64 * MIB;

interface Call {
  readonly offset: number;
  readonly sizes: readonly number[];
  readonly chain: Uint8Array | undefined;
}

/** A file whose digests are the numbers of the calls and of the pieces in them. */
function fileOf(calls: Call[]): Parameters<typeof hashPieces>[0] {
  return {
    hash: async (offset, sizes, chain) => {
      calls.push({ offset, sizes, chain });
      const state = Uint8Array.of(calls.length);
      const pieces = sizes.map((_, index) => Uint8Array.of(calls.length, index));
      return { pieces, digest: state, chain: state };
    },
  };
}

const { signal } = new AbortController();

test('any pieces', async () => {
  const size = fc.oneof(fc.nat(10), fc.nat(BATCH_BYTES), fc.nat(3 * BATCH_BYTES));
  await fc.assert(
    fc.asyncProperty(fc.array(size, { minLength: 1, maxLength: 30 }), async (sizes) => {
      const calls: Call[] = [];
      const told: number[] = [];
      let bytesTold = 0;
      const digest = await hashPieces(
        fileOf(calls),
        sizes.map((bytes) => ({ bytes })),
        {
          onPieces: (pieces, digests) => {
            expect(digests.map((each) => each[1])).toEqual([...pieces.keys()]);
            told.push(...pieces.map(({ bytes }) => bytes));
          },
          onBytes: (bytes) => {
            bytesTold += bytes;
          },
          signal,
        },
      );
      expect(told).toEqual(sizes);
      expect([...digest]).toEqual([calls.length]);
      let end = 0;
      for (const [index, call] of calls.entries()) {
        expect(call.offset).toBe(end);
        expect(call.chain?.[0]).toBe(index === 0 ? undefined : index);
        const bytes = call.sizes.reduce((sum, each) => sum + each, 0);
        expect(bytes <= BATCH_BYTES || call.sizes.length === 1).toBe(true);
        end += bytes;
      }
      expect(bytesTold).toBe(end);
    }),
  );
});

test('many small ones, and none at all', async () => {
  const many: Call[] = [];
  const pieces = Array.from({ length: 10_000 }, () => ({ bytes: 1 }));
  await hashPieces(fileOf(many), pieces, { onBytes: () => undefined, signal });
  expect(many.map(({ sizes }) => sizes.length)).toEqual([4096, 4096, 1808]);
  const none: Call[] = [];
  const digest = await hashPieces(fileOf(none), [], { onBytes: () => undefined, signal });
  expect(none).toEqual([{ offset: 0, sizes: [], chain: undefined }]);
  expect([...digest]).toEqual([1]);
});

test('even pieces cover a file', () => {
  expect([...evenPieces(0)]).toEqual([]);
  expect([...evenPieces(2 * BATCH_BYTES + 5)]).toEqual([
    { offset: 0, bytes: BATCH_BYTES },
    { offset: BATCH_BYTES, bytes: BATCH_BYTES },
    { offset: 2 * BATCH_BYTES, bytes: 5 },
  ]);
});

test('an abort ends it between two readings', async () => {
  const calls: Call[] = [];
  const stop = new AbortController();
  const reading = hashPieces(fileOf(calls), evenPieces(3 * BATCH_BYTES), {
    onBytes: () => stop.abort(new Error('enough')),
    signal: stop.signal,
  });
  await expect(reading).rejects.toThrow('enough');
  expect(calls).toHaveLength(1);
});
