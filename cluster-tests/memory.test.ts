/**
 * Goal: memory stays small however large the checkpoint is. Method: a 4 GB checkpoint of holes is
 * quantized with 512 MiB for everything: in a memory control group where the system has them and
 * lets us make one, else with the resident memory sampled and the limit checked by the test.
 */

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeMemoryGroup, whyNoMemoryGroups } from './cgroups.ts';
import { writeSparseCheckpoint } from './checkpoints/generate.ts';
import { makeScratch } from './quantd.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const LIMIT_BYTES = 512 * 1024 * 1024;
const SOURCE_BYTES = 4e9;

let scratch: Awaited<ReturnType<typeof makeScratch>>;
beforeAll(async () => {
  scratch = await makeScratch('memory');
});
afterAll(() => scratch.remove());

function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text.split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Anonymous memory of a process and its children, in bytes. */
function anonymousBytes(pid: number): number {
  return [pid, ...childrenOf(pid)].reduce((sum, each) => {
    try {
      const status = readFileSync(`/proc/${each}/status`, 'utf8');
      return sum + Number(/RssAnon:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
    } catch {
      return sum;
    }
  }, 0);
}

test('4 GB are quantized within 512 MiB', { timeout: 300_000 }, async () => {
  const source = join(scratch.path, 'source');
  const bytes = await writeSparseCheckpoint(source, SOURCE_BYTES);
  expect(bytes).toBeGreaterThan(3.5e9);
  const why = whyNoMemoryGroups();
  const group = why === undefined ? makeMemoryGroup(LIMIT_BYTES) : undefined;
  if (why !== undefined) console.log(`resident memory is sampled instead: ${why}`);
  const [command = '', ...words] = [
    ...(group?.prefix ?? []),
    ...[process.execPath, 'cli/quantd', 'quantize', source, '--type', 'Q4_0', '--json'],
    ...['--out', join(scratch.path, 'out'), '--name', 'big'],
  ];
  const run = spawn(command, words, {
    cwd: root,
    env: { ...process.env, QUANTD_DATA: join(scratch.path, 'data') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  run.stdout.on('data', (text) => {
    said += text;
  });
  let sampledPeak = 0;
  const sampler = setInterval(() => {
    sampledPeak = Math.max(sampledPeak, anonymousBytes(run.pid ?? 0));
  }, 100);
  const code = await new Promise((resolve) => run.once('close', resolve));
  clearInterval(sampler);

  expect(code).toBe(0);
  const done = JSON.parse(said.trim().split('\n').at(-1) ?? '{}') as Record<string, number>;
  expect(done['sourceBytesRead']).toBe(done['sourceBytes']);
  expect(done['sourceBytesRead']).toBeGreaterThan(3.5e9);
  expect(sampledPeak).toBeGreaterThan(0);
  expect(sampledPeak).toBeLessThan(LIMIT_BYTES);
  const place = group === undefined ? 'sampled' : `control group v${group.version}`;
  console.log(
    `${(done['sourceBytesRead'] ?? 0) / 1e9} GB in ${done['seconds']} s, ` +
      `${Math.round(sampledPeak / 2 ** 20)} MiB anonymous at most (${place})`,
  );
  if (group !== undefined) {
    expect(group.killCount()).toBe(0);
    expect(group.peakBytes()).toBeLessThanOrEqual(LIMIT_BYTES);
    await group.remove();
  }
});
