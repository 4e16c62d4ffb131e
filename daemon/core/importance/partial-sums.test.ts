import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FaultError } from '../../../proto/fault.ts';
import type { Statistic } from '../models/forward.ts';
import { hex } from '../plan/unit-id.ts';
import { writeFixed } from './fixed-point.ts';
import {
  areDisjoint,
  decodeGroups,
  differenceOf,
  encodeGroups,
  type GroupSet,
  groupCount,
  groupSet,
  groupsOf,
  isInside,
  unionOf,
} from './group-set.ts';
import { type LayerSums, mergeSums, SumsLedger, sumsDigest } from './partial-sums.ts';
import {
  COUNT_MAX,
  countsOffset,
  readCounts,
  SUM_BYTES,
  sumsBytes,
  viewStatistics,
} from './statistics.ts';

const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();

function codeOf(work: () => unknown): string {
  try {
    work();
    return 'none';
  } catch (error) {
    return (error as FaultError).kind?.code ?? String(error);
  }
}

const anyIndexes = fc.array(fc.nat(40), { maxLength: 30 });

describe('sets of groups', () => {
  // Goal: sets. Method: the same with a Set.
  test('are sets', () => {
    fc.assert(
      fc.property(anyIndexes, anyIndexes, (left, right) => {
        const a = groupSet(left);
        const b = groupSet(right);
        const inB = new Set(right);
        const both = [...left, ...right];
        expect([...groupsOf(a)]).toEqual([...new Set(left)].sort((x, y) => x - y));
        expect(groupCount(a)).toBe(new Set(left).size);
        expect(unionOf(a, b)).toEqual(groupSet(both));
        expect(differenceOf(a, b)).toEqual(groupSet(left.filter((group) => !inB.has(group))));
        expect(areDisjoint(a, b)).toBe(!left.some((group) => inB.has(group)));
        expect(isInside(a, b)).toBe(left.every((group) => inB.has(group)));
      }),
    );
  });

  test('go to numbers and back, and no other numbers are a set', () => {
    fc.assert(
      fc.property(anyIndexes, (indexes) => {
        const set = groupSet(indexes);
        expect(decodeGroups(encodeGroups(set))).toEqual(set);
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -1, max: 3 }), { maxLength: 8 }), (numbers) => {
        const set = decodeGroups(numbers);
        if (set !== undefined) expect(encodeGroups(set)).toEqual(numbers);
      }),
    );
    for (const odd of [[1], [0, 0], [0, 1, 0, 1], [0, 2 ** 21], [2 ** 20, 1], [0.5, 1], [0, NaN]]) {
      expect(decodeGroups(odd)).toBeUndefined();
    }
  });
});

const statistics: readonly Statistic[] = [
  { names: ['q', 'k'], matrices: 1, columns: 4 },
  { names: ['e'], matrices: 3, columns: 2 },
];
const sumCount = 10;

/** Sums of one group of a layer: of very different sizes, drawn from its index. */
function single(layer: number, group: number): LayerSums {
  const sums = Float64Array.from({ length: sumCount }, (_, column) => {
    const draw = sha256(Uint8Array.of(layer, group, column));
    return (
      (1 + (draw[0] ?? 0) / 256 + (draw[1] ?? 0) * 2 ** -40) * 2 ** (((draw[2] ?? 0) % 90) - 50)
    );
  });
  const bytes = new Uint8Array(sumsBytes(statistics));
  writeFixed(statistics, sums, bytes);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < 4; i++) {
    view.setBigUint64(countsOffset(statistics) + 8 * i, BigInt(1 + ((group * 7 + i) % 512)), true);
  }
  return { layer, groups: groupSet([group]), bytes };
}

const union = (layer: number, groups: GroupSet): LayerSums =>
  [...groupsOf(groups)]
    .map((group) => single(layer, group))
    .reduce((one, other) => mergeSums(statistics, one, other));

describe('the ledger', () => {
  const GROUPS = 12;
  const all = groupSet(Array.from({ length: GROUPS }, (_, group) => group));
  const anyArrivals = fc.array(
    fc.record({
      layer: fc.nat(1),
      groups: fc
        .uniqueArray(fc.nat(GROUPS - 1), { minLength: 1, maxLength: GROUPS })
        .map((indexes) => groupSet(indexes)),
    }),
    { maxLength: 20 },
  );

  // Goal: one result, however the groups come. Method: unions at random, overlapping and repeated,
  // some of them lost; a peer that asks for what is needed; then what is missing, one by one.
  test('gives the same bytes for any order, grouping and repetition', () => {
    const wanted = [union(0, all), union(1, all)];
    fc.assert(
      fc.property(anyArrivals, (arrivals) => {
        const ledger = new SumsLedger([statistics, statistics]);
        for (const { layer, groups } of arrivals) arrive(ledger, layer, groups);
        const lacking = [0, 1].map((layer) => ledger.missing(layer, all));
        expect(ledger.isComplete(all)).toBe(lacking.every((groups) => groups.length === 0));
        for (const layer of [0, 1]) {
          for (const group of groupsOf(lacking[layer] ?? [])) ledger.merge(single(layer, group));
        }
        expect(ledger.isComplete(all)).toBe(true);
        expect([ledger.sums(0), ledger.sums(1)]).toEqual(wanted);
      }),
    );
  });

  function arrive(ledger: SumsLedger, layer: number, groups: GroupSet): void {
    const before = ledger.held(layer);
    const need = ledger.merge(union(layer, groups));
    if (need.kind === 'nothing') expect(isInside(groups, before)).toBe(true);
    if (need.kind === 'all') expect(ledger.held(layer)).toEqual(unionOf(before, groups));
    if (need.kind !== 'singles') return;
    expect(ledger.held(layer)).toEqual(before);
    expect(need.groups).toEqual(differenceOf(groups, before));
    for (const group of groupsOf(need.groups)) {
      expect(ledger.merge(single(layer, group)).kind).toBe('all');
      expect(ledger.merge(single(layer, group)).kind).toBe('nothing');
    }
  }

  // Goal: a chunk that went wrong leaves no trace. Method: group 2 with a chunk more, which is taken
  // out before, between or after, and twice; the result is that of the groups without it.
  test('takes a chunk out at any time', () => {
    const chunk = single(0, 99).bytes;
    const withChunk = {
      ...mergeSums(statistics, single(0, 2), single(0, 99)),
      groups: groupSet([2]),
    };
    const steps = ['first', 'middle', 'last'] as const;
    fc.assert(
      fc.property(fc.subarray([...steps], { minLength: 1 }), (when) => {
        const ledger = new SumsLedger([statistics]);
        const maybe = (now: (typeof steps)[number]): void => {
          if (when.includes(now)) ledger.takeOut(0, 37, chunk);
        };
        maybe('first');
        ledger.merge(single(0, 1));
        maybe('middle');
        ledger.merge({ ...withChunk, bytes: withChunk.bytes.slice() });
        maybe('last');
        expect(ledger.sums(0)).toEqual(union(0, groupSet([1, 2])));
      }),
    );
  });

  test('refuses what is no sum, and is then as before', () => {
    const ledger = new SumsLedger([statistics]);
    ledger.merge(single(0, 0));
    const good = single(0, 1);
    const changed = (at: number, value: number): LayerSums => {
      const bytes = good.bytes.slice();
      bytes[at] = value;
      return { ...good, bytes };
    };
    expect(codeOf(() => ledger.merge({ ...good, bytes: good.bytes.subarray(1) }))).toBe('QD-4323');
    expect(codeOf(() => ledger.merge(changed(3 * SUM_BYTES - 1, 0x80)))).toBe('QD-4323');
    expect(codeOf(() => ledger.merge(changed(good.bytes.length - 1, 1)))).toBe('QD-4323');
    expect(codeOf(() => ledger.takeOut(0, 1, good.bytes.subarray(8)))).toBe('QD-4323');
    const early = new SumsLedger([statistics]);
    early.merge({ ...good, bytes: good.bytes.slice() });
    early.takeOut(0, 1, union(0, groupSet([1, 2])).bytes);
    expect(codeOf(() => early.sums(0))).toBe('QD-4323');
    const large = single(0, 1);
    large.bytes.fill(0xff, SUM_BYTES, 2 * SUM_BYTES - 1);
    large.bytes[2 * SUM_BYTES - 1] = 0x7f;
    expect(codeOf(() => ledger.merge(large))).toBe('QD-4322');
    ledger.merge(good);
    expect(ledger.sums(0)).toEqual(union(0, groupSet([0, 1])));
    expect(
      readCounts(viewStatistics(statistics, ledger.sums(0).bytes)[1]?.counts ?? good.bytes),
    ).toEqual([11, 13, 15]);
    expect(COUNT_MAX).toBeLessThan(2 ** 53 / 1000);
  });
});

test('a digest says layer, groups and bytes', () => {
  const digests = [
    { layer: 0, groups: groupSet([0, 1]), bytes: 'a' },
    { layer: 1, groups: groupSet([0, 1]), bytes: 'a' },
    { layer: 0, groups: groupSet([0, 2]), bytes: 'a' },
    { layer: 0, groups: groupSet([0, 1]), bytes: 'b' },
  ].map(({ bytes, ...of }) => hex(sumsDigest(sha256, of, sha256(new TextEncoder().encode(bytes)))));
  expect(new Set(digests).size).toBe(4);
  const again = { layer: 0, groups: groupSet([1, 0, 1]) };
  expect(hex(sumsDigest(sha256, again, sha256(new TextEncoder().encode('a'))))).toBe(digests[0]);
});
