/**
 * Goal: outputs that grow on the disks of several machines are the files of one, whatever becomes of
 * a machine that has one, and none needs the room of all.
 * Method: daemons joined over loopback, one of them killed while it assembles; the files are compared
 * with those of a run that knew of no other machine, and what lies on each disk is measured.
 */

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RunEvent } from '../proto/api.ts';
import { connectedNames, type Daemon, endDaemons, startDaemon, untilCluster } from './cluster.ts';
import { type Done, digestsOf, past, type RunningCommand, startRun } from './cluster-run.ts';
import { makeScratch, mustRunQuantd } from './quantd.ts';

const TYPES = 'Q4_K_M,Q8_0,Q2_K,Q6_K,IQ4_XS,Q5_K_M';
const OUTPUTS = TYPES.split(',').length;
// The slowest kernels, so that there is a middle; the bytes are the same.
const SLOW = { QUANTD_ISA: 'scalar' };

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let reference: Map<string, string>;
let coordinator: Daemon;
const workers = new Map<string, Daemon>();
beforeAll(async () => {
  scratch = await makeScratch('pooled');
  await mustRunQuantd([...words('alone'), '--solo']);
  reference = digestsOf(join(scratch.path, 'alone'));
  expect(reference.size).toBe(OUTPUTS);
  const up = ['up', '--name', 'nas', '--threads', '0', '--listen', '127.0.0.1:0'];
  coordinator = await startDaemon(up, { data: join(scratch.path, 'data-nas') });
  for (const name of ['a', 'b']) await startWorker(name, [coordinator.token]);
});
afterAll(async () => {
  await endDaemons();
  await scratch.remove();
});

const words = (out: string, ...more: string[]): string[] => [
  ...['quantize', 'fixtures/tiny-gemma4', '--type', TYPES, '--out', join(scratch.path, out)],
  ...['--name', 'tiny', '--json', ...more],
];

async function startWorker(name: string, token: readonly string[]): Promise<void> {
  const data = join(scratch.path, `data-${name}`);
  const join_ = ['join', ...token, '--name', name, '--threads', '1'];
  workers.set(name, await startDaemon(join_, { data, environment: SLOW }));
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
  let isOver = false;
  const over = run.done.then(
    () => undefined,
    () => undefined,
  );
  void over.then(() => {
    isOver = true;
  });
  const isCollecting = (): boolean =>
    run.events.some((event) => event.type === 'progress' && event.stage === 'collect');
  while (!isOver && !isCollecting()) {
    for (const [name, bytes] of outputBytes(out)) {
      if (!isCollecting()) peaks.set(name, Math.max(peaks.get(name) ?? 0, bytes));
    }
    await Promise.race([over, delay(20)]);
  }
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
    expect(peaks.get(name) ?? 0).toBeLessThanOrEqual(bytes * SLACK + SLACK_BYTES);
  }
}

test('a machine that dies while it assembles goes on, and all is collected', async () => {
  const run = startRun(words('killed', '--pool-outputs'), coordinator.data);
  const peaks = watchDisks('killed', run);
  await run.until(({ type }) => type === 'assembly');
  await run.until(past(0.4));
  await workers.get('a')?.kill();
  await startWorker('a', []);
  const done: Done = await run.done;
  expect(digestsOf(join(scratch.path, 'killed'))).toEqual(reference);
  expectDisks(run, await peaks);
  // What was collected is nowhere else any more.
  const left = outputBytes('killed');
  expect([left.get('a'), left.get('b')]).toEqual([0, 0]);
  expect(eventOf(run, 'notice').map(({ text }) => text)).toEqual([]);
  expect(done.outputs).toBe(OUTPUTS);
});

test('outputs that are left lie sealed on their machines, and a repeated run finds them', async () => {
  const run = startRun(words('left', '--leave'), coordinator.data);
  const peaks = watchDisks('left', run);
  await run.done;
  expectDisks(run, await peaks);
  const told = eventOf(run, 'output');
  const found = told.map(({ file, path, sha256 }) => {
    const digest = createHash('sha256').update(readFileSync(path)).digest('hex');
    expect(sha256).toBe(digest);
    return [file, digest] as const;
  });
  expect(new Map(found.sort())).toEqual(reference);
  const machines = told.map(({ machine }) => machine ?? 'nas');
  expect([...new Set(machines)].sort()).toEqual(['a', 'b', 'nas']);
  for (const { path, machine } of told) {
    const owner = workers.get(machine ?? '')?.data ?? join(scratch.path, 'left');
    expect(path.startsWith(owner)).toBe(true);
  }

  const again = startRun(words('left', '--leave'), coordinator.data);
  const done = await again.done;
  expect(done.unitsMade).toBe(0);
  expect(
    eventOf(again, 'output')
      .map(({ file, sha256 }) => [file, sha256])
      .sort(),
  ).toEqual(found.sort());
});
