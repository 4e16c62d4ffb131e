/**
 * Goal: a checkpoint that no GGUF can be made of ends in its own fault, before any work. Method:
 * damage a fresh copy of a fixture, open it and describe the model, as every command does.
 */

import { rm } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { describeModel } from '../../daemon/core/models/families.ts';
import { FaultError } from '../../proto/fault.ts';
import { copyFixture } from './case.ts';
import { readCheckpoint } from './checkpoint-directory.ts';
import { modelCases } from './model-cases.ts';

const fixtures = ['tiny-gemma4', 'tiny-gemma4-k'] as const;
// Processor time, so that other work on the machine does not count.
const CPU_SECONDS_MAX = 1;

async function faultOf(dir: string): Promise<FaultError | undefined> {
  try {
    describeModel(await readCheckpoint(dir), 'damaged');
  } catch (error) {
    if (error instanceof FaultError) return error;
    throw error;
  }
  return undefined;
}

test.each(fixtures)(
  '%s is described undamaged, so that each fault comes from the damage',
  async (name) => {
    const dir = copyFixture(name);
    expect(await faultOf(dir)).toBeUndefined();
    await rm(dir, { recursive: true });
  },
);

test('names are unique', () => {
  const names = modelCases.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});

const everywhere = modelCases.flatMap((one) => fixtures.map((fixture) => ({ ...one, fixture })));
test.each(everywhere)('$name: $code ($fixture)', async ({ code, damage, fixture }) => {
  const dir = copyFixture(fixture);
  try {
    await damage(dir);
    const cpuBefore = process.cpuUsage();
    const fault = await faultOf(dir);
    const { user, system } = process.cpuUsage(cpuBefore);

    expect(fault?.kind.code).toBe(code);
    // What reaches a terminal is short and cannot move its cursor.
    expect(JSON.stringify(fault?.toMessage()).length).toBeLessThan(2000);
    expect(fault?.message).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect((user + system) / 1e6).toBeLessThan(CPU_SECONDS_MAX);
  } finally {
    await rm(dir, { recursive: true });
  }
});
