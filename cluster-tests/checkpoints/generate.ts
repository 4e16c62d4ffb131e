/**
 * Generate: writes a Hugging Face directory of a small Gemma 4 from a spec and its seed.
 *
 *   CheckpointSpec ──▶ config.json, tokenizer files, *.safetensors (read next: spec.ts)
 *
 * The same spec gives the same bytes in every run.
 */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { seededRandom } from './random.ts';
import { RepeatedWeights } from './repeated-weights.ts';
import {
  encodeWeights,
  indexOf,
  planShards,
  tensorBytes,
  writeShard,
  writeSparseShard,
} from './safetensors.ts';
import type { CheckpointSpec, Dtype } from './spec.ts';
import { drawWeights, listTensors, type TensorSpec } from './tensors.ts';
import { makeTokenizer, type TokenizerFiles } from './tokenizer.ts';

/**
 * Fills `directory`, which need not exist, with the checkpoint.
 *
 * @param files a tokenizer of `spec.vocabulary` tokens, where none is to be made
 */
export async function writeCheckpoint(
  directory: string,
  spec: CheckpointSpec,
  files: TokenizerFiles = drawTokenizer(spec),
): Promise<void> {
  const random = seededRandom(spec.seed);
  await writeTexts(directory, spec, files);
  const tensors = listTensors(spec);
  const weights = new Map(tensors.map((tensor) => [tensor.name, drawWeights(tensor, random)]));
  const shards = planShards(tensors, spec.shards);
  for (const { file, tensors: inShard } of shards) {
    await writeShard(join(directory, file), inShard, ({ name, copyOf, dtype }) =>
      encodeWeights(weights.get(copyOf ?? name) ?? new Float32Array(), dtype),
    );
  }
  if (shards.length > 1)
    await writeJson(directory, 'model.safetensors.index.json', indexOf(shards));
}

/** Shapes of the published mixture of experts, where only the number of experts is free. */
const large = {
  name: 'large',
  seed: 1,
  dtype: 'BF16',
  shards: 2,
  vocabulary: 2048,
  hidden: 2816,
  layers: 'SSF',
  heads: 16,
  kvHeads: 8,
  globalKvHeads: 2,
  headDim: 256,
  globalHeadDim: 512,
  keysAreValues: true,
  dense: 2112,
} as const satisfies CheckpointSpec;

/**
 * Fills `directory` with a checkpoint of the published model's text part, every tensor a hole: it
 * takes no room on disk but for a tokenizer of as many tokens.
 */
export async function writePublishedCheckpoint(directory: string): Promise<void> {
  const spec: CheckpointSpec = {
    ...large,
    layers: 'SSSSSF'.repeat(5),
    vocabulary: 262_144,
    window: 1024,
    experts: { count: 128, used: 8, width: 704, form: 'stacked' },
  };
  await writeTexts(directory, spec, drawTokenizer(spec));
  const shards = planShards(listTensors(spec), spec.shards);
  for (const { file, tensors } of shards) await writeShard(join(directory, file), tensors);
  await writeJson(directory, 'model.safetensors.index.json', indexOf(shards));
}

/**
 * Fills `directory` with a checkpoint of about `bytes` bytes whose tensor files are holes: it
 * takes no room on disk, and every weight is zero.
 *
 * @param bytes at least half a GB: fewer leave no room for the shapes
 * @returns the bytes of its tensors
 */
export async function writeSparseCheckpoint(directory: string, bytes: number): Promise<number> {
  const withExperts = (count: number): CheckpointSpec => ({
    ...large,
    experts: { count, used: 2, width: 704, form: 'stacked' },
  });
  const size = (count: number): number =>
    listTensors(withExperts(count)).reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
  const count = 2 + Math.max(0, Math.round((bytes - size(2)) / (size(3) - size(2))));
  const spec = withExperts(count);

  await writeTexts(directory, spec, drawTokenizer(spec));
  const shards = planShards(listTensors(spec), spec.shards);
  for (const { file, tensors } of shards) await writeShard(join(directory, file), tensors);
  await writeJson(directory, 'model.safetensors.index.json', indexOf(shards));
  return size(count);
}

/**
 * Fills `directory` with a checkpoint of any size, a tensor at a time and each in parts: its
 * weights have the spread that the spec asks for and repeat after some millions.
 */
export async function writeRepeatedCheckpoint(
  directory: string,
  spec: CheckpointSpec,
): Promise<void> {
  await writeTexts(directory, spec, drawTokenizer(spec));
  const shards = planShards(listTensors(spec), spec.shards);
  const repeat = repeatedWeights(spec.seed);
  for (const { file, tensors } of shards) await writeShard(join(directory, file), tensors, repeat);
  if (shards.length > 1)
    await writeJson(directory, 'model.safetensors.index.json', indexOf(shards));
}

/** An odd number: rows, which are of even length, do not repeat in step with it. */
const DRAWN_WEIGHTS = 4_194_301;

function repeatedWeights(seed: number): (tensor: TensorSpec) => Iterable<Uint8Array> {
  const random = seededRandom(seed);
  const drawn = Float32Array.from({ length: DRAWN_WEIGHTS }, () => random.normal());
  const encoded = new Map<string, Uint8Array>();
  return function* (tensor) {
    const { mean, deviation, dtype } = tensor;
    const key = JSON.stringify([mean, deviation, dtype]);
    const bytes =
      encoded.get(key) ??
      encodeWeights(
        drawn.map((weight) => mean + deviation * weight),
        dtype,
      );
    encoded.set(key, bytes);
    for (let left = tensorBytes(tensor); left > 0; left -= bytes.length) {
      yield bytes.subarray(0, Math.min(left, bytes.length));
    }
  };
}

/**
 * Fills `directory` with four layers of the published shapes, 128 experts each: 6.5 GB of tensors, of
 * which less than one is on disk. Attention, router, norms and the dense part are random numbers, so
 * that tokens are routed as ever; of each expert some rows are, and the rest is holes.
 *
 * @returns the bytes of its tensors, and of those among them that belong to a layer
 */
export async function writeLayersCheckpoint(
  directory: string,
  experts: number,
): Promise<{ readonly bytes: number; readonly layerBytes: number }> {
  const spec: CheckpointSpec = {
    ...large,
    layers: 'SSSF',
    window: 64,
    experts: { count: experts, used: 8, width: 704, form: 'stacked' },
  };
  const tensors = listTensors(spec);
  const weights = new RepeatedWeights(seededRandom(spec.seed));
  await writeTexts(directory, spec, drawTokenizer(spec));
  const shards = planShards(tensors, spec.shards);
  for (const { file, tensors: inShard } of shards) {
    await writeSparseShard(join(directory, file), inShard, (tensor) => weights.pieces(tensor));
  }
  await writeJson(directory, 'model.safetensors.index.json', indexOf(shards));
  const sum = (some: readonly TensorSpec[]): number =>
    some.reduce((bytes, tensor) => bytes + tensorBytes(tensor), 0);
  const ofLayers = tensors.filter(({ name }) => name.includes('.layers.'));
  return { bytes: sum(tensors), layerBytes: sum(ofLayers) };
}

/** Its own generator, so that the tokenizer does not depend on how many weights there are. */
function drawTokenizer({ vocabulary, seed }: CheckpointSpec): TokenizerFiles {
  return makeTokenizer(vocabulary, seededRandom(seed + 1));
}

async function writeTexts(
  directory: string,
  spec: CheckpointSpec,
  { tokenizer, tokenizerConfig, chatTemplate }: TokenizerFiles,
): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeJson(directory, 'config.json', config(spec));
  await writeJson(directory, 'tokenizer.json', tokenizer);
  await writeJson(directory, 'tokenizer_config.json', tokenizerConfig);
  await writeJson(directory, 'generation_config.json', {
    bos_token_id: 2,
    eos_token_id: [1, 6],
    pad_token_id: 0,
  });
  if (chatTemplate !== undefined) {
    await writeFile(join(directory, 'chat_template.jinja'), chatTemplate);
  }
}

async function writeJson(directory: string, file: string, value: object): Promise<void> {
  await writeFile(join(directory, file), JSON.stringify(value, null, 1));
}

const dtypeNames = {
  BF16: 'bfloat16',
  F16: 'float16',
  F32: 'float32',
} as const satisfies Record<Dtype, string>;

function config(spec: CheckpointSpec): object {
  const ids = { pad_token_id: 0, eos_token_id: 1, bos_token_id: 2 };
  const dtype = dtypeNames[spec.dtype];
  const text = { ...textConfig(spec), ...ids, dtype };
  if (spec.textOnly === true) return { architectures: ['Gemma4ForCausalLM'], ...text };
  return {
    architectures: ['Gemma4ForConditionalGeneration'],
    model_type: 'gemma4',
    text_config: text,
    tie_word_embeddings: spec.untied !== true,
    dtype,
    ...ids,
  };
}

function textConfig(spec: CheckpointSpec): object {
  const { experts, perLayer } = spec;
  return {
    model_type: 'gemma4_text',
    num_hidden_layers: spec.layers.length,
    hidden_size: spec.hidden,
    num_attention_heads: spec.heads,
    num_key_value_heads: spec.kvHeads,
    num_global_key_value_heads: spec.globalKvHeads,
    head_dim: spec.headDim,
    global_head_dim: spec.globalHeadDim,
    attention_k_eq_v: spec.keysAreValues,
    intermediate_size: spec.dense,
    enable_moe_block: experts !== undefined,
    num_experts: experts?.count ?? null,
    top_k_experts: experts?.used ?? null,
    moe_intermediate_size: experts?.width ?? null,
    vocab_size: spec.vocabulary,
    sliding_window: spec.window ?? 8,
    layer_types: [...spec.layers].map((kind) =>
      kind === 'F' ? 'full_attention' : 'sliding_attention',
    ),
    rope_parameters: {
      full_attention: {
        rope_type: 'proportional',
        rope_theta: 1_000_000,
        partial_rotary_factor: 0.25,
      },
      sliding_attention: { rope_type: 'default', rope_theta: 10_000 },
    },
    final_logit_softcapping: 30,
    rms_norm_eps: 1e-6,
    hidden_activation: 'gelu_pytorch_tanh',
    max_position_embeddings: 512,
    tie_word_embeddings: spec.untied !== true,
    hidden_size_per_layer_input: perLayer?.width ?? 0,
    num_kv_shared_layers: perLayer?.sharedLayers ?? 0,
    vocab_size_per_layer_input: spec.vocabulary,
    use_double_wide_mlp: perLayer?.doubleWide ?? false,
    attention_bias: false,
    attention_dropout: 0,
    use_bidirectional_attention: 'vision',
  };
}
