import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FaultError } from '../../../proto/fault.ts';
import type { Statistic } from '../models/forward.ts';
import { hex } from '../plan/unit-id.ts';
import { writeFixed } from './fixed-point.ts';
import {
  areDisjoint,
  differenceOf,
  encodeGroups,
  groupCount,
  groupSet,
  groupsOf,
  unionOf,
} from './group-set.ts';
import { type LayerSums, mergeSums, sumsDigest } from './partial-sums.ts';
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
      }),
    );
  });

  test('have one list of numbers each', () => {
    fc.assert(
      fc.property(anyIndexes, anyIndexes, (left, right) => {
        const [a, b] = [groupSet(left), groupSet(right)];
        const isSame = JSON.stringify(encodeGroups(a)) === JSON.stringify(encodeGroups(b));
        expect(isSame).toBe(JSON.stringify([...groupsOf(a)]) === JSON.stringify([...groupsOf(b)]));
        expect(encodeGroups(groupSet([...left].reverse()))).toEqual(encodeGroups(a));
      }),
    );
    expect(encodeGroups(groupSet([0, 1, 5, 7, 8]))).toEqual([0, 2, 3, 1, 1, 2]);
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

describe('merging', () => {
  const GROUPS = 12;
  const all = groupSet(Array.from({ length: GROUPS }, (_, group) => group));

  // Goal: one result, however the groups come. Method: all groups in an order at random, merged two
  // by two at random, against the sums of BigInts.
  test('gives the same bytes for any order and grouping', () => {
    const groups = [...groupsOf(all)];
    const wanted = plainSum(groups.map((group) => single(1, group).bytes));
    fc.assert(
      fc.property(
        fc.shuffledSubarray(groups, { minLength: GROUPS }),
        fc.array(fc.nat(), { minLength: GROUPS, maxLength: GROUPS }),
        (order, picks) => {
          const parts = order.map((group) => single(1, group));
          for (const pick of picks) {
            const [one] = parts.splice(pick % parts.length, 1);
            const [other] = parts.splice((pick >> 4) % Math.max(1, parts.length), 1);
            if (one === undefined) continue;
            parts.push(other === undefined ? one : mergeSums(statistics, one, other));
          }
          const [whole, ...rest] = parts;
          expect(rest).toEqual([]);
          expect(whole).toEqual({ layer: 1, groups: all, bytes: wanted });
        },
      ),
    );
  });

  test('refuses what overflows, what overlaps and what is of another layer', () => {
    const one = single(0, 0);
    const large = single(0, 1);
    large.bytes.fill(0xff, SUM_BYTES, 2 * SUM_BYTES - 1);
    large.bytes[2 * SUM_BYTES - 1] = 0x7f;
    const before = one.bytes.slice();
    expect(codeOf(() => mergeSums(statistics, one, large))).toBe('QD-4322');
    expect(one.bytes).toEqual(before);
    const overlapping = { ...single(0, 2), groups: groupSet([0, 2]) };
    expect(() => mergeSums(statistics, one, overlapping)).toThrow('disjoint');
    expect(() => mergeSums(statistics, one, single(1, 2))).toThrow('one layer');
    const short = { ...single(0, 2), bytes: one.bytes.subarray(8) };
    expect(() => mergeSums(statistics, one, short)).toThrow('one size');
    const [, experts] = viewStatistics(statistics, mergeSums(statistics, one, single(0, 1)).bytes);
    expect(readCounts(experts?.counts ?? before)).toEqual([11, 13, 15]);
    expect(COUNT_MAX).toBeLessThan(2 ** 53 / 1000);
  });
});

/** Sums and counts of several groups, added as whole numbers of any size. */
function plainSum(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(sumsBytes(statistics));
  const end = countsOffset(statistics);
  for (let at = 0; at < bytes.length; at += at < end ? SUM_BYTES : 8) {
    const size = at < end ? SUM_BYTES : 8;
    const total = parts.reduce((sum, part) => sum + wholeNumber(part.subarray(at, at + size)), 0n);
    for (let i = 0; i < size; i++) bytes[at + i] = Number((total >> BigInt(8 * i)) & 255n);
  }
  return bytes;
}

function wholeNumber(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

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
