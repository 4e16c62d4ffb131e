import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Statistic } from '../models/forward.ts';
import {
  coverageOf,
  decideCoverage,
  type ExpertCounts,
  expertCounts,
  expertsNeeding,
} from './coverage.ts';
import type { MeasuredLayer } from './measured.ts';
import { countsOffset, sumsBytes } from './statistics.ts';

function layerOf(statistics: readonly Statistic[], counts: readonly number[]): MeasuredLayer {
  const bytes = new Uint8Array(sumsBytes(statistics));
  const view = new DataView(bytes.buffer, countsOffset(statistics));
  for (const [index, count] of counts.entries()) view.setBigUint64(8 * index, BigInt(count), true);
  return { statistics, bytes };
}

const dense: Statistic = { names: ['q'], matrices: 1, columns: 3 };
const experts = (name: string): Statistic => ({ names: [name], matrices: 3, columns: 2 });

test('counts are those of experts, layer by layer', () => {
  const layers = [
    layerOf([dense, experts('up'), experts('down')], [900, 5, 0, 7, 5, 0, 7]),
    layerOf([dense], [900]),
    layerOf([experts('up'), dense], [1, 2, 3, 900]),
  ];
  expect(expertCounts(layers)).toEqual([
    { layer: 0, counts: [5, 0, 7] },
    { layer: 2, counts: [1, 2, 3] },
  ]);
});

describe('coverage', () => {
  test('is told by the least, the median and who is below the floor', () => {
    const layers = [
      { layer: 1, counts: [40, 10, 30, 20] },
      { layer: 4, counts: [9, 8, 7] },
    ];
    expect(coverageOf(layers, 20)).toEqual([
      { layer: 1, experts: 4, least: 10, median: 25, below: [1] },
      { layer: 4, experts: 3, least: 7, median: 8, below: [0, 1, 2] },
    ]);
  });

  test('needs those below the floor, and nobody at 0', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(50)), fc.nat(50), (counts, floor) => {
        const needing = expertsNeeding(counts, floor);
        const isListed = counts.map((_, expert) => needing.includes(expert));
        expect(isListed).toEqual(counts.map((count) => count < floor));
        expect(expertsNeeding(counts, 0)).toEqual([]);
      }),
    );
  });
});

// Goal: groups are added until all have enough, not one more, and those who never will are named.
// Method: groups that each bring some experts some tokens; play the decision and look back.
test('groups are added until every expert has enough or there are no more', () => {
  const anyGroup = fc.tuple(
    ...[0, 1].map(() => fc.array(fc.nat(9), { minLength: 3, maxLength: 3 })),
  );
  fc.assert(
    fc.property(
      fc.array(anyGroup, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 0, max: 40 }),
      (groups, floor) => {
        const after = (count: number): ExpertCounts[] =>
          [0, 1].map((layer) => ({
            layer,
            counts: [0, 1, 2].map((expert) =>
              groups.slice(0, count).reduce((sum, group) => sum + (group[layer]?.[expert] ?? 0), 0),
            ),
          }));
        const isEnough = (count: number): boolean =>
          after(count).every(({ counts }) => counts.every((tokens) => tokens >= floor));
        let groupsDone = 1;
        const decide = () =>
          decideCoverage({
            floor,
            layers: after(groupsDone),
            groupsDone,
            groupsAvailable: groups.length,
          });
        for (let next = decide(); next.kind === 'add-group'; next = decide()) {
          expect(isEnough(groupsDone)).toBe(false);
          expect(next.group).toBe(groupsDone);
          expect(next.needing).toBeGreaterThan(0);
          groupsDone++;
        }
        const end = decide();
        expect(end.kind).toBe(isEnough(groupsDone) ? 'enough' : 'never');
        if (end.kind !== 'never') return;
        expect(groupsDone).toBe(groups.length);
        const wanted = after(groupsDone).map(({ layer, counts }) => ({
          layer,
          experts: expertsNeeding(counts, floor),
        }));
        expect(end.layers).toEqual(wanted.filter((layer) => layer.experts.length > 0));
      },
    ),
  );
});
