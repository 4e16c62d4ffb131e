import { expect, test } from 'vitest';
import { GroupProgress, type Lease } from './group-progress.ts';

const lease = (number: number, from: number, to: number): Lease => ({
  lease: number,
  peer: `p${number}`,
  group: 0,
  from,
  to,
  collect: Array.from({ length: to - from }, (_, index) => from + index),
  leavesState: true,
  excluded: 0,
  phase: 'running',
  hasState: false,
  inputs: [],
});
const stage = { from: 0, to: 8, peers: [] };

test('who waits for one that waits in vain waits in vain', () => {
  const group = new GroupProgress(16, 8);
  const [first, second, third] = [lease(0, 0, 2), lease(1, 2, 4), lease(2, 4, 6)];
  group.leases = [first, second, third];
  expect(group.isStarved(third)).toBe(false);
  group.leases = [second, third];
  expect(group.isStarved(third)).toBe(true);
  second.phase = 'done';
  second.hasState = true;
  expect(group.isStarved(third)).toBe(false);
});

test('it is run from the greatest boundary that has a state, and not through what nobody needs', () => {
  const group = new GroupProgress(16, 8);
  for (const layer of [0, 1, 2, 3, 5, 6, 7]) group.store(layer);
  expect(group.runs([stage])).toEqual([{ from: 0, to: 5, stage }]);
  const made = { ...lease(0, 0, 3), hasState: true, phase: 'done' as const };
  group.leases = [made];
  expect(group.runs([stage])).toEqual([{ from: 3, to: 5, stage }]);
  expect(group.uncollected(3, 5)).toEqual([4]);
  expect(group.runs([{ from: 0, to: 4, peers: [] }])).toEqual([
    { from: 3, to: 4, stage: { from: 0, to: 4, peers: [] } },
  ]);
  group.exclude([0]);
  group.leases = [];
  expect(group.runs([stage])).toEqual([{ from: 0, to: 8, stage }]);
});
