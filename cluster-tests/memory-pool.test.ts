/**
 * Goal: no machine of a cluster needs to hold the model, on disk or in memory, to measure and to
 * quantize it. Method: four layers of the published mixture of experts are measured and quantized by a
 * coordinator and four workers, each with 512 MiB for everything, page cache and sockets included, and
 * with room for a layer or so on its disk. All 128 experts, 6.5 GB, take minutes: they are a part of the
 * soak, which sets QUANTD_SOAK; otherwise there are fewer.
 */

import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type MemoryGroup, makeMemoryGroup, whyNoMemoryGroups } from './cgroups.ts';
import { writeLayersCheckpoint } from './checkpoints/generate.ts';
import { connectedNames, endDaemons, startDaemon, untilCluster } from './cluster.ts';
import { type RunningCommand, startRun } from './cluster-run.ts';
import { allocatedBytes } from './disk-use.ts';
import { requireOrSkip } from './privileges.ts';
import { makeScratch } from './quantd.ts';
import { sampleUntil } from './sample-until.ts';

const LIMIT_BYTES = 512 * 2 ** 20;
const EXPERTS = process.env['QUANTD_SOAK'] === undefined ? 16 : 128;
const SOURCE_BYTES_MIN = EXPERTS === 128 ? 4e9 : 0.9e9;
const STORE_SHARE_MAX = 0.3;
// Journals, indexes, and what a file takes beyond its last byte.
const DISK_MARGIN = 1.02;
// What a machine of this size would offer: the rest is for the program and the network.
const OFFER = ['--ram', '160MiB', '--threads'];
const CALIBRATION = ['--calibration', 'default', '--chunks', '4', '--ctx', '128'];
// Four minutes of computing, on a machine that may do other things as well.
const TEST_MS_MAX = 1_200_000;
const SAMPLE_MS = 500;
// The most source bytes of a lease.
const ROW_GROUP_BYTES_MAX = 8 * 2 ** 20;

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

interface Peaks {
  /** Of each group's processes, page cache left out. */
  readonly anonymous: readonly number[];
  /** Of each directory, on disk. */
  readonly stores: readonly number[];
}

/** The most of everything while `done` was waited for. */
async function watch(directories: readonly string[], done: Promise<unknown>): Promise<Peaks> {
  const anonymous = groups.map(() => 0);
  const stores = directories.map(() => 0);
  const keepMost = (most: number[], now: readonly number[]): void => {
    now.forEach((bytes, index) => {
      most[index] = Math.max(most[index] ?? 0, bytes);
    });
  };
  await sampleUntil(done, SAMPLE_MS, () => {
    keepMost(
      anonymous,
      groups.map((group) => group.anonymousBytes()),
    );
    keepMost(stores, directories.map(allocatedBytes));
  });
  return { anonymous, stores };
}

const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;

const isLeftOut = requireOrSkip('machines of 512 MiB', whyNoMemoryGroups());

test.skipIf(isLeftOut)(
  'four machines of 512 MiB measure and quantize what none of them could hold',
  async () => {
    const source = join(scratch.path, 'source');
    const { bytes: sourceBytes, layerBytes } = await writeLayersCheckpoint(source, EXPERTS);
    expect(sourceBytes).toBeGreaterThan(SOURCE_BYTES_MIN);
    const data = (name: string): string => join(scratch.path, name);
    const coordinator = await startDaemon(
      ['up', '--name', 'nas', '--listen', '127.0.0.1:0', ...OFFER, '0'],
      { data: data('nas'), prefix: smallMachine().prefix },
    );
    const names = ['a', 'b', 'c', 'd'];
    // Who is done early takes over from others, with their source, and no further than this.
    const disk = ['--disk', `${Math.floor((STORE_SHARE_MAX * sourceBytes) / 2 ** 20)}MiB`];
    for (const name of names) {
      const words = ['join', coordinator.token, '--name', name, ...disk, ...OFFER, '1'];
      await startDaemon(words, { data: data(name), prefix: smallMachine().prefix });
    }
    await untilCluster(coordinator, (view) => connectedNames(view).length === 4, 'whole');
    const words = ['quantize', source, '--type', 'Q4_K_M', ...CALIBRATION, '--out', data('out')];
    const run = startRun([...words, '--json'], data('nas'));
    const peaks = await watch([...names.map(data), scratch.path], run.done);
    const poolBytes = peaks.stores.at(-1) ?? 0;
    const stores = peaks.stores.slice(0, -1);
    tell(run, sourceBytes, { ...peaks, stores });
    const done = await run.done;
    for (const bytes of stores) {
      expect(bytes).toBeGreaterThan(0);
      expect(bytes).toBeLessThanOrEqual(STORE_SHARE_MAX * sourceBytes);
    }
    // Every weight of a layer went to one machine, once, to measure; nothing of it to quantize, but
    // for what idle machines take over from slow ones, as far as their disks allow.
    expect(done.sourceBytes).toBe(sourceBytes);
    const measured = run.events.flatMap((event) => (event.type === 'measured' ? event.peers : []));
    expect(measured.map(({ name }) => name).sort()).toEqual(names);
    expect(measured.reduce((sum, peer) => sum + peer.sourceBytes, 0)).toBe(layerBytes);
    const again = done.peers.reduce((sum, { leases, tasks }) => sum + leases - tasks, 0);
    const moreBytes = done.sourceBytesRead - done.sourceBytes;
    console.log(`taken over: ${mebibytes(moreBytes)} of source; made again: ${again} leases`);
    expect(moreBytes).toBeGreaterThanOrEqual(0);
    const spareBytes = (names.length * STORE_SHARE_MAX - 1) * sourceBytes;
    expect(moreBytes).toBeLessThanOrEqual(spareBytes + again * ROW_GROUP_BYTES_MAX);
    // Source, every data directory and the outputs: the source lies there twice, once in shares.
    const outputBytes = allocatedBytes(data('out'));
    const least = outputBytes + 2 * sourceBytes;
    console.log(
      `disk of all: ${mebibytes(poolBytes)}, outputs and twice the source ${mebibytes(least)}`,
    );
    expect(poolBytes).toBeLessThanOrEqual(DISK_MARGIN * least + moreBytes);
    // What the kernel counts reaches the limit by page cache, which it frees; nobody was killed.
    expect(groups.map((group) => group.killCount())).toEqual(groups.map(() => 0));
    for (const group of groups) expect(group.peakBytes()).toBeLessThanOrEqual(LIMIT_BYTES);
  },
  TEST_MS_MAX,
);

function tell({ events }: RunningCommand, sourceBytes: number, peaks: Peaks): void {
  const machines = groups.map((group, index) => {
    const beside = mebibytes(peaks.anonymous[index] ?? 0);
    return `${mebibytes(group.peakBytes())} (${beside} beside page cache)`;
  });
  console.log(`peaks of coordinator and workers: ${machines.join(', ')}`);
  const shares = peaks.stores.map(
    (bytes) => `${mebibytes(bytes)} (${((100 * bytes) / sourceBytes).toFixed(1)} %)`,
  );
  console.log(`most that each worker stored of ${mebibytes(sourceBytes)}: ${shares.join(', ')}`);
  const stages = events.flatMap((event) => (event.type === 'done' ? (event.stages ?? []) : []));
  const seconds = stages.map((each) => `${each.stage} ${each.seconds.toFixed(1)} s`);
  console.log(`${seconds.join(', ')}`);
}
