/**
 * Goal: a run that is killed, interrupted or repeated ends in the bytes of one that was not.
 * Method: whole processes, killed at moments that a seed chooses; the files are compared.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RunEvent } from '../proto/api.ts';
import { makeScratch, mustRunQuantd, parseEvents, runQuantd } from './quantd.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
// Every type of this version: slow enough on one thread to be interrupted half-way.
const TYPES =
  'F32,F16,BF16,Q4_0,Q4_1,Q5_0,Q5_1,Q8_0,Q2_K,Q3_K_S,Q3_K_M,Q3_K_L,Q4_K_S,Q4_K_M,Q5_K_S,Q5_K_M,Q6_K';

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let reference: Map<string, string>;
const words = (out: string, ...more: string[]): string[] => [
  ...['quantize', 'fixtures/tiny-gemma4', '--type', TYPES, '--out', join(scratch.path, out)],
  ...['--name', 'tiny', '--json', ...more],
];

/** SHA-256 of every finished output of a directory. */
function digests(out: string): Map<string, string> {
  const directory = join(scratch.path, out);
  return new Map(
    readdirSync(directory)
      .filter((file) => file.endsWith('.gguf'))
      .sort()
      .map((file) => [
        file,
        createHash('sha256')
          .update(readFileSync(join(directory, file)))
          .digest('hex'),
      ]),
  );
}

const lastEvent = (events: Record<string, unknown>[]): Record<string, unknown> =>
  events.at(-1) ?? {};

beforeAll(async () => {
  scratch = await makeScratch('resume');
  const done = lastEvent(parseEvents(await mustRunQuantd(words('reference'))));
  // Each source byte is read once, whatever the number of outputs.
  expect(done['sourceBytesRead']).toBe(done['sourceBytes']);
  reference = digests('reference');
  expect(reference.size).toBe(17);
});
afterAll(() => scratch.remove());

/** Starts a run and resolves when `when` says so of one of its events. */
async function startUntil(
  out: string,
  data: string,
  when: (event: RunEvent) => boolean,
): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['cli/quantd', ...words(out, '--threads', '1')], {
    cwd: root,
    // The slowest kernels, so that there is a middle to be killed in; the bytes are the same.
    env: { ...process.env, QUANTD_DATA: data, QUANTD_ISA: 'scalar' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    if (when(JSON.parse(line) as RunEvent)) break;
  }
  return child;
}

const ended = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => {
    if (child.exitCode !== null) resolve(child.exitCode);
    child.once('exit', resolve);
  });

/** The daemon's process id stands first in the lock of its data directory. */
const daemonPid = (data: string): number =>
  Number(readFileSync(join(data, 'lock'), 'utf8').split(' ')[0]);

const quantized =
  (share: number) =>
  (event: RunEvent): boolean =>
    event.type === 'progress' &&
    event.stage === 'quantize' &&
    event.bytesDone >= share * event.bytesTotal;

test('killed again and again, then finished: the same bytes, and finished work is kept', async () => {
  const data = join(scratch.path, 'data-killed');
  for (const share of [0.2, 0.75, 0.5]) {
    const child = await startUntil('killed', data, quantized(share));
    process.kill(daemonPid(data), 'SIGKILL');
    child.kill('SIGKILL');
    await ended(child);
    expect(digests('killed').size).toBe(0);
  }
  const run = await mustRunQuantd(words('killed', '--threads', '1'), { data });
  const plan = parseEvents(run).find(({ type }) => type === 'plan') ?? {};
  const done = lastEvent(parseEvents(run));
  expect(digests('killed')).toEqual(reference);
  expect(Number(done['unitsMade'])).toBeLessThan(Number(plan['units']));
});

test('Ctrl-C once finishes what is under way, keeps it and says how to go on', async () => {
  const data = join(scratch.path, 'data-interrupted');
  const child = await startUntil('interrupted', data, quantized(0.3));
  child.kill('SIGINT');
  expect(await ended(child)).toBe(130);
  expect(digests('interrupted').size).toBe(0);
  const run = await mustRunQuantd(words('interrupted'), { data });
  const plan = parseEvents(run).find(({ type }) => type === 'plan') ?? {};
  const outputs = plan['outputs'] as { bytesDone: number }[];
  expect(outputs.every(({ bytesDone }) => bytesDone > 0)).toBe(true);
  expect(digests('interrupted')).toEqual(reference);
});

test('a finished run repeated makes nothing and says that everything is there', async () => {
  const done = lastEvent(parseEvents(await mustRunQuantd(words('reference'))));
  expect(done).toMatchObject({ type: 'done', unitsMade: 0, sourceBytesRead: 0, outputs: 17 });
});

test('threads, memory and instruction set change no byte', async () => {
  await mustRunQuantd(words('one', '--threads', '1', '--ram', '64MiB'), {
    environment: { QUANTD_ISA: 'scalar' },
  });
  expect(digests('one')).toEqual(reference);
  await mustRunQuantd(words('many', '--threads', '7'));
  expect(digests('many')).toEqual(reference);
});

test('a flipped byte in a growing file is found and made again', async () => {
  const data = join(scratch.path, 'data-flipped');
  const child = await startUntil('flipped', data, quantized(0.5));
  child.kill('SIGINT');
  expect(await ended(child)).toBe(130);
  const part = join(scratch.path, 'flipped', 'tiny-Q4_K_M.gguf.part');
  const bytes = readFileSync(part);
  // Somewhere in the tensors that came first, and in the header.
  for (const at of [Math.floor(bytes.length * 0.3), 40]) bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(part, bytes);
  await mustRunQuantd(words('flipped'), { data });
  expect(digests('flipped')).toEqual(reference);
});

test('a finished file that someone changed is refused, not trusted', async () => {
  await mustRunQuantd(words('changed'));
  const file = join(scratch.path, 'changed', 'tiny-Q8_0.gguf');
  const bytes = readFileSync(file);
  bytes[bytes.length - 100] = (bytes[bytes.length - 100] ?? 0) ^ 1;
  writeFileSync(file, bytes);
  const run = await runQuantd(words('changed'));
  expect(run.code).toBe(6);
  expect(lastEvent(parseEvents(run))).toMatchObject({ code: 'QD-6005', file: 'tiny-Q8_0.gguf' });
  await mustRunQuantd(words('changed', '--overwrite'));
  expect(digests('changed')).toEqual(reference);
});
