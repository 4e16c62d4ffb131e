import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sourceDtypes } from '../checkpoint/checkpoint.ts';
import { type BlockTypeName, rowBytes } from '../gguf/block-types.ts';
import { layoutGguf } from '../gguf/layout.ts';
import type { ModelTensor } from '../models/family.ts';
import { type Plan, planRun, type TaskOrder } from './plan.ts';
import { cutRowGroups, ROW_GROUP_BYTES_MAX, tensorRows } from './row-groups.ts';

const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();

/** A tensor whose bytes lie in several parts of one file, cut at any element row. */
const anyTensor: fc.Arbitrary<ModelTensor> = fc
  .record({
    columns: fc.constantFrom(32, 256, 2816, 1 << 20),
    rows: fc.integer({ min: 1, max: 3000 }),
    experts: fc.integer({ min: 1, max: 5 }),
    dtype: fc.constantFrom('BF16' as const, 'F32' as const),
    parts: fc.integer({ min: 1, max: 4 }),
  })
  .map(({ columns, rows, experts, dtype, parts }) => {
    const bytes = columns * rows * experts * sourceDtypes[dtype];
    const cuts = Array.from(
      { length: parts + 1 },
      (_, i) => Math.floor((bytes * i) / parts / 4) * 4,
    );
    cuts[parts] = bytes;
    return {
      name: 'blk.0.ffn_up_exps.weight',
      shape: [columns, rows, experts],
      keepF32: false,
      source: {
        kind: 'checkpoint',
        dtype,
        parts: cuts.slice(1).map((end, i) => ({
          name: `part ${i}`,
          dtype,
          shape: [],
          file: `shard-${i % 2}.safetensors`,
          offset: 8 + (cuts[i] ?? 0),
          bytes: end - (cuts[i] ?? 0),
        })),
      },
    };
  });

// Goal: no row is lost, made twice or cut across experts, and the ranges are the parts in order.
test('row groups cover every row once, inside one slice, from the right bytes', () => {
  fc.assert(
    fc.property(anyTensor, (tensor) => {
      const { columns, rowsPerSlice, slices } = tensorRows(tensor.shape);
      let row = 0;
      let byte = 0;
      for (const group of cutRowGroups(tensor)) {
        expect(group.rowStart).toBe(row);
        const slice = Math.floor(row / rowsPerSlice);
        expect(Math.floor((row + group.rows - 1) / rowsPerSlice)).toBe(slice);
        expect(group.sourceBytes <= ROW_GROUP_BYTES_MAX || group.rows === 1).toBe(true);
        for (const range of group.ranges) {
          expect(range.offset).toBe(8 + byte);
          byte += range.bytes;
        }
        row += group.rows;
      }
      expect(row).toBe(rowsPerSlice * slices);
      expect(byte).toBe(
        columns *
          row *
          (tensor.source.kind === 'checkpoint' ? sourceDtypes[tensor.source.dtype] : 4),
      );
    }),
    { numRuns: 60 },
  );
});

function planOf(types: readonly BlockTypeName[], fileDigest = 'aa'): Plan {
  const shape = [256, 40, 3];
  const tensors: ModelTensor[] = [
    {
      name: 'rope_freqs.weight',
      shape: [64],
      keepF32: true,
      source: { kind: 'generated', values: new Float32Array(64).fill(1) },
    },
    {
      name: 'blk.0.ffn_up_exps.weight',
      shape,
      keepF32: false,
      source: {
        kind: 'checkpoint',
        dtype: 'BF16',
        parts: [
          { name: 'x', dtype: 'BF16', shape: [3, 40, 256], file: 'm', offset: 100, bytes: 61440 },
        ],
      },
    },
  ];
  return planRun({
    tensors,
    sha256,
    fileDigests: new Map([['m', fileDigest]]),
    outputs: types.map((type) => {
      const placed = [
        { name: 'rope_freqs.weight', shape: [64], type: 'F32' as const },
        { name: 'blk.0.ffn_up_exps.weight', shape, type },
      ];
      return {
        file: `${type}.gguf`,
        layout: layoutGguf({ metadata: [], tensors: placed }),
        types: new Map(placed.map((tensor) => [tensor.name, tensor.type])),
      };
    }),
  });
}

/** The byte ranges, neighbours made one. */
function joined(pieces: readonly { offset: number; bytes: number }[]): number[][] {
  const ranges: number[][] = [];
  for (const { offset, bytes } of pieces) {
    const last = ranges.at(-1);
    if (last?.[1] === offset) last[1] = offset + bytes;
    else ranges.push([offset, offset + bytes]);
  }
  return ranges;
}

test('the runs of an output fill its tensors without gap or overlap', () => {
  const plan = planOf(['Q4_K', 'Q8_0']);
  for (const output of plan.outputs) {
    expect(joined(output.runs)).toEqual(joined(output.layout.tensors));
  }
});

/** Two tensors that the outputs have in another order than the source. */
function crossedPlan(order?: TaskOrder): Plan {
  const shape = [1 << 20, 9];
  const tensorAt = (name: string, offset: number): ModelTensor => ({
    ...{ name, shape, keepF32: false },
    source: {
      kind: 'checkpoint',
      dtype: 'BF16',
      parts: [{ name, dtype: 'BF16', shape: [9, 1 << 20], file: 'm', offset, bytes: 18 << 20 }],
    },
  });
  const tensors = [tensorAt('late', 0), tensorAt('early', 18 << 20)];
  const placed = ['early', 'late'].map((name) => ({ name, shape, type: 'Q8_0' as const }));
  const types = new Map(placed.map(({ name, type }) => [name, type]));
  const layout = layoutGguf({ metadata: [], tensors: placed });
  const outputs = [{ file: 'a.gguf', layout, types }];
  const fileDigests = new Map([['m', 'aa']]);
  return planRun({ tensors, sha256, fileDigests, outputs, ...(order && { order }) });
}

test('tasks follow the outputs, or the source where that is asked for', () => {
  const outputs = crossedPlan();
  expect(outputs.tasks.length).toBeGreaterThan(4);
  expect(outputs.outputs[0]?.runs.map(({ task }) => task)).toEqual([...outputs.tasks.keys()]);
  const source = crossedPlan('source');
  const places = source.tasks.map(({ group }) => group.ranges[0]?.offset ?? -1);
  expect(places).toEqual([...places].sort((a, b) => a - b));
  // What is made, and where it goes, is the same.
  expect(source.outputs[0]?.id).toEqual(outputs.outputs[0]?.id);
});

test('a type that two outputs want is made once and placed twice', () => {
  const plan = planOf(['Q4_K', 'Q8_0']);
  expect(plan.tasks).toHaveLength(4);
  const shared = plan.tasks[0]?.runs[0];
  expect(shared?.type).toBe('F32');
  expect(shared?.placements.map(({ output }) => output)).toEqual([0, 1]);
  expect(plan.sourceBytes).toBe(61440);
});

// Goal: ids name content. The same unit has the same id beside other outputs; another source,
// row, type or contract does not.
test('a unit id depends on its inputs and its parameters, and on nothing else', () => {
  const ids = (plan: Plan): string[] =>
    plan.tasks.flatMap(({ runs }) => runs.map(({ unit }) => unit));
  const both = ids(planOf(['Q4_K', 'Q8_0']));
  const alone = ids(planOf(['Q4_K']));
  const other = ids(planOf(['Q4_K'], 'bb'));
  expect(new Set(both).size).toBe(both.length);
  expect(alone.every((id) => both.includes(id))).toBe(true);
  // Only the generated tensor does not depend on the file.
  expect(other.filter((id) => alone.includes(id))).toEqual([alone[0]]);
  expect(alone[0]).toMatch(/^[0-9a-f]{64}$/);
});

test('rows of a run are whole blocks of its type', () => {
  const plan = planOf(['Q6_K']);
  for (const { runs, group, columns } of plan.tasks) {
    for (const { type, bytes } of runs) expect(bytes).toBe(group.rows * rowBytes(type, columns));
  }
});
