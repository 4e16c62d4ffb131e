/**
 * Gemma 4's forward pass: its layers as lists of operations.
 *
 *   Gemma4Config + the model's tensors ──▶ gemma4Forward ──▶ Forward
 *
 * The steps and their order are those of docs/gemma4.md, section "Forward pass"; the numbers follow
 * kernels/DET-1.md. The entries of an importance matrix are the ones that llama-imatrix collects.
 * Read next: layer-writer.ts.
 */

import { assert } from '../../../proto/assert.ts';
import type { ModelTensor } from './family.ts';
import type {
  Forward,
  Front,
  Layer,
  Register,
  RotationTable,
  StateRegister,
  TensorName,
  Weight,
} from './forward.ts';
import type { Gemma4Config } from './gemma4-config.ts';
import { LayerWriter } from './layer-writer.ts';

type Weights = ReadonlyMap<TensorName, Weight>;

const EMBEDDING = 'token_embd.weight';
const OUTPUT = 'output.weight';

const HIDDEN: Register = 'hidden';
/** What a norm makes of the hidden state, for the products after it. */
const NORMED: Register = 'normed';
/** What is added to the hidden state. */
const BRANCH: Register = 'branch';
const PER_LAYER: Register = 'per_layer_inputs';
/** Those of all layers, one after the other. */
const ALL_INPUTS: Register = 'all_inputs';

const SLIDING_TABLE = 0;
const FULL_TABLE = 1;

/** @param tensors all of the model, with rope_freqs.weight */
export function gemma4Forward(config: Gemma4Config, tensors: readonly ModelTensor[]): Forward {
  const weights = weightsOf(tensors);
  const sizes: Sizes = { ...config, ...shareKeys(config) };
  return {
    hiddenWidth: config.hidden,
    vocabulary: config.vocabulary,
    front: frontOf(config, weights),
    layers: Array.from({ length: config.layers }, (_, n) => layerOf(sizes, weights, n)),
    head: headOf(config, weights),
    tables: tablesOf(config, tensors),
    cuts: Array.from({ length: config.layers + 1 }, (_, n) => crossing(sizes, n)),
  };
}

function weightsOf(tensors: readonly ModelTensor[]): Map<TensorName, Weight> {
  const weights = new Map<TensorName, Weight>();
  for (const { name, shape, keepF32, source } of tensors) {
    if (source.kind !== 'checkpoint') continue;
    weights.set(name, { tensor: name, type: source.dtype, isKeptF32: keepF32, shape });
  }
  return weights;
}

/** The embedding, and of models with per-layer embeddings what every layer gets of them. */
function frontOf(c: Gemma4Config, weights: Weights): Front {
  const front = new LayerWriter(weights, '');
  const lookUp = (into: Register, name: TensorName, width: number): Front['lookups'][number] => {
    const table = weights.get(name);
    assert(table !== undefined, `the model has no ${name}`);
    front.read(into, table.shape[0] ?? 0);
    return { into, table, factor: Math.fround(Math.sqrt(width)) };
  };
  const hidden = lookUp(HIDDEN, EMBEDDING, c.hidden);
  if (c.perLayerWidth === 0) {
    front.leave(HIDDEN);
    return { lookups: [hidden], layer: front.finish() };
  }
  const width = c.perLayerWidth;
  const ofToken = lookUp('token_inputs', 'per_layer_token_embd.weight', width);
  front.product(ALL_INPUTS, HIDDEN, 'per_layer_model_proj.weight');
  front.scale(ALL_INPUTS, 1 / Math.fround(Math.sqrt(c.hidden)));
  front.norm(ALL_INPUTS, ALL_INPUTS, {
    width,
    weight: 'per_layer_proj_norm.weight',
    epsilon: c.epsilon,
  });
  front.add(ALL_INPUTS, ALL_INPUTS, 'token_inputs');
  front.scale(ALL_INPUTS, Math.SQRT1_2);
  front.leave(HIDDEN);
  front.leave(ALL_INPUTS);
  return {
    lookups: [hidden, ofToken],
    layer: front.finish(),
    slices: { from: ALL_INPUTS, into: PER_LAYER, width },
  };
}

function layerOf(c: Sizes, weights: Weights, n: number): Layer {
  const layer = new LayerWriter(weights, `blk.${n}.`);
  layer.read(HIDDEN, c.hidden);
  attention(layer, c, n);
  feedForward(layer, c);
  if (c.perLayerWidth > 0) perLayer(layer, c);
  layer.multiply(HIDDEN, 'layer_output_scale.weight');
  layer.leave(HIDDEN);
  if (isSharedLater(c, n)) {
    layer.leave(keysOf(c, n));
    layer.leave(valuesOf(c, n));
  }
  return layer.finish();
}

function attention(layer: LayerWriter, c: Sizes, n: number): void {
  const { epsilon } = c;
  const sliding = c.sliding[n] ?? false;
  const width = sliding ? c.headDimSliding : c.headDimFull;
  const table = sliding ? SLIDING_TABLE : FULL_TABLE;
  const keys = keysOf(c, n);
  const values = valuesOf(c, n);
  const hasKeys = c.source[n] === n;
  const hasValues = hasKeys && !(c.keyIsValue && !sliding);

  layer.norm(NORMED, HIDDEN, { weight: 'attn_norm.weight', epsilon });
  layer.collect(NORMED, [
    'attn_q.weight',
    ...(hasKeys ? ['attn_k.weight'] : []),
    ...(hasValues ? ['attn_v.weight'] : []),
  ]);
  layer.product('queries', NORMED, 'attn_q.weight');
  layer.norm('queries', 'queries', { width, weight: 'attn_q_norm.weight', epsilon });
  layer.rotate('queries', width, table);
  if (hasKeys) {
    layer.product(keys, NORMED, 'attn_k.weight');
    if (hasValues) layer.product(values, NORMED, 'attn_v.weight');
    // Where there is no V, it is K as it was before its own norm and rotation.
    layer.norm(values, hasValues ? values : keys, { width, epsilon });
    layer.norm(keys, keys, { width, weight: 'attn_k_norm.weight', epsilon });
    layer.rotate(keys, width, table);
  } else {
    layer.read(keys, keyWidth(c, n));
    layer.read(values, keyWidth(c, n));
  }
  const window = sliding ? c.window : 0;
  const into = 'queries';
  layer.attention({ into, queries: 'queries', keys, values, width, window, scale: 1 });
  layer.collect('queries', ['attn_output.weight']);
  layer.product(BRANCH, 'queries', 'attn_output.weight');
  layer.norm(BRANCH, BRANCH, { weight: 'post_attention_norm.weight', epsilon });
  layer.add(HIDDEN, HIDDEN, BRANCH);
}

function feedForward(layer: LayerWriter, c: Gemma4Config): void {
  const { epsilon } = c;
  layer.norm(NORMED, HIDDEN, { weight: 'ffn_norm.weight', epsilon });
  layer.collect(NORMED, ['ffn_gate.weight', 'ffn_up.weight']);
  layer.product('gate', NORMED, 'ffn_gate.weight');
  layer.product('up', NORMED, 'ffn_up.weight');
  layer.gate('gate', 'gate', 'up', 'gelu');
  layer.collect('gate', ['ffn_down.weight']);
  layer.product(BRANCH, 'gate', 'ffn_down.weight');
  if (c.moe !== null) {
    layer.norm(BRANCH, BRANCH, { weight: 'post_ffw_norm_1.weight', epsilon });
    mixture(layer, c, c.moe.used);
    layer.add(BRANCH, BRANCH, 'mixture');
  }
  layer.norm(BRANCH, BRANCH, { weight: 'post_ffw_norm.weight', epsilon });
  layer.add(HIDDEN, HIDDEN, BRANCH);
}

/** The router reads the hidden state, not what the dense part reads. */
function mixture(layer: LayerWriter, c: Gemma4Config, used: number): void {
  const { epsilon } = c;
  layer.norm(NORMED, HIDDEN, { epsilon });
  layer.scale(NORMED, 1 / Math.fround(Math.sqrt(c.hidden)));
  layer.multiply(NORMED, 'ffn_gate_inp.scale');
  layer.collect(NORMED, ['ffn_gate_inp.weight']);
  layer.product('router', NORMED, 'ffn_gate_inp.weight');
  layer.route('routing', 'router', used, 'ffn_down_exps.scale');

  layer.norm(NORMED, HIDDEN, { weight: 'pre_ffw_norm_2.weight', epsilon });
  layer.experts({
    into: 'mixture',
    from: NORMED,
    routing: 'routing',
    used,
    gateUp: 'ffn_gate_up_exps.weight',
    down: 'ffn_down_exps.weight',
    activation: 'gelu',
  });
  layer.norm('mixture', 'mixture', { weight: 'post_ffw_norm_2.weight', epsilon });
}

function perLayer(layer: LayerWriter, c: Gemma4Config): void {
  layer.input(PER_LAYER, c.perLayerWidth);
  layer.collect(HIDDEN, ['inp_gate.weight']);
  layer.product('input_gate', HIDDEN, 'inp_gate.weight');
  layer.gate('input_gate', 'input_gate', PER_LAYER, 'gelu');
  layer.collect('input_gate', ['proj.weight']);
  layer.product(BRANCH, 'input_gate', 'proj.weight');
  layer.norm(BRANCH, BRANCH, { weight: 'post_norm.weight', epsilon: c.epsilon });
  layer.add(HIDDEN, HIDDEN, BRANCH);
}

function headOf(c: Gemma4Config, weights: Weights): Layer {
  const head = new LayerWriter(weights, '');
  const weight = c.tied ? EMBEDDING : OUTPUT;
  head.read(HIDDEN, c.hidden);
  head.input('targets', 1);
  head.norm(NORMED, HIDDEN, { weight: 'output_norm.weight', epsilon: c.epsilon });
  head.collect(NORMED, [weight]);
  head.loss({ into: 'loss', from: NORMED, weight, targets: 'targets', softcap: c.softcap });
  head.leave('loss');
  return head.finish();
}

function tablesOf(c: Gemma4Config, tensors: readonly ModelTensor[]): RotationTable[] {
  const generated = tensors.find(({ name }) => name === 'rope_freqs.weight')?.source;
  assert(generated?.kind === 'generated', 'what turns in a full layer is not known');
  return [
    { width: c.headDimSliding, base: c.ropeBaseSliding },
    { width: c.headDimFull, base: c.ropeBaseFull, factors: generated.values },
  ];
}

// ── Shared keys and values ──────────────────────────────────────────────────────────────────────

interface Sharing {
  /** The layer whose K and V a layer reads: itself, or the last of its kind that has its own. */
  readonly source: readonly number[];
  /** The last layer that reads the K and V of a layer: itself where they are not shared. */
  readonly lastReader: readonly number[];
}

interface Sizes extends Gemma4Config, Sharing {}

function shareKeys({ sliding, layers, sharedLayers }: Gemma4Config): Sharing {
  const own = layers - sharedLayers;
  const lastOwn = [true, false].map((slides) => sliding.lastIndexOf(slides, own - 1));
  const source = sliding.map((slides, n) => (n < own ? n : (lastOwn[slides ? 0 : 1] ?? 0)));
  const lastReader = source.map((_, n) => n);
  source.forEach((from, reader) => {
    lastReader[from] = reader;
  });
  return { source, lastReader };
}

function isSharedLater(c: Sizes, n: number): boolean {
  return (c.lastReader[n] ?? n) > n;
}

/** Only what other layers read has a name of its own among the state. */
function keysOf(c: Sizes, n: number): Register {
  const source = c.source[n] ?? n;
  return isSharedLater(c, source) ? `keys.${source}` : 'keys';
}

function valuesOf(c: Sizes, n: number): Register {
  const source = c.source[n] ?? n;
  return isSharedLater(c, source) ? `values.${source}` : 'values';
}

function keyWidth(c: Sizes, n: number): number {
  return (c.kvHeads[n] ?? 0) * (c.sliding[n] ? c.headDimSliding : c.headDimFull);
}

/** What layers from n on read of those before n; every cut is allowed. */
function crossing(c: Sizes, n: number): StateRegister[] {
  const state: StateRegister[] = [{ register: HIDDEN, width: c.hidden }];
  for (let source = 0; source < n; source++) {
    if (!isSharedLater(c, source) || (c.lastReader[source] ?? source) < n) continue;
    const width = keyWidth(c, source);
    state.push({ register: keysOf(c, source), width }, { register: valuesOf(c, source), width });
  }
  const width = (c.layers - n) * c.perLayerWidth;
  if (width > 0) state.push({ register: ALL_INPUTS, width });
  return state;
}
