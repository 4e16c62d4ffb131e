/**
 * Goal: machines are compared by the fastest of some products, in multiplications a second.
 * Method: kernels whose products take as long as the test says, on a clock that only they turn.
 */

import { expect, test } from 'vitest';
import type { ForwardKernels, LayerJob, PlacedWeight } from '../ports.ts';
import { measureMultiplying, multipliedWeights } from './measure-products.ts';

const MULTIPLICATIONS = 256 * 512 * 1024;

function kernelsOf(times: readonly number[]): {
  readonly kernels: ForwardKernels;
  readonly clock: { now: () => number };
  readonly jobs: LayerJob[];
  readonly placed: PlacedWeight[];
  isClosed: boolean;
} {
  let nowMs = 0;
  const jobs: LayerJob[] = [];
  const placed: PlacedWeight[] = [];
  const made = { jobs, placed, clock: { now: () => nowMs }, isClosed: false };
  const kernels: ForwardKernels = {
    isa: 'scalar',
    threads: 2,
    prepareLayer: async (_, weights) => {
      placed.push(...weights);
      return {
        scratchBytes: () => 1,
        run: async (job: LayerJob) => {
          nowMs += times[jobs.length] ?? Number.NaN;
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

test('the least time of three products counts', async () => {
  const made = kernelsOf([9, 4, 7]);
  const speed = await measureMultiplying('weights', made.kernels, made.clock);
  expect(speed).toBe((MULTIPLICATIONS * 1000) / 4);
  expect(made.isClosed).toBe(true);
  // What is multiplied lies in the file, and as many tokens go through as are counted.
  const [weight] = made.placed;
  expect(weight?.pieces).toEqual([{ path: 'weights', offset: 0, rows: 512 }]);
  expect(weight?.weight.type).toBe('BF16');
  expect(multipliedWeights().length).toBe(2 * 512 * 1024);
  const [job] = made.jobs;
  expect(job?.state.get('from')?.length).toBe(256 * 1024);
  expect(job?.state.get('into')?.length).toBe(256 * 512);
});

test('a slow machine multiplies twice', async () => {
  const { kernels, clock, jobs } = kernelsOf([300, 200, 1]);
  expect(await measureMultiplying('weights', kernels, clock)).toBe((MULTIPLICATIONS * 1000) / 200);
  expect(jobs).toHaveLength(2);
});
