/**
 * Gemma 4's config.json: every value that shapes, metadata and arithmetic depend on, checked.
 *
 *   config.json ──▶ readGemma4Config ──▶ Gemma4Config  (read next: gemma4.ts)
 *
 * The text model's values stand in `text_config`, or at the root of text-only exports. What a
 * GGUF cannot say is refused here, since a file that leaves it out loads and answers wrongly.
 */

import { FaultError } from '../../../proto/fault.ts';
import type { JsonObject } from '../checkpoint/checkpoint.ts';
import { ConfigReader } from '../checkpoint/config.ts';
import { modelFaults } from './faults.ts';

// The largest published model has 60 layers, hidden size 5376, 128 experts and 262144 tokens. The
// limits leave room for models many times that size, and keep tables and products of a hostile
// config small.
const LAYERS_MAX = 1024;
const WIDTH_MAX = 2 ** 20;
const HEADS_MAX = 2 ** 14;
const HEAD_DIM_MAX = 2 ** 14;
const EXPERTS_MAX = 4096;
const VOCABULARY_ROWS_MAX = 2 ** 22;
const CONTEXT_TOKENS_MAX = 2 ** 30;

export interface Gemma4Config {
  readonly layers: number;
  readonly hidden: number;
  readonly vocabulary: number;
  readonly context: number;
  readonly heads: number;
  readonly kvHeads: readonly number[];
  /** Whether full layers have their own number of KV heads, even if it is the same one. */
  readonly kvHeadsPerLayer: boolean;
  readonly headDimSliding: number;
  readonly headDimFull: number;
  /** Full layers compute V with the weights of K. */
  readonly keyIsValue: boolean;
  readonly sliding: readonly boolean[];
  readonly window: number;
  readonly feedForward: readonly number[];
  readonly doubleWide: boolean;
  readonly moe: { readonly experts: number; readonly used: number; readonly width: number } | null;
  /** Width of the per-layer embeddings; 0 is a model without them. */
  readonly perLayerWidth: number;
  /** The last layers that use the K and V of an earlier one. */
  readonly sharedLayers: number;
  readonly ropeBaseFull: number;
  readonly ropeBaseSliding: number;
  readonly rotatedFraction: number;
  readonly epsilon: number;
  /** 0 is none. */
  readonly softcap: number;
  readonly tied: boolean;
}

/** @throws FaultError QD-2205, QD-2206 (values), QD-2307 (what no GGUF can say) */
export function readGemma4Config(root: JsonObject): Gemma4Config {
  const file = new ConfigReader('config.json', root);
  const text = file.has('text_config') ? file.object('text_config') : file;
  refuseUnsayable(text);

  const layers = text.integer('num_hidden_layers', { min: 1, max: LAYERS_MAX });
  const sliding = readLayerTypes(text, layers);
  const sharedLayers = readSharedLayers(text, sliding);
  return {
    layers,
    hidden: text.integer('hidden_size', { min: 1, max: WIDTH_MAX }),
    vocabulary: text.integer('vocab_size', { min: 1, max: VOCABULARY_ROWS_MAX }),
    context: text.integer('max_position_embeddings', { min: 1, max: CONTEXT_TOKENS_MAX }),
    ...readHeads(text, sliding),
    keyIsValue: text.boolean('attention_k_eq_v', { default: false }),
    sliding,
    window: text.integer('sliding_window', { min: 1, max: CONTEXT_TOKENS_MAX }),
    ...readFeedForward(text, layers, sharedLayers),
    moe: readExperts(text),
    perLayerWidth: text.integer('hidden_size_per_layer_input', {
      min: 0,
      max: WIDTH_MAX,
      default: 0,
    }),
    sharedLayers,
    ...readRope(text),
    // Larger ones would hide what the norm is there to divide by; 0 divides by nothing at all.
    epsilon: text.number('rms_norm_eps', { min: 1e-12, max: 0.1, default: 1e-6 }),
    softcap: text.number('final_logit_softcapping', { min: 0, max: 1e6, default: 0 }),
    tied: readTied(file, text),
  };
}

/** Settings that change the arithmetic and have no place in a GGUF of this architecture. */
function refuseUnsayable(text: ConfigReader): void {
  const refuse = (key: string, why: string): never => {
    throw new FaultError(modelFaults.unsupportedConfig, { file: text.file, key, why });
  };
  if (text.has('per_layer_config')) {
    refuse('per_layer_config', 'head sizes that differ within one kind of layer');
  }
  if (text.boolean('attention_bias', { default: false })) {
    refuse('attention_bias', 'attention with biases');
  }
  const activation = text.string('hidden_activation', { default: 'gelu_pytorch_tanh' });
  if (activation !== 'gelu_pytorch_tanh') {
    refuse('hidden_activation', 'an activation other than gelu_pytorch_tanh');
  }
  // "vision" concerns image tokens alone; text stays causal.
  if (text.string('use_bidirectional_attention', { default: 'vision' }) !== 'vision') {
    refuse('use_bidirectional_attention', 'text attention that is not causal');
  }
}

/** True where a layer looks back over the window only. Default: every sixth and the last are full. */
function readLayerTypes(text: ConfigReader, layers: number): boolean[] {
  const sixth = Array.from({ length: layers }, (_, n) =>
    n % 6 === 5 || n === layers - 1 ? 'full_attention' : 'sliding_attention',
  );
  const types = text.strings('layer_types', {
    lengthMin: layers,
    lengthMax: layers,
    default: sixth,
  });
  const place = types.findIndex(
    (type) => type !== 'full_attention' && type !== 'sliding_attention',
  );
  if (place >= 0) {
    text.wrong(`layer_types[${place}]`, 'it must be sliding_attention or full_attention');
  }
  if (types.at(-1) !== 'full_attention') {
    text.wrong('layer_types', 'the last layer must be full_attention');
  }
  return types.map((type) => type === 'sliding_attention');
}

/**
 * A sharing layer takes K and V of the last earlier layer of its kind that has its own. llama.cpp
 * looks for them at fixed places, the last layer before the sharing ones (full) and the one before
 * that (sliding), so other orders would be computed wrongly.
 */
function readSharedLayers(text: ConfigReader, sliding: readonly boolean[]): number {
  const layers = sliding.length;
  const count = text.integer('num_kv_shared_layers', { min: 0, max: layers - 1, default: 0 });
  const own = sliding.slice(0, layers - count);
  const misplaced =
    (sliding.indexOf(false, own.length) >= 0 && own.at(-1) !== false) ||
    (sliding.indexOf(true, own.length) >= 0 && own.lastIndexOf(true) !== own.length - 2);
  if (count > 0 && misplaced) {
    throw new FaultError(modelFaults.unsupportedConfig, {
      file: text.file,
      key: 'num_kv_shared_layers',
      why: 'the last layers with their own K and V are not one sliding and then one full layer',
    });
  }
  return count;
}

function readHeads(
  text: ConfigReader,
  sliding: readonly boolean[],
): Pick<Gemma4Config, 'heads' | 'kvHeads' | 'kvHeadsPerLayer' | 'headDimSliding' | 'headDimFull'> {
  const heads = text.integer('num_attention_heads', { min: 1, max: HEADS_MAX });
  const readGroups = (key: string, otherwise?: number): number => {
    const range = { min: 1, max: heads };
    const count = text.integer(
      key,
      otherwise === undefined ? range : { ...range, default: otherwise },
    );
    if (heads % count !== 0) text.wrong(key, `${heads} query heads do not divide by ${count}`);
    return count;
  };
  const readDim = (key: string, otherwise: number): number => {
    const dim = text.integer(key, { min: 2, max: HEAD_DIM_MAX, default: otherwise });
    if (dim % 2 !== 0) text.wrong(key, `${dim} is odd, but rotation takes dimensions in pairs`);
    return dim;
  };
  const kvSliding = readGroups('num_key_value_heads');
  const kvFull = readGroups('num_global_key_value_heads', kvSliding);
  return {
    heads,
    kvHeads: sliding.map((slides) => (slides ? kvSliding : kvFull)),
    kvHeadsPerLayer: text.has('num_global_key_value_heads'),
    headDimSliding: readDim('head_dim', 256),
    headDimFull: readDim('global_head_dim', 512),
  };
}

function readFeedForward(
  text: ConfigReader,
  layers: number,
  sharedLayers: number,
): Pick<Gemma4Config, 'feedForward' | 'doubleWide'> {
  const width = text.integer('intermediate_size', { min: 1, max: WIDTH_MAX });
  const doubleWide = text.boolean('use_double_wide_mlp', { default: false });
  const feedForward = Array.from({ length: layers }, (_, n) =>
    doubleWide && n >= layers - sharedLayers ? 2 * width : width,
  );
  return { feedForward, doubleWide };
}

function readExperts(text: ConfigReader): Gemma4Config['moe'] {
  if (!text.boolean('enable_moe_block', { default: false })) return null;
  const experts = text.integer('num_experts', { min: 1, max: EXPERTS_MAX });
  const used = text.integer('top_k_experts', { min: 1, max: experts });
  // Early exports have the older name.
  const old = 'expert_intermediate_size';
  const key = text.has(old) ? old : 'moe_intermediate_size';
  return { experts, used, width: text.integer(key, { min: 1, max: WIDTH_MAX }) };
}

function readRope(
  text: ConfigReader,
): Pick<Gemma4Config, 'ropeBaseFull' | 'ropeBaseSliding' | 'rotatedFraction'> {
  if (!text.has('rope_parameters')) {
    return { ropeBaseFull: 1e6, ropeBaseSliding: 1e4, rotatedFraction: 0.25 };
  }
  const rope = text.object('rope_parameters');
  const full = rope.object('full_attention');
  const sliding = rope.object('sliding_attention');
  requireRope(full, 'proportional');
  requireRope(sliding, 'default');
  const base = { min: 1, max: 1e12 };
  return {
    ropeBaseFull: full.number('rope_theta', base),
    ropeBaseSliding: sliding.number('rope_theta', base),
    rotatedFraction: full.number('partial_rotary_factor', { min: 0, max: 1, default: 0.25 }),
  };
}

function requireRope(rope: ConfigReader, type: string): void {
  if (rope.string('rope_type') === type && rope.number('factor', { default: 1 }) === 1) return;
  throw new FaultError(modelFaults.unsupportedConfig, {
    file: rope.file,
    key: 'rope_parameters',
    why: `rotation of another kind than ${type} without a factor`,
  });
}

/** Whether the head is the embedding table: the root's word counts before the text model's. */
function readTied(root: ConfigReader, text: ConfigReader): boolean {
  const inText = text.boolean('tie_word_embeddings', { default: true });
  return root.boolean('tie_word_embeddings', { default: inText });
}
