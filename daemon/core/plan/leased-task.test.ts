import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Lease } from '../../../proto/peer-messages.ts';
import { layoutGguf } from '../gguf/layout.ts';
import type { ModelTensor } from '../models/family.ts';
import { BadLease, leaseOf, readLease } from './leased-task.ts';
import { type Plan, planRun } from './plan.ts';

const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();

/** Experts of two parts in different files, with importance, in two types. */
function samplePlan(columns: number, rows: number, slices: number): Plan {
  const bytes = columns * rows * slices * 2;
  const half = Math.floor(bytes / 4) * 2;
  const part = (file: string, offset: number, length: number) => ({
    ...{ name: file, dtype: 'BF16' as const, shape: [length / 2] },
    ...{ file, offset, bytes: length },
  });
  const tensor: ModelTensor = {
    name: 'blk.3.ffn_up_exps.weight',
    shape: [columns, rows, slices],
    keepF32: false,
    source: {
      kind: 'checkpoint',
      dtype: 'BF16',
      parts: [part('a.safetensors', 64, half), part('b.safetensors', 0, bytes - half)],
    },
  };
  const outputs = (['Q4_K', 'Q8_0'] as const).map((type) => ({
    file: `${type}.gguf`,
    types: new Map([[tensor.name, type]]),
    layout: layoutGguf({
      metadata: [],
      tensors: [{ name: tensor.name, shape: tensor.shape, type }],
    }),
  }));
  const weights = new Float32Array(columns * slices).fill(1);
  const digests = Array.from({ length: slices }, (_, slice) => sha256(new Uint8Array([slice])));
  return planRun({
    tensors: [tensor],
    outputs,
    fileDigests: new Map([
      ['a.safetensors', 'aa'.repeat(32)],
      ['b.safetensors', 'bb'.repeat(32)],
    ]),
    importance: new Map([[tensor.name, { weights, digests }]]),
    sha256,
  });
}

const terms = { run: '0'.repeat(32), sources: ['p'], assemblers: ['q'], leaves: [] };

test('a lease read on another machine is the same task, unit by unit', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 3 }),
      (blocks, rows, slices) => {
        const plan = samplePlan(blocks * 256, rows, slices);
        plan.tasks.forEach((task, index) => {
          const all = task.runs.map((_, run) => run);
          for (const wanted of [all, [0], [1]]) {
            const read = readLease(leaseOf(plan, index, wanted, terms), sha256);
            expect(read.runs.map(({ unit }) => unit)).toEqual(
              wanted.map((run) => task.runs[run]?.unit),
            );
            expect(read.group).toEqual(task.group);
            expect(read.columns).toBe(task.columns);
          }
        });
      },
    ),
    { numRuns: 60 },
  );
});

test('weights are asked for only where the blocks depend on them', () => {
  const plan = samplePlan(256, 4, 1);
  expect(leaseOf(plan, 0, [0], terms).importance).toEqual(plan.tasks[0]?.importance?.digest);
  expect(leaseOf(plan, 0, [1], terms).importance).toBeUndefined();
});

const lease = (changes: Partial<Lease>): Lease => ({
  ...leaseOf(samplePlan(256, 4, 2), 1, [0, 1], terms),
  ...changes,
});
const swapped = lease({}).runs.map((run, at, runs) => ({ ...run, unit: runs[1 - at]?.unit ?? '' }));
const longer = lease({}).runs.map((run) => ({ ...run, bytes: run.bytes + 1 }));

test.each<[string, Partial<Lease>]>([
  ['another tensor under the same ids', { tensor: 'blk.4.ffn_up_exps.weight' }],
  ['other rows under the same ids', { rowStart: 0 }],
  ['other weights under the same ids', { importance: new Uint8Array(32) }],
  ['rows beyond the tensor', { rowStart: 8 }],
  ['rows of two experts', { rowStart: 2, rows: 4 }],
  ['no rows', { rows: 0 }],
  ['a type that is none', { element: 'toString' }],
  ['rows that are no whole blocks', { element: 'Q4_K', shape: [100, 4, 2] }],
  ['fewer source bytes than the rows have', { pieces: [] }],
  ['no block runs', { runs: [] }],
  ['a block run of another length', { runs: longer }],
  ['the id of another unit', { runs: swapped }],
  ['more source than a row group ever has', { shape: [2 ** 30, 4, 2] }],
])('%s is no lease', (_, changes) => {
  expect(() => readLease(lease(changes), sha256)).toThrow(BadLease);
});
