/**
 * Goal: memory stays small however large the checkpoint is. Method: a 4 GB checkpoint of holes is
 * quantized with 512 MiB for everything: in a memory control group where the system has them and
 * lets us make one, else with the resident memory sampled and the limit checked by the test.
 */

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeSparseCheckpoint } from './checkpoints/generate.ts';
import { makeScratch } from './quantd.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const LIMIT_BYTES = 512 * 1024 * 1024;
const SOURCE_BYTES = 4e9;

interface Group {
  readonly kind: string;
  readonly procs: string;
  readonly peak: () => number;
  remove(): void;
}

/** A memory control group of either version, or why there is none. */
function makeGroup(): Group | string {
  if (process.platform !== 'linux') return 'this system has no control groups';
  if (process.getuid?.() !== 0) return 'control groups need root';
  const attempts: [string, string, string, string][] = [
    ['v1', '/sys/fs/cgroup/memory', 'memory.limit_in_bytes', 'memory.max_usage_in_bytes'],
    ['v2', '/sys/fs/cgroup', 'memory.max', 'memory.peak'],
  ];
  for (const [kind, parent, limit, peak] of attempts) {
    const path = join(parent, `quantd-test-${process.pid}`);
    try {
      if (!existsSync(parent)) continue;
      mkdirSync(path);
      writeFileSync(join(path, limit), String(LIMIT_BYTES));
      return {
        kind: `control group ${kind}`,
        procs: join(path, 'cgroup.procs'),
        peak: () => Number(readFileSync(join(path, peak), 'utf8')),
        remove: () => rmdirSync(path),
      };
    } catch {
      if (existsSync(path)) rmdirSync(path);
    }
  }
  return 'no memory control group can be made here';
}

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
  const group = makeGroup();
  if (typeof group === 'string') console.log(`resident memory is sampled instead: ${group}`);
  const command = [
    ...[process.execPath, 'cli/quantd', 'quantize', source, '--type', 'Q4_0', '--json'],
    ...['--out', join(scratch.path, 'out'), '--name', 'big'],
  ];
  // The shell joins the group before it becomes the command, so that all of it counts.
  const enter = typeof group === 'string' ? '' : `echo $$ > ${group.procs}; `;
  const run = spawn('bash', ['-c', `${enter}exec "$@"`, 'bash', ...command], {
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
  const place = typeof group === 'string' ? 'sampled' : group.kind;
  console.log(
    `${(done['sourceBytesRead'] ?? 0) / 1e9} GB in ${done['seconds']} s, ` +
      `${Math.round(sampledPeak / 2 ** 20)} MiB anonymous at most (${place})`,
  );
  if (typeof group !== 'string') {
    expect(group.peak()).toBeLessThanOrEqual(LIMIT_BYTES);
    group.remove();
  }
});
