/**
 * Goal: what a plan reckons with is what kernels take, on a busy machine too.
 * Method: kernels that take as long as the test says, on clocks that only they turn.
 */

import { expect, test } from 'vitest';
import { blockTypes } from '../core/gguf/block-types.ts';
import type { Plan } from '../core/plan/plan.ts';
import type { Kernels, QuantizeJob } from '../ports.ts';
import { type BusyClock, measureCosts, measureHashing, timed } from './measure-costs.ts';

const READING_MS = 2;
const makingMs: Readonly<Record<number, number>> = {
  [blockTypes.Q8_0.id]: 1,
  [blockTypes.Q4_0.id]: 3,
  [blockTypes.Q4_K.id]: 6,
  [blockTypes.IQ2_XS.id]: 50,
};

/** One thread; the wall clock runs `load` times as fast as the processor's. */
function machine(load: number): { kernels: Kernels; clock: BusyClock; jobs: QuantizeJob[] } {
  let spentMs = 0;
  const jobs: QuantizeJob[] = [];
  const quantizers = Object.keys(makingMs).map((type) => {
    const plain = Number(type) !== blockTypes.IQ2_XS.id;
    return { type: Number(type), plain, weighted: true };
  });
  return {
    jobs,
    clock: { now: () => spentMs * load, cpuSeconds: () => spentMs / 1000 },
    kernels: {
      info: { isa: 'scalar', isas: [], threads: 1, quantizers },
      quantize: async (job) => {
        jobs.push(job);
        spentMs += job.targets.reduce((ms, { type }) => ms + (makingMs[type] ?? 0), READING_MS);
        return { ok: true, digests: [] };
      },
      sha256: async () => {
        spentMs += 4;
        return new Uint8Array(32);
      },
      sha256File: async () => new Uint8Array(),
      close: () => undefined,
    },
  };
}

const tensor = {
  name: 'blk.0.ffn_up.weight',
  shape: [256, 1],
  keepF32: false,
  source: { kind: 'checkpoint', dtype: 'BF16', parts: [] },
} as const;
const run = { unit: 'u', bytes: 1, placements: [] } as never as { bytes: number };
const plan = {
  tasks: [
    {
      ...{ tensor, columns: 256, memoryBytes: 1 },
      group: { rowStart: 0, rows: 1, ranges: [], sourceBytes: 512 },
      runs: (['Q4_K', 'IQ2_XS', 'BF16'] as const).map((type) => ({ ...run, type })),
    },
  ],
} as never as Plan;

test.each([1, 30])('reading counts once, each type by itself, at a load of %i', async (load) => {
  const { kernels, clock, jobs } = machine(load);
  const { speed, reading, making } = await measureCosts(plan, kernels, clock);
  const elements = (jobs[0]?.rows ?? 0) * (jobs[0]?.columns ?? 0);
  const ms = (seconds: number): number => seconds * elements * 1000;
  expect(ms(reading('BF16'))).toBeCloseTo(READING_MS, 6);
  const plain = { element: 'BF16', isWeighted: false } as const;
  expect(ms(making({ ...plain, type: 'Q4_K' }))).toBeCloseTo(6, 6);
  expect(ms(making({ ...plain, type: 'IQ2_XS' }))).toBeCloseTo(50, 6);
  // What stays what it is costs nothing to speak of.
  expect(making({ ...plain, type: 'BF16' })).toBe(0);
  // In the unit of the offers: bytes of BF16 to Q4_K.
  expect(speed).toBeCloseTo((2 * elements * 1000) / 8, 3);
  // A type that cannot be made without importance gets some.
  const coarse = jobs.filter(({ targets }) => targets[0]?.type === blockTypes.IQ2_XS.id);
  expect(coarse.every(({ importance }) => importance?.length === jobs[0]?.columns)).toBe(true);
  expect(await measureHashing(kernels, clock)).toBeCloseTo((2 * 2 ** 20 * 1000) / 4, 3);
});

test('several threads share what the processors have given', async () => {
  const { kernels, clock } = machine(1);
  const { quantize } = kernels;
  const job = { source: new Uint8Array(), element: 'BF16', rows: 1, columns: 1, targets: [] };
  const both = (): Promise<unknown> => Promise.all([quantize(job), quantize(job)]);
  expect(await timed(clock, 2, both)).toBeCloseTo(READING_MS, 6);
});
