/**
 * Goal: no moment is a bad one to die, and no write a bad one to fail.
 * Method: one run, again and again; the coordinator dies at each step of its disk in turn, or its
 * disk is full for each write in turn. And what happens is a function of the seed.
 */

import { expect, test } from 'vitest';
import { calmNetwork } from './false-network.ts';
import type { Scenario } from './scenario.ts';
import { simulate } from './simulate.ts';

// A seed with two outputs, so that one may be sealed while the other grows.
const SEED = 11;
const quiet: Partial<Scenario> = {
  kind: 'troubled',
  workers: 2,
  isLarge: false,
  network: calmNetwork,
  badWrites: 0,
  misfortunes: [],
  startsMs: [0, 0],
  calmFromMs: 1000,
};

const count = (trace: readonly string[], pattern: RegExp): number =>
  trace.filter((line) => pattern.test(line)).length;

test('the coordinator may die before and after every step of its disk', async () => {
  const { trace } = await simulate(SEED, { traced: true, scenario: quiet });
  const steps = count(trace, /^ *[\d.]+ coordinator model-\d\.gguf: /);
  expect(steps).toBeGreaterThan(40);
  const failures: string[] = [];
  for (let step = 0; step < steps; step++) {
    for (const when of ['before', 'after'] as const) {
      for (const how of ['kill', 'power cut'] as const) {
        const scenario = { ...quiet, deathAtDisk: { step, when, how } };
        const { violation, deaths } = await simulate(SEED, { scenario });
        if (violation !== undefined) failures.push(`${how} ${when} step ${step}: ${violation}`);
        expect(deaths).toBe(1);
      }
    }
  }
  expect(failures).toEqual([]);
});

test('the disk may be full for any write', async () => {
  const { trace } = await simulate(SEED, { traced: true, scenario: quiet });
  const writes = count(trace, /^ *[\d.]+ coordinator model-\d\.gguf: write /);
  expect(writes).toBeGreaterThan(10);
  const failures: string[] = [];
  for (let write = 0; write < writes; write++) {
    const scenario = { ...quiet, fullAtWrite: write };
    const refused = await simulate(SEED, { traced: true, scenario });
    if (refused.violation !== undefined) failures.push(`write ${write}: ${refused.violation}`);
    expect(count(refused.trace, /coordinator ends: QD-6102/)).toBe(1);
  }
  expect(failures).toEqual([]);
});

test('the same seed is the same run, event by event', async () => {
  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
    const first = await simulate(seed, { traced: true });
    const second = await simulate(seed, { traced: true });
    expect(second.trace.length).toBeGreaterThan(20);
    expect(second.trace).toEqual(first.trace);
  }
});
