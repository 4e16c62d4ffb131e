/**
 * Goal: what a plan says is what is then made, and it makes nothing itself.
 * Method: plans of embedded models beside the files of the same run, to the byte; what a
 * cluster lacks, without another machine and with one that offers too little.
 */

import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RunEstimate } from '../proto/estimate.ts';
import { endDaemons, startDaemon } from './cluster.ts';
import { startCoordinator, untilConnected } from './measure-run.ts';
import { makeScratch, mustRunQuantd, parseEvents, type Run, runQuantd } from './quantd.ts';

let scratch: Awaited<ReturnType<typeof makeScratch>>;
beforeAll(async () => {
  scratch = await makeScratch('plan');
});
afterAll(async () => {
  await endDaemons();
  await scratch.remove();
});

const SOURCE = 'fixtures/tiny-gemma4';
const at = (...parts: string[]): string => join(scratch.path, ...parts);

interface PlannedOutput {
  readonly file: string;
  readonly bytes: number;
}

const eventOf = (run: Run, type: string): Record<string, unknown> => {
  const found = parseEvents(run).find((event) => event['type'] === type);
  if (found === undefined) throw new Error(`no event ${type}: ${run.stdout}`);
  return found;
};
const outputsOf = (run: Run): readonly PlannedOutput[] =>
  eventOf(run, 'plan')['outputs'] as PlannedOutput[];
const estimateOf = (run: Run): RunEstimate => eventOf(run, 'estimate') as never;

test('the sizes of a plan are those of the files', async () => {
  // The name of the text and the number of its chunks stand in the header.
  const measured = ['--calibration', 'default', '--chunks', '2', '--ctx', '64'];
  const words = [
    SOURCE,
    '--type',
    'IQ2_XS,Q3_K_M,Q8_0',
    ...measured,
    '--out',
    at('made'),
    '--json',
  ];
  const planned = await mustRunQuantd(['plan', ...words]);
  expect(existsSync(at('made'))).toBe(false);
  await mustRunQuantd(['quantize', ...words]);
  const made = outputsOf(planned).map(({ file }) => ({
    file,
    bytes: statSync(at('made', file)).size,
  }));
  expect(outputsOf(planned).map(({ file, bytes }) => ({ file, bytes }))).toEqual(made);
  const files = readdirSync(at('made')).filter((file) => /^[^.].*\.gguf$/.test(file));
  expect(files).toHaveLength(made.length + 1);
  const { outputBytes, faults, seconds, peers } = estimateOf(planned);
  expect(outputBytes).toBe(made.reduce((sum, { bytes }) => sum + bytes, 0));
  expect(faults).toEqual([]);
  expect(seconds).toBeGreaterThan(0);
  expect(peers).toMatchObject([{ isLocal: true, share: 1, fetchBytes: 0 }]);
});

test('a cluster with too little room is told what it lacks, and the plan ends with 3', async () => {
  const coordinator = await startCoordinator(scratch.path);
  const words = ['plan', SOURCE, '--type', 'Q8_0', '--out', at('none'), '--json'];
  const plan = (): Promise<Run> => runQuantd(words, { data: coordinator.data });
  const alone = await plan();
  expect(estimateOf(alone)).toMatchObject({ seconds: null, faults: [{ code: 'QD-6403' }] });
  expect(alone.code).toBe(3);
  // The model has 9.3 MiB.
  const offers = ['--name', 'pi', '--threads', '1', '--disk', '4MiB'];
  await startDaemon(['join', coordinator.token, ...offers], { data: at('data-pi') });
  await untilConnected(coordinator, ['pi']);
  const together = await plan();
  const { faults, peers, sourceBytes } = estimateOf(together);
  expect(faults).toMatchObject([{ code: 'QD-6402' }]);
  expect(faults[0]?.remedies).toContainEqual({ kind: 'disk', name: 'pi', bytes: 6 * 2 ** 20 });
  const pi = peers.find(({ name }) => name === 'pi');
  expect(pi?.diskBytes).toBeLessThanOrEqual(4 * 2 ** 20);
  expect(pi?.share).toBeCloseTo((pi?.diskBytes ?? 0) / sourceBytes, 2);
  expect(together.code).toBe(3);
});
