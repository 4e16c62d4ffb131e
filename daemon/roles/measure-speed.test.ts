import { expect, test } from 'vitest';
import type { Clock, Kernels, QuantizeJob } from '../ports.ts';
import { measureSpeed } from './measure-speed.ts';

// Goal: the rating is that of the fastest job, whatever the neighbours do. Method: kernels whose
// jobs take as long as the test says, on a clock that only they turn.
test('the least time counts, for all threads together', async () => {
  let nowMs = 0;
  const clock: Clock = { now: () => nowMs, after: () => () => undefined };
  const jobs: QuantizeJob[] = [];
  const times = [9, 4, 7, 30];
  const kernels = {
    info: { isa: 'scalar', isas: [], threads: 1, quantizers: [] },
    quantize: async (job: QuantizeJob) => {
      jobs.push(job);
      nowMs += times[jobs.length % times.length] ?? 0;
      return { ok: true, digests: [] } as const;
    },
    sha256: async () => new Uint8Array(),
    sha256File: async () => new Uint8Array(),
    close: () => undefined,
  } satisfies Kernels;
  expect(await measureSpeed(kernels, clock)).toBe((64 * 1024 * 1000) / 4);
  expect(jobs).toHaveLength(20);
  // What is measured is sound work: whole rows of numbers that weights could be.
  const [job] = jobs;
  expect(job?.source.length).toBe(2 * (job?.rows ?? 0) * (job?.columns ?? 0));
  expect(job?.targets[0]?.into.length).toBe(((32 * 1024) / 256) * 144);
  const values = new DataView(job?.source.buffer ?? new ArrayBuffer(0));
  for (let at = 0; at < 64 * 1024; at += 2) {
    const bits = values.getUint16(at, true) << 16;
    const value = Math.abs(new Float32Array(Int32Array.of(bits).buffer)[0] ?? Number.NaN);
    expect(value).toBeGreaterThan(0);
    expect(value).toBeLessThan(4);
  }
});

test('a machine that is far too busy is not measured for long', async () => {
  let nowMs = 0;
  let jobs = 0;
  const kernels = {
    info: { isa: 'scalar', isas: [], threads: 1, quantizers: [] },
    quantize: async () => {
      jobs++;
      nowMs += 1000;
      return { ok: true, digests: [] } as const;
    },
    sha256: async () => new Uint8Array(),
    sha256File: async () => new Uint8Array(),
    close: () => undefined,
  } satisfies Kernels;
  const clock: Clock = { now: () => nowMs, after: () => () => undefined };
  expect(await measureSpeed(kernels, clock)).toBe(64 * 1024);
  expect(jobs).toBe(2);
});
