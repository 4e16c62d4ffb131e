/**
 * Goal: whatever is wrong with an importance matrix, a user gets its code, and no output is begun.
 * Method: every case through one daemon, as the command does; and random damage to whole files,
 * which must end in a fault or in weights that the kernels may be given.
 */

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Connection } from '../../cli/daemon.ts';
import { openImatrix } from '../../daemon/roles/open-imatrix.ts';
import { FaultError } from '../../proto/fault.ts';
import { imatrixDat, imatrixGguf } from '../importance/write-imatrix.ts';
import { connectQuantd, makeScratch } from '../quantd.ts';
import { type ImatrixCase, imatrixCases, sound } from './imatrix-cases.ts';

const fixture = join(import.meta.dirname, '../../fixtures/tiny-gemma4');

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let daemon: Connection;
beforeAll(async () => {
  scratch = await makeScratch('imatrix-damage');
  daemon = await connectQuantd(join(scratch.path, 'data'));
});
afterAll(async () => {
  await daemon.close();
  await scratch.remove();
});

/** Quantizes the fixture and returns the code of the fault, or undefined where it was done. */
async function codeOf(imatrix: string): Promise<string | undefined> {
  const request = {
    kind: 'quantize' as const,
    source: fixture,
    out: join(scratch.path, 'out'),
    types: ['Q4_K_M'],
    tensorTypes: [],
    overwrite: true,
    leaveOutputTensor: false,
    pure: false,
    allowRequantize: false,
    keepSplit: false,
    pruneLayers: [],
    imatrix: { path: imatrix, given: 'the imatrix' },
    includeWeights: [],
    excludeWeights: [],
    overrideKv: [],
    dryRun: false,
  };
  for await (const event of daemon.client.run(request)) {
    if (event.type === 'fault') return event.code;
    if (event.type === 'done') return undefined;
  }
  return 'no answer';
}

test.each([
  ['GGUF', imatrixGguf(sound())],
  ['.dat', imatrixDat(sound())],
])('the %s without damage is taken', async (_, bytes) => {
  const file = join(scratch.path, 'sound');
  await writeFile(file, bytes);
  expect(await codeOf(file)).toBeUndefined();
  await rm(join(scratch.path, 'out'), { recursive: true });
});

test('each case has a name of its own', () => {
  const names = new Set(imatrixCases.map(({ name }) => name));
  expect(names.size).toBe(imatrixCases.length);
  console.log(`${imatrixCases.length} damaged importance matrices`);
});

test.each(imatrixCases)('an importance matrix with $name: $code', async (damaged: ImatrixCase) => {
  const file = join(scratch.path, 'damaged');
  await writeFile(file, damaged.bytes());
  expect(await codeOf(file)).toBe(damaged.code);
  expect(existsSync(join(scratch.path, 'out'))).toBe(false);
});

test.each(['absent', '.'])('the path %j: QD-4301', async (name) => {
  expect(await codeOf(join(scratch.path, name))).toBe('QD-4301');
});

const tensors = sound().entries.map(({ name, sums, counts }) => ({
  name,
  shape: [sums.length / counts.length, 1, counts.length],
}));
const ports = {
  kernels: { sha256: async (bytes: Uint8Array) => createHash('sha256').update(bytes).digest() },
  splitPath: (file: string) => ({ file }),
};

test.each([
  ['GGUF', imatrixGguf(sound())],
  ['.dat', imatrixDat(sound())],
])(
  'random damage to the %s is a fault, or leaves weights ≥ 0 of the right number',
  async (_, bytes) => {
    const change = fc.record({
      at: fc.nat({ max: bytes.length - 1 }),
      value: fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.nat({ max: 255 })),
    });
    const damage = fc.record({
      changes: fc.array(change, { maxLength: 4 }),
      length: fc.oneof(fc.constant(bytes.length), fc.nat({ max: bytes.length })),
    });
    await fc.assert(
      fc.asyncProperty(damage, async ({ changes, length }) => {
        const damaged = bytes.slice(0, length);
        for (const { at, value } of changes) if (at < length) damaged[at] = value;
        const importance = await openDamaged(damaged);
        for (const { weights, digests } of importance?.tensors.values() ?? []) {
          expect(weights.every((weight) => weight >= 0 && weight < Infinity)).toBe(true);
          expect(
            tensors.map(({ shape: [columns = 0, , slices = 0] }) => columns * slices),
          ).toContain(weights.length);
          expect(weights.length % digests.length).toBe(0);
        }
      }),
      { numRuns: 400 },
    );
  },
);

async function openDamaged(
  bytes: Uint8Array,
): Promise<Awaited<ReturnType<typeof openImatrix>> | undefined> {
  const reader = {
    bytes: bytes.length,
    read: async (offset: number, into: Uint8Array) => {
      // A reader of a real file ends in a fault here; reading past the end is a bug of ours.
      expect(offset + into.length).toBeLessThanOrEqual(bytes.length);
      into.set(bytes.subarray(offset, offset + into.length));
    },
    close: async () => {},
  };
  const request = { path: 'x', given: 'x', filters: { include: [], exclude: [] } };
  try {
    return await openImatrix(request, tensors, { ...ports, openFile: async () => reader });
  } catch (error) {
    if (error instanceof FaultError) return undefined;
    throw error;
  }
}
