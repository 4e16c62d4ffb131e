/**
 * Goal: machines are compared by the fastest of some products, in multiplications a second.
 * Method: kernels whose products take as long as the test says, on a clock that only they turn.
 */

import { expect, test } from 'vitest';
import type { ForwardKernels, LayerJob, PlacedWeight } from '../ports.ts';
import type { BusyClock } from './measure-costs.ts';
import { measureMultiplying, multipliedWeights } from './measure-products.ts';

const MULTIPLICATIONS = 256 * 256 * 1024;

function kernelsOf(
  times: readonly number[],
  pauseMs = 0,
): {
  readonly kernels: ForwardKernels;
  readonly clock: BusyClock;
  readonly jobs: LayerJob[];
  readonly placed: PlacedWeight[];
  isClosed: boolean;
} {
  let nowMs = 0;
  let pausedMs = 0;
  const jobs: LayerJob[] = [];
  const placed: PlacedWeight[] = [];
  // Both threads have worked all the time, but where the machine has given them nothing for a while.
  const cpuSeconds = (): number => (2 * (nowMs - pausedMs)) / 1000;
  const made = { jobs, placed, clock: { now: () => nowMs, cpuSeconds }, isClosed: false };
  const kernels: ForwardKernels = {
    isa: 'scalar',
    threads: 2,
    prepareLayer: async (_, weights) => {
      placed.push(...weights);
      return {
        scratchBytes: () => 1,
        run: async (job: LayerJob) => {
          nowMs += (times[jobs.length] ?? Number.NaN) + pauseMs;
          pausedMs += pauseMs;
          jobs.push(job);
          return { bad: [] };
        },
        close: () => {
          made.isClosed = true;
        },
      };
    },
    embed: async () => undefined,
    close: () => undefined,
  };
  return Object.assign(made, { kernels });
}

test('the least time of some products counts', async () => {
  const made = kernelsOf([6, 2, ...Array.from({ length: 18 }, () => 3)]);
  const speed = await measureMultiplying('weights', made.kernels, made.clock);
  expect(speed).toBe((MULTIPLICATIONS * 1000) / 2);
  expect(made.isClosed).toBe(true);
  expect(made.jobs).toHaveLength(20);
  // What is multiplied lies in the file, and as many tokens go through as are counted.
  const [weight] = made.placed;
  expect(weight?.pieces).toEqual([{ path: 'weights', offset: 0, rows: 256 }]);
  expect(weight?.weight.type).toBe('BF16');
  expect(multipliedWeights().length).toBe(2 * 256 * 1024);
  const [job] = made.jobs;
  expect(job?.state.get('from')?.length).toBe(256 * 1024);
  expect(job?.state.get('into')?.length).toBe(256 * 256);
});

test('a slow machine multiplies twice', async () => {
  const { kernels, clock, jobs } = kernelsOf([300, 200, 1]);
  expect(await measureMultiplying('weights', kernels, clock)).toBe((MULTIPLICATIONS * 1000) / 200);
  expect(jobs).toHaveLength(2);
});

test('what other programs take of the machine makes it no slower', async () => {
  const { kernels, clock } = kernelsOf([8, 8, 8, 8, 8, 8, 8], 92);
  const speed = await measureMultiplying('weights', kernels, clock);
  expect(speed).toBeCloseTo((MULTIPLICATIONS * 1000) / 8, 0);
});
