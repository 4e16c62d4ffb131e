/**
 * Goal: whoever is lost on the way, the importance matrix has the SHA-256 that one machine gives it,
 * and what is stored is not measured again.
 * Method: daemons in stages, each with room for the layers of its own; in the middle of a run the
 * machine of a stage is killed, or one of two that share it; one comes late, or the one with the source
 * dies.
 */

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { GROUP_CHUNKS } from '../daemon/core/calibration/chunks.ts';
import type { RunEvent } from '../proto/api.ts';
import { type Daemon, endDaemons } from './cluster.ts';
import { type RunningCommand, startRun } from './cluster-run.ts';
import {
  imatrixWords,
  type Measuring,
  matrixDigest,
  measureAlone,
  measuredPast,
  measuredShare,
  stagesOf,
  startCoordinator,
  startWorkers,
  untilConnected,
} from './measure-run.ts';
import { makeScratch } from './quantd.ts';

// Five groups, the last of them not whole; the slowest kernels, so that there is a middle.
const measuring: Measuring = { chunks: 75, ctx: 32 };
const SLOW = { isa: 'scalar' } as const;
const LAYERS = 4;

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let reference: string;
beforeAll(async () => {
  scratch = await makeScratch('losses');
  reference = (await measureAlone(scratch.path, 'alone', measuring)).digest;
});
afterEach(() => endDaemons());
afterAll(async () => {
  await endDaemons();
  await scratch.remove();
});

const begin = (coordinator: Daemon, out: string, more: readonly string[] = []): RunningCommand =>
  startRun(imatrixWords(scratch.path, out, { ...measuring, more }), coordinator.data);

/** What each machine has done, as the run told it in the end. */
function machinesOf({ events }: RunningCommand): Extract<RunEvent, { type: 'measured' }>['peers'] {
  const measured = events.find(({ type }) => type === 'measured');
  if (measured?.type !== 'measured') throw new Error('the run says who measured');
  return measured.peers;
}

/** Whoever has the stage in this place, or the last one, once `share` of the run is done. */
async function machineOfStage(run: RunningCommand, stage: number, share: number): Promise<string> {
  await run.until(measuredPast(share));
  const now = measuredShare(run.events.findLast(({ type }) => type === 'progress'));
  expect(now).toBeLessThan(0.75);
  // A machine that takes itself for slow may have none.
  const stages = stagesOf(run.events);
  const [name = ''] = stages[Math.min(stage, stages.length - 1)]?.names ?? [];
  return name;
}

test.each([0, 1])('the machine of stage %d dies in the middle', async (stage) => {
  const coordinator = await startCoordinator(scratch.path);
  const names = ['a', 'b', 'c'];
  const workers = await startWorkers(
    scratch.path,
    coordinator,
    names.map((name) => ({ name, ...SLOW })),
  );
  const run = begin(coordinator, `killed-${stage}`);
  const victim = await machineOfStage(run, stage, 0.3);
  expect(names).toContain(victim);
  await workers[names.indexOf(victim)]?.kill();
  await run.done;
  expect(matrixDigest(scratch.path, `killed-${stage}`)).toBe(reference);
  // The layers of the one that is gone went to the others.
  expect(stagesOf(run.events).flatMap((each) => each.names)).not.toContain(victim);
});

test('one of the machines that share the last stage dies in the middle', async () => {
  const coordinator = await startCoordinator(scratch.path);
  const names = ['a', 'b', 'c', 'd'];
  const workers = await startWorkers(
    scratch.path,
    coordinator,
    names.map((name) => ({ name, ...SLOW })),
  );
  const run = begin(coordinator, 'replica', ['--replicas', '2']);
  const victim = await machineOfStage(run, 1, 0.3);
  const stages = stagesOf(run.events);
  // Two stages of two, unless some take themselves for slow.
  expect(stages.at(-1)?.names.length).toBeGreaterThanOrEqual(2);
  await workers[names.indexOf(victim)]?.kill();
  await run.done;
  expect(matrixDigest(scratch.path, 'replica')).toBe(reference);
  // What it had been given was given again: a group has one lease of each stage as a rule.
  const groups = Math.ceil(measuring.chunks / GROUP_CHUNKS);
  const leases = machinesOf(run).reduce((sum, peer) => sum + peer.leases, 0);
  expect(leases).toBeGreaterThan(groups * stages.length);
});

test('a machine that comes late gets layers of what is left', async () => {
  const coordinator = await startCoordinator(scratch.path);
  await startWorkers(scratch.path, coordinator, [{ name: 'a', ...SLOW }]);
  // With only a few groups to go, moving weights is not worth it.
  const longer = { ...measuring, chunks: 120 };
  const { digest } = await measureAlone(scratch.path, 'longer', longer);
  const run = startRun(imatrixWords(scratch.path, 'late', longer), coordinator.data);
  await run.until(measuredPast(0.15));
  await startWorkers(scratch.path, coordinator, [{ name: 'b', ...SLOW }]);
  await run.done;
  expect(matrixDigest(scratch.path, 'late')).toBe(digest);
  expect(stagesOf(run.events).flatMap(({ names }) => names)).toContain('b');
});

test('the machine with the source dies, and what is stored is not measured again', async () => {
  const coordinator = await startCoordinator(scratch.path);
  const names = ['a', 'b'];
  await startWorkers(
    scratch.path,
    coordinator,
    names.map((name) => ({ name, ...SLOW })),
  );
  const first = begin(coordinator, 'restarted');
  await first.until(measuredPast(0.5));
  await coordinator.kill();
  await expect(first.done).rejects.toThrow();
  const again = await startCoordinator(scratch.path, 0, coordinator.data);
  await untilConnected(again, names);
  const second = begin(again, 'restarted');
  await second.done;
  expect(matrixDigest(scratch.path, 'restarted')).toBe(reference);
  const steps = machinesOf(second).reduce((sum, peer) => sum + peer.steps, 0);
  console.log(`steps of the second run: ${steps} of ${measuring.chunks * LAYERS}`);
  expect(steps).toBeLessThan(0.9 * measuring.chunks * LAYERS);
});
