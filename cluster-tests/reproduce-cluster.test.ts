/**
 * Goal: a release of three daemons is made again, to the byte and from its lockfile alone, by one machine
 * with another instruction set and by five daemons.
 * Method: whole processes; that several machines had a part in it is seen in who made how many units.
 */

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Client } from '../cli/client.ts';
import { type Daemon, endDaemons } from './cluster.ts';
import { startRun } from './cluster-run.ts';
import { startCoordinator, startWorkers } from './measure-run.ts';
import { makeScratch, mustRunQuantd } from './quantd.ts';

const SOURCE = 'fixtures/tiny-gemma4-k';

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let coordinator: Daemon;
let folder: string;
beforeAll(async () => {
  scratch = await makeScratch('reproduce-cluster');
  coordinator = await startCoordinator(scratch.path);
  await startWorkers(scratch.path, coordinator, [{ name: 'a' }, { name: 'b' }]);
});
afterAll(async () => {
  await endDaemons();
  await scratch.remove();
});

const workersOf = (peers: readonly { name: string; units: number }[]): string[] =>
  peers.flatMap(({ name, units }) => (units > 0 ? [name] : [])).sort();

test('three daemons make it', async () => {
  const calibration = ['--calibration', 'default', '--chunks', '4', '--ctx', '64'];
  const words = ['release', SOURCE, '--type', 'Q4_K_M,Q2_K', '--name', 'Tiny', '--json'];
  const run = startRun([...words, ...calibration, '--out', scratch.path], coordinator.data);
  await run.done;
  const placed = run.events.find((event) => event.type === 'placement');
  expect(placed?.peers.map(({ name }) => name)).toEqual(expect.arrayContaining(['a', 'b']));
  folder = join(scratch.path, 'Tiny-GGUF');
  expect(existsSync(join(folder, 'quantd.lock.json.sig'))).toBe(true);
});

test('one machine makes it again by another instruction set', async () => {
  const words = ['reproduce', join(folder, 'quantd.lock.json'), '--source', SOURCE, '--solo'];
  const run = await mustRunQuantd(words, { environment: { QUANTD_ISA: otherIsa() } });
  expect(run.stdout).toMatch(/^reproduced: Tiny is the same/m);
});

/** Not the one that the daemons have chosen, on the machines that tests run on. */
function otherIsa(): string {
  return process.arch === 'x64' ? 'avx2' : 'scalar';
}

test('five daemons make it again, interrupted and gone on with', async () => {
  await startWorkers(scratch.path, coordinator, [{ name: 'c' }, { name: 'd' }]);
  const words = ['reproduce', folder, '--source', SOURCE, '--json'];
  const first = startRun(words, coordinator.data);
  const accepted = await first.until(({ type }) => type === 'accepted');
  await first.until(({ type }) => type === 'layers' || type === 'plan');
  const number = accepted.type === 'accepted' ? accepted.run : 0;
  await new Client(join(coordinator.data, 'api.sock')).drain(number);
  await expect(first.done).rejects.toThrow('QD-1301');
  const begun = readdirSync(scratch.path).filter((name) => name.startsWith('.quantd-reproduce-'));
  expect(begun.length).toBe(1);

  const second = startRun(words, coordinator.data);
  const { peers } = await second.done;
  // Which of them, and whether all, is for their speeds to say.
  expect(workersOf(peers).length).toBeGreaterThan(1);
  expect(second.events).toContainEqual(
    expect.objectContaining({ type: 'reproduced', isSame: true, differences: 0 }),
  );
  expect(existsSync(join(scratch.path, begun[0] ?? ''))).toBe(false);
});
