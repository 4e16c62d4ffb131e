import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Task } from '../plan/plan.ts';
import { layerOf, placeTasks } from './placement.ts';

/** A task of a tensor, as far as the placement looks at it. */
function task(tensor: string, sourceBytes: number): Task {
  return {
    tensor: { name: tensor, shape: [32], keepF32: false, source: generated },
    group: { rowStart: 0, rows: 1, ranges: [], sourceBytes },
    columns: 32,
    runs: [],
    memoryBytes: sourceBytes,
  };
}
const generated = { kind: 'generated', values: new Float32Array(0) } as const;

const anyModel = fc
  .record({
    layers: fc.array(fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 6 }), {
      minLength: 1,
      maxLength: 12,
    }),
    others: fc.array(fc.integer({ min: 1, max: 8 }), { maxLength: 12 }),
  })
  .map(({ layers, others }) => ({
    tasks: [
      ...others.map((bytes) => task('token_embd.weight', bytes)),
      ...layers.flatMap((rows, layer) =>
        rows.map((bytes) => task(`blk.${layer}.ffn_up.weight`, bytes)),
      ),
    ],
    layerMax: Math.max(
      ...layers.map((rows) => rows.reduce((sum, bytes) => sum + bytes, 0)),
      ...others,
    ),
  }));

const all = (tasks: readonly Task[]): number[] => tasks.map((_, index) => index);
const bytesOf = (tasks: readonly Task[]): number =>
  tasks.reduce((sum, { group }) => sum + group.sourceBytes, 0);

test('equal machines hold equal parts, to one layer or row group, and layers stay whole', () => {
  fc.assert(
    fc.property(anyModel, fc.integer({ min: 1, max: 5 }), ({ tasks, layerMax }, count) => {
      const peers = Array.from({ length: count }, (_, index) => ({
        peer: `p${index}`,
        speed: 1 + (index % 2) * 0.4,
        roomBytes: 1e9,
      }));
      const placed = placeTasks(tasks, all(tasks), peers);
      expect(placed.size).toBe(tasks.length);
      for (const { peer } of peers) {
        const held = tasks.filter((_, index) => placed.get(index) === peer);
        expect(bytesOf(held)).toBeLessThanOrEqual(bytesOf(tasks) / count + layerMax);
      }
      const homes = new Map<number, Set<string>>();
      tasks.forEach(({ tensor }, index) => {
        const layer = layerOf(tensor.name);
        if (layer === undefined) return;
        homes.set(layer, (homes.get(layer) ?? new Set()).add(placed.get(index) ?? ''));
      });
      for (const peersOfLayer of homes.values()) expect(peersOfLayer.size).toBe(1);
    }),
    { numRuns: 500 },
  );
});

test('no peer is given more than it has room for, and nothing waits while somebody has room', () => {
  fc.assert(
    fc.property(
      anyModel,
      fc.array(
        fc.record({ speed: fc.integer({ min: 0, max: 9 }), roomBytes: fc.nat({ max: 60 }) }),
        {
          maxLength: 5,
        },
      ),
      ({ tasks }, offers) => {
        const peers = offers.map((offer, index) => ({ ...offer, peer: `p${index}` }));
        const placed = placeTasks(tasks, all(tasks), peers);
        const left = peers.map(({ peer, speed, roomBytes }) => {
          const held = tasks.filter((_, index) => placed.get(index) === peer);
          if (speed === 0) expect(held).toEqual([]);
          return speed === 0 ? 0 : roomBytes - bytesOf(held);
        });
        expect(Math.min(0, ...left)).toBe(0);
        tasks.forEach(({ group }, index) => {
          if (!placed.has(index)) expect(Math.max(0, ...left)).toBeLessThan(group.sourceBytes);
        });
      },
    ),
    { numRuns: 500 },
  );
});

test('the layer stands in the name of a tensor, or there is none', () => {
  expect(layerOf('blk.17.attn_q.weight')).toBe(17);
  expect(layerOf('token_embd.weight')).toBeUndefined();
  expect(layerOf('xblk.1.weight')).toBeUndefined();
});
