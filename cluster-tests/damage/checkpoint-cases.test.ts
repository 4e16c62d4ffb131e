/**
 * Goal: every damaged checkpoint ends in its own fault, at once, and takes no memory to speak of.
 * Method: damage a fresh copy of a fixture and open it as a command would; the large ones in a
 * process of their own, so that its peak of memory is theirs alone.
 */

import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSourceDirectory } from '../../daemon/adapters/source-directory.ts';
import { openCheckpoint } from '../../daemon/roles/open-checkpoint.ts';
import { FaultError } from '../../proto/fault.ts';
import { copyFixture } from './case.ts';
import { checkpointCases } from './checkpoint-cases.ts';

const fixture = 'tiny-gemma4-k';
// Processor time, so that other work on the machine counts little. The promise is one second on an
// idle machine; a busy one, whose cores share caches, takes up to twice as long.
const CPU_SECONDS_MAX = 2;
// What 25 MB of header may cost: its bytes, its text, and what was found in it.
const EXTRA_BYTES_MAX = 64 << 20;
// An index covers all files of a model; its 250000 possible entries stay in memory as a map.
const EXTRA_BYTES_OF_INDEX_MAX = 112 << 20;
// The cases whose names speak of size.
const largeCases = checkpointCases.filter(({ name }) => / MB|\d{5}|million/.test(name));

async function faultOf(dir: string): Promise<FaultError | undefined> {
  const hashFile = () => Promise.reject(new Error('nothing is hashed to open a checkpoint'));
  try {
    const source = await openSourceDirectory(dir, { hashFile });
    await openCheckpoint(source).finally(() => source.close());
  } catch (error) {
    if (error instanceof FaultError) return error;
    throw error;
  }
  return undefined;
}

test('the undamaged fixture opens, so that each fault comes from the damage', async () => {
  const dir = copyFixture(fixture);
  expect(await faultOf(dir)).toBeUndefined();
  await rm(dir, { recursive: true });
});

test('names are unique', () => {
  const names = checkpointCases.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});

test.each(checkpointCases)('$name: $code', async ({ code, damage }) => {
  const dir = copyFixture(fixture);
  try {
    await damage(dir);
    const cpuBefore = process.cpuUsage();
    const fault = await faultOf(dir);
    const { user, system } = process.cpuUsage(cpuBefore);

    expect(fault?.kind.code).toBe(code);
    // What reaches a terminal is short and cannot move its cursor.
    expect(JSON.stringify(fault?.toMessage()).length).toBeLessThan(2_000);
    expect(fault?.message).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect((user + system) / 1e6).toBeLessThan(CPU_SECONDS_MAX);
  } finally {
    await rm(dir, { recursive: true });
  }
});

let program = '';
beforeAll(async () => {
  program = join(await mkdtemp(join(tmpdir(), 'quantd-open-')), 'open-once.mjs');
  await build({
    entryPoints: [join(import.meta.dirname, 'open-once.ts')],
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'esm',
  });
});
afterAll(() => rm(join(program, '..'), { recursive: true }));

test.each(largeCases)('$name: little memory', async ({ name, code, damage }) => {
  const dir = copyFixture(fixture);
  try {
    await damage(dir);
    const { stdout } = await promisify(execFile)(process.execPath, [program, dir]);
    const cost: unknown = JSON.parse(stdout);
    expect(cost).toMatchObject({ code });
    const below = (limit: number) => expect.toSatisfy((value: number) => value < limit);
    expect(cost).toMatchObject({
      grownBytes: below(name.includes('index') ? EXTRA_BYTES_OF_INDEX_MAX : EXTRA_BYTES_MAX),
      cpuSeconds: below(CPU_SECONDS_MAX),
    });
  } finally {
    await rm(dir, { recursive: true });
  }
});
