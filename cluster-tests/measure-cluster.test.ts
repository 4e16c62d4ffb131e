/**
 * Goal: an importance matrix has one SHA-256, whoever measures it and however the work is cut.
 * Method: daemons joined by real invites over loopback, with threads, instruction sets, replicas and
 * waves of all kinds; each matrix is compared with that of a run that knew of no other machine.
 */

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Daemon, endDaemons } from './cluster.ts';
import { startRun } from './cluster-run.ts';
import {
  imatrixWords,
  type MachineWish,
  type Measuring,
  matrixDigest,
  measureAlone,
  SHARING_SOURCE,
  stagesOf,
  startCoordinator,
  startWorkers,
} from './measure-run.ts';
import { makeScratch } from './quantd.ts';

// Three groups, the last of them not whole.
const plain: Measuring = { chunks: 40, ctx: 64 };
const withHead: Measuring = { ...plain, chunks: 20, more: ['--ppl', '--process-output'] };
const sharing: Measuring = { source: SHARING_SOURCE, chunks: 40, ctx: 32 };

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let reference: string;
beforeAll(async () => {
  scratch = await makeScratch('measure');
  reference = (await measureAlone(scratch.path, 'alone', plain)).digest;
});
afterEach(() => endDaemons());
afterAll(async () => {
  await endDaemons();
  await scratch.remove();
});

/** Runs on a daemon that is up, and says what it told. */
async function measureOn(
  coordinator: Daemon,
  out: string,
  measuring: Measuring,
): Promise<{ digest: string; stages: ReturnType<typeof stagesOf> }> {
  const run = startRun(imatrixWords(scratch.path, out, measuring), coordinator.data);
  await run.done;
  return { digest: matrixDigest(scratch.path, out), stages: stagesOf(run.events) };
}

const named = (...names: string[]): MachineWish[] => names.map((name) => ({ name }));

test.each([
  ['one thread', ['--threads', '1'], {}],
  ['two threads', ['--threads', '2'], {}],
  ['waves of one chunk', ['--wave', '1'], {}],
  ['waves of three chunks', ['--wave', '3'], {}],
  ['scalar kernels', [], { QUANTD_ISA: 'scalar' }],
  ['avx2 kernels', [], { QUANTD_ISA: 'avx2' }],
])('one machine with %s makes the same matrix', async (name, more, environment) => {
  const wish = { ...plain, more };
  const { digest } = await measureAlone(scratch.path, name.replaceAll(' ', '-'), wish, environment);
  expect(digest).toBe(reference);
});

test('two machines make the same matrix, in waves of any size and as replicas', async () => {
  const coordinator = await startCoordinator(scratch.path);
  await startWorkers(scratch.path, coordinator, named('a', 'b'));
  const two = await measureOn(coordinator, 'two', plain);
  expect(two.digest).toBe(reference);
  expect(two.stages.length).toBeGreaterThanOrEqual(1);
  for (const wave of ['1', '3']) {
    const wish = { ...plain, more: ['--wave', wave] };
    expect((await measureOn(coordinator, `two-${wave}`, wish)).digest).toBe(reference);
  }
  const replicas = await measureOn(coordinator, 'replicas', {
    ...plain,
    more: ['--replicas', '2'],
  });
  expect(replicas.digest).toBe(reference);
  expect(replicas.stages).toMatchObject([{ from: 0, names: { length: 2 } }]);
});

test('three machines of three kinds, and the one with the source, make the same matrix', async () => {
  const coordinator = await startCoordinator(scratch.path, 1);
  await startWorkers(scratch.path, coordinator, [
    { name: 'a', isa: 'scalar' },
    { name: 'b', isa: 'avx2' },
    { name: 'c', threads: 2 },
  ]);
  const { digest, stages } = await measureOn(coordinator, 'mixed', plain);
  expect(digest).toBe(reference);
  expect(stages.length).toBeGreaterThanOrEqual(2);
});

test('five machines make the same matrix, more than it has layers', async () => {
  const coordinator = await startCoordinator(scratch.path);
  await startWorkers(scratch.path, coordinator, named('a', 'b', 'c', 'd', 'e'));
  const five = await measureOn(coordinator, 'five', plain);
  expect(five.digest).toBe(reference);
  expect(five.stages.length).toBeGreaterThanOrEqual(3);

  // The head is a layer more, with losses of its own and the statistic of the output matrix.
  const alone = await measureAlone(scratch.path, 'head-alone', withHead);
  const head = await measureOn(coordinator, 'head-five', withHead);
  expect(head.digest).toBe(alone.digest);
  expect(head.digest).not.toBe(reference);
});

test('a model whose layers share keys and values is cut at every layer', async () => {
  const alone = await measureAlone(scratch.path, 'sharing-alone', sharing);
  const coordinator = await startCoordinator(scratch.path);
  await startWorkers(scratch.path, coordinator, named('a', 'b', 'c', 'd'));
  const four = await measureOn(coordinator, 'sharing-four', sharing);
  expect(four.digest).toBe(alone.digest);
  expect(four.stages.length).toBeGreaterThanOrEqual(2);
});
