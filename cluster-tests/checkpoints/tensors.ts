/**
 * Tensors: the names, shapes and first weights of a Gemma 4 checkpoint.
 *
 *   CheckpointSpec ──▶ listTensors ──▶ what safetensors.ts writes
 *
 * The weights are drawn so that a model computes something: activations keep their size from
 * layer to layer, logits spread by about 1, and no two routings are close to a tie.
 */

import type { Random } from './random.ts';
import type { CheckpointSpec, Dtype } from './spec.ts';

export interface TensorSpec {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** The weights are `mean` + `deviation` × normal. */
  readonly mean: number;
  readonly deviation: number;
  readonly rough: boolean;
  /** The same weights as the tensor of this name. */
  readonly copyOf?: string;
}

/** In the order in which they stand in the files. */
export function listTensors(spec: CheckpointSpec): TensorSpec[] {
  const { hidden, vocabulary, layers, perLayer } = spec;
  const draw = drawing(spec);
  const model = spec.textOnly === true ? 'model.' : 'model.language_model.';
  const embeddings = draw.matrix(`${model}embed_tokens.weight`, [vocabulary, hidden], 0.06);
  const top = [embeddings, draw.norm(`${model}norm.weight`, hidden)];
  if (perLayer !== undefined) {
    const width = perLayer.width * layers.length;
    top.push(
      draw.matrix(`${model}embed_tokens_per_layer.weight`, [vocabulary, width], 0.3),
      draw.matrix(`${model}per_layer_model_projection.weight`, [width, hidden]),
      draw.norm(`${model}per_layer_projection_norm.weight`, perLayer.width),
    );
  }
  const inLayers = [...layers].flatMap((_, index) =>
    listLayer(spec, index, `${model}layers.${index}.`),
  );
  const copy = { ...embeddings, name: 'lm_head.weight', copyOf: embeddings.name };
  const head = draw.matrix('lm_head.weight', [vocabulary, hidden], 0.06);
  return [
    ...top,
    ...inLayers,
    ...(spec.headCopy === true ? [copy] : []),
    ...(spec.untied === true ? [head] : []),
    ...(spec.vision === true ? listVision(spec) : []),
  ];
}

function listLayer(spec: CheckpointSpec, index: number, layer: string): TensorSpec[] {
  const { hidden, layers, perLayer } = spec;
  const draw = drawing(spec);
  const shared = perLayer !== undefined && index >= layers.length - perLayer.sharedLayers;
  const dense = shared && perLayer.doubleWide ? 2 * spec.dense : spec.dense;
  const scalars = [0.7, 0.9, 1.1];
  return [
    draw.norm(`${layer}input_layernorm.weight`, hidden),
    ...listAttention(spec, index, `${layer}self_attn.`),
    draw.norm(`${layer}post_attention_layernorm.weight`, hidden),
    draw.norm(`${layer}pre_feedforward_layernorm.weight`, hidden),
    draw.matrix(`${layer}mlp.gate_proj.weight`, [dense, hidden]),
    draw.matrix(`${layer}mlp.up_proj.weight`, [dense, hidden]),
    draw.matrix(`${layer}mlp.down_proj.weight`, [hidden, dense]),
    ...listExperts(spec, layer),
    draw.norm(`${layer}post_feedforward_layernorm.weight`, hidden),
    ...(perLayer === undefined
      ? []
      : [
          draw.matrix(`${layer}per_layer_input_gate.weight`, [perLayer.width, hidden]),
          draw.matrix(`${layer}per_layer_projection.weight`, [hidden, perLayer.width]),
          draw.norm(`${layer}post_per_layer_input_norm.weight`, hidden),
        ]),
    draw.small(`${layer}layer_scalar`, [1], scalars[index % 3] ?? 1, 0),
  ];
}

function listAttention(spec: CheckpointSpec, index: number, layer: string): TensorSpec[] {
  const { hidden, heads } = spec;
  const draw = drawing(spec);
  const full = spec.layers[index] === 'F';
  const headDim = full ? spec.globalHeadDim : spec.headDim;
  const kvHeads = full ? (spec.globalKvHeads ?? spec.kvHeads) : spec.kvHeads;
  const keys = [kvHeads * headDim, hidden];
  const noValues = full && spec.keysAreValues;
  return [
    draw.matrix(`${layer}q_proj.weight`, [heads * headDim, hidden]),
    draw.matrix(`${layer}k_proj.weight`, keys),
    ...(noValues ? [] : [draw.matrix(`${layer}v_proj.weight`, keys)]),
    draw.matrix(`${layer}o_proj.weight`, [hidden, heads * headDim]),
    draw.small(`${layer}q_norm.weight`, [headDim], 0.6, 0.18),
    draw.small(`${layer}k_norm.weight`, [headDim], 0.6, 0.18),
  ];
}

function listExperts(spec: CheckpointSpec, layer: string): TensorSpec[] {
  const { hidden, experts } = spec;
  if (experts === undefined) return [];
  const { count, width, form } = experts;
  const draw = drawing(spec);
  const single = (expert: number): TensorSpec[] => [
    draw.matrix(`${layer}experts.${expert}.gate_proj.weight`, [width, hidden]),
    draw.matrix(`${layer}experts.${expert}.up_proj.weight`, [width, hidden]),
    draw.matrix(`${layer}experts.${expert}.down_proj.weight`, [hidden, width]),
  ];
  return [
    draw.norm(`${layer}post_feedforward_layernorm_1.weight`, hidden),
    draw.norm(`${layer}pre_feedforward_layernorm_2.weight`, hidden),
    draw.norm(`${layer}post_feedforward_layernorm_2.weight`, hidden),
    // The router's input is divided by the root of `hidden`, so its weights are large.
    draw.small(`${layer}router.proj.weight`, [count, hidden], 0, 1),
    draw.norm(`${layer}router.scale`, hidden),
    draw.small(`${layer}router.per_expert_scale`, [count], 1, 0.5),
    ...(form === 'stacked'
      ? [
          draw.matrix(`${layer}experts.gate_up_proj`, [count, 2 * width, hidden]),
          draw.matrix(`${layer}experts.down_proj`, [count, hidden, width]),
        ]
      : Array.from({ length: count }, (_, expert) => single(expert)).flat()),
  ];
}

function listVision(spec: CheckpointSpec): TensorSpec[] {
  const draw = drawing(spec);
  const tower = 'model.vision_tower.';
  return [
    draw.matrix(`${tower}patch_embedder.input_proj.weight`, [32, 48]),
    draw.matrix(`${tower}encoder.layers.0.self_attn.q_proj.linear.weight`, [32, 32]),
    draw.norm(`${tower}encoder.layers.0.input_layernorm.weight`, 32),
    draw.matrix('model.embed_vision.embedding_projection.weight', [spec.hidden, 32]),
  ];
}

function drawing({ dtype, smallDtype = dtype, rough = false }: CheckpointSpec) {
  const small = (name: string, shape: readonly number[], mean: number, deviation: number) => ({
    name,
    dtype: smallDtype,
    shape,
    mean,
    deviation,
    rough: false,
  });
  return {
    small,
    // Far enough from 1 that a converter which adds 1 is found out.
    norm: (name: string, width: number): TensorSpec => small(name, [width], 1, 0.3),
    matrix: (name: string, shape: readonly number[], deviation?: number): TensorSpec => ({
      name,
      dtype,
      shape,
      mean: 0,
      deviation: deviation ?? 1 / Math.sqrt(shape.at(-1) ?? 1),
      rough,
    }),
  };
}

/** The weights of a tensor, row by row. */
export function drawWeights(tensor: TensorSpec, random: Random): Float32Array {
  const { shape, mean, deviation } = tensor;
  const weights = new Float32Array(shape.reduce((product, length) => product * length, 1));
  for (let index = 0; index < weights.length; index++) {
    weights[index] = mean + deviation * random.normal();
  }
  if (tensor.rough) roughen(weights, shape.at(-1) ?? 1, random);
  return weights;
}

/** Runs of a block's length, so that some blocks are one thing throughout. */
const RUN_ELEMENTS = 32;

/** What real weights hold now and then and a normal distribution never. */
function roughen(weights: Float32Array, columns: number, random: Random): void {
  for (let start = 0; start < weights.length; start += RUN_ELEMENTS) {
    const run = weights.subarray(start, start + RUN_ELEMENTS);
    const dice = random.below(24);
    if (dice === 0) run.fill(0);
    if (dice === 1) run.fill(-0);
    if (dice === 2) run.fill(run[0] ?? 0);
    if (dice === 3) scale(run, 1e-7);
    if (dice === 4) run[random.below(run.length)] = 3;
    if (dice === 5) scale(run, 1e-20);
  }
  const rows = weights.length / columns;
  for (let count = 0; count < rows / 16; count++) {
    const row = random.below(rows);
    weights.fill(0, row * columns, (row + 1) * columns);
  }
}

function scale(run: Float32Array, factor: number): void {
  for (let index = 0; index < run.length; index++) run[index] = (run[index] ?? 0) * factor;
}
