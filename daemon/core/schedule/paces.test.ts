import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Lease } from './group-progress.ts';
import { type OfferedPace, Paces } from './paces.ts';

const layers = [1, 3].map((multiplications) => ({ multiplications, sourceBytes: 1 }));
const leaseOf = (peer: string, from = 0, to = 2): Lease => {
  const nothing = { lease: 0, group: 0, collect: [], leavesState: true, excluded: 0, inputs: [] };
  return { ...nothing, peer, from, to, phase: 'done', hasState: true };
};
const offers: OfferedPace[] = ['a', 'b'].map((peer) => ({ peer, speed: 5 }));

/** Both run the first layer of a group, in so many seconds a time. */
function judged(aSeconds: readonly number[], bSeconds: readonly number[]): Paces {
  const paces = new Paces(layers);
  const times = Math.max(aSeconds.length, bSeconds.length);
  for (let time = 0; time < times; time++) {
    paces.ran(leaseOf('a', 0, 1), 16, 1000 * (aSeconds[time] ?? 0));
    paces.ran(leaseOf('b', 0, 1), 16, 1000 * (bSeconds[time] ?? 0));
    paces.judge(offers);
  }
  return paces;
}

// Goal: who is slow is told by work a time beside the offer, whatever the offers and the layers are.
test('a peer is slow when it keeps to less than a quarter of what the fastest does', () => {
  const anyNumber = fc.integer({ min: 1, max: 30 });
  // Of exactly four the last bit would decide.
  const anyTimes = anyNumber.filter((times) => times !== 4);
  fc.assert(
    fc.property(
      anyNumber,
      anyNumber,
      anyTimes,
      fc.nat({ max: 1 }),
      (offered, chunks, times, from) => {
        const paces = new Paces(layers);
        // The other takes 10 s for a chunk of both layers, at a speed of 1.
        paces.ran(leaseOf('a'), 2, 20_000);
        const work = chunks * (from === 0 ? 4 : 3);
        paces.ran(leaseOf('b', from), chunks, (2500 * work * times) / offered);
        const isLong = (2500 * work * times) / offered >= 10_000;
        const peers = [
          { peer: 'a', speed: 1 },
          { peer: 'b', speed: offered },
        ];
        const isSlow = isLong && times > 4;
        expect(paces.judge(peers)).toEqual(isSlow ? ['b'] : []);
        expect(paces.factor('b')).toBeCloseTo(isSlow ? 1 / times : 1);
        expect({ a: paces.isSlow('a'), b: paces.isSlow('b') }).toEqual({ a: false, b: isSlow });
        // Said once.
        expect(paces.judge(peers)).toEqual([]);
      },
    ),
  );
});

test('one lease that took long makes no peer slow, several do', () => {
  expect(judged([5, 5, 5, 5], [5, 5, 5, 30]).isSlow('b')).toBe(false);
  expect(judged([5, 5, 5, 5, 5, 5], [5, 5, 5, 30, 30, 30]).isSlow('b')).toBe(true);
  // Nothing is known of who has not said how long it has computed.
  expect(judged([0, 0], [90, 90]).isSlow('b')).toBe(false);
  expect(judged([5, 5], [0, 0]).isSlow('b')).toBe(false);
});

test('a peer that is as fast as before is slow no more, nor one that begins anew', () => {
  const slow = [30, 30, 30, 30];
  expect(judged([5, 5, 5, 5, 5], [...slow, 5]).isSlow('b')).toBe(true);
  expect(judged([5, 5, 5, 5, 5, 5, 5, 5], [...slow, 5, 5, 5, 5]).isSlow('b')).toBe(false);
  const paces = judged([5, 5, 5, 5], slow);
  paces.forget('b');
  expect(paces.factor('b')).toBe(1);
  expect(paces.judge(offers)).toEqual([]);
});
