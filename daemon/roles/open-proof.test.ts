/**
 * Goal: what an unfinished output holds counts only where it is known from which bytes it was made,
 * and where those are the bytes of the source.
 */

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { layoutGguf } from '../core/gguf/layout.ts';
import { type FilePiece, taskPieces } from '../core/plan/file-segments.ts';
import { type Plan, planRun } from '../core/plan/plan.ts';
import type { MeasurementFiles, Source } from '../ports.ts';
import { type ProofPorts, type ProvenRun, settleSource } from './open-proof.ts';
import type { OutputAssembler } from './output-assembler.ts';
import { PieceRecords } from './piece-records.ts';
import { keepRight, tasksOfRuns } from './stored-runs.ts';

const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();
const clock = { now: () => 0, after: () => () => undefined };
const BYTES = Uint8Array.from({ length: 4 * 32 * 3 }, (_, index) => index);

/** Three tensors one behind the other, in one output. */
const plan: Plan = planRun({
  tensors: [0, 1, 2].map((index) => ({
    name: `t${index}`,
    shape: [32],
    keepF32: true,
    source: {
      kind: 'checkpoint',
      dtype: 'F32',
      parts: [part(index)],
    },
  })),
  outputs: [
    {
      file: 'x.gguf',
      types: new Map([0, 1, 2].map((index) => [`t${index}`, 'F32' as const])),
      layout: layoutGguf({
        metadata: [],
        tensors: [0, 1, 2].map((index) => ({ name: `t${index}`, shape: [32], type: 'F32' })),
      }),
    },
  ],
  fileDigests: new Map([['a', Buffer.from(sha256(BYTES)).toString('hex')]]),
  sha256,
});

function part(index: number): FilePiece & { name: string; dtype: 'F32'; shape: number[] } {
  const place = { file: 'a', fileDigest: '', offset: index * 128, bytes: 128 };
  return { name: `t${index}`, dtype: 'F32', shape: [32], ...place };
}

function filesInMemory(): MeasurementFiles & { readonly files: Map<string, Uint8Array> } {
  const files = new Map<string, Uint8Array>();
  return {
    files,
    list: async () => [...files.keys()],
    read: async (name) => files.get(name),
    write: async (name, bytes) => void files.set(name, bytes),
    remove: async (name) => void files.delete(name),
    drop: async () => files.clear(),
  };
}

/** An output of which everything is there. */
function assemblerOf(isSealed = false): { assembler: OutputAssembler; forgotten: number[] } {
  const forgotten: number[] = [];
  const assembler = {
    isSealed,
    storedRuns: () => [0, 1, 2].filter((run) => !forgotten.includes(run)),
    forget: (runs: readonly number[]) => void forgotten.push(...runs),
  } as unknown as OutputAssembler;
  return { assembler, forgotten };
}

async function settle(files: MeasurementFiles, assembler: OutputAssembler): Promise<void> {
  const source = {
    read: async (_: string, offset: number, into: Uint8Array) => {
      into.set(BYTES.subarray(offset, offset + into.length));
    },
  } as unknown as Source;
  const proven = { plan, source, release: 'ab'.repeat(16), assemblers: [assembler] };
  const kernels = { sha256: async (bytes: Uint8Array) => sha256(bytes) };
  await settleSource(
    proven as unknown as ProvenRun,
    { kernels, sha256, clock, openMeasurement: async () => files } as unknown as ProofPorts,
  );
}

/** Records of the three pieces: one right, one of other bytes, none of the third. */
async function recorded(): Promise<ReturnType<typeof filesInMemory>> {
  const files = filesInMemory();
  const records = await PieceRecords.open(files, sha256, clock);
  await records.begin();
  for (const [run, other] of [0, 1].entries()) {
    const task = tasksOfRuns(plan)[0]?.[run] ?? -1;
    const [piece] = taskPieces(plan, task);
    if (piece === undefined) throw new Error('no piece');
    const bytes = BYTES.slice(piece.offset, piece.offset + piece.bytes);
    bytes[0] = (bytes[0] ?? 0) ^ other;
    expect(records.add(piece, [sha256(bytes)], 'w')).toBe(true);
    expect(records.add(piece, [sha256(new Uint8Array(1))], 'v')).toBe(false);
  }
  await records.write();
  return files;
}

test('of a run that goes on otherwise only what is of the source’s bytes stays', async () => {
  const files = await recorded();
  const { assembler, forgotten } = assemblerOf();
  await settle(files, assembler);
  expect(forgotten).toEqual([1, 2]);
  expect(files.files.size).toBe(0);
});

test('a run that never was of several machines keeps everything', async () => {
  const { assembler, forgotten } = assemblerOf();
  await settle(filesInMemory(), assembler);
  expect(forgotten).toEqual([]);
});

test('what is sealed had been proven', () => {
  const { assembler, forgotten } = assemblerOf(true);
  expect(keepRight(assembler, [0, 1, 2], () => false)).toEqual([0, 1, 2]);
  expect(forgotten).toEqual([]);
});

test('records are read again, but for a file that was forgotten and lines that are none', async () => {
  const files = await recorded();
  files.files.set('x', new TextEncoder().encode('[["zz",1,2,"",3],{}]'));
  files.files.set('y', new TextEncoder().encode('{'));
  const records = await PieceRecords.open(files, sha256, clock);
  const pieces = [0, 1, 2].flatMap((task) => taskPieces(plan, task));
  const known = pieces.filter((piece) => records.get(piece) !== undefined);
  expect(known.length).toBe(2);
  await records.forget(known[0]?.fileDigest ?? '');
  // That there were records stays known.
  expect(files.files.size).toBe(1);
  const after = await PieceRecords.open(files, sha256, clock);
  expect(pieces.some((piece) => after.get(piece) !== undefined)).toBe(false);
});
