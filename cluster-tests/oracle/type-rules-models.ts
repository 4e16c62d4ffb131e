/**
 * Models to ask llama.cpp's type rules about: Gemma 4 as it is, a small llama, and random ones.
 *
 *   fast-check ──▶ anyRequest ──▶ TypeRequest   (for type-rules.test.ts)
 */

import fc from 'fast-check';
import { type BlockTypeName, blockTypes } from '../../daemon/core/gguf/block-types.ts';
import type { ModelShape } from '../../daemon/core/models/family.ts';
import { ftypes } from '../../daemon/core/recipe/ftypes.ts';
import {
  defaultOptions,
  type RecipeTensor,
  type TypeRequest,
} from '../../daemon/core/recipe/type-rules.ts';

export function tensor(name: string, ...shape: readonly number[]): RecipeTensor {
  const plain = shape.length < 2 || /norm|ffn_gate_inp|scale/.test(name);
  return { name, shape, sourceType: plain ? 'F32' : 'BF16' };
}

export const gemma4Shape = (layers: number, experts: number): ModelShape => ({
  architecture: 'gemma4',
  layers,
  heads: 16,
  kvHeads: 8,
  experts,
});

/**
 * Gemma 4's tensors in output order, tied: with experts those of the 26B, without them the same
 * rows with the per-layer embeddings of the small models.
 */
export function gemma4Tensors(layers: number, experts: boolean): readonly RecipeTensor[] {
  const perLayer = experts
    ? []
    : [
        tensor('per_layer_model_proj.weight', 2816, 7680),
        tensor('per_layer_proj_norm.weight', 256),
        tensor('per_layer_token_embd.weight', 7680, 64),
      ];
  return [
    tensor('output_norm.weight', 2816),
    ...perLayer,
    tensor('rope_freqs.weight', 256),
    tensor('token_embd.weight', 2816, 64),
    ...Array.from({ length: layers }, (_, layer) => gemma4Layer(layer, experts)).flat(),
  ];
}

function gemma4Layer(layer: number, experts: boolean): readonly RecipeTensor[] {
  const full = layer % 6 === 5;
  const blk = (part: string, ...shape: readonly number[]) =>
    tensor(`blk.${layer}.${part}`, ...shape);
  const ofExperts = [
    blk('ffn_down_exps.scale', 128),
    blk('ffn_down_exps.weight', 704, 2816, 128),
    blk('ffn_gate_inp.scale', 2816),
    blk('ffn_gate_inp.weight', 2816, 128),
    blk('ffn_gate_up_exps.weight', 2816, 1408, 128),
  ];
  const ofSmall = [blk('inp_gate.weight', 2816, 256), blk('proj.weight', 256, 2816)];
  return [
    blk('attn_k.weight', 2816, full ? 1024 : 2048),
    blk('attn_k_norm.weight', full ? 512 : 256),
    blk('attn_norm.weight', 2816),
    blk('attn_output.weight', full ? 8192 : 4096, 2816),
    blk('attn_q.weight', 2816, full ? 8192 : 4096),
    ...(full ? [] : [blk('attn_v.weight', 2816, 2048)]),
    blk('ffn_down.weight', 2112, 2816),
    blk('ffn_gate.weight', 2816, 2112),
    blk('ffn_up.weight', 2816, 2112),
    blk('layer_output_scale.weight', 1),
    ...(experts ? ofExperts : ofSmall),
  ].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** A llama's tensors in output order, with rows of one block and few of them. */
export function llamaTensors(layers: number, experts: number): readonly RecipeTensor[] {
  const [stack, slices] = experts > 0 ? ['_exps', [experts]] : ['', []];
  return [
    tensor('output.weight', 256, 2),
    tensor('output_norm.weight', 256),
    tensor('token_embd.weight', 256, 2),
    ...Array.from({ length: layers }, (_, layer) => [
      ...['attn_k', 'attn_output', 'attn_q', 'attn_v'].map((part) =>
        tensor(`blk.${layer}.${part}.weight`, 256, 2),
      ),
      ...['ffn_down', 'ffn_gate', 'ffn_up'].map((part) =>
        tensor(`blk.${layer}.${part}${stack}.weight`, 256, 2, ...slices),
      ),
    ]).flat(),
  ];
}

const allTypes = Object.keys(blockTypes).filter((name): name is BlockTypeName =>
  Object.hasOwn(blockTypes, name),
);
// The ones that a recipe may name: integers are no type for weights.
const namedTypes = allTypes.filter((name) => !/^I\d+$|^F64$|^Q8_[1K]$/.test(name));

const patterns = [
  'ffn_down',
  'ffn_(up|gate)',
  'blk\\.[0-3]\\.',
  'blk\\.(\\d*[02468])\\.attn_v',
  '^token_embd',
  'weight$',
  'attn_[kq]\\.weight',
  'exps',
  '.',
  'blk\\.1\\b',
  '(?!blk\\.0)blk\\.\\d{1,2}\\.ffn_down(?=_exps)',
  'per_layer',
];

const parts = [
  ...['attn_k', 'attn_output', 'attn_q', 'attn_v', 'attn_qkv', 'attn_kv_b', 'ffn_down'],
  ...['ffn_down_exps', 'ffn_gate', 'ffn_gate_exps', 'ffn_gate_inp', 'ffn_gate_up_exps', 'ffn_up'],
  ...['ffn_up_exps', 'ffn_norm', 'inp_gate', 'proj', 'ssm_conv1d', 'laurel_l', 'attn_rel_b'],
];

// Mostly multiples of 256, as models have; some that only 32 divides, and one that nothing does.
const anyColumns = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(256, 512, 2816) },
  { weight: 2, arbitrary: fc.constantFrom(2112, 704, 96, 128, 64, 32) },
  { weight: 1, arbitrary: fc.constant(100) },
);

const anyShape: fc.Arbitrary<ModelShape> = fc
  .record({
    architecture: fc.constantFrom('llama', 'gemma4', 'gemma3', 'falcon', 'qwen3moe', 'phi3'),
    layers: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constant(80)),
    kvHeads: fc.constantFrom(0, 1, 2, 5, 8),
    group: fc.constantFrom(1, 2, 3, 4, 7, 8),
    experts: fc.constantFrom(0, 1, 2, 4, 8, 128),
  })
  .map(({ architecture, layers, kvHeads, group, experts }) => ({
    architecture,
    layers,
    heads: kvHeads === 0 ? group : kvHeads * group + (group > 4 ? 1 : 0),
    kvHeads,
    experts,
  }));

function anyTensors({ layers, experts }: ModelShape): fc.Arbitrary<readonly RecipeTensor[]> {
  const perPart = fc.record({
    columns: anyColumns,
    /** One layer in so many lacks the tensor; 0 none. */
    gap: fc.constantFrom(0, 0, 3),
    used: fc.boolean(),
    dimensions: fc.constantFrom(1, 2, 2, 2, 2),
  });
  const globals = fc.subarray([
    tensor('output.weight', 512, 64),
    tensor('output_norm.weight', 512),
    tensor('token_embd.weight', 512, 64),
    tensor('per_layer_token_embd.weight', 768, 64),
    tensor('position_embd.weight', 512, 64),
    tensor('token_types.weight', 512, 2),
    tensor('blk.attn_v.weight', 512, 64),
    tensor('blk.0.attn_q.bias', 512, 64),
    tensor('blk.0.ffn_down_exps.scale', 512, 64),
    tensor('rope_weight', 512, 64),
  ]);
  return fc.tuple(globals, fc.tuple(...parts.map(() => perPart))).map(([first, choices]) => [
    ...first,
    ...Array.from({ length: layers }, (_, layer) =>
      parts.flatMap((part, index) => {
        const choice = choices[index];
        if (!choice?.used || (choice.gap > 0 && layer % choice.gap === 1)) return [];
        const rows = choice.dimensions === 1 ? [] : [48];
        const slices = part.includes('exps') && experts > 1 && rows.length > 0 ? [experts] : [];
        return [tensor(`blk.${layer}.${part}.weight`, choice.columns, ...rows, ...slices)];
      }),
    ).flat(),
  ]);
}

const anyOptions: fc.Arbitrary<TypeRequest['options']> = fc
  .record({
    tensorTypes: fc.array(
      fc.record({ pattern: fc.constantFrom(...patterns), type: fc.constantFrom(...namedTypes) }),
      { maxLength: 3 },
    ),
    outputTensorType: fc.option(fc.constantFrom(...namedTypes), { nil: undefined, freq: 2 }),
    tokenEmbeddingType: fc.option(fc.constantFrom(...namedTypes), { nil: undefined, freq: 2 }),
    leaveOutputTensor: fc.boolean(),
    pure: fc.constantFrom(false, false, true),
  })
  .map(({ outputTensorType, tokenEmbeddingType, ...options }) => ({
    ...options,
    ...(outputTensorType === undefined ? {} : { outputTensorType }),
    ...(tokenEmbeddingType === undefined ? {} : { tokenEmbeddingType }),
  }));

export const anyRequest: fc.Arbitrary<TypeRequest> = anyShape.chain((shape) =>
  fc.record({
    shape: fc.constant(shape),
    tensors: anyTensors(shape).filter((tensors) => tensors.length > 0),
    ftype: fc.constantFrom(...ftypes),
    options: fc.oneof(fc.constant(defaultOptions), anyOptions),
    hasImportance: fc.constant(false),
  }),
);
