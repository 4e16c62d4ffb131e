/**
 * Gemma 4: names, shapes and metadata of its three builds: mixture of experts (26B-A4B), dense
 * (31B, 12B) and per-layer embeddings with shared keys and values (E2B, E4B).
 *
 *   Checkpoint ──▶ readGemma4Config ──▶ tensorTable + parameters + vocabulary ──▶ Model
 *
 * Source of every fact: docs/gemma4.md. No weight is changed on the way: norms get no +1 (unlike
 * Gemma 1 to 3), q and k are not permuted. Read next: gemma4-config.ts, the
 * values of config.json; gemma4-forward.ts, its layers as operations; tensor-table.ts, which
 * matches the table against a checkpoint, and tokenizer.ts.
 */

import type { Checkpoint, JsonObject } from '../checkpoint/checkpoint.ts';
import type { KeyValue } from '../gguf/metadata.ts';
import type { Model, ModelFamily, ModelTensor } from './family.ts';
import type { Forward } from './forward.ts';
import { type Gemma4Config, readGemma4Config } from './gemma4-config.ts';
import { gemma4Forward } from './gemma4-forward.ts';
import { bools, f32, i32s, str, u32 } from './key-values.ts';
import { sizeLabel } from './size-label.ts';
import {
  expectTensors,
  type LeaveOut,
  type Matched,
  matchTensors,
  type SourceShape,
  type TensorRow,
} from './tensor-table.ts';
import { describeVocabulary, type TokenizerKind } from './tokenizer.ts';

const ARCHITECTURE = 'gemma4';
const UNIFIED_CLASS = 'Gemma4UnifiedForConditionalGeneration';

export const gemma4: ModelFamily = {
  architecture: ARCHITECTURE,
  classes: ['Gemma4ForConditionalGeneration', 'Gemma4ForCausalLM', UNIFIED_CLASS],
  describe,
  forward,
  tensors: (checkpoint) => tensorsOf(readGemma4Config(checkpoint.config), checkpoint).tensors,
};

/** What divides the angle of a pair that full attention does not rotate: it leaves an angle of 0. */
const NO_ROTATION = 1e30;

function describe(checkpoint: Checkpoint, name: string): Model {
  const config = readGemma4Config(checkpoint.config);
  const { tensors, leftOut } = tensorsOf(config, checkpoint);
  const experts = config.moe?.experts ?? 0;
  const kvHeads = config.kvHeads[0] ?? 0;
  return {
    shape: {
      architecture: ARCHITECTURE,
      layers: config.layers,
      heads: config.heads,
      kvHeads,
      experts,
    },
    tensors,
    general: [
      str('general.architecture', ARCHITECTURE),
      str('general.type', 'model'),
      str('general.name', name),
      str('general.size_label', sizeLabel(tensors, experts)),
    ],
    parameters: parameters(config),
    vocabulary: describeVocabulary(checkpoint, config.vocabulary, {
      ...tokenizerKind,
      suppressTokens: isUnified(checkpoint.config),
    }),
    leftOut,
  };
}

function forward(checkpoint: Checkpoint): Forward {
  const config = readGemma4Config(checkpoint.config);
  return gemma4Forward(config, tensorsOf(config, checkpoint).tensors);
}

function tensorsOf(config: Gemma4Config, checkpoint: Checkpoint): Matched {
  const { tensors, leftOut } = matchTensors(
    expectTensors(tensorTable, config, config.layers),
    checkpoint,
    (source) => source.replaceAll('language_model.', ''),
    config.tied ? [...otherTowers, tiedHead] : otherTowers,
  );
  return { tensors: [ropeFactors(config), ...tensors], leftOut };
}

function isUnified({ architectures }: JsonObject): boolean {
  return Array.isArray(architectures) && architectures[0] === UNIFIED_CLASS;
}

// ── Tensors ─────────────────────────────────────────────────────────────────────────────────────

type Row = TensorRow<Gemma4Config>;
type Shape = Row['shape'];

const hidden: Shape = (c) => [c.hidden];
const headDim = (c: Gemma4Config, layer: number): number =>
  c.sliding[layer] ? c.headDimSliding : c.headDimFull;
const queries = (c: Gemma4Config, layer: number): number => c.heads * headDim(c, layer);
const keys: Shape = (c, layer) => [(c.kvHeads[layer] ?? 0) * headDim(c, layer), c.hidden];
const values: Shape = (c, layer) =>
  c.keyIsValue && !c.sliding[layer] ? undefined : keys(c, layer);
const feedForward = (c: Gemma4Config, layer: number): number => c.feedForward[layer] ?? 0;

/** Of tensors that only models with experts, or only those with per-layer embeddings, have. */
const moe =
  (shape: (experts: number, width: number, hidden: number) => SourceShape): Shape =>
  (c) =>
    c.moe === null ? undefined : shape(c.moe.experts, c.moe.width, c.hidden);
const perLayer =
  (shape: (width: number, c: Gemma4Config) => SourceShape): Shape =>
  (c) =>
    c.perLayerWidth === 0 ? undefined : shape(c.perLayerWidth, c);
const moeHidden: Shape = moe((_experts, _width, size) => [size]);

// Published files carry the K and V of sharing layers although nothing reads them.
const shared = (c: Gemma4Config, layer: number): boolean => layer >= c.layers - c.sharedLayers;

const matrix = (source: string, name: string, shape: Shape): Row => {
  return { source, name, shape, keepF32: false };
};
const kept = (source: string, name: string, shape: Shape): Row => {
  return { source, name, shape, keepF32: true };
};
const layer = (row: Row): Row => {
  const source = `model.layers.{N}.${row.source}`;
  const perExpert = row.perExpert?.map((name) => `model.layers.{N}.${name}`) ?? [];
  return { ...row, source, name: `blk.{N}.${row.name}`, perExpert };
};

/** Kept in F32: what has one dimension, the router, and what does not end in `.weight`. */
const tensorTable: readonly Row[] = [
  matrix('model.embed_tokens.weight', 'token_embd.weight', (c) => [c.vocabulary, c.hidden]),
  matrix('lm_head.weight', 'output.weight', (c) => (c.tied ? undefined : [c.vocabulary, c.hidden])),
  kept('model.norm.weight', 'output_norm.weight', hidden),
  matrix(
    'model.embed_tokens_per_layer.weight',
    'per_layer_token_embd.weight',
    perLayer((width, c) => [c.vocabulary, c.layers * width]),
  ),
  matrix(
    'model.per_layer_model_projection.weight',
    'per_layer_model_proj.weight',
    perLayer((width, c) => [c.layers * width, c.hidden]),
  ),
  kept(
    'model.per_layer_projection_norm.weight',
    'per_layer_proj_norm.weight',
    perLayer((width) => [width]),
  ),
  ...[
    kept('input_layernorm.weight', 'attn_norm.weight', hidden),
    matrix('self_attn.q_proj.weight', 'attn_q.weight', (c, n) => [queries(c, n), c.hidden]),
    { ...matrix('self_attn.k_proj.weight', 'attn_k.weight', keys), optional: shared },
    { ...matrix('self_attn.v_proj.weight', 'attn_v.weight', values), optional: shared },
    matrix('self_attn.o_proj.weight', 'attn_output.weight', (c, n) => [c.hidden, queries(c, n)]),
    kept('self_attn.q_norm.weight', 'attn_q_norm.weight', (c, n) => [headDim(c, n)]),
    {
      ...kept('self_attn.k_norm.weight', 'attn_k_norm.weight', (c, n) => [headDim(c, n)]),
      optional: shared,
    },
    kept('post_attention_layernorm.weight', 'post_attention_norm.weight', hidden),

    kept('pre_feedforward_layernorm.weight', 'ffn_norm.weight', hidden),
    matrix('mlp.gate_proj.weight', 'ffn_gate.weight', (c, n) => [feedForward(c, n), c.hidden]),
    matrix('mlp.up_proj.weight', 'ffn_up.weight', (c, n) => [feedForward(c, n), c.hidden]),
    matrix('mlp.down_proj.weight', 'ffn_down.weight', (c, n) => [c.hidden, feedForward(c, n)]),
    kept('post_feedforward_layernorm.weight', 'post_ffw_norm.weight', hidden),

    kept('post_feedforward_layernorm_1.weight', 'post_ffw_norm_1.weight', moeHidden),
    kept('pre_feedforward_layernorm_2.weight', 'pre_ffw_norm_2.weight', moeHidden),
    kept('post_feedforward_layernorm_2.weight', 'post_ffw_norm_2.weight', moeHidden),
    kept(
      'router.proj.weight',
      'ffn_gate_inp.weight',
      moe((experts, _width, size) => [experts, size]),
    ),
    kept('router.scale', 'ffn_gate_inp.scale', moeHidden),
    kept(
      'router.per_expert_scale',
      'ffn_down_exps.scale',
      moe((experts) => [experts]),
    ),
    {
      ...matrix(
        'experts.gate_up_proj',
        'ffn_gate_up_exps.weight',
        moe((experts, width, size) => [experts, 2 * width, size]),
      ),
      perExpert: ['experts.{E}.gate_proj.weight', 'experts.{E}.up_proj.weight'],
    },
    {
      ...matrix(
        'experts.down_proj',
        'ffn_down_exps.weight',
        moe((experts, width, size) => [experts, size, width]),
      ),
      perExpert: ['experts.{E}.down_proj.weight'],
    },

    matrix(
      'per_layer_input_gate.weight',
      'inp_gate.weight',
      perLayer((width, c) => [width, c.hidden]),
    ),
    matrix(
      'per_layer_projection.weight',
      'proj.weight',
      perLayer((width, c) => [c.hidden, width]),
    ),
    kept(
      'post_per_layer_input_norm.weight',
      'post_norm.weight',
      perLayer((_width, c) => [c.hidden]),
    ),
    kept('layer_scalar', 'layer_output_scale.weight', () => [1]),
  ].map(layer),
];

const otherTowers: readonly LeaveOut[] = [
  {
    pattern: /vision_|vision\.|audio_|audio\.|projector\.|patch_embed/,
    reason: 'image and sound towers belong in a separate mmproj file',
  },
];
const tiedHead: LeaveOut = {
  pattern: /^(?:model\.)?(?:language_model\.)?lm_head\.weight$/,
  reason: 'the output head is the embedding table (tie_word_embeddings)',
};

/**
 * What the angles of full attention are divided by, one number per pair of dimensions: 1 for the
 * share that turns, then NO_ROTATION. Loaders refuse a file without it.
 */
function ropeFactors({ headDimFull, rotatedFraction }: Gemma4Config): ModelTensor {
  const pairs = headDimFull / 2;
  const rotated = Math.floor((headDimFull * rotatedFraction) / 2);
  const factors = new Float32Array(pairs).fill(1, 0, rotated).fill(NO_ROTATION, rotated);
  return {
    name: 'rope_freqs.weight',
    shape: [pairs],
    keepF32: true,
    source: { kind: 'generated', values: factors },
  };
}

// ── Metadata ────────────────────────────────────────────────────────────────────────────────────

function parameters(config: Gemma4Config): KeyValue[] {
  const key = (name: string): string => `${ARCHITECTURE}.${name}`;
  const { moe: experts } = config;
  return [
    u32(key('block_count'), config.layers),
    u32(key('context_length'), config.context),
    u32(key('embedding_length'), config.hidden),
    config.doubleWide
      ? i32s(key('feed_forward_length'), config.feedForward)
      : u32(key('feed_forward_length'), config.feedForward[0] ?? 0),
    u32(key('attention.head_count'), config.heads),
    config.kvHeadsPerLayer
      ? i32s(key('attention.head_count_kv'), config.kvHeads)
      : u32(key('attention.head_count_kv'), config.kvHeads[0] ?? 0),
    u32(key('attention.key_length'), config.headDimFull),
    u32(key('attention.value_length'), config.headDimFull),
    u32(key('attention.key_length_swa'), config.headDimSliding),
    u32(key('attention.value_length_swa'), config.headDimSliding),
    f32(key('attention.layer_norm_rms_epsilon'), config.epsilon),
    u32(key('attention.sliding_window'), config.window),
    bools(key('attention.sliding_window_pattern'), config.sliding),
    u32(key('attention.shared_kv_layers'), config.sharedLayers),
    u32(key('embedding_length_per_layer_input'), config.perLayerWidth),
    f32(key('rope.freq_base'), config.ropeBaseFull),
    f32(key('rope.freq_base_swa'), config.ropeBaseSliding),
    // The whole head: which part of it turns is said by rope_freqs.weight.
    u32(key('rope.dimension_count'), config.headDimFull),
    u32(key('rope.dimension_count_swa'), config.headDimSliding),
    ...(experts === null
      ? []
      : [
          u32(key('expert_count'), experts.experts),
          u32(key('expert_used_count'), experts.used),
          u32(key('expert_feed_forward_length'), experts.width),
        ]),
    // Readers take 30 where the key is missing, so a model without a cap must say 0.
    f32(key('final_logit_softcapping'), config.softcap),
  ];
}

const tokenizerKind: TokenizerKind = {
  model: ARCHITECTURE,
  // Markers that a chat program must see in the output, so they are not CONTROL.
  userDefined: new Set([
    '<|channel>',
    '<channel|>',
    '<|tool_call>',
    '<tool_call|>',
    '<|tool_response>',
    '<tool_response|>',
    '<|"|>',
  ]),
  suppressTokens: false,
};
