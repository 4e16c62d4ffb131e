/**
 * Goal: neither end of an assembly can be made to believe or to keep what it should not.
 * Method: the real role at one end, at the other somebody who says what no role says.
 */

import { beforeEach, expect, test } from 'vitest';
import { assemblyMap, type MappedOutput, outputId } from '../../daemon/core/plan/assembly-map.ts';
import { journalHead } from '../../daemon/core/plan/run-journal.ts';
import { hex, type UnitId } from '../../daemon/core/plan/unit-id.ts';
import type { HeldOutputs, Network } from '../../daemon/ports.ts';
import { AssemblyHolder } from '../../daemon/roles/assembly-holder.ts';
import { AssemblyPool } from '../../daemon/roles/assembly-pool.ts';
import type { BlobName } from '../../proto/blob-names.ts';
import type {
  Assemble,
  AssemblyMessage,
  AssemblyState,
  MemberRole,
} from '../../proto/peer-messages.ts';
import { diceOf } from './dice.ts';
import { FalseDisk, unwatched } from './false-disk.ts';
import { falseHeldOutputs } from './false-held-outputs.ts';
import { falseKernels } from './false-kernels.ts';
import { LeafDisk } from './false-leaf-store.ts';
import { FalseNetwork, peerIdOf, peerOf } from './false-network.ts';
import { sha256 } from './sha256.ts';
import { Process, World } from './world.ts';

const RUN = '5'.repeat(32);
const SPEED = { leastMs: 1, bytesPerMs: 1000 };
const [COORDINATOR, MEMBER] = [peerIdOf('coordinator'), peerIdOf('member')];
const offer = { threads: 1, ramBytes: 1000, diskBytes: 2000, bytesPerSecond: 1 };

function outputOf(fileBytes: number, places: readonly [number, number][]): MappedOutput {
  const header = new Uint8Array(10).fill(7);
  const runs = places.map(([offset, bytes], index) => {
    return { offset, bytes, unit: hex(sha256(Uint8Array.of(index))) as UnitId };
  });
  const id = outputId(sha256, header, fileBytes, runs);
  return { file: 'model.gguf', layout: { header, fileBytes }, runs, id };
}

const good = outputOf(500, [
  [10, 100],
  [200, 300],
]);

function assembleOf(output: MappedOutput, more: Partial<Assemble> = {}): Assemble {
  return {
    kind: 'assemble',
    ...{ run: RUN, output: 0, opening: 1, release: RUN },
    file: output.file,
    id: output.id,
    fileBytes: output.layout.fileBytes,
    headerBytes: 10,
    runCount: output.runs.length,
    map: sha256(assemblyMap(output)),
    ...more,
  };
}

let world: World;
let network: FalseNetwork;
let disk: FalseDisk;
let heard: AssemblyMessage[];
beforeEach(() => {
  world = new World(diceOf(1), false);
  const nothing = (): undefined => undefined;
  network = new FalseNetwork(world, { sent: nothing, said: nothing, parted: nothing });
  disk = new FalseDisk(world.dice, unwatched, nothing);
  heard = [];
});

function join(name: string, role: MemberRole): { process: Process; network: Network } {
  const process = new Process(world, name);
  return { process, network: network.join(process, peerOf(name, role, offer)) };
}

async function pass(milliseconds: number): Promise<void> {
  const endMs = world.nowMs + milliseconds;
  world.at(milliseconds, undefined, 'enough', () => undefined);
  await world.run(() => world.nowMs >= endMs);
}

/** A real holder, and whoever speaks to it and serves `map` for every map. */
async function speakTo(
  role: MemberRole,
  map: Uint8Array,
  outputs: Partial<HeldOutputs> = {},
): Promise<Network> {
  const member = join(MEMBER, 'worker');
  const holder = new AssemblyHolder({
    network: member.network,
    kernels: falseKernels(member.process, SPEED),
    clock: member.process.clock,
    sha256,
    outputs: { ...falseHeldOutputs(disk, member.process, RUN), ...outputs },
    disk: new LeafDisk(world.dice, offer.diskBytes).offeredTo(member.process),
    own: () => undefined,
  });
  void holder.start();
  const speaker = join(COORDINATOR, role).network;
  speaker.listen({
    message: (_, message) => {
      if ('output' in message) heard.push(message);
    },
  });
  speaker.serve({
    read: async (_, blob, offset, bytes) =>
      blob.kind === 'assembly-map' && blob.bytes === map.length
        ? map.subarray(offset, offset + bytes)
        : undefined,
  });
  await pass(1000);
  return speaker;
}

const phases = (): string[] =>
  heard.map((message) => (message.kind === 'assembly-state' ? message.phase : message.kind));

test('a coordinator that means it is answered', async () => {
  const speaker = await speakTo('coordinator', assemblyMap(good));
  speaker.send(MEMBER, assembleOf(good));
  await pass(5000);
  expect(phases()).toEqual(['open']);
  expect([...disk.outputs.entries.keys()]).toEqual(['model.gguf.part']);
});

const large = outputOf(2001, []);
const overlapping = outputOf(500, [
  [10, 100],
  [109, 9],
]);
const beyond = outputOf(500, [[400, 101]]);

test.each([
  ['the map of another output', outputOf(500, [[10, 100]]), assembleOf(good)],
  ['a digest of another map', good, assembleOf(good, { map: sha256(new Uint8Array(1)) })],
  ['the id of another output', good, assembleOf(good, { id: sha256(new Uint8Array(1)) })],
  ['a longer file than its id says', good, assembleOf(good, { fileBytes: 501 })],
  ['a file that is larger than what is offered', large, assembleOf(large)],
  ['runs over one another', overlapping, assembleOf(overlapping)],
  ['a run behind the file', beyond, assembleOf(beyond)],
])('%s: refused, and nothing is written', async (_, served, asked) => {
  const speaker = await speakTo('coordinator', assemblyMap(served));
  speaker.send(MEMBER, asked);
  await pass(600_000);
  expect(phases()).toEqual(['declined']);
  expect([...disk.outputs.entries.keys()]).toEqual([]);
});

test('outputs beyond what a machine can hold at a time are declined, so that others take them', async () => {
  const small = outputOf(11, [[10, 1]]);
  const speaker = await speakTo('coordinator', assemblyMap(small));
  for (let output = 0; output < 70; output++) {
    speaker.send(MEMBER, assembleOf(small, { output, file: `${output}.gguf` }));
  }
  await pass(60_000);
  const declined = heard.filter((each) => each.kind === 'assembly-state' && each.declined);
  expect(phases().filter((phase) => phase === 'open')).toHaveLength(64);
  expect(declined).toHaveLength(6);
  expect(disk.outputs.entries.size).toBe(64);
});

test('an output is said to be ended when it is deleted, however often that is asked for', async () => {
  const end = { kind: 'assembly-end', run: RUN, output: 0, opening: 1, erase: true } as const;
  const remove = (): Promise<void> =>
    new Promise((resolve) => {
      world.at(20_000, undefined, 'deleted', resolve);
    });
  const speaker = await speakTo('coordinator', assemblyMap(good), { remove });
  speaker.send(MEMBER, assembleOf(good));
  await pass(5000);
  speaker.send(MEMBER, end);
  await pass(5000);
  speaker.send(MEMBER, end);
  await pass(5000);
  expect(phases()).toEqual(['open']);
  await pass(15_000);
  expect(phases()).toEqual(['open', 'ended', 'ended']);
  speaker.send(MEMBER, end);
  await pass(5000);
  expect(phases()).toEqual(['open', 'ended', 'ended', 'ended']);
});

test('what could not be deleted is not said to be', async () => {
  const remove = (): Promise<void> => Promise.reject(new Error('the disk is gone'));
  const speaker = await speakTo('coordinator', assemblyMap(good), { remove });
  speaker.send(MEMBER, assembleOf(good));
  await pass(5000);
  const end = { kind: 'assembly-end', run: RUN, output: 0, opening: 1, erase: true } as const;
  for (let time = 0; time < 2; time++) {
    speaker.send(MEMBER, end);
    await pass(5000);
  }
  expect(phases()).toEqual(['open']);
});

test('a member that is no coordinator is not heard', async () => {
  const speaker = await speakTo('worker', assemblyMap(good));
  speaker.send(MEMBER, assembleOf(good));
  await pass(60_000);
  expect(heard).toEqual([]);
  expect([...disk.outputs.entries.keys()]).toEqual([]);
});

test('a run of another digest is not written, and nothing is sealed that lacks a run', async () => {
  const speaker = await speakTo('coordinator', assemblyMap(good));
  speaker.serve({
    read: async (_, blob, offset, bytes) =>
      blob.kind === 'block-run'
        ? new Uint8Array(blob.bytes).subarray(offset, offset + bytes)
        : undefined,
  });
  const place = { run: RUN, output: 0, opening: 1 };
  speaker.send(MEMBER, assembleOf(good));
  await pass(5000);
  const take = { serial: 4, digest: sha256(new Uint8Array(99)), from: COORDINATOR };
  const takes = [
    { ...take, run: 0 },
    { ...take, run: 2 },
  ];
  speaker.send(MEMBER, { kind: 'assembly-take', ...place, takes });
  await pass(60_000);
  expect(heard.at(-1)).toMatchObject({ kind: 'assembly-taken', written: [], failed: [4] });
  speaker.send(MEMBER, { kind: 'assembly-seal', ...place });
  await pass(60_000);
  expect(phases().at(-1)).toBe('lost');
  expect([...disk.outputs.entries.keys()]).toEqual(['model.gguf.part']);
});

test('a coordinator believes nothing that an opening, a number or a machine makes impossible', async () => {
  const { process, network: own } = join(COORDINATOR, 'coordinator');
  const liar = join(MEMBER, 'worker').network;
  const other = join(peerIdOf('other'), 'worker').network;
  const openings: number[] = [];
  liar.listen({
    message: (_, message) => {
      if (message.kind === 'assemble') openings.push(message.opening);
    },
  });
  const { clock } = process;
  const pool = new AssemblyPool({
    ...{ network: own, clock, sha256, run: RUN, release: RUN, firstOpening: 7 },
  });
  pool.start();
  const remote = pool.add(0, good, MEMBER, 'member');
  // The first may come before the connection is known there.
  await pass(8000);
  expect([...new Set(openings)]).toEqual([8]);
  const state: AssemblyState = {
    kind: 'assembly-state',
    ...{ run: RUN, output: 0, opening: 8, stored: Uint8Array.of(0xff, 0xff, 0xff) },
    phase: 'open',
    verifiedBytes: 0,
  };
  // Another machine, another run, another output, an earlier opening, a file sealed with no digest.
  other.send(COORDINATOR, state);
  liar.send(COORDINATOR, { ...state, run: '6'.repeat(32) });
  liar.send(COORDINATOR, { ...state, output: 1 });
  liar.send(COORDINATOR, { ...state, opening: 7 });
  liar.send(COORDINATOR, { ...state, phase: 'sealed' });
  const taken = { written: [0], stored: [0], failed: [0] };
  liar.send(COORDINATOR, { kind: 'assembly-taken', run: RUN, output: 0, opening: 8, ...taken });
  await pass(2000);
  expect([remote.isOpen, remote.isSealed, remote.storedRuns()]).toEqual([false, false, []]);
  // Bits and numbers of runs that there are not.
  liar.send(COORDINATOR, { ...state, stored: Uint8Array.of(0xfe, 0xff) });
  await pass(2000);
  const beyond = { written: [0, 2, 131_072], stored: [3], failed: [99] };
  liar.send(COORDINATOR, { kind: 'assembly-taken', run: RUN, output: 0, opening: 8, ...beyond });
  await pass(2000);
  expect(remote.storedRuns()).toEqual([1]);
  expect([0, 1, 2, 3, 131_072].filter((run) => remote.holds(run))).toEqual([0, 1]);
  // Of two that speak of one run, one would hear what the other is told.
  const parts = { network: own, clock, sha256, run: RUN, release: RUN, firstOpening: 99 };
  expect(() => new AssemblyPool(parts).add(0, good, MEMBER, 'member')).toThrow('QD-6705');
  pool.stop();
  expect(new AssemblyPool(parts).add(0, good, MEMBER, 'member').isOpen).toBe(false);
});

test('a sealed output is given to coordinators that name its release and its id, and to nobody else', async () => {
  const { layout, id, runs, file } = good;
  const bytes = new Uint8Array(layout.fileBytes).map((_, index) => index);
  const lay = async (name: string): Promise<void> => {
    const journal = journalHead(sha256, id, runs.length);
    const process = new Process(world, 'before');
    const output = await disk.openFor(process).open(name, bytes.length, { overwrite: false });
    await output.restart(journal);
    await output.write(0, bytes);
    await output.commit(new Uint8Array(0));
    if (name === file) await output.seal();
    process.end();
  };
  void lay(file).then(() => lay('growing.gguf'));
  await pass(1000);
  const asked = async (
    role: MemberRole,
    more: Partial<Extract<BlobName, { kind: 'output' }>> = {},
  ): Promise<Uint8Array | undefined> => {
    const name = `${role} ${joined++}`;
    const { network: own } = join(peerIdOf(name), role);
    await pass(1000);
    const blob = { kind: 'output', run: RUN, id, offset: 100, bytes: 300, ...more } as const;
    const into = new Uint8Array(blob.bytes);
    let isThere: boolean | undefined;
    const { signal } = new AbortController();
    void own.pull([MEMBER], blob, into, { signal }).then(
      () => {
        isThere = true;
      },
      () => {
        isThere = false;
      },
    );
    await pass(60_000);
    expect(isThere).toBeDefined();
    return isThere ? into : undefined;
  };
  let joined = 0;
  await speakTo('worker', new Uint8Array(0));
  expect(await asked('coordinator')).toEqual(bytes.subarray(100, 400));
  expect(await asked('coordinator', { offset: 499, bytes: 1 })).toEqual(bytes.subarray(499));
  expect(await asked('worker')).toBe(undefined);
  expect(await asked('coordinator', { run: '6'.repeat(32) })).toBe(undefined);
  expect(await asked('coordinator', { id: sha256(bytes) })).toBe(undefined);
  expect(await asked('coordinator', { offset: 499, bytes: 2 })).toBe(undefined);
  disk.remove(file);
  await pass(200_000);
  // What is not sealed is of no use to anyone.
  expect(await asked('coordinator')).toBe(undefined);
});
