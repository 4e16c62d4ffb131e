import fc from 'fast-check';
import { expect, test } from 'vitest';
import { anyRequest, fileOf, smallRequest } from '../../../cluster-tests/damage/any-gguf.ts';
import { FaultError } from '../../../proto/fault.ts';
import { layoutGguf } from '../gguf/layout.ts';
import type { KeyValue, MetadataValue } from '../gguf/metadata.ts';
import { type GgufPart, parseGguf } from '../gguf/reader.ts';
import type { Model } from './family.ts';
import { describeGguf, fileStem } from './gguf-model.ts';
import { pruneLayers } from './prune.ts';

function partOf(request: Parameters<typeof layoutGguf>[0]): GgufPart {
  const bytes = fileOf(layoutGguf(request));
  const result = parseGguf('model.gguf', bytes.length, bytes);
  if (result.kind === 'need') throw new Error('a whole file needs no more bytes');
  return { file: 'model.gguf', gguf: result.gguf };
}

const u32 = (value: number): MetadataValue => ({ type: 'u32', value });
const text = (value: string): MetadataValue => ({ type: 'string', value });
const keys = (entries: Readonly<Record<string, MetadataValue>>): KeyValue[] =>
  Object.entries({ 'general.architecture': text('llama'), ...entries }).map(([key, value]) => ({
    key,
    value,
  }));
const describeKeys = (entries: Readonly<Record<string, MetadataValue>>): Model =>
  describeGguf([partOf({ metadata: keys(entries), tensors: [] })]);

// Goal: what a GGUF says and holds comes through. Method: any file, described and laid out again.
test('keys keep their order and bytes, tensors their place', () => {
  fc.assert(
    fc.property(anyRequest, (request) => {
      const { general, tensors } = describeGguf([partOf(request)]);
      const kept = request.metadata.filter(
        ({ key }) => key !== 'general.alignment' || request.alignment > 32,
      );
      expect(general.map(({ key, value }) => ({ key, value }))).toEqual(kept);
      expect(tensors.map(({ name, shape }) => ({ name, shape }))).toEqual(
        request.tensors.map(({ name, shape }) => ({ name, shape })),
      );
      const alignment = Math.max(32, request.alignment);
      const encoded = layoutGguf({ metadata: general, tensors: [], alignment });
      const fresh = layoutGguf({ metadata: kept, tensors: [], alignment });
      expect(encoded.header).toEqual(fresh.header);
    }),
  );
});

test('what an output sets itself is left out', () => {
  const own = { 'general.file_type': u32(1), 'general.quantization_version': u32(2) };
  const { general } = describeKeys({
    ...own,
    'split.count': { type: 'u16', value: 0 },
    'x.y': u32(1),
  });
  expect(general.map(({ key }) => key)).toEqual(['general.architecture', 'x.y']);
});

test.each<readonly [string, Readonly<Record<string, MetadataValue>>, Partial<Model['shape']>]>([
  ['counts', { block_count: u32(3), 'attention.head_count': u32(8) }, { layers: 3, heads: 8 }],
  ['all heads where there is no other number', { 'attention.head_count': u32(8) }, { kvHeads: 8 }],
  ['experts', { expert_count: { type: 'u64', value: 12n } }, { experts: 12 }],
  [
    'the first of an array',
    { 'attention.head_count_kv': { type: 'array', of: 'i32', value: [1, 4] } },
    { kvHeads: 1 },
  ],
])('the recipe is told of %s', (_, entries, expected) => {
  const named = Object.entries(entries).map(([key, value]) => [`llama.${key}`, value] as const);
  expect(describeKeys(Object.fromEntries(named)).shape).toMatchObject(expected);
});

test('layers that no key counts are counted by the tensors', () => {
  const tensors = ['blk.0.a.weight', 'blk.11.a.weight', 'v.blk.40.a.weight'].map((name) => ({
    name,
    shape: [4],
    type: 'F32' as const,
  }));
  expect(describeGguf([partOf({ metadata: keys({}), tensors })]).shape.layers).toBe(12);
});

test.each([
  ['Qwen3 8B Instruct', 'Qwen3-8B-Instruct'],
  ['org/model:v1', 'org-model-v1'],
  ['../../etc', 'etc'],
  ['模型', 'llama'],
  ['', 'llama'],
  ['x'.repeat(300), 'x'.repeat(128)],
])('a model called %j begins names with %s', (name, stem) => {
  expect(fileStem(describeKeys({ 'general.name': text(name) }))).toBe(stem);
});

test('a name is always one that files can have', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (name) => {
      const stem = fileStem({ ...describeKeys({}), general: keys({ 'general.name': text(name) }) });
      expect(stem).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/);
    }),
  );
});

/** A model of the layers that `numbers` name, one tensor each, and an embedding. */
function layered(numbers: readonly number[], entries = {}): Model {
  const names = ['token_embd.weight', ...numbers.map((layer) => `blk.${layer}.a.weight`)];
  const tensors = names.map((name) => ({ name, shape: [4], type: 'F32' as const }));
  const metadata = keys({ 'llama.block_count': u32(Math.max(...numbers) + 1), ...entries });
  return describeGguf([partOf({ metadata, tensors })]);
}

// Goal: the layers that stay follow one another. Method: any number of layers, any of them dropped.
test('layers are renumbered without a gap', () => {
  const anyChoice = fc
    .integer({ min: 2, max: 40 })
    .chain((layers) =>
      fc.tuple(
        fc.constant(layers),
        fc.uniqueArray(fc.nat({ max: layers - 1 }), { minLength: 1, maxLength: layers - 1 }),
      ),
    );
  fc.assert(
    fc.property(anyChoice, ([layers, dropped]) => {
      const numbers = Array.from({ length: layers }, (_, layer) => layer);
      const { model } = pruneLayers(layered(numbers), dropped);
      const left = numbers.filter((layer) => !dropped.includes(layer));
      expect(model.tensors.map(({ name }) => name)).toEqual([
        'token_embd.weight',
        ...left.map((_, index) => `blk.${index}.a.weight`),
      ]);
      expect(model.tensors.map(({ name, originalName = name }) => originalName)).toEqual([
        'token_embd.weight',
        ...left.map((layer) => `blk.${layer}.a.weight`),
      ]);
      expect(model.overrides).toEqual([{ key: 'llama.block_count', value: u32(left.length) }]);
      // The rules are those of the whole model.
      expect(model.shape.layers).toBe(layers);
    }),
  );
});

// As llama.cpp does in files that lack a layer: what stands before the first dropped one stays.
test.each([
  [[0, 2, 3, 4], [3], [0, 2, 3]],
  [[0, 2, 3, 4], [0], [0, 1, 2]],
])('of the layers %j without %j there are %j', (numbers, dropped, expected) => {
  const { model } = pruneLayers(layered(numbers), dropped);
  const names = model.tensors.slice(1).map(({ name }) => name);
  expect(names).toEqual(expected.map((layer) => `blk.${layer}.a.weight`));
});

test('keys with a value for each layer are told of', () => {
  const perLayer = { type: 'array' as const, of: 'u32' as const, value: [1, 2, 3] };
  const model = layered([0, 1, 2], { 'llama.heads': perLayer });
  expect(pruneLayers(model, [1]).perLayerKeys).toEqual(['llama.heads']);
  expect(pruneLayers(model, [])).toEqual({ model, perLayerKeys: [] });
});

test.each([[[3]], [[0, 1, 2]], [[-1]]])('the layers %j cannot be dropped', (layers) => {
  expect(() => pruneLayers(layered([0, 1, 2]), layers)).toThrow(FaultError);
});

test('the small file is a model', () => {
  expect(describeGguf([partOf(smallRequest())]).shape.architecture).toBe('gemma4');
});
