/**
 * Goal: several machines make the files of one, whatever becomes of them on the way.
 * Method: daemons joined by real invites over loopback, killed, stopped and late; the files are
 * compared with those of a run that knew of no other machine.
 */

import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { InspectReport } from '../proto/inspect.ts';
import { seededRandom } from './checkpoints/random.ts';
import { connectedNames, type Daemon, endDaemons, startDaemon, untilCluster } from './cluster.ts';
import { type Done, digestsOf, past, shareOf, startRun } from './cluster-run.ts';
import { imatrixGguf } from './importance/write-imatrix.ts';
import { makeScratch, mustRunQuantd, parseEvents } from './quantd.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const SOURCE = 'fixtures/tiny-gemma4';
// Enough types that there is a middle of the run, also on a fast machine.
const TYPES = 'F32,F16,BF16,Q4_0,Q5_1,Q8_0,Q2_K,Q3_K_M,Q4_K_S,Q4_K_M,Q5_K_M,Q6_K,IQ4_XS,IQ2_XS';
// The slowest kernels, for the same reason; the bytes are the same.
const SLOW = { QUANTD_ISA: 'scalar' };
const THREADS = 1;
/** Leases of a worker at a time, as the coordinator gives them. */
const LEASES_MAX = THREADS + 2;

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let reference: Map<string, string>;
let daemons = 0;
beforeAll(async () => {
  scratch = await makeScratch('pool');
  await writeImportance();
  await mustRunQuantd([...quantizeWords('alone'), '--solo']);
  reference = digestsIn('alone');
  expect(reference.size).toBe(TYPES.split(',').length);
});
afterEach(() => endDaemons());
afterAll(async () => {
  await endDaemons();
  await scratch.remove();
});

const quantizeWords = (out: string): string[] => [
  ...['quantize', SOURCE, '--type', TYPES, '--out', join(scratch.path, out)],
  ...['--imatrix', join(scratch.path, 'imatrix.gguf'), '--name', 'tiny', '--json'],
];

/** An importance matrix with weights for every matrix of the model's layers. */
async function writeImportance(): Promise<void> {
  const plain = join(scratch.path, 'plain.gguf');
  await mustRunQuantd(['convert', SOURCE, '--type', 'BF16', '--out', plain]);
  const [report = {}] = parseEvents(await mustRunQuantd(['inspect', plain, '--json']));
  const random = seededRandom(1);
  const entries = (report['tensors'] as InspectReport['tensors']).flatMap(({ name, shape }) => {
    const [columns = 1, , slices = 1] = shape;
    if (!name.startsWith('blk.') || shape.length < 2) return [];
    const sums = Float32Array.from({ length: columns * slices }, () => 1 + random.below(1000));
    return [{ name, sums, counts: new Float32Array(slices).fill(512) }];
  });
  const imatrix = { entries, datasets: ['made.txt'], chunks: 1 };
  writeFileSync(join(scratch.path, 'imatrix.gguf'), imatrixGguf(imatrix));
}

const digestsIn = (out: string): Map<string, string> => digestsOf(join(scratch.path, out));
const freshData = (name: string): string => join(scratch.path, `data-${name}-${daemons++}`);

/** A machine that gives all work away. */
function startCoordinator(): Promise<Daemon> {
  const words = ['up', '--name', 'nas', '--threads', '0', '--listen', '127.0.0.1:0'];
  return startDaemon(words, { data: freshData('nas') });
}

async function startWorkers(coordinator: Daemon, names: readonly string[]): Promise<Daemon[]> {
  const workers = await Promise.all(
    names.map((name) =>
      startDaemon(['join', coordinator.token, '--name', name, '--threads', String(THREADS)], {
        data: freshData(name),
        environment: SLOW,
      }),
    ),
  );
  const isWhole = (view: Parameters<typeof connectedNames>[0]): boolean =>
    names.every((name) => connectedNames(view).includes(name));
  await untilCluster(coordinator, isWhole, `connected to ${names.join(', ')}`);
  return workers;
}

const worker = (done: Done, name: string): Done['peers'][number] => {
  const found = done.peers.find((peer) => peer.name === name);
  if (found === undefined) throw new Error(`${name} had no part: ${JSON.stringify(done.peers)}`);
  return found;
};

/** Source bytes of the largest layer, as the checkpoint's own header tells. */
function largestLayerBytes(): number {
  const layers = new Map<string, number>();
  const shards = readdirSync(join(root, SOURCE)).filter((file) => file.endsWith('.safetensors'));
  for (const shard of shards) {
    const bytes = readFileSync(join(root, SOURCE, shard));
    const headerEnd = 8 + Number(bytes.readBigUInt64LE());
    const header = JSON.parse(bytes.toString('utf8', 8, headerEnd)) as Record<
      string,
      { data_offsets?: [number, number] }
    >;
    for (const [name, { data_offsets: [start, end] = [0, 0] }] of Object.entries(header)) {
      const layer = /layers\.(\d+)\./.exec(name)?.[1];
      if (layer === undefined) continue;
      layers.set(layer, (layers.get(layer) ?? 0) + end - start);
    }
  }
  return Math.max(...layers.values());
}

/** Bytes that a worker keeps of the runs of others. */
function storeBytes({ data }: Daemon): number {
  const directory = join(data, 'leaves');
  if (!existsSync(directory)) return 0;
  const sizeOf = (file: string): number => {
    try {
      return statSync(file).size;
    } catch {
      // Dropped or renamed meanwhile.
      return 0;
    }
  };
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + sizeOf(join(parentPath, name)), 0);
}

/** The most that each worker had on its disk while `done` was waited for. */
async function watchStores(workers: readonly Daemon[], done: Promise<Done>): Promise<number[]> {
  const peaks = workers.map(() => 0);
  let isOver = false;
  const over = done.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    workers.forEach((each, index) => {
      peaks[index] = Math.max(peaks[index] ?? 0, storeBytes(each));
    });
    await Promise.race([over, delay(20)]);
  }
  return peaks;
}

test.each([[['a', 'b']], [['a', 'b', 'c', 'd']]])(
  'workers %j make the files of one machine, each from its own part of the source',
  async (names) => {
    const coordinator = await startCoordinator();
    const workers = await startWorkers(coordinator, names);
    const out = `pool-${names.length}`;
    const run = startRun(quantizeWords(out), coordinator.data);
    const peaks = await watchStores(workers, run.done);
    const done = await run.done;
    expect(digestsIn(out)).toEqual(reference);

    // What left for the workers is the source, once; nobody was sent what another has.
    const sent = names.map((name) => worker(done, name).sourceBytes);
    expect(sent.reduce((sum, bytes) => sum + bytes, 0)).toBe(done.sourceBytes);
    expect(done.sourceBytesRead).toBe(done.sourceBytes);
    const shareMax = done.sourceBytes / names.length + largestLayerBytes();
    expect(Math.max(...sent)).toBeLessThanOrEqual(shareMax);
    peaks.forEach((peak, index) => {
      expect(peak).toBeGreaterThan(0);
      expect(peak).toBeLessThanOrEqual(sent[index] ?? 0);
    });
    // The tensor without a source is the only one that was made here.
    expect(done.peers.filter(({ name }) => name === 'local')).toMatchObject([{ tasks: 1 }]);
    for (const { leases, tasks } of done.peers) expect(leases).toBe(tasks);
    expect(workers.map(storeBytes)).toEqual(names.map(() => 0));
  },
);

test('a worker that dies in the middle costs only the leases that it held', async () => {
  const coordinator = await startCoordinator();
  const [victim] = await startWorkers(coordinator, ['a', 'b']);
  const run = startRun(quantizeWords('killed'), coordinator.data);
  const plan = await run.until(({ type }) => type === 'plan');
  expect(plan.type === 'plan' && plan.units).toBeGreaterThanOrEqual(200);
  await run.until(past(0.3));
  const last = run.events.findLast(({ type }) => type === 'progress');
  expect(shareOf(last)).toBeLessThan(0.75);
  await victim?.kill();
  const done = await run.done;
  expect(digestsIn('killed')).toEqual(reference);
  const { leases, tasks } = worker(done, 'a');
  expect(leases).toBeGreaterThan(tasks);
  expect(leases - tasks).toBeLessThanOrEqual(LEASES_MAX);
  const other = worker(done, 'b');
  expect(other.leases).toBe(other.tasks);
});

test('a worker that hangs is gone without, and comes back when it goes on', async () => {
  const coordinator = await startCoordinator();
  const [sleeper] = await startWorkers(coordinator, ['a', 'b']);
  const pid = sleeper?.pid ?? 0;
  const run = startRun(quantizeWords('stopped'), coordinator.data);
  await run.until(past(0.25));
  process.kill(pid, 'SIGSTOP');
  try {
    const isAway = (view: Parameters<typeof connectedNames>[0]): boolean =>
      !connectedNames(view).includes('a');
    await untilCluster(coordinator, isAway, 'rid of the one that hangs');
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  const isBack = (view: Parameters<typeof connectedNames>[0]): boolean =>
    connectedNames(view).includes('a');
  await untilCluster(coordinator, isBack, 'together with it again');
  const done = await run.done;
  expect(digestsIn('stopped')).toEqual(reference);
  const { leases, tasks } = worker(done, 'a');
  expect(leases - tasks).toBeLessThanOrEqual(LEASES_MAX);
});

test('a worker that joins half-way gets a part of what is left', async () => {
  const coordinator = await startCoordinator();
  await startWorkers(coordinator, ['a']);
  const run = startRun(quantizeWords('late'), coordinator.data);
  await run.until(past(0.2));
  await startWorkers(coordinator, ['b']);
  const done = await run.done;
  expect(digestsIn('late')).toEqual(reference);
  expect(worker(done, 'b').tasks).toBeGreaterThan(0);
  // What the first had begun stayed with it: no byte was sent twice.
  expect(done.sourceBytesRead).toBe(done.sourceBytes);
});

test('a run that has no worker waits for one, and says so', async () => {
  const coordinator = await startCoordinator();
  const run = startRun(quantizeWords('waiting'), coordinator.data);
  await run.until((event) => event.type === 'notice' && event.text.includes('quantd invite'));
  await startWorkers(coordinator, ['a']);
  await run.done;
  expect(digestsIn('waiting')).toEqual(reference);
});

test('a coordinator that dies goes on where it was, with what the workers still have', async () => {
  const coordinator = await startCoordinator();
  await startWorkers(coordinator, ['a', 'b']);
  const first = startRun(quantizeWords('restarted'), coordinator.data);
  await first.until(past(0.4));
  await coordinator.kill();
  await expect(first.done).rejects.toThrow();
  expect(digestsIn('restarted').size).toBe(0);
  const { data } = coordinator;
  const words = ['up', '--name', 'nas', '--threads', '0', '--listen', '127.0.0.1:0'];
  const again = await startDaemon(words, { data });
  const isWhole = (view: Parameters<typeof connectedNames>[0]): boolean =>
    connectedNames(view).length === 2;
  await untilCluster(again, isWhole, 'found by its workers again');
  const done = await startRun(quantizeWords('restarted'), again.data).done;
  expect(digestsIn('restarted')).toEqual(reference);
  // What a worker had been sent was not sent again.
  expect(done.sourceBytesRead).toBeLessThan(done.sourceBytes);
});
