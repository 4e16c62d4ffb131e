/**
 * Goal: whatever is wrong with a checkpoint, a user gets its code, no file has a final name, and the
 * daemon's memory stays what it was. Method: every damage case through one daemon, as commands do.
 */

import { existsSync, readdirSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Connection } from '../../cli/daemon.ts';
import { connectQuantd, makeScratch } from '../quantd.ts';
import { smallGguf } from './any-gguf.ts';
import { copyFixture, type DamageCase } from './case.ts';
import { checkpointCases } from './checkpoint-cases.ts';
import { ggufDamage } from './gguf-cases.ts';
import { modelCases } from './model-cases.ts';

// Node keeps what it once took for parsing; a leak over some hundred cases would be far more.
const GROWTH_BYTES_MAX = 192 * 1024 * 1024;

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let daemon: Connection;
let residentBytes: number;

beforeAll(async () => {
  scratch = await makeScratch('refuses');
  daemon = await connectQuantd(join(scratch.path, 'data'));
  // The undamaged model first, so that what is loaded once is loaded.
  expect(await codeOf(copyFixture('tiny-gemma4'))).toBeUndefined();
  residentBytes = (await daemon.client.status()).residentBytes;
});
afterAll(async () => {
  await daemon.close();
  await scratch.remove();
});

/** Quantizes a checkpoint and returns the code of the fault, or undefined where it was done. */
async function codeOf(source: string): Promise<string | undefined> {
  const out = join(scratch.path, 'out');
  const request = {
    kind: 'quantize' as const,
    source,
    out,
    types: ['Q4_K_M'],
    tensorTypes: [],
    overwrite: true,
    leaveOutputTensor: false,
    pure: false,
    allowRequantize: false,
    keepSplit: false,
    pruneLayers: [],
    includeWeights: [],
    excludeWeights: [],
    overrideKv: [],
    dryRun: false,
  };
  try {
    for await (const event of daemon.client.run(request)) {
      if (event.type === 'fault') return event.code;
      if (event.type === 'done') return undefined;
    }
    return 'no answer';
  } finally {
    await rm(source, { recursive: true, force: true });
  }
}

test.each([...checkpointCases, ...modelCases])(
  '$name: $code',
  async ({ code, damage }: DamageCase) => {
    await rm(join(scratch.path, 'out'), { recursive: true, force: true });
    const source = copyFixture('tiny-gemma4');
    await damage(source);
    expect(await codeOf(source)).toBe(code);
    const out = join(scratch.path, 'out');
    expect(
      existsSync(out) ? readdirSync(out).filter((file) => file.endsWith('.gguf')) : [],
    ).toEqual([]);
  },
);

test('the daemon answers, and its memory is what it was', async () => {
  const status = await daemon.client.status();
  expect(status.runs).toEqual([]);
  expect(status.residentBytes - residentBytes).toBeLessThan(GROWTH_BYTES_MAX);
});

test.each(ggufDamage)('a GGUF with $name: $code', async ({ code, damage }) => {
  const file = join(scratch.path, 'damaged.gguf');
  await writeFile(file, damage(smallGguf()));
  await expect(daemon.client.inspect(file)).rejects.toMatchObject({ fault: { code } });
});
