import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FaultError } from '../../../proto/fault.ts';
import { type BlockTypeName, blockTypes } from '../gguf/block-types.ts';
import { layoutGguf } from '../gguf/layout.ts';
import type { ModelTensor } from '../models/family.ts';
import { type Plan, planRun } from '../plan/plan.ts';
import { chooseEntries } from './entries.ts';
import {
  checkSizes,
  coverageNotices,
  type Importance,
  type TensorImportance,
  usesImportance,
  weightsWanted,
} from './importance.ts';
import { importanceKeys, parseCompat } from './importance-keys.ts';
import { numberBytes, readNumbers, weightsOf } from './weights.ts';

const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();

function codeOf(work: () => unknown): string {
  try {
    work();
    return 'none';
  } catch (error) {
    return (error as FaultError).kind.code;
  }
}

describe('weights', () => {
  const anySums = fc
    .record({
      columns: fc.integer({ min: 1, max: 20 }),
      counts: fc.array(fc.integer({ min: 0, max: 1e6 }), { minLength: 1, maxLength: 5 }),
    })
    .chain(({ columns, counts }) =>
      fc.record({
        sums: fc.float32Array({
          minLength: columns * counts.length,
          maxLength: columns * counts.length,
          min: 0,
          max: 2 ** 100,
          noNaN: true,
        }),
        counts: fc.constant(counts),
      }),
    );

  // Goal: a mean in binary32, and 1 for what was never reached. Method: a slow twin over indexes.
  test('are the means of each slice, and 1 without a count', () => {
    fc.assert(
      fc.property(anySums, ({ sums, counts }) => {
        const { values, unmeasured } = weightsOf({
          file: 'f',
          tensor: 't',
          sums,
          divisor: Float32Array.from(counts),
        });
        const columns = sums.length / counts.length;
        for (const [slice, count] of counts.entries()) {
          for (let column = 0; column < columns; column++) {
            const sum = sums[slice * columns + column] ?? Number.NaN;
            const mean = count === 0 ? 1 : Math.fround(sum / Math.fround(count));
            expect(values[slice * columns + column]).toBe(mean);
          }
        }
        expect(unmeasured).toBe(counts.filter((count) => count === 0).length);
      }),
    );
  });

  test('of the older form are divided by the calls, or taken as they are', () => {
    const sums = Float32Array.of(6, 3);
    const weights = (divisor: number): Float32Array =>
      weightsOf({ file: 'f', tensor: 't', sums, divisor }).values;
    expect(weights(3)).toEqual(Float32Array.of(2, 1));
    expect(weights(0)).toEqual(sums);
    expect(weights(-4)).toEqual(sums);
  });

  test.each([
    [[1, Number.NaN], [1], 'QD-4313'],
    [[1, Infinity], [1], 'QD-4313'],
    [[1, -1e-30], [1], 'QD-4313'],
    [[1, 1], [Number.NaN], 'QD-4314'],
    [[1, 1], [-1], 'QD-4314'],
    [[1, 1], [0.5], 'QD-4314'],
    // Nobody has seen these columns, so nobody needs their sums.
    [[Number.NaN, 1], [0, 1], 'none'],
  ])('sums %j over %j: %s', (sums, counts, code) => {
    const request = { sums: Float32Array.from(sums), divisor: Float32Array.from(counts) };
    expect(codeOf(() => weightsOf({ file: 'f', tensor: 't', ...request }))).toBe(code);
  });

  test('go to bytes and back', () => {
    fc.assert(
      fc.property(fc.float32Array(), (numbers) => {
        expect(readNumbers(numberBytes(numbers))).toEqual(numbers);
      }),
    );
  });
});

describe('filters', () => {
  const all = ['blk.0.attn_q.weight', 'blk.1.ffn_down.weight', 'blk.1.attn_q.weight'].map(
    (name) => ({
      name,
      sums: { offset: 0, count: 1 },
      divisor: { kind: 'calls', calls: 1 },
    }),
  );
  const names = (include: string[], exclude: string[]): string[] =>
    chooseEntries(all, { include, exclude }).map(({ name }) => name.slice(4, 11));

  test('are plain parts of names', () => {
    expect(names([], [])).toHaveLength(3);
    expect(names(['attn', 'k.0'], [])).toEqual(['0.attn_', '1.attn_']);
    expect(names([], ['blk.1.a', 'down'])).toEqual(['0.attn_']);
    expect(codeOf(() => names(['blk.1.*'], []))).toBe('QD-4318');
    expect(codeOf(() => names([], ['weight']))).toBe('QD-4318');
    expect(codeOf(() => names(['attn'], ['down']))).toBe('QD-4316');
  });
});

const shape = [256, 4, 3];
const tensor: ModelTensor = {
  name: 'blk.0.ffn_down_exps.weight',
  shape,
  keepF32: false,
  source: {
    kind: 'checkpoint',
    dtype: 'BF16',
    parts: [{ name: 'x', dtype: 'BF16', shape, file: 'f', offset: 0, bytes: 256 * 4 * 3 * 2 }],
  },
};

function importanceOf(fill: (slice: number) => number): ReadonlyMap<string, TensorImportance> {
  const weights = Float32Array.from({ length: weightsWanted(shape) }, (_, index) =>
    fill(Math.floor(index / 256)),
  );
  const digests = [0, 1, 2].map((slice) =>
    sha256(numberBytes(weights.subarray(slice * 256, (slice + 1) * 256))),
  );
  return new Map([[tensor.name, { weights, digests }]]);
}

function planOf(type: BlockTypeName, importance?: ReadonlyMap<string, TensorImportance>): Plan {
  const layout = layoutGguf({ metadata: [], tensors: [{ name: tensor.name, shape, type }] });
  return planRun({
    tensors: [tensor],
    outputs: [{ file: 'out', layout, types: new Map([[tensor.name, type]]) }],
    fileDigests: new Map([['f', 'aa']]),
    sha256,
    ...(importance === undefined ? {} : { importance }),
  });
}
const unitsOf = ({ tasks }: Plan): string[] =>
  tasks.flatMap(({ runs }) => runs.map(({ unit }) => unit));
const types = (Object.keys(blockTypes) as BlockTypeName[]).filter(
  (type) => 256 % blockTypes[type].blockElements === 0,
);

describe('the ids of units', () => {
  const plain = importanceOf(() => 1);
  const other = importanceOf((slice) => (slice === 1 ? 2 : 1));

  // Goal: an id says what the bytes depend on, no less and no more. Method: one weight of one expert
  // changes; only the units of that expert in types that weigh may have another id.
  test.each(types)('of %s hold the weights where they matter', (type) => {
    const without = unitsOf(planOf(type));
    const first = unitsOf(planOf(type, plain));
    const second = unitsOf(planOf(type, other));
    const differing = first.map((unit, index) => unit !== second[index]);
    if (usesImportance(type)) {
      expect(differing).toEqual([false, true, false]);
      expect(first.some((unit) => without.includes(unit))).toBe(false);
    } else {
      expect(first).toEqual(without);
      expect(second).toEqual(without);
    }
  });

  test('and each task has the weights of its own expert', () => {
    const rows = planOf('Q4_K', other).tasks.map(({ importance }) => importance);
    expect(rows.map((row) => row?.values.length)).toEqual([256, 256, 256]);
    expect(rows.map((row) => row?.values[0])).toEqual([1, 2, 1]);
    expect(planOf('Q8_0', other).tasks.every((task) => task.importance === undefined)).toBe(true);
  });
});

function importance(changes: Partial<Importance> = {}): Importance {
  return {
    file: 'imatrix.gguf',
    given: 'some/imatrix.gguf',
    entries: 5,
    dataset: 'text',
    chunks: 7,
    tensors: new Map(),
    misfits: new Map(),
    notices: [],
    ...changes,
  };
}

describe('sizes', () => {
  const misfit = (name: string) =>
    importance({ misfits: new Map([[name, { values: 3, wanted: 256 }]]) });
  const check = (name: string, type: BlockTypeName, reason: 'kept' | 'default'): string =>
    codeOf(() => checkSizes(misfit(name), [{ name, sourceType: 'BF16' }], [{ type, reason }]));

  test('count where a tensor changes its type, embeddings excepted', () => {
    expect(check('blk.0.attn_q.weight', 'Q4_K', 'default')).toBe('QD-4315');
    expect(check('blk.0.attn_q.weight', 'Q8_0', 'default')).toBe('QD-4315');
    expect(check('output.weight', 'Q6_K', 'default')).toBe('QD-4315');
    expect(check('blk.0.attn_q.weight', 'BF16', 'kept')).toBe('none');
    expect(check('blk.0.attn_q.weight', 'BF16', 'default')).toBe('none');
    expect(check('token_embd.weight', 'Q4_K', 'default')).toBe('none');
    expect(check('per_layer_token_embd.weight', 'Q4_K', 'default')).toBe('none');
  });
});

test('what is made without importance is named, in types that would use it', () => {
  const notices = (type: BlockTypeName, changes: Partial<Importance> = {}): string =>
    coverageNotices(
      importance(changes),
      [tensor],
      [{ types: new Map([[tensor.name, type]]) }],
    ).join();
  expect(notices('Q4_K')).toContain(tensor.name);
  expect(notices('Q8_0')).toBe('');
  expect(notices('BF16')).toBe('');
  expect(notices('Q4_K', { tensors: importanceOf(() => 1) })).toBe('');
});

describe('the keys of an output', () => {
  const values = (changes: Partial<Importance>, compat: 'none' | 'llama-quantize'): unknown[] =>
    importanceKeys(importance(changes), compat).map(({ key, value }) => [
      key.replace('quantize.imatrix.', ''),
      value.value,
    ]);

  test('hold no folder, unless a tool is to be met', () => {
    const rest = [
      ['dataset', 'text'],
      ['entries_count', 5],
      ['chunks_count', 7],
    ];
    expect(values({}, 'none')).toEqual([['file', 'imatrix.gguf'], ...rest]);
    expect(values({}, 'llama-quantize')).toEqual([['file', 'some/imatrix.gguf'], ...rest]);
    expect(values({ dataset: undefined, chunks: 0 }, 'none')).toEqual([
      ['file', 'imatrix.gguf'],
      ['entries_count', 5],
    ]);
  });

  test('are cut to 127 bytes, never inside a character', () => {
    const [[, file]] = values({ file: 'a'.repeat(200) }, 'none') as [[string, string]];
    expect(file).toBe('a'.repeat(127));
    const [[, odd]] = values({ file: `${'a'.repeat(126)}☃☃` }, 'none') as [[string, string]];
    expect(odd).toBe('a'.repeat(126));
    expect(codeOf(() => values({ given: `${'a'.repeat(126)}☃☃` }, 'llama-quantize'))).toBe(
      'QD-4320',
    );
  });

  test('no other tool is known', () => {
    expect(parseCompat(undefined)).toBe('none');
    expect(parseCompat('llama-quantize')).toBe('llama-quantize');
    expect(codeOf(() => parseCompat('ollama'))).toBe('QD-4319');
  });
});
