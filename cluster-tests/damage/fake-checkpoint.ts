/**
 * Fake checkpoint: a Gemma 4 of any size, by names and shapes alone, for tests.
 *
 *   sizes ──▶ fakeGemma4 ──▶ Checkpoint without a byte of weights
 *
 * The names are written down a second time, as Hugging Face's files have them, so that a slip in
 * the family's own table shows.
 */

import type {
  Checkpoint,
  JsonObject,
  SourceTensor,
} from '../../daemon/core/checkpoint/checkpoint.ts';

export interface FakeSizes {
  readonly architecture?: string;
  readonly layers: number;
  /** Every so many layers one is full, and the last. */
  readonly fullEvery: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly kvHeadsFull: number | null;
  readonly keyIsValue: boolean;
  readonly dense: number;
  readonly doubleWide?: boolean;
  readonly experts?: { readonly count: number; readonly used: number; readonly width: number };
  readonly window: number;
  readonly context: number;
  readonly perLayer?: number;
  readonly shared?: number;
}

const VOCABULARY = 262_144;
const HEAD_DIM = 256;
const HEAD_DIM_FULL = 512;

/** The published models. */
export const published = {
  '26B-A4B': {
    ...{ layers: 30, fullEvery: 6, hidden: 2816, heads: 16, kvHeads: 8, kvHeadsFull: 2 },
    ...{ keyIsValue: true, dense: 2112, experts: { count: 128, used: 8, width: 704 } },
    ...{ window: 1024, context: 262_144 },
  },
  '31B': {
    ...{ layers: 60, fullEvery: 6, hidden: 5376, heads: 32, kvHeads: 16, kvHeadsFull: 4 },
    ...{ keyIsValue: true, dense: 21_504, window: 1024, context: 262_144 },
  },
  '12B': {
    architecture: 'Gemma4UnifiedForConditionalGeneration',
    ...{ layers: 48, fullEvery: 6, hidden: 3840, heads: 16, kvHeads: 8, kvHeadsFull: 1 },
    ...{ keyIsValue: true, dense: 15_360, window: 1024, context: 262_144 },
  },
  E2B: {
    ...{ layers: 35, fullEvery: 5, hidden: 1536, heads: 8, kvHeads: 1, kvHeadsFull: null },
    ...{ keyIsValue: false, dense: 6144, doubleWide: true, window: 512, context: 131_072 },
    ...{ perLayer: 256, shared: 20 },
  },
  E4B: {
    ...{ layers: 42, fullEvery: 6, hidden: 2560, heads: 8, kvHeads: 2, kvHeadsFull: null },
    ...{ keyIsValue: false, dense: 10_240, window: 512, context: 131_072 },
    ...{ perLayer: 256, shared: 18 },
  },
} as const satisfies Record<string, FakeSizes>;

/** @param tokenizer the tokenizer files to put beside it */
export function fakeGemma4(
  sizes: FakeSizes,
  tokenizer: Pick<Checkpoint, 'tokenizer' | 'tokenizerConfig' | 'generationConfig'>,
): Checkpoint {
  const tensors = new Map<string, SourceTensor>();
  let offset = 0;
  for (const [name, shape] of namesAndShapes(sizes)) {
    const full = `model.language_model.${name}`;
    const bytes = 2 * shape.reduce((product, size) => product * size, 1);
    tensors.set(full, { file: FILE, name: full, dtype: 'BF16', shape, offset, bytes });
    offset += bytes;
  }
  return {
    ...tokenizer,
    config: config(sizes),
    chatTemplate: undefined,
    files: [{ file: FILE, bytes: offset }],
    tensors,
    unusable: new Map(),
  };
}

const FILE = 'model.safetensors';

function isFull({ layers, fullEvery }: FakeSizes, layer: number): boolean {
  return layer % fullEvery === fullEvery - 1 || layer === layers - 1;
}

function config(sizes: FakeSizes): JsonObject {
  const { experts } = sizes;
  return {
    architectures: [sizes.architecture ?? 'Gemma4ForConditionalGeneration'],
    tie_word_embeddings: true,
    bos_token_id: 2,
    text_config: {
      num_hidden_layers: sizes.layers,
      hidden_size: sizes.hidden,
      num_attention_heads: sizes.heads,
      num_key_value_heads: sizes.kvHeads,
      num_global_key_value_heads: sizes.kvHeadsFull,
      attention_k_eq_v: sizes.keyIsValue,
      intermediate_size: sizes.dense,
      use_double_wide_mlp: sizes.doubleWide ?? false,
      enable_moe_block: experts !== undefined,
      num_experts: experts?.count ?? null,
      top_k_experts: experts?.used ?? null,
      moe_intermediate_size: experts?.width ?? null,
      vocab_size: VOCABULARY,
      sliding_window: sizes.window,
      layer_types: Array.from({ length: sizes.layers }, (_, layer) =>
        isFull(sizes, layer) ? 'full_attention' : 'sliding_attention',
      ),
      max_position_embeddings: sizes.context,
      hidden_size_per_layer_input: sizes.perLayer ?? 0,
      num_kv_shared_layers: sizes.shared ?? 0,
      final_logit_softcapping: 30,
      rms_norm_eps: 1e-6,
    },
  };
}

type Named = readonly [name: string, shape: readonly number[]];

function namesAndShapes(sizes: FakeSizes): Named[] {
  const { layers, hidden, perLayer = 0 } = sizes;
  const names: Named[] = [
    ['embed_tokens.weight', [VOCABULARY, hidden]],
    ['norm.weight', [hidden]],
  ];
  if (perLayer > 0) {
    names.push(
      ['embed_tokens_per_layer.weight', [VOCABULARY, layers * perLayer]],
      ['per_layer_model_projection.weight', [layers * perLayer, hidden]],
      ['per_layer_projection_norm.weight', [perLayer]],
    );
  }
  for (let layer = 0; layer < layers; layer++) {
    for (const [name, shape] of ofLayer(sizes, layer)) {
      names.push([`layers.${layer}.${name}`, shape]);
    }
  }
  return names;
}

function ofLayer(sizes: FakeSizes, layer: number): Named[] {
  const { hidden, heads, experts, perLayer = 0, shared = 0 } = sizes;
  const full = isFull(sizes, layer);
  const dim = full ? HEAD_DIM_FULL : HEAD_DIM;
  const keys = (full ? (sizes.kvHeadsFull ?? sizes.kvHeads) : sizes.kvHeads) * dim;
  const wide = sizes.doubleWide === true && layer >= sizes.layers - shared ? 2 : 1;
  const dense = wide * sizes.dense;
  const values: Named[] = [['self_attn.v_proj.weight', [keys, hidden]]];
  return [
    ['input_layernorm.weight', [hidden]],
    ['self_attn.q_proj.weight', [heads * dim, hidden]],
    ['self_attn.k_proj.weight', [keys, hidden]],
    ...(full && sizes.keyIsValue ? [] : values),
    ['self_attn.o_proj.weight', [hidden, heads * dim]],
    ['self_attn.q_norm.weight', [dim]],
    ['self_attn.k_norm.weight', [dim]],
    ['post_attention_layernorm.weight', [hidden]],
    ['pre_feedforward_layernorm.weight', [hidden]],
    ['mlp.gate_proj.weight', [dense, hidden]],
    ['mlp.up_proj.weight', [dense, hidden]],
    ['mlp.down_proj.weight', [hidden, dense]],
    ['post_feedforward_layernorm.weight', [hidden]],
    ...(experts === undefined ? [] : ofExperts(experts, hidden)),
    ...(perLayer === 0 ? [] : ofPerLayer(perLayer, hidden)),
    ['layer_scalar', [1]],
  ];
}

function ofExperts({ count, width }: { count: number; width: number }, hidden: number): Named[] {
  return [
    ['post_feedforward_layernorm_1.weight', [hidden]],
    ['pre_feedforward_layernorm_2.weight', [hidden]],
    ['post_feedforward_layernorm_2.weight', [hidden]],
    ['router.proj.weight', [count, hidden]],
    ['router.scale', [hidden]],
    ['router.per_expert_scale', [count]],
    ['experts.gate_up_proj', [count, 2 * width, hidden]],
    ['experts.down_proj', [count, hidden, width]],
  ];
}

function ofPerLayer(width: number, hidden: number): Named[] {
  return [
    ['per_layer_input_gate.weight', [width, hidden]],
    ['per_layer_projection.weight', [hidden, width]],
    ['post_per_layer_input_norm.weight', [hidden]],
  ];
}
