import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readCheckpoint } from '../../../cluster-tests/damage/checkpoint-directory.ts';
import { fakeGemma4, published } from '../../../cluster-tests/damage/fake-checkpoint.ts';
import { FaultError } from '../../../proto/fault.ts';
import type { Checkpoint, JsonObject, SourceTensor } from '../checkpoint/checkpoint.ts';
import { isJsonObject } from '../checkpoint/config.ts';
import type { KeyValue } from '../gguf/metadata.ts';
import { describeModel } from './families.ts';
import type { Model, ModelTensor } from './family.ts';
import { elementsOf } from './size-label.ts';

const read = (name: string): Promise<Checkpoint> =>
  readCheckpoint(fileURLToPath(new URL(`../../../fixtures/${name}`, import.meta.url)));
const fixtures = {
  'tiny-gemma4': await read('tiny-gemma4'),
  'tiny-gemma4-e': await read('tiny-gemma4-e'),
  'tiny-gemma4-k': await read('tiny-gemma4-k'),
};
const moe = fixtures['tiny-gemma4'];
const dense = fixtures['tiny-gemma4-e'];
const names = Object.keys(fixtures) as (keyof typeof fixtures)[];

const withText = (checkpoint: Checkpoint, change: JsonObject): Checkpoint => {
  const { text_config: text } = checkpoint.config;
  const merged = { ...(isJsonObject(text) ? text : {}), ...change };
  return { ...checkpoint, config: { ...checkpoint.config, text_config: merged } };
};
const withTensors = (checkpoint: Checkpoint, tensors: readonly SourceTensor[]): Checkpoint => ({
  ...checkpoint,
  tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
});
const list = ({ tensors }: Checkpoint): SourceTensor[] => [...tensors.values()];
const faultOf = (checkpoint: Checkpoint): FaultError => {
  try {
    describeModel(checkpoint, 'x');
  } catch (error) {
    if (error instanceof FaultError) return error;
    throw error;
  }
  throw new Error('there was no fault');
};
const codeOf = (checkpoint: Checkpoint): string => faultOf(checkpoint).kind.code;
const typed = ({ value }: KeyValue): string =>
  value.type === 'array' ? `${value.of}[]` : value.type;
const plain = (list: readonly KeyValue[]): unknown[] =>
  list.map((entry) => [entry.key, typed(entry), entry.value.value]);
const elements = (model: Model): number =>
  model.tensors.reduce((sum, { shape }) => sum + elementsOf(shape), 0);
const partNames = ({ source }: ModelTensor): string[] =>
  source.kind === 'checkpoint' ? source.parts.map(({ name }) => name) : [];

// Goal: the table knows the published models. Method: shapes written down a second time, totals
// known from the files themselves.
describe('published models', () => {
  // Tensors, elements and size label; both counts include the 256 numbers of rope_freqs.weight.
  test.each([
    ['26B-A4B', 658, 25_233_142_046, '128x2.6B'],
    ['31B', 60 * 14 - 10 + 3, 30_697_345_340 + 256, '31B'],
    ['12B', 48 * 14 - 8 + 3, 11_907_350_576, '12B'],
    ['E2B', 601, 4_647_449_891 + 256, '4.6B'],
    ['E4B', 42 * 17 + 6, 7_518_069_034 + 256, '7.5B'],
  ] as const)('%s has %i tensors of %i elements', (name, tensors, total, label) => {
    const model = describeModel(fakeGemma4(published[name], dense), name);
    expect(model.tensors.length).toBe(tensors);
    expect(elements(model)).toBe(total);
    expect(plain(model.general)).toEqual([
      ['general.architecture', 'string', 'gemma4'],
      ['general.type', 'string', 'model'],
      ['general.name', 'string', name],
      ['general.size_label', 'string', label],
    ]);
  });

  test('26B-A4B has the small elements in F32 and rows of 2112 and 704', () => {
    const model = describeModel(fakeGemma4(published['26B-A4B'], dense), 'x');
    const kept = model.tensors.filter(({ keepF32 }) => keepF32);
    expect(kept.reduce((sum, { shape }) => sum + elementsOf(shape), 0)).toBe(11_514_142);
    const shapeOf = (name: string) => model.tensors.find((tensor) => tensor.name === name)?.shape;
    expect(shapeOf('blk.5.attn_q.weight')).toEqual([2816, 8192]);
    expect(shapeOf('blk.5.attn_v.weight')).toBeUndefined();
    expect(shapeOf('blk.4.attn_v.weight')).toEqual([2816, 2048]);
    expect(shapeOf('blk.0.ffn_down.weight')).toEqual([2112, 2816]);
    expect(shapeOf('blk.0.ffn_gate_up_exps.weight')).toEqual([2816, 1408, 128]);
    expect(shapeOf('blk.29.ffn_down_exps.weight')).toEqual([704, 2816, 128]);
    expect(model.shape).toEqual({
      architecture: 'gemma4',
      layers: 30,
      heads: 16,
      kvHeads: 8,
      experts: 128,
    });
  });

  test('26B-A4B has its metadata in order and type', () => {
    const sliding = Array.from({ length: 30 }, (_, layer) => layer % 6 !== 5);
    const model = describeModel(fakeGemma4(published['26B-A4B'], dense), 'x');
    expect(plain(model.parameters)).toEqual([
      ['gemma4.block_count', 'u32', 30],
      ['gemma4.context_length', 'u32', 262_144],
      ['gemma4.embedding_length', 'u32', 2816],
      ['gemma4.feed_forward_length', 'u32', 2112],
      ['gemma4.attention.head_count', 'u32', 16],
      ['gemma4.attention.head_count_kv', 'i32[]', sliding.map((slides) => (slides ? 8 : 2))],
      ['gemma4.attention.key_length', 'u32', 512],
      ['gemma4.attention.value_length', 'u32', 512],
      ['gemma4.attention.key_length_swa', 'u32', 256],
      ['gemma4.attention.value_length_swa', 'u32', 256],
      ['gemma4.attention.layer_norm_rms_epsilon', 'f32', 1e-6],
      ['gemma4.attention.sliding_window', 'u32', 1024],
      ['gemma4.attention.sliding_window_pattern', 'bool[]', sliding],
      ['gemma4.attention.shared_kv_layers', 'u32', 0],
      ['gemma4.embedding_length_per_layer_input', 'u32', 0],
      ['gemma4.rope.freq_base', 'f32', 1e6],
      ['gemma4.rope.freq_base_swa', 'f32', 1e4],
      ['gemma4.rope.dimension_count', 'u32', 512],
      ['gemma4.rope.dimension_count_swa', 'u32', 256],
      ['gemma4.expert_count', 'u32', 128],
      ['gemma4.expert_used_count', 'u32', 8],
      ['gemma4.expert_feed_forward_length', 'u32', 704],
      ['gemma4.final_logit_softcapping', 'f32', 30],
    ]);
  });

  test('E2B says its double-wide layers and no experts', () => {
    const { parameters } = describeModel(fakeGemma4(published.E2B, dense), 'x');
    const said = new Map(parameters.map((entry) => [entry.key, entry]));
    const widths = Array.from({ length: 35 }, (_, layer) => (layer < 15 ? 6144 : 12_288));
    expect(said.get('gemma4.feed_forward_length')?.value).toEqual({
      type: 'array',
      of: 'i32',
      value: widths,
    });
    expect(said.get('gemma4.attention.head_count_kv')?.value).toEqual({ type: 'u32', value: 1 });
    expect(said.get('gemma4.attention.shared_kv_layers')?.value).toEqual({
      type: 'u32',
      value: 20,
    });
    expect(said.has('gemma4.expert_count')).toBe(false);
  });
});

describe('tensors', () => {
  test('of one layer, with all names and shapes', () => {
    const { tensors } = describeModel(fixtures['tiny-gemma4-k'], 'x');
    expect(tensors.slice(0, 25).map(({ name, shape, keepF32 }) => [name, shape, keepF32])).toEqual([
      ['rope_freqs.weight', [64], true],
      ['token_embd.weight', [256, 512], false],
      ['output_norm.weight', [256], true],
      ['blk.0.attn_norm.weight', [256], true],
      ['blk.0.post_attention_norm.weight', [256], true],
      ['blk.0.ffn_norm.weight', [256], true],
      ['blk.0.post_ffw_norm.weight', [256], true],
      ['blk.0.attn_q.weight', [256, 256], false],
      ['blk.0.attn_k.weight', [256, 128], false],
      ['blk.0.attn_v.weight', [256, 128], false],
      ['blk.0.attn_output.weight', [256, 256], false],
      ['blk.0.attn_q_norm.weight', [64], true],
      ['blk.0.attn_k_norm.weight', [64], true],
      ['blk.0.ffn_gate.weight', [256, 288], false],
      ['blk.0.ffn_up.weight', [256, 288], false],
      ['blk.0.ffn_down.weight', [288, 256], false],
      ['blk.0.post_ffw_norm_1.weight', [256], true],
      ['blk.0.pre_ffw_norm_2.weight', [256], true],
      ['blk.0.post_ffw_norm_2.weight', [256], true],
      ['blk.0.ffn_gate_inp.weight', [256, 3], true],
      ['blk.0.ffn_gate_inp.scale', [256], true],
      ['blk.0.ffn_down_exps.scale', [3], true],
      ['blk.0.ffn_gate_up_exps.weight', [256, 512, 3], false],
      ['blk.0.ffn_down_exps.weight', [256, 256, 3], false],
      ['blk.0.layer_output_scale.weight', [1], true],
    ]);
  });

  test('of the per-layer embeddings', () => {
    const { tensors } = describeModel(dense, 'x');
    const own = tensors.filter(({ name }) => /per_layer|inp_gate|proj|post_norm/.test(name));
    expect(own.slice(0, 6).map(({ name, shape, keepF32 }) => [name, shape, keepF32])).toEqual([
      ['per_layer_token_embd.weight', [256, 320], false],
      ['per_layer_model_proj.weight', [256, 256], false],
      ['per_layer_proj_norm.weight', [64], true],
      ['blk.0.inp_gate.weight', [256, 64], false],
      ['blk.0.proj.weight', [64, 256], false],
      ['blk.0.post_norm.weight', [256], true],
    ]);
  });

  test.each(names)('of %s: every source byte is used once, in the order of the files', (name) => {
    const { tensors, leftOut } = describeModel(fixtures[name], 'x');
    const [rope, ...stored] = tensors;
    expect(rope?.source).toEqual({
      kind: 'generated',
      values: new Float32Array([...Array(16).fill(1), ...Array(48).fill(1e30)]),
    });
    expect(stored.flatMap(partNames)).toEqual([...fixtures[name].tensors.keys()]);
    expect(leftOut).toEqual([]);
  });

  // Goal: nothing is dropped or doubted silently. Method: spoil one tensor, any one.
  const anyModel = fc.constantFrom(...names);
  test('a missing tensor is named', () => {
    fc.assert(
      fc.property(anyModel, fc.nat(), (name, pick) => {
        const all = list(fixtures[name]);
        const gone = all[pick % all.length];
        // Sharing layers (the last two of the fixture) have K and V that nothing reads.
        const unread = /layers\.[23]\.self_attn\.[kv]_(proj|norm)/;
        fc.pre(name !== 'tiny-gemma4-e' || !unread.test(gone?.name ?? ''));
        const fault = faultOf(
          withTensors(
            fixtures[name],
            all.filter((one) => one !== gone),
          ),
        );
        expect(fault.kind.code).toBe('QD-2302');
        expect(fault.detail.tensor).toBe(gone?.name.replace('language_model.', ''));
      }),
    );
  });
  test('a tensor of another shape is named with both shapes', () => {
    fc.assert(
      fc.property(
        anyModel,
        fc.nat(),
        fc.array(fc.integer({ min: 0, max: 600 })),
        (name, pick, shape) => {
          const all = list(fixtures[name]);
          const place = pick % all.length;
          fc.pre(JSON.stringify(shape) !== JSON.stringify(all[place]?.shape));
          const spoilt = all.map((one, n) => (n === place ? { ...one, shape } : one));
          const fault = faultOf(withTensors(fixtures[name], spoilt));
          expect(fault.kind.code).toBe('QD-2304');
          expect(fault.detail.tensor).toBe(all[place]?.name);
          expect(fault.detail.why).toContain(`[${shape.join(', ')}]`);
          expect(fault.detail.why).toContain(`[${all[place]?.shape.join(', ')}]`);
        },
      ),
    );
  });
  test('a tensor that is not understood is named', () => {
    fc.assert(
      fc.property(anyModel, fc.string({ minLength: 1 }), (name, suffix) => {
        const all = list(fixtures[name]);
        const [one] = all;
        if (one === undefined) throw new Error('a fixture has no tensors');
        const extra = { ...one, name: `model.layers.0.lora.${suffix}` };
        const fault = faultOf(withTensors(fixtures[name], [...all, extra]));
        expect(fault.kind.code).toBe('QD-2303');
        expect(fault.detail.tensor).toBe(extra.name);
      }),
    );
  });
  test('the order of the checkpoint changes the order of the model only', () => {
    const bare = (model: Model) => new Map(model.tensors.map((one) => [one.name, one]));
    const straight = bare(describeModel(moe, 'x'));
    fc.assert(
      fc.property(fc.shuffledSubarray(list(moe), { minLength: moe.tensors.size }), (shuffled) => {
        const model = describeModel(withTensors(moe, shuffled), 'x');
        expect(bare(model)).toEqual(straight);
        expect(model.tensors.flatMap(partNames)).toEqual(shuffled.map(({ name }) => name));
      }),
      { numRuns: 10 },
    );
  });

  test('K, V and their norm may be absent in sharing layers', () => {
    const unread = /layers\.[23]\.self_attn\.[kv]_(proj|norm)/;
    const without = list(dense).filter(({ name }) => !unread.test(name));
    expect(without.length).toBe(dense.tensors.size - 6);
    expect(describeModel(withTensors(dense, without), 'x').tensors.length).toBe(
      dense.tensors.size + 1 - 6,
    );
  });

  test('a text-only export has flat names and a flat config', () => {
    const { text_config: text } = moe.config;
    const flat = withTensors(
      {
        ...moe,
        config: { ...(isJsonObject(text) ? text : {}), architectures: ['Gemma4ForCausalLM'] },
      },
      list(moe).map((one) => ({ ...one, name: one.name.replace('language_model.', '') })),
    );
    const bare = (model: Model) => model.tensors.map(({ name, shape }) => [name, shape]);
    expect(bare(describeModel(flat, 'x'))).toEqual(bare(describeModel(moe, 'x')));
    expect(describeModel(flat, 'x').parameters).toEqual(describeModel(moe, 'x').parameters);
    const both = [...list(flat), ...list(moe).slice(0, 1)];
    expect(codeOf(withTensors(flat, both))).toBe('QD-2305');
  });
});

describe('the output head', () => {
  const [embeddings] = list(moe);
  if (embeddings === undefined) throw new Error('the fixture has no tensors');
  const head = { ...embeddings, name: 'lm_head.weight' };

  test('is dropped and counted where it is tied', () => {
    const { tensors, leftOut } = describeModel(withTensors(moe, [...list(moe), head]), 'x');
    expect(tensors.some(({ name }) => name === 'output.weight')).toBe(false);
    expect(leftOut.map(({ count }) => count)).toEqual([1]);
  });
  test('is written where it is not', () => {
    const untied = { ...moe, config: { ...moe.config, tie_word_embeddings: false } };
    const { tensors } = describeModel(withTensors(untied, [...list(moe), head]), 'x');
    expect(tensors.at(-1)).toMatchObject({
      name: 'output.weight',
      shape: [256, 2048],
      keepF32: false,
    });
    expect(faultOf(untied).detail.tensor).toBe('lm_head.weight');
  });
});

test('towers for images and sound are left out and counted', () => {
  const [one] = list(moe);
  if (one === undefined) throw new Error('the fixture has no tensors');
  const towers = [
    'model.vision_tower.encoder.layers.0.mlp.gate_proj.linear.weight',
    'model.embed_vision.embedding_projection.weight',
    'model.audio_tower.layers.0.input_max',
    'model.embed_audio.embedding_projection.weight',
    'multi_modal_projector.weight',
  ].map((name) => ({ ...one, name }));
  const { tensors, leftOut } = describeModel(withTensors(moe, [...towers, ...list(moe)]), 'x');
  expect(tensors.length).toBe(moe.tensors.size + 1);
  expect(leftOut).toEqual([{ count: towers.length, reason: expect.stringContaining('mmproj') }]);
});

describe('experts stored one by one', () => {
  const stacked = /^(.*experts)\.(gate_up_proj|down_proj)$/;
  const single = list(moe).flatMap((tensor): SourceTensor[] => {
    const [, prefix, kind] = stacked.exec(tensor.name) ?? [];
    const [experts = 0, rows = 0, columns = 0] = tensor.shape;
    if (prefix === undefined) return [tensor];
    const parts = kind === 'down_proj' ? ['down_proj'] : ['gate_proj', 'up_proj'];
    return Array.from({ length: experts }, (_, expert) =>
      parts.map((part, place): SourceTensor => {
        const shape = [rows / parts.length, columns];
        const bytes = 2 * elementsOf(shape);
        const offset = tensor.offset + (expert * parts.length + place) * bytes;
        return { ...tensor, name: `${prefix}.${expert}.${part}.weight`, shape, bytes, offset };
      }),
    ).flat();
  });

  test('are stacked expert by expert, gate before up', () => {
    const one = describeModel(withTensors(moe, single), 'x');
    const other = describeModel(moe, 'x');
    expect(one.tensors.map(({ name, shape }) => [name, shape])).toEqual(
      other.tensors.map(({ name, shape }) => [name, shape]),
    );
    const bytesOf = ({ source }: ModelTensor): unknown =>
      source.kind === 'checkpoint' ? merged(source.parts) : [];
    expect(one.tensors.map(bytesOf)).toEqual(other.tensors.map(bytesOf));
  });
  test('are refused when one lacks, or is of another dtype', () => {
    const last = 'model.language_model.layers.3.experts.7.up_proj.weight';
    const fault = faultOf(
      withTensors(
        moe,
        single.filter(({ name }) => name !== last),
      ),
    );
    expect(fault.kind.code).toBe('QD-2302');
    expect(fault.detail.tensor).toBe('model.layers.3.experts.7.up_proj.weight');
    const mixed = single.map((one) =>
      one.name === last ? { ...one, dtype: 'F16' as const } : one,
    );
    expect(codeOf(withTensors(moe, mixed))).toBe('QD-2306');
  });

  /** Runs of bytes with touching ones joined. */
  function merged(parts: readonly SourceTensor[]): { offset: number; end: number }[] {
    const runs: { offset: number; end: number }[] = [];
    for (const { offset, bytes } of parts) {
      const run = runs.at(-1);
      if (run?.end === offset) run.end += bytes;
      else runs.push({ offset, end: offset + bytes });
    }
    return runs;
  }
});

test('a tensor of a dtype that cannot be converted matters only where it is needed', () => {
  const [first, ...rest] = list(moe);
  if (first === undefined) throw new Error('the fixture has no tensors');
  const odd = (name: string) => new Map([[name, { ...first, name, dtype: 'F8_E4M3' }]]);
  expect(codeOf({ ...withTensors(moe, rest), unusable: odd(first.name) })).toBe('QD-2112');
  const tower = { ...moe, unusable: odd('model.vision_tower.patch.weight') };
  expect(describeModel(tower, 'x').leftOut).toHaveLength(1);
});

describe('config', () => {
  test('defaults are those of the published models', () => {
    const absent = Object.fromEntries(
      ['rope_parameters', 'rms_norm_eps', 'hidden_activation', 'use_double_wide_mlp'].map((key) => [
        key,
        null,
      ]),
    );
    expect(describeModel(withText(moe, absent), 'x').parameters).toEqual(
      describeModel(moe, 'x').parameters,
    );
    const sizes = fakeGemma4(published['26B-A4B'], dense);
    const bare = withText(sizes, { layer_types: null, head_dim: null, global_head_dim: null });
    expect(describeModel(bare, 'x').parameters).toEqual(describeModel(sizes, 'x').parameters);
    const none = withText(moe, { final_logit_softcapping: null });
    expect(plain(describeModel(none, 'x').parameters).at(-1)).toEqual([
      'gemma4.final_logit_softcapping',
      'f32',
      0,
    ]);
  });

  const sliding = 'sliding_attention';
  const full = 'full_attention';
  test.each([
    ['QD-2206', { num_hidden_layers: 1_000_000_000 }],
    ['QD-2206', { hidden_size: 0 }],
    ['QD-2206', { head_dim: 63 }],
    ['QD-2206', { num_key_value_heads: 3 }],
    ['QD-2206', { num_global_key_value_heads: 8 }],
    ['QD-2206', { top_k_experts: 9 }],
    ['QD-2206', { layer_types: [sliding, sliding, full] }],
    ['QD-2206', { layer_types: [sliding, sliding, full, sliding] }],
    ['QD-2206', { layer_types: [sliding, 'chunked_attention', sliding, full] }],
    ['QD-2205', { sliding_window: null }],
    ['QD-2307', { per_layer_config: { 0: { head_dim: 128 } } }],
    ['QD-2307', { attention_bias: true }],
    ['QD-2307', { hidden_activation: 'silu' }],
    ['QD-2307', { use_bidirectional_attention: 'all' }],
    // The last layer with its own K and V would be a sliding one.
    ['QD-2307', { num_kv_shared_layers: 1 }],
    [
      'QD-2307',
      {
        rope_parameters: {
          full_attention: { rope_type: 'yarn', rope_theta: 1e6 },
          sliding_attention: { rope_type: 'default', rope_theta: 1e4 },
        },
      },
    ],
  ] as const)('%s for %j', (code, change) => {
    expect(codeOf(withText(moe, change))).toBe(code);
  });

  // The shapes of the fixture fit only its own order, so an accepted order ends in QD-2304.
  test.each([
    ['QD-2307', 2, [full, sliding, sliding, full]],
    ['QD-2307', 2, [full, full, sliding, full]],
    ['QD-2307', 1, [full, full, sliding, full]],
    ['QD-2304', 1, [sliding, sliding, full, full]],
    ['QD-2304', 2, [sliding, full, full, full]],
    ['QD-2206', 4, [sliding, full, sliding, full]],
  ])('%s when %i of the layers %j share', (code, shared, types) => {
    expect(codeOf(withText(dense, { layer_types: types, num_kv_shared_layers: shared }))).toBe(
      code,
    );
  });
});

test('an unknown architecture is told the known ones', () => {
  const strange = (architectures: JsonObject[string]) =>
    faultOf({ ...moe, config: { ...moe.config, architectures } });
  for (const value of [['LlamaForCausalLM'], [], null, 7, [null]]) {
    const { kind, detail } = strange(value);
    expect(kind.code).toBe('QD-2301');
    expect(detail.why).toContain('Gemma4ForConditionalGeneration, Gemma4ForCausalLM');
  }
});
