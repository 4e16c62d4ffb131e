/**
 * Goal: what holds for every model and recipe, then the examples that people ask about. What
 * llama.cpp does is compared in golden.test.ts and in cluster-tests/oracle.
 */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FaultError } from '../../../proto/fault.ts';
import { type BlockTypeName, blockTypes } from '../gguf/block-types.ts';
import type { ModelShape } from '../models/family.ts';
import { ftypes, parseFtype } from './ftypes.ts';
import { assignTypes, defaultOptions, type RecipeTensor, type TypeRequest } from './type-rules.ts';

const names = [
  ...['output.weight', 'token_embd.weight', 'per_layer_token_embd.weight', 'output_norm.weight'],
  ...[
    'attn_q',
    'attn_k',
    'attn_v',
    'attn_qkv',
    'attn_output',
    'ffn_down',
    'ffn_gate',
    'ffn_up',
  ].flatMap((part) => [0, 1, 2, 3].map((layer) => `blk.${layer}.${part}.weight`)),
  ...['blk.0.ffn_down_exps.weight', 'blk.0.ffn_gate_inp.weight', 'blk.0.ffn_down_exps.scale'],
];
const anyType = fc.constantFrom(
  ...Object.keys(blockTypes).filter((name): name is BlockTypeName =>
    Object.hasOwn(blockTypes, name),
  ),
);
const anyTensor: fc.Arbitrary<RecipeTensor> = fc.record({
  name: fc.constantFrom(...names),
  shape: fc
    .tuple(
      fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.constant(2816)),
      fc.integer({ min: 1, max: 9 }),
    )
    .chain(([columns, rows]) => fc.constantFrom([columns], [columns, rows], [columns, rows, 4])),
  sourceType: fc.constantFrom('F32', 'F16', 'BF16'),
});
const anyRequest: fc.Arbitrary<TypeRequest> = fc.record({
  shape: fc.record({
    architecture: fc.constantFrom('gemma4', 'llama', 'falcon'),
    layers: fc.integer({ min: 4, max: 90 }),
    heads: fc.integer({ min: 1, max: 64 }),
    kvHeads: fc.integer({ min: 0, max: 64 }),
    experts: fc.constantFrom(0, 2, 8, 128),
  }),
  tensors: fc.uniqueArray(anyTensor, { selector: ({ name }) => name }),
  ftype: fc.constantFrom(...ftypes),
  options: fc.record({
    tensorTypes: fc.array(
      fc.record({ pattern: fc.constantFrom('ffn', 'attn_[kv]', '.'), type: anyType }),
      { maxLength: 2 },
    ),
    leaveOutputTensor: fc.boolean(),
    pure: fc.boolean(),
  }),
  hasImportance: fc.boolean(),
});

function typesOf(request: TypeRequest) {
  try {
    return assignTypes(request);
  } catch (error) {
    if (error instanceof FaultError) return error.message;
    throw error;
  }
}

test('every row is whole blocks of its type, or the recipe is refused by name', () => {
  let assigned = 0;
  fc.assert(
    fc.property(anyRequest, (request) => {
      const answer = typesOf(request);
      if (typeof answer === 'string') {
        expect(answer).toMatch(/^QD-4105 .*\(tensor .*\): /);
        return;
      }
      expect(answer.length).toBe(request.tensors.length);
      for (const [index, { type, reason, fallbackFrom }] of answer.entries()) {
        const { shape, sourceType } = request.tensors[index] ?? { shape: [], sourceType: 'I8' };
        expect((shape[0] ?? 0) % blockTypes[type].blockElements).toBe(0);
        expect(fallbackFrom !== undefined).toBe(reason === 'fallback');
        if (reason === 'kept') expect(type).toBe(sourceType);
        assigned++;
      }
    }),
  );
  expect(assigned).toBeGreaterThan(100);
});

test('the same request gives the same types, however often and in whatever company', () => {
  fc.assert(
    fc.property(fc.array(anyRequest, { maxLength: 3 }), (requests) => {
      const once = requests.map(typesOf);
      expect(requests.toReversed().map(typesOf).toReversed()).toEqual(once);
    }),
  );
});

test('vectors, norms, routers and scales keep their type under every ftype', () => {
  const kept = ['output_norm', 'blk.0.attn_norm', 'blk.0.ffn_gate_inp', 'blk.0.layer_output_scale'];
  const tensors = [
    ...kept.map((name) =>
      tensor(`${name}.weight`, 'F32', ...(name.includes('scale') ? [1] : [256, 4])),
    ),
    tensor('blk.0.ffn_down_exps.scale', 'F32', 128, 2),
    tensor('per_layer_model_proj.weight', 'BF16', 256, 4),
  ];
  for (const ftype of ftypes) {
    expect(assignTypes(gemma4(tensors, ftype.name))).toEqual(
      tensors.map(({ sourceType }) => ({ type: sourceType, reason: 'kept' })),
    );
  }
});

test('Gemma 4: narrow rows fall back to blocks of 32, and say from what', () => {
  const down = tensor('blk.5.ffn_down_exps.weight', 'BF16', 704, 2816, 128);
  const typeIn = (ftype: string) => assignTypes(gemma4([down], ftype))[0];
  expect(typeIn('Q4_K_S')).toEqual({ type: 'Q5_0', reason: 'fallback', fallbackFrom: 'Q4_K' });
  expect(typeIn('Q4_K_M')).toEqual({ type: 'Q8_0', reason: 'fallback', fallbackFrom: 'Q6_K' });
  expect(typeIn('Q2_K')).toEqual({ type: 'Q4_0', reason: 'fallback', fallbackFrom: 'Q3_K' });
  expect(typeIn('IQ4_XS')).toEqual({ type: 'IQ4_NL', reason: 'fallback', fallbackFrom: 'IQ4_XS' });
  expect(typeIn('Q8_0')).toEqual({ type: 'Q8_0', reason: 'default' });
  expect(() => typeIn('Q1_0')).toThrow(/QD-4105.*Q1_0 has blocks of 128, a row has 704/);
});

test('Gemma 4 with 30 layers: 14 layers of Q4_K_M get more bits', () => {
  const tensors = Array.from({ length: 30 }, (_, layer) =>
    tensor(`blk.${layer}.ffn_down.weight`, 'BF16', 2112, 2816),
  );
  const better = assignTypes(gemma4(tensors, 'Q4_K_M')).flatMap(({ type }, layer) =>
    type === 'Q8_0' ? [layer] : [],
  );
  expect(better).toEqual([0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 26, 27, 28, 29]);
});

test('overrides, in the order of their weight', () => {
  const tensors = [
    tensor('output.weight', 'BF16', 512, 8),
    tensor('token_embd.weight', 'BF16', 512, 8),
    tensor('blk.0.attn_q.weight', 'BF16', 512, 8),
    tensor('blk.0.ffn_up.weight', 'BF16', 704, 8),
  ];
  const typesWith = (options: Partial<TypeRequest['options']>, list = tensors) =>
    assignTypes({ ...gemma4(list, 'Q4_K_M'), options: { ...defaultOptions, ...options } }).map(
      ({ type, reason }) => `${type} ${reason}`,
    );
  const plain = ['Q6_K mixture', 'Q4_K default', 'Q4_K default', 'Q5_0 fallback'];
  const [, , q, up] = plain;
  expect(typesWith({})).toEqual(plain);
  expect(typesWith({ pure: true })).toEqual(['Q4_K default', 'Q4_K default', q, up]);
  expect(typesWith({ leaveOutputTensor: true })[0]).toBe('BF16 kept');
  expect(typesWith({ outputTensorType: 'Q8_0' }).slice(0, 2)).toEqual(['Q8_0 override', plain[1]]);
  expect(typesWith({ tokenEmbeddingType: 'F16' })[1]).toBe('F16 override');
  const everything = { tensorTypes: [{ pattern: '.', type: 'Q6_K' }] } as const;
  expect(typesWith({ ...everything, tokenEmbeddingType: 'F16', outputTensorType: 'Q8_0' })).toEqual(
    ['Q8_0 override', 'F16 override', 'Q6_K override', 'Q8_0 fallback'],
  );
  // Tied: the embedding is the output, unless it has a type of its own.
  const tied = tensors.slice(1);
  expect(typesWith({}, tied)[0]).toBe('Q6_K mixture');
  expect(typesWith({ outputTensorType: 'Q8_0' }, tied)[0]).toBe('Q8_0 override');
  expect(typesWith({ outputTensorType: 'Q8_0', pure: true }, tied)[0]).toBe('Q4_K default');
  expect(typesWith({ outputTensorType: 'Q8_0', tokenEmbeddingType: 'F16' }, tied)[0]).toBe(
    'F16 override',
  );
});

test('a type forced on a tensor whose rows it does not fit is refused', () => {
  const tensors = [tensor('token_embd.weight', 'BF16', 704, 8)];
  const options = { ...defaultOptions, tokenEmbeddingType: 'Q4_K' } as const;
  expect(() => assignTypes({ ...gemma4(tensors, 'Q8_0'), options })).toThrow(/QD-4105/);
});

test('feed-forward tensors of a model with experts must name a layer of it', () => {
  for (const name of ['ffn_up.weight', 'blk.30.ffn_up.weight']) {
    expect(() => assignTypes(gemma4([tensor(name, 'BF16', 256, 4)], 'Q4_K_M'))).toThrow(/QD-4106/);
  }
});

function tensor(
  name: string,
  sourceType: BlockTypeName,
  ...shape: readonly number[]
): RecipeTensor {
  return { name, shape, sourceType };
}

function gemma4(tensors: readonly RecipeTensor[], ftype: string): TypeRequest {
  const shape: ModelShape = {
    architecture: 'gemma4',
    layers: 30,
    heads: 16,
    kvHeads: 8,
    experts: 128,
  };
  return {
    shape,
    tensors,
    ftype: parseFtype(ftype),
    options: defaultOptions,
    hasImportance: false,
  };
}
