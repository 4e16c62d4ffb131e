/** Goal: whatever is read of an output, in whatever order, is what its machine has there. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ConnectedPeer } from '../ports.ts';
import { LeftReader } from './left-reader.ts';

const content = new Uint8Array(6_000_000).map((_, index) => (index * 2654435761) >>> 24);
const left = {
  ...{ file: 'x.gguf', bytes: content.length, sha256: '0'.repeat(64), id: '1'.repeat(64) },
  ...{ machine: 'box', peer: 'peer', path: '/x.gguf' },
};
const clock = {
  after: (_: number, work: () => void) => {
    work();
    return () => undefined;
  },
};

test('any places in any order; a pull in so many fails', async () => {
  const { signal } = new AbortController();
  const place = fc.record({
    offset: fc.nat(content.length - 1),
    bytes: fc.integer({ min: 1, max: 1_500_000 }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(place, { minLength: 1, maxLength: 7 }),
      fc.boolean(),
      fc.integer({ min: 2, max: 5 }),
      async (places, follow, every) => {
        let pulls = 0;
        const pull = async (...[, blob, into]: Parameters<Pull>): Promise<void> => {
          if (++pulls % every === 0) throw new Error('the stream has ended');
          if (blob.kind !== 'output') throw new Error('another blob');
          into.set(content.subarray(blob.offset, blob.offset + blob.bytes));
        };
        const peers = (): ConnectedPeer[] => [];
        const reader = new LeftReader(left, '2'.repeat(32), { network: { pull, peers }, clock });
        let end = 0;
        for (const { offset, bytes } of places) {
          // Most readers go on where they were.
          const at = follow ? Math.min(end, content.length - 1) : offset;
          const into = new Uint8Array(Math.min(bytes, content.length - at));
          await reader.read(at, into, signal);
          end = at + into.length;
          expect(Buffer.compare(into, content.subarray(at, end))).toBe(0);
        }
      },
    ),
    { numRuns: 25 },
  );
});

type Pull = NonNullable<ConstructorParameters<typeof LeftReader>[2]['network']>['pull'];
