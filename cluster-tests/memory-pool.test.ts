/**
 * Goal: no machine of a cluster needs to be large, whatever the checkpoint is. Method: a 4 GB
 * checkpoint of holes is quantized by a coordinator and two workers, each with 512 MiB for
 * everything, page cache and sockets included.
 */

import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type MemoryGroup, makeMemoryGroup, whyNoMemoryGroups } from './cgroups.ts';
import { writeSparseCheckpoint } from './checkpoints/generate.ts';
import { connectedNames, endDaemons, startDaemon, untilCluster } from './cluster.ts';
import { requireOrSkip } from './privileges.ts';
import { makeScratch, mustRunQuantd, parseEvents } from './quantd.ts';

const LIMIT_BYTES = 512 * 2 ** 20;
const SOURCE_BYTES = 4e9;
// What a machine of this size would offer: the rest is for the program and the network.
const OFFER = ['--ram', '128MiB', '--threads'];
// Some minutes on a machine that does other things as well.
const TEST_MS_MAX = 400_000;

const groups: MemoryGroup[] = [];
let scratch: Awaited<ReturnType<typeof makeScratch>>;
beforeAll(async () => {
  scratch = await makeScratch('memory-pool');
});
afterAll(async () => {
  await endDaemons();
  await Promise.all(groups.map((group) => group.remove()));
  await scratch.remove();
});

function smallMachine(): MemoryGroup {
  const group = makeMemoryGroup(LIMIT_BYTES);
  groups.push(group);
  return group;
}

const isLeftOut = requireOrSkip('machines of 512 MiB', whyNoMemoryGroups());

test.skipIf(isLeftOut)(
  '4 GB are quantized by three machines of 512 MiB each',
  async () => {
    const source = join(scratch.path, 'source');
    await writeSparseCheckpoint(source, SOURCE_BYTES);
    const data = (name: string): string => join(scratch.path, name);
    const coordinator = await startDaemon(
      ['up', '--name', 'nas', '--listen', '127.0.0.1:0', ...OFFER, '0'],
      { data: data('nas'), prefix: smallMachine().prefix },
    );
    const names = ['a', 'b'];
    for (const name of names) {
      const words = ['join', coordinator.token, '--name', name, ...OFFER, '1'];
      await startDaemon(words, { data: data(name), prefix: smallMachine().prefix });
    }
    await untilCluster(coordinator, (view) => connectedNames(view).length === 2, 'whole');
    const words = ['quantize', source, '--type', 'Q4_K_M', '--out', data('out'), '--json'];
    const run = await mustRunQuantd(words, { data: data('nas'), timeoutMs: TEST_MS_MAX });
    const done = parseEvents(run).at(-1) ?? {};
    expect(Number(done['sourceBytes'])).toBeGreaterThan(SOURCE_BYTES * 0.9);
    expect(done['sourceBytesRead']).toBe(done['sourceBytes']);
    const peaks = groups.map((group) => `${Math.round(group.peakBytes() / 2 ** 20)} MiB`);
    console.log(`peaks of coordinator and workers: ${peaks.join(', ')}`);
    expect(groups.map((group) => group.killCount())).toEqual([0, 0, 0]);
    // What the kernel counts reaches the limit by page cache, which it frees; nobody was killed.
    for (const group of groups) expect(group.peakBytes()).toBeLessThanOrEqual(LIMIT_BYTES);
  },
  TEST_MS_MAX,
);
