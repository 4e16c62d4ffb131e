/**
 * Goal: what is collected is what its machine has sealed, whole, or has no name.
 * Method: the real role over a false disk; the other machine is a function that gives bytes.
 */

import { expect, test } from 'vitest';
import { type MappedOutput, outputId } from '../../daemon/core/plan/assembly-map.ts';
import { hex, type UnitId } from '../../daemon/core/plan/unit-id.ts';
import { type CollectParts, collectOutput } from '../../daemon/roles/collect-outputs.ts';
import type { BlobName } from '../../proto/blob-names.ts';
import { FaultError } from '../../proto/fault.ts';
import { diceOf } from './dice.ts';
import { FalseDisk, unwatched } from './false-disk.ts';
import { falseKernels } from './false-kernels.ts';
import { peerIdOf } from './false-network.ts';
import { sha256, sha256Hex } from './sha256.ts';
import { Process, World } from './world.ts';

const RUNS = 40;
const RUN_BYTES = 100;
const header = new Uint8Array(64).fill(7);
const fileBytes = header.length + RUNS * (RUN_BYTES + 28);
/** Header, then runs with zeros behind each. */
const whole = new Uint8Array(fileBytes);
whole.set(header);
const runs = Array.from({ length: RUNS }, (_, run) => {
  const offset = header.length + run * (RUN_BYTES + 28);
  whole.fill(1 + run, offset, offset + RUN_BYTES);
  return { offset, bytes: RUN_BYTES, unit: hex(sha256(Uint8Array.of(run))) as UnitId };
});
const id = outputId(sha256, header, fileBytes, runs);
const output: MappedOutput = { file: 'model.gguf', layout: { header, fileBytes }, runs, id };

type Give = (blob: Extract<BlobName, { kind: 'output' }>, into: Uint8Array) => void;

interface Collecting {
  readonly disk: FalseDisk;
  readonly world: World;
}

function begin(): Collecting {
  const world = new World(diceOf(3), false);
  return { world, disk: new FalseDisk(world.dice, unwatched, () => undefined) };
}

/** Collects as one process would; returns the code of what it threw. */
async function collect(
  { world, disk }: Collecting,
  give: Give,
  more: { readonly sha256?: string; readonly drain?: AbortSignal } = {},
): Promise<string | undefined> {
  const process = new Process(world, 'coordinator');
  const directory = disk.openFor(process);
  const pull: CollectParts['network']['pull'] = async (_, blob, into, { signal }) => {
    await process.later(5, 'a part comes', () => undefined);
    signal.throwIfAborted();
    if (blob.kind === 'output') give(blob, into);
  };
  const remote = {
    ...{ output, peer: peerIdOf('member'), name: 'member' },
    sha256: more.sha256 ?? sha256Hex(whole),
  };
  const parts: CollectParts = {
    ...{ network: { pull }, run: '0'.repeat(32), directory, overwrite: false, sha256 },
    kernels: falseKernels(process, { leastMs: 1, bytesPerMs: 1000 }),
    clock: process.clock,
    progress: { add: () => undefined },
    drain: more.drain ?? new AbortController().signal,
  };
  let isOver = false;
  let code: string | undefined;
  const done = collectOutput(remote, parts)
    .catch((error: unknown) => {
      if (!(error instanceof FaultError)) throw error;
      code = error.kind.code;
    })
    .finally(async () => {
      await directory.close();
      isOver = true;
    });
  await world.run(() => isOver);
  await done;
  return code;
}

const right: Give = ({ offset }, into) => into.set(whole.subarray(offset, offset + into.length));
const names = ({ disk }: Collecting): string[] => [...disk.outputs.entries.keys()];

test('all of it comes, each byte once, and it has its name', async () => {
  const collecting = begin();
  let bytes = 0;
  const code = await collect(collecting, (blob, into) => {
    bytes += into.length;
    right(blob, into);
  });
  expect(code).toBeUndefined();
  expect(bytes).toBe(RUNS * RUN_BYTES);
  expect(names(collecting)).toEqual(['model.gguf']);
  expect(collecting.disk.outputs.entries.get('model.gguf')?.bytes).toEqual(whole);
});

test('bytes that are not those of the digest get no name, and are not kept', async () => {
  const collecting = begin();
  const wrong: Give = (blob, into) => {
    right(blob, into);
    if (blob.offset > fileBytes / 2) into[3] = 0;
  };
  expect(await collect(collecting, wrong)).toBe('QD-6704');
  expect(names(collecting)).toEqual([]);
  expect(await collect(collecting, right, { sha256: sha256Hex(header) })).toBe('QD-6704');
  expect(names(collecting)).toEqual([]);
  expect(await collect(collecting, right)).toBeUndefined();
  expect(names(collecting)).toEqual(['model.gguf']);
});

test('what has come before an interruption does not come again', async () => {
  const collecting = begin();
  const drain = new AbortController();
  const seen: number[] = [];
  const until =
    (count: number): Give =>
    (blob, into) => {
      right(blob, into);
      seen.push(blob.offset);
      if (seen.length === count) drain.abort();
    };
  expect(await collect(collecting, until(RUNS / 2), { drain: drain.signal })).toBe('QD-1301');
  expect(names(collecting)).toEqual(['model.gguf.part']);
  expect(await collect(collecting, until(0))).toBeUndefined();
  // What was under way when it was interrupted is not written, of each lane one at most.
  expect(seen.length).toBeGreaterThanOrEqual(RUNS);
  expect(seen.length).toBeLessThanOrEqual(RUNS + 4);
  expect(collecting.disk.outputs.entries.get('model.gguf')?.bytes).toEqual(whole);
});

test('a machine that is away for a while is waited for; one that stays away ends it', async () => {
  const collecting = begin();
  let refusals = 0;
  const away =
    (until: number): Give =>
    (blob, into) => {
      if (refusals++ < until) throw new Error('not connected');
      right(blob, into);
    };
  expect(await collect(collecting, away(1000))).toBe('QD-6703');
  expect(names(collecting)).toEqual(['model.gguf.part']);
  refusals = 0;
  expect(await collect(collecting, away(20))).toBeUndefined();
  expect(names(collecting)).toEqual(['model.gguf']);
});
