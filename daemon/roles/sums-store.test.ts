/**
 * Goal: the sums of a layer are the same in whatever order they were stored, joined and read again,
 * and a crash leaves nothing that is half there.
 */

import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { groupSet } from '../core/importance/group-set.ts';
import { sumsBytes } from '../core/importance/statistics.ts';
import type { Statistic } from '../core/models/forward.ts';
import type { MeasurementFiles } from '../ports.ts';
import { SumsStore } from './sums-store.ts';

const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();
const statistics: Statistic[][] = [
  [{ names: ['a'], matrices: 1, columns: 3 }],
  [{ names: ['b', 'c'], matrices: 2, columns: 2 }],
];

class Files implements MeasurementFiles {
  readonly files = new Map<string, Uint8Array>();
  /** So many removals are forgotten, as by a crash. */
  lostRemovals = 0;

  async list(): Promise<readonly string[]> {
    return [...this.files.keys()];
  }

  async read(name: string): Promise<Uint8Array | undefined> {
    return this.files.get(name);
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    this.files.set(name, bytes.slice());
  }

  async remove(name: string): Promise<void> {
    if (this.lostRemovals > 0) this.lostRemovals--;
    else this.files.delete(name);
  }

  async drop(): Promise<void> {
    this.files.clear();
  }
}

/** Sums of a group: each a small number, so that adding is easy to check by eye. */
function sumsOf(layer: number, group: number): Uint8Array {
  const bytes = new Uint8Array(sumsBytes(statistics[layer] ?? []));
  for (let at = 0; at < bytes.length; at += 8) bytes[at] = 1 + ((group + at) % 5);
  return bytes;
}

const GROUPS = 12;

async function wanted(layer: number): Promise<Uint8Array> {
  const store = await SumsStore.open(new Files(), statistics, sha256);
  for (let group = 0; group < GROUPS; group++) {
    await store.put(layer, [group], [], sumsOf(layer, group));
  }
  return await store.sums(layer, groupSet(Array.from({ length: GROUPS }, (_, at) => at)));
}

test('order, joining, restarts and lost removals change nothing', async () => {
  const whole = [await wanted(0), await wanted(1)];
  const all = groupSet(Array.from({ length: GROUPS }, (_, at) => at));
  const anyOrder = fc.shuffledSubarray(
    Array.from({ length: 2 * GROUPS }, (_, at) => [at % 2, Math.floor(at / 2)] as const),
    { minLength: 2 * GROUPS },
  );
  await fc.assert(
    fc.asyncProperty(anyOrder, fc.nat(12), fc.nat(23), async (order, lost, restart) => {
      const files = new Files();
      let store = await SumsStore.open(files, statistics, sha256);
      for (const [index, [layer, group]] of order.entries()) {
        await store.put(layer, [group], [], sumsOf(layer, group));
        // Told twice: it is there already.
        await store.put(layer, [group], [], sumsOf(layer, group));
        files.lostRemovals = lost;
        await store.join(layer, (each) => store.has(0, each) && store.has(1, each));
        files.lostRemovals = 0;
        if (index === restart) store = await SumsStore.open(files, statistics, sha256);
      }
      expect(store.list()).toHaveLength(2 * GROUPS);
      for (const layer of [0, 1]) expect(await store.sums(layer, all)).toEqual(whole[layer]);
    }),
    { numRuns: 50 },
  );
});

test('a torn file is as good as absent, and a dropped group is gone in every layer', async () => {
  const files = new Files();
  const store = await SumsStore.open(files, statistics, sha256);
  for (const layer of [0, 1]) await store.put(layer, [3], [50], sumsOf(layer, 3));
  await store.put(0, [4], [], sumsOf(0, 4));
  expect(store.list()).toContainEqual({ layer: 1, group: 3, leftOut: [50] });
  await store.drop(3, [50]);
  expect(store.list()).toHaveLength(3);
  await store.drop(3, [50, 51]);
  expect(store.list()).toEqual([{ layer: 0, group: 4, leftOut: [] }]);
  for (const bytes of files.files.values()) bytes[bytes.length - 1] = 7;
  files.files.set('ab'.repeat(32), new Uint8Array(5));
  const again = await SumsStore.open(files, statistics, sha256);
  expect(again.list()).toEqual([]);
  expect(files.files.size).toBe(0);
});
