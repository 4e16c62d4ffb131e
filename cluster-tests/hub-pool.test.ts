/**
 * Goal: machines of a cluster fetch their parts of a repository by themselves, each byte once, and
 * make the files of one machine that has the directory; a wrong bit on one way is found before
 * anything is sealed, and machines may die or have no way to the hub.
 * Method: real daemons and the loopback hub, which knows what each of them asked for.
 */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectedNames, type Daemon, endDaemons, startDaemon, untilCluster } from './cluster.ts';
import { type Done, digestsOf, past, type RunningCommand, startRun } from './cluster-run.ts';
import { allocatedBytes, watchDisk } from './disk-use.ts';
import { askedBy, type LoopbackHub, MACHINE_TOKENS, startHub } from './hub/loopback-hub.ts';
import { directoryRepository } from './hub/repository.ts';
import { makeScratch, mustRunQuantd } from './quantd.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const CHECKPOINT = join(root, 'fixtures/tiny-gemma4');
const SHARDS = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
const [, SECOND = ''] = SHARDS;
const TYPES = 'BF16,Q8_0';
const MIB = 1 << 20;
// Of the file system.
const BLOCK = 4096;
// The embedding; nothing else of the model is so large.
const PIECE_MAX = MIB;
// The same kernels on all of them: each gets its share.
const SLOW = { QUANTD_ISA: 'scalar' };
const [OWN_TOKEN = '', ...WORKER_TOKENS] = MACHINE_TOKENS;
const tokenOf = (name: string): string => WORKER_TOKENS[Number(name.slice(1))] ?? '';
const sizeOf = (file: string): number => statSync(join(CHECKPOINT, file)).size;

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let hub: LoopbackHub;
let reference: Map<string, string>;
let coordinator: Daemon;
let workers: Daemon[];
const at = (name: string): string => join(scratch.path, name);

beforeAll(async () => {
  scratch = await makeScratch('hub-pool');
  await mustRunQuantd([
    ...['quantize', CHECKPOINT, '--type', TYPES, '--name', 'tiny'],
    ...['--out', at('alone'), '--solo'],
  ]);
  reference = digestsOf(at('alone'));
  hub = await startHub(await directoryRepository(CHECKPOINT, { name: 'test-org/tiny' }));
  coordinator = await startDaemon(
    ['up', '--name', 'nas', '--threads', '1', '--listen', '127.0.0.1:0'],
    { data: at('nas'), environment: SLOW },
  );
  workers = await Promise.all([joinAs('w0', hub.url), joinAs('w1', hub.url)]);
  await untilConnected(2);
});
afterAll(async () => {
  await endDaemons();
  await hub.close();
  await scratch.remove();
});

/** A worker with a token of its own, which its user lets fetch from that hub. */
function joinAs(name: string, hubUrl: string): Promise<Daemon> {
  const words = ['join', coordinator.token, '--name', name, '--threads', '1'];
  const environment = { ...SLOW, HF_ENDPOINT: hubUrl, HF_TOKEN: tokenOf(name) };
  return startDaemon(words, { data: at(name), environment });
}

async function untilConnected(count: number): Promise<void> {
  await untilCluster(coordinator, (view) => connectedNames(view).length === count, 'whole');
}

function quantize(out: string, ...more: string[]): RunningCommand {
  const words = [
    ...['quantize', 'test-org/tiny', '--type', TYPES, '--out', at(out)],
    ...['--hub-url', hub.url, '--json', ...more],
  ];
  return startRun(words, coordinator.data, { HF_TOKEN: OWN_TOKEN });
}

function total(bytes: ReadonlyMap<string, number>): number {
  return SHARDS.reduce((sum, file) => sum + (bytes.get(file) ?? 0), 0);
}

/**
 * Weights that several machines have measured with: one that is too slow for a layer of its own helps
 * another, and layers move when machines turn out slower than they thought.
 */
function copiesOf(events: RunningCommand['events']): { most: number; bytes: number } {
  const machines = new Map<number, Set<string>>();
  for (const { from, to, names } of events.flatMap((event) =>
    event.type === 'layers' ? event.stages : [],
  )) {
    for (let layer = from; layer < to; layer++) {
      machines.set(layer, new Set([...(machines.get(layer) ?? []), ...names]));
    }
  }
  const counts = [...machines].map(([layer, { size }]) => ({ layer, more: size - 1 }));
  return {
    most: counts.reduce((most, { more }) => Math.max(most, more + 1), 1),
    bytes: counts.reduce((sum, { layer, more }) => sum + more * layerBytes(layer), 0),
  };
}

/** Bytes of a layer's weights in the checkpoint. */
function layerBytes(layer: number): number {
  let bytes = 0;
  for (const file of SHARDS) {
    const whole = readFileSync(join(CHECKPOINT, file));
    const header = whole.subarray(8, 8 + Number(whole.readBigUInt64LE()));
    const tensors = Object.entries(
      JSON.parse(header.toString()) as Record<string, { data_offsets?: [number, number] }>,
    );
    for (const [name, { data_offsets: [start, end] = [0, 0] }] of tensors) {
      if (name.includes(`.layers.${layer}.`)) bytes += end - start;
    }
  }
  return bytes;
}

/** Runs it, and holds what all disks take and what the hub serves against what each machine made. */
async function checkShared(run: RunningCommand, out: string): Promise<Done> {
  const machines = [coordinator, ...workers];
  const directories = machines.map(({ data }) => data);
  const before = directories.reduce((sum, directory) => sum + allocatedBytes(directory), 0);
  const served = new Map(hub.served);
  const [most, sums] = await Promise.all([
    watchDisk([...directories, at(out)], run.done, 50),
    watchDisk(
      directories.map((data) => join(data, 'measurements')),
      run.done,
      50,
    ),
  ]);
  const done = await run.done;
  // The outputs, and the source once: besides 2 %, the leaf of each header and the last block of each
  // piece, which are nothing beside a model of some size.
  const source = SHARDS.reduce((sum, file) => sum + sizeOf(file), 0);
  const least = allocatedBytes(at(out)) + source;
  const pieces =
    run.events.flatMap((event) => (event.type === 'plan' ? [event.tasks] : []))[0] ?? 0;
  console.log(`disk of all: ${most - before} bytes; outputs and the source once: ${least}`);
  // What an idle machine makes again because a slow one is long at it, both of them have fetched.
  const again = done.peers.reduce((sum, { leases, tasks }) => sum + leases - tasks, 0) * PIECE_MAX;
  // Sums of what was measured do not grow with the weights; beside these little ones they show.
  const copies = copiesOf(run.events);
  const overhead = SHARDS.length * MIB + pieces * BLOCK * copies.most + again + sums + copies.bytes;
  expect(most - before).toBeLessThanOrEqual(1.02 * least + overhead);
  // Of the headers a leaf each, whatever else stands in it.
  for (const file of SHARDS) {
    const bytes = (hub.served.get(file) ?? 0) - (served.get(file) ?? 0);
    console.log(`the hub served ${bytes} bytes of ${file}, which has ${sizeOf(file)}`);
    expect(bytes).toBeLessThanOrEqual(sizeOf(file) + MIB + again + copies.bytes);
  }
  // Nothing of the source stays anywhere.
  for (const { data } of machines) {
    expect(existsSync(join(data, 'hub', 'test-org--tiny'))).toBe(false);
    await until(() => readdirSync(join(data, 'leaves')).length === 0);
  }
  return done;
}

test('each machine fetches its own part, once', async () => {
  const run = quantize('clean');
  const { peers } = await checkShared(run, 'clean');
  expect(digestsOf(at('clean'))).toEqual(reference);
  // How much each gets follows from how fast it found itself to be; what it makes it has fetched.
  const others = peers.filter(({ name }) => name !== 'local');
  for (const { name, tasks } of others) {
    expect(total(askedBy(hub, tokenOf(name))) > 0, name).toBe(tasks > 0);
  }
  expect(others.reduce((sum, { tasks }) => sum + tasks, 0)).toBeGreaterThan(0);
  expect(others.map(({ sourceBytes }) => sourceBytes)).toEqual(others.map(() => 0));
});

test('measured on the way, each machine fetches its own part, once', async () => {
  const calibration = ['--calibration', 'default', '--chunks', '17', '--ctx', '32'];
  const words = ['quantize', CHECKPOINT, '--type', TYPES, '--name', 'tiny', ...calibration];
  await mustRunQuantd([...words, '--out', at('alone-measured'), '--solo']);
  const run = quantize('measured', ...calibration);
  const { peers } = await checkShared(run, 'measured');
  // The matrix among them.
  expect(digestsOf(at('measured'))).toEqual(digestsOf(at('alone-measured')));
  // Of what others need to quantize, the coordinator has the embedding, which it has looked up.
  for (const { name, leases, tasks, sourceBytes } of peers) {
    const most = 1.01 * PIECE_MAX + (leases - tasks) * PIECE_MAX + copiesOf(run.events).bytes;
    if (name !== 'local') expect(sourceBytes).toBeLessThanOrEqual(most);
  }
});

test('a flipped bit is found; what is then fetched anew is right, whoever dies over it', async () => {
  workers.push(await joinAs('w2', 'http://127.0.0.1:9'));
  await untilConnected(3);
  // Behind the header, which the coordinator reads.
  hub.rule({ at: 'storage', path: SECOND, after: 1, trouble: { kind: 'flip' } });
  // An output grows on another machine, which hears what is made anew.
  const wrong = quantize('again', '--pool-outputs');
  await expect(wrong.done).rejects.toThrow(/QD-6801/);
  expect(wrong.events.at(-1)).toMatchObject({ type: 'fault', exit: 6, file: SECOND });
  expect(digestsOf(at('again')).size).toBe(0);

  const right = quantize('again', '--pool-outputs');
  await right.until(past(0.5));
  const keepers = JSON.stringify(right.events.find(({ type }) => type === 'assembly'));
  expect(keepers).toMatch(/"w[012]"/);
  await workers[keepers.includes('"w0"') ? 1 : 0]?.kill();
  await right.done;
  expect(digestsOf(at('again'))).toEqual(reference);
  const notices = [...wrong.events, ...right.events].flatMap((event) =>
    event.type === 'notice' ? [event.text] : [],
  );
  expect(notices).toContainEqual(expect.stringMatching(/^w2 gets its part of the source through/));
  expect(askedBy(hub, tokenOf('w2')).size).toBe(0);
});

/** Looks until it is so; what a closed run leaves goes a moment later. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await delay(50);
}
