/**
 * Goal: a machine with an Arm processor measures and quantizes whole models to the same bytes, alone
 * and in a cluster with machines of the other kind.
 * Method: the whole program, Node included, runs in an emulator of that processor; every file is
 * compared with what this machine makes by itself. Read first: emulated-arm.mjs.
 */

import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { endDaemons, startDaemon } from '../cluster.ts';
import { digestsOf, startRun } from '../cluster-run.ts';
import { startCoordinator, startWorkers } from '../measure-run.ts';
import { makeScratch, mustRunQuantd } from '../quantd.ts';

const { QUANTD_ARM_PROGRAM: told = '[]' } = process.env;
const program = JSON.parse(told) as string[];

// A type of each family of fits, those that need an importance among them.
const TYPES = 'Q4_K_M,Q2_K,Q6_K,Q5_0,IQ4_XS,IQ3_XXS,IQ2_XS,IQ1_M,TQ2_0';
// Layers that share keys and values have no importance of their own for them.
const TYPES_WITHOUT = 'Q4_K_M,Q2_K,Q6_K,Q5_0,IQ4_XS,TQ2_0';
const WHOLE = ['--chunks', '3', '--ctx', '512'];
// Three groups: a machine that joins in gets one of them.
const GROUPS = ['--chunks', '40', '--ctx', '64'];
// An emulator takes some thirty times as long.
const RUN_MS_MAX = 600_000;

let scratch: Awaited<ReturnType<typeof makeScratch>>;
beforeAll(async () => {
  expect(program).toHaveLength(2);
  scratch = await makeScratch('arm');
});
afterEach(() => endDaemons());
afterAll(() => scratch.remove());

interface Wish {
  readonly source: string;
  readonly types: string;
  readonly calibration: readonly string[];
}

const words = ({ source, types, calibration }: Wish, out: string): string[] => [
  ...['quantize', `fixtures/${source}`, '--type', types, '--name', 'm', '--json'],
  ...['--calibration', 'default', ...calibration, '--out', join(scratch.path, out)],
];

/** What this machine makes by itself. */
async function alone(wish: Wish, out: string): Promise<Map<string, string>> {
  await mustRunQuantd([...words(wish, out), '--solo']);
  const digests = digestsOf(join(scratch.path, out));
  expect(digests.size).toBe(1 + wish.types.split(',').length);
  return digests;
}

test.each([
  ['tiny-gemma4', TYPES],
  ['tiny-gemma4-k', TYPES],
  ['tiny-gemma4-e', TYPES_WITHOUT],
])(
  'an Arm machine makes the same matrix and outputs of %s',
  async (source, types) => {
    const wish = { source, types, calibration: WHOLE };
    const reference = await alone(wish, `${source}-alone`);
    const up = ['up', '--name', 'arm', '--listen', '127.0.0.1:0'];
    const arm = await startDaemon(up, { data: join(scratch.path, `${source}-data`), program });
    const run = startRun(words(wish, source), arm.data);
    expect(await run.until(({ type }) => type === 'plan')).toMatchObject({ isa: 'neon' });
    await run.done;
    expect(digestsOf(join(scratch.path, source))).toEqual(reference);
  },
  RUN_MS_MAX,
);

test(
  'an Arm machine and one of the other kind share the work, and make the same files',
  async () => {
    const wish = { source: 'tiny-gemma4', types: TYPES, calibration: GROUPS };
    const reference = await alone(wish, 'both-alone');
    const coordinator = await startCoordinator(scratch.path);
    await startWorkers(scratch.path, coordinator, [{ name: 'a' }, { name: 'arm', program }]);
    const run = startRun([...words(wish, 'both'), '--replicas', '2'], coordinator.data);
    const { peers } = await run.done;
    expect(digestsOf(join(scratch.path, 'both'))).toEqual(reference);
    const measured = run.events.find((event) => event.type === 'measured');
    const steps = measured?.peers.find(({ name }) => name === 'arm')?.steps ?? 0;
    const units = peers.find(({ name }) => name === 'arm')?.units ?? 0;
    console.log(`the Arm machine measured ${steps} steps and made ${units} units`);
    expect(steps).toBeGreaterThan(0);
    expect(units).toBeGreaterThan(0);
  },
  RUN_MS_MAX,
);
