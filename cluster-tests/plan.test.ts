/**
 * Goal: what a plan says is what is then made, and it makes nothing itself.
 * Method: plans of embedded models beside the files of the same run, to the byte; a plan that does not
 * fit, and the same with what it says would help.
 */

import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RunEstimate } from '../proto/estimate.ts';
import { type Daemon, endDaemons } from './cluster.ts';
import { startCoordinator } from './measure-run.ts';
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

test('the sizes of a plan are those of the files, measured or not', async () => {
  const ways = [
    ['--type', 'Q4_K_M,Q8_0,F16'],
    // The name of the text and the number of its chunks stand in the header.
    ['--type', 'IQ2_XS,Q3_K_M', '--calibration', 'default', '--chunks', '2', '--ctx', '64'],
  ];
  for (const [index, words] of ways.entries()) {
    const out = at(`made-${index}`);
    const planned = await mustRunQuantd(['plan', SOURCE, ...words, '--out', out, '--json']);
    expect(existsSync(out)).toBe(false);
    await mustRunQuantd(['quantize', SOURCE, ...words, '--out', out, '--json']);
    const made = readdirSync(out)
      .filter((file) => file.endsWith('.gguf') && !file.endsWith('-imatrix.gguf'))
      .map((file) => ({ file, bytes: statSync(join(out, file)).size }));
    const told = outputsOf(planned).map(({ file, bytes }) => ({ file, bytes }));
    expect(told.toSorted((a, b) => (a.file < b.file ? -1 : 1))).toEqual(made.sort());
    const { outputBytes, faults, seconds, peers } = estimateOf(planned);
    expect(outputBytes).toBe(made.reduce((sum, { bytes }) => sum + bytes, 0));
    expect(faults).toEqual([]);
    expect(seconds).toBeGreaterThan(0);
    expect(peers).toMatchObject([{ isLocal: true, share: 1, fetchBytes: 0 }]);
  }
});

test('a cluster in which nobody computes is told what it lacks, and the plan ends with 3', async () => {
  const coordinator: Daemon = await startCoordinator(scratch.path);
  const words = ['plan', SOURCE, '--type', 'Q8_0', '--json'];
  const run = await runQuantd(words, { data: coordinator.data });
  const { faults, seconds } = estimateOf(run);
  expect(faults).toMatchObject([{ code: 'QD-6403' }]);
  expect(seconds).toBeNull();
  expect(run.code).toBe(3);
  await coordinator.stop();
});
