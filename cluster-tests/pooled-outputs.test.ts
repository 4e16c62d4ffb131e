/**
 * Goal: outputs that grow on the disks of several machines are the files of one, whatever becomes of
 * a machine that has one, and none needs the room of all; a hub gets them from where they lie.
 * Method: daemons joined over loopback, one of them killed while it assembles; the files are compared
 * with those of a run that knew of no other machine, and what lies on each disk is measured.
 */

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RunEvent } from '../proto/api.ts';
import { LEFT_FILE, leftRecord } from '../proto/left-record.ts';
import { connectedNames, type Daemon, endDaemons, startDaemon, untilCluster } from './cluster.ts';
import { digestsOf, past, type RunningCommand, startRun } from './cluster-run.ts';
import { type LoopbackHub, startHub, TOKEN } from './hub/loopback-hub.ts';
import { makeScratch, mustRunQuantd } from './quantd.ts';
import { sampleUntil } from './sample-until.ts';

const TYPES = 'Q2_K,IQ4_XS,Q4_K_M';
const OUTPUTS = TYPES.split(',').length;

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let reference: Map<string, string>;
let coordinator: Daemon;
let hub: LoopbackHub;
const workers = new Map<string, Daemon>();
beforeAll(async () => {
  scratch = await makeScratch('pooled');
  hub = await startHub();
  await mustRunQuantd([...words('alone'), '--solo']);
  reference = digestsOf(join(scratch.path, 'alone'));
  expect(reference.size).toBe(OUTPUTS);
  const up = ['up', '--name', 'nas', '--threads', '0', '--listen', '127.0.0.1:0'];
  coordinator = await startDaemon(up, { data: join(scratch.path, 'data-nas') });
  for (const name of ['a', 'b']) await startWorker(name, [coordinator.token]);
});
afterAll(async () => {
  await endDaemons();
  await hub.close();
  await scratch.remove();
});

const words = (out: string, ...more: string[]): string[] => [
  ...['quantize', 'fixtures/tiny-gemma4', '--type', TYPES, '--out', join(scratch.path, out)],
  ...['--name', 'tiny', '--json', ...more],
];

async function startWorker(name: string, token: readonly string[]): Promise<void> {
  const data = join(scratch.path, `data-${name}`);
  const join_ = ['join', ...token, '--name', name, '--threads', '1'];
  workers.set(name, await startDaemon(join_, { data }));
  const isHere = (view: Parameters<typeof connectedNames>[0]): boolean =>
    connectedNames(view).includes(name);
  await untilCluster(coordinator, isHere, `connected to ${name}`);
}

/** Bytes of outputs on each machine's disk, as allocated: its own, and those of others' runs. */
function outputBytes(out: string): Map<string, number> {
  const folders = [...workers].map(([name, { data }]) => [name, join(data, 'outputs')] as const);
  return new Map(
    [['nas', join(scratch.path, out)] as const, ...folders].map(([name, folder]) => {
      const files = existsSync(folder)
        ? readdirSync(folder, { recursive: true, withFileTypes: true })
        : [];
      const bytes = files
        .filter((entry) => entry.isFile() && /\.gguf(\.part)?$/.test(entry.name))
        .reduce((sum, { parentPath, name: file }) => {
          const found = statSync(join(parentPath, file), { throwIfNoEntry: false });
          return sum + (found?.blocks ?? 0) * 512;
        }, 0);
      return [name, bytes];
    }),
  );
}

/** The most that each disk had of outputs until the last was sealed where it grew. */
async function watchDisks(out: string, run: RunningCommand): Promise<Map<string, number>> {
  const peaks = new Map<string, number>();
  const isCollecting = (): boolean =>
    run.events.some((event) => event.type === 'progress' && event.stage === 'collect');
  await sampleUntil(run.done, 100, () => {
    if (isCollecting()) return;
    for (const [name, bytes] of outputBytes(out)) {
      peaks.set(name, Math.max(peaks.get(name) ?? 0, bytes));
    }
  });
  return peaks;
}

const eventOf = <T extends RunEvent['type']>(
  run: RunningCommand,
  type: T,
): Extract<RunEvent, { type: T }>[] =>
  run.events.filter((event): event is Extract<RunEvent, { type: T }> => event.type === type);

const bytesOf = (run: RunningCommand): Map<string, number> =>
  new Map(eventOf(run, 'plan')[0]?.outputs.map(({ file, bytes }) => [file, bytes]));

/** What each machine is to have, by the event that tells it. */
function placedBytes(run: RunningCommand): Map<string, number> {
  const sizes = bytesOf(run);
  const placed = new Map<string, number>();
  for (const { file, machine } of eventOf(run, 'assembly')[0]?.outputs ?? []) {
    const name = machine === 'local' ? 'nas' : machine;
    placed.set(name, (placed.get(name) ?? 0) + (sizes.get(file) ?? 0));
  }
  return placed;
}

// What a file system adds to each file: whole blocks, and room it takes ahead.
const SLACK = 1.02;
const SLACK_BYTES = OUTPUTS * 65_536;

function expectDisks(run: RunningCommand, peaks: ReadonlyMap<string, number>): void {
  const placed = placedBytes(run);
  expect([...placed.keys()].sort()).toEqual(['a', 'b', 'nas']);
  const shown = [...placed].map(
    ([name, bytes]) => `${name}: ${bytes} bytes placed, ${peaks.get(name)} on disk at most`,
  );
  process.stdout.write(`${shown.join('\n')}\n`);
  for (const [name, bytes] of placed) {
    const most = peaks.get(name) ?? 0;
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(bytes * SLACK + SLACK_BYTES);
  }
}

test('outputs grow on all disks, one of them restarted, and are left there', async () => {
  const run = startRun(words('out', '--leave'), coordinator.data);
  const peaks = watchDisks('out', run);
  await run.until(({ type }) => type === 'assembly');
  await run.until(past(0.2));
  await workers.get('a')?.kill();
  await startWorker('a', []);
  await run.done;
  expectDisks(run, await peaks);
  const told = eventOf(run, 'output').map(({ file, path, sha256, machine }) => {
    expect(createHash('sha256').update(readFileSync(path)).digest('hex')).toBe(sha256);
    const owner = workers.get(machine ?? '')?.data ?? join(scratch.path, 'out');
    expect(path.startsWith(owner)).toBe(true);
    return [file, sha256] as const;
  });
  expect(new Map(told.sort())).toEqual(reference);
  const machines = eventOf(run, 'output').map(({ machine }) => machine ?? 'nas');
  expect(machines.sort()).toEqual(['a', 'b', 'nas']);
});

const release = (...more: string[]): RunningCommand => {
  const [, ...wishes] = words('release', ...more);
  return startRun(['release', ...wishes], coordinator.data);
};
const publish = (...more: string[]): RunningCommand => {
  const address = ['--repo', 'org/tiny-GGUF', '--hub-url', hub.url, '--json'];
  return startRun(['publish', folder(), ...address, ...more], coordinator.data, {
    HF_TOKEN: TOKEN,
  });
};
const folder = (): string => join(scratch.path, 'release', 'tiny-GGUF');

test('a release of what lies on other disks is published from there', async () => {
  const run = release('--leave');
  await run.done;
  const told = readFileSync(join(folder(), LEFT_FILE), 'utf8');
  const { outputs } = leftRecord.parse(JSON.parse(told));
  expect(outputs.map(({ machine }) => machine).sort()).toEqual(['a', 'b']);
  expect(digestsOf(folder()).size).toBe(OUTPUTS - outputs.length);
  const sums = readFileSync(join(folder(), 'SHA256SUMS'), 'utf8');
  for (const [file, sha256] of reference) expect(sums).toContain(`${sha256}  ${file}\n`);

  // As if a were a machine that is not here: its name among peers is another.
  const { file: lost = '', peer = '' } = outputs.find(({ machine }) => machine === 'a') ?? {};
  writeFileSync(join(folder(), LEFT_FILE), told.replace(peer, [...peer].reverse().join('')));
  await expect(publish('--yes').done).rejects.toThrow(new RegExp(`${lost}","why":"a: .*QD-6706`));
  expect([hub.uploads.puts, hub.uploads.repositories.size]).toEqual([[], 0]);
  writeFileSync(join(folder(), LEFT_FILE), told);
  const sent = publish('--yes');
  await sent.done;
  const planned = eventOf(sent, 'publish')[0]?.files ?? [];
  const far = planned.flatMap(({ file, machine }) => (machine === undefined ? [] : [file]));
  expect(far.sort()).toEqual(outputs.map(({ file }) => file).sort());
  const received = hub.uploads.repositories.get('org/tiny-GGUF')?.files ?? new Map();
  expect(received.has(LEFT_FILE)).toBe(false);
  for (const [file, sha256] of reference) {
    expect(createHash('sha256').update(received.get(file)).digest('hex')).toBe(sha256);
  }
  expect(digestsOf(folder()).size).toBe(OUTPUTS - outputs.length);
});

test('the same command without the option collects them; nothing is made twice', async () => {
  const later = release();
  const done = await later.done;
  expect(done.unitsMade).toBe(0);
  expect(digestsOf(folder())).toEqual(reference);
  expect(existsSync(join(folder(), LEFT_FILE))).toBe(false);
  const left = outputBytes('release');
  expect([left.get('a'), left.get('b')]).toEqual([0, 0]);
});
