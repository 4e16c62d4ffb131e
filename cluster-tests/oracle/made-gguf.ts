/**
 * Made GGUF: small GGUFs of many architectures, with invented keys and random weights.
 *
 *   MadeModel + element type ──▶ writeMadeGguf, writeMadeParts ──▶ files
 *
 * Every model is one that llama.cpp's quantizer takes, so that its files can be compared with ours.
 */

import { writeFile } from 'node:fs/promises';
import { type BlockTypeName, blockTypes } from '../../daemon/core/gguf/block-types.ts';
import { layoutGguf } from '../../daemon/core/gguf/layout.ts';
import type { KeyValue, MetadataValue } from '../../daemon/core/gguf/metadata.ts';
import { type Random, seededRandom } from '../checkpoints/random.ts';

export interface MadeTensor {
  readonly name: string;
  /** Columns first. */
  readonly shape: readonly number[];
}

export interface MadeModel {
  readonly name: string;
  readonly metadata: readonly KeyValue[];
  readonly tensors: readonly MadeTensor[];
}

const u32 = (value: number): MetadataValue => ({ type: 'u32', value });
const f32 = (value: number): MetadataValue => ({ type: 'f32', value });
const text = (value: string): MetadataValue => ({ type: 'string', value });

/** One of every kind of value, and texts and numbers that a careless copy would change. */
const oddKeys: Readonly<Record<string, MetadataValue>> = {
  'general.file_type': u32(1),
  'general.tags': { type: 'array', of: 'string', value: ['a', '', '▁b', 'ä漢🙂'] },
  'test.u8': { type: 'u8', value: 255 },
  'test.i64': { type: 'i64', value: -(2n ** 63n) },
  'test.f64': { type: 'f64', value: Number.MIN_VALUE },
  'test.bools': { type: 'array', of: 'bool', value: [true, false] },
  'test.empty': { type: 'array', of: 'f32', value: [] },
  'test.wide': { type: 'array', of: 'u64', value: [2n ** 64n - 1n] },
  'general.quantization_version': u32(2),
  'test.last': { type: 'i8', value: -1 },
};

/** Values by their bytes: a text that is no UTF-8, and the bits of a NaN that signals. */
const rawKeys: readonly KeyValue[] = [
  {
    key: 'Some-Tool.Version 2',
    value: text('a\ufffd\ufffdb'),
    encoded: Uint8Array.of(4, 0, 0, 0, 0, 0, 0, 0, 0x61, 0xff, 0xfe, 0x62),
  },
  { key: 'test.nan', value: f32(Number.NaN), encoded: Uint8Array.of(1, 0, 0x80, 0x7f) },
];

interface Shape {
  readonly architecture: string;
  readonly layers: number;
  readonly columns: number;
  readonly heads: number;
  readonly kvHeads: MetadataValue | undefined;
  readonly more?: Readonly<Record<string, MetadataValue>>;
  /** Tensors that belong to no layer. */
  readonly whole: readonly MadeTensor[];
  readonly ofLayer: (layer: number) => readonly MadeTensor[];
}

function made(name: string, shape: Shape): MadeModel {
  const { architecture, layers, columns, heads, kvHeads, more = {} } = shape;
  const parameters: Readonly<Record<string, MetadataValue>> = {
    block_count: u32(layers),
    context_length: u32(128),
    embedding_length: u32(columns),
    feed_forward_length: u32(columns),
    vocab_size: u32(64),
    'attention.head_count': u32(heads),
    ...(kvHeads === undefined ? {} : { 'attention.head_count_kv': kvHeads }),
    'attention.layer_norm_rms_epsilon': f32(1e-5),
    'attention.layer_norm_epsilon': f32(1e-5),
    ...more,
  };
  // A projector counts the layers of each of its towers; llama.cpp asks for no others.
  const prefix = architecture === 'clip' ? 'clip.vision' : architecture;
  const keys = {
    'general.architecture': text(architecture),
    'general.name': text(`Made ${name}`),
    ...Object.fromEntries(
      Object.entries(parameters).map(([key, value]) => [`${prefix}.${key}`, value]),
    ),
    ...oddKeys,
  };
  // Not in the order of an output, which has to come from us.
  const inLayers = Array.from({ length: layers }, (_, layer) => shape.ofLayer(layer)).flat();
  return {
    name,
    metadata: [...Object.entries(keys).map(([key, value]) => ({ key, value })), ...rawKeys],
    tensors: [...inLayers, ...shape.whole].reverse(),
  };
}

const weight = (name: string, ...shape: number[]): MadeTensor => ({
  name: `${name}.weight`,
  shape,
});
// Few rows, for the quantizers work by rows and the rules never ask how many there are.
const dense =
  (columns: number) =>
  (layer: number): MadeTensor[] => [
    weight(`blk.${layer}.attn_norm`, columns),
    { name: `blk.${layer}.attn_q.bias`, shape: [columns] },
    weight(`blk.${layer}.attn_q`, columns, 16),
    weight(`blk.${layer}.attn_k`, columns, 16),
    weight(`blk.${layer}.attn_v`, columns, 16),
    weight(`blk.${layer}.attn_output`, columns, 16),
    weight(`blk.${layer}.ffn_norm`, columns),
    weight(`blk.${layer}.ffn_gate`, columns, 16),
    weight(`blk.${layer}.ffn_up`, columns, 16),
    weight(`blk.${layer}.ffn_down`, columns, 16),
  ];
const attention = (layer: number): MadeTensor[] =>
  dense(256)(layer).filter(({ name }) => !name.includes('ffn_'));
const experts =
  (count: number) =>
  (layer: number): MadeTensor[] => [
    ...attention(layer),
    weight(`blk.${layer}.ffn_gate_inp`, 256, count),
    weight(`blk.${layer}.ffn_gate_exps`, 256, 8, count),
    weight(`blk.${layer}.ffn_up_exps`, 256, 8, count),
    weight(`blk.${layer}.ffn_down_exps`, 256, 8, count),
  ];
const fused = (layer: number): MadeTensor[] => [
  weight(`blk.${layer}.attn_norm`, 256),
  weight(`blk.${layer}.attn_qkv`, 256, 24),
  weight(`blk.${layer}.attn_output`, 256, 16),
  weight(`blk.${layer}.ffn_up`, 256, 16),
  weight(`blk.${layer}.ffn_down`, 256, 64),
];
const embedding = (columns: number): MadeTensor[] => [
  weight('token_embd', columns, 64),
  weight('output_norm', columns),
];
const untied = (columns: number): MadeTensor[] => [
  ...embedding(columns),
  weight('output', columns, 64),
];

export const madeModels: readonly MadeModel[] = [
  made('llama', {
    architecture: 'llama',
    layers: 10,
    columns: 256,
    heads: 8,
    kvHeads: u32(2),
    whole: [...untied(256), weight('rope_freqs', 32)],
    ofLayer: dense(256),
  }),
  made('tied rows of 160', {
    architecture: 'qwen2',
    layers: 4,
    columns: 160,
    heads: 4,
    kvHeads: u32(2),
    whole: embedding(160),
    ofLayer: dense(160),
  }),
  made('eight experts', {
    architecture: 'llama',
    layers: 8,
    columns: 256,
    heads: 8,
    kvHeads: u32(2),
    more: { expert_count: u32(8), expert_used_count: u32(2) },
    whole: untied(256),
    ofLayer: experts(8),
  }),
  made('many experts', {
    architecture: 'qwen3moe',
    layers: 5,
    columns: 256,
    heads: 4,
    kvHeads: u32(4),
    more: { expert_count: u32(12), expert_used_count: u32(2), expert_feed_forward_length: u32(32) },
    whole: untied(256),
    ofLayer: experts(12),
  }),
  made('falcon', {
    architecture: 'falcon',
    layers: 16,
    columns: 256,
    heads: 4,
    kvHeads: undefined,
    whole: untied(256),
    ofLayer: fused,
  }),
  made('heads by layer', {
    architecture: 'gemma3',
    layers: 6,
    columns: 256,
    heads: 8,
    kvHeads: { type: 'array', of: 'i32', value: [1, 2, 4, 8, 4, 2] },
    more: { 'attention.sliding_window': u32(64) },
    whole: embedding(256),
    ofLayer: dense(256),
  }),
  made('vision', {
    architecture: 'clip',
    layers: 2,
    columns: 256,
    heads: 4,
    kvHeads: undefined,
    whole: [
      weight('v.patch_embd', 16, 16, 3, 32),
      weight('v.position_embd', 256, 8),
      weight('v.blk.0.attn_q', 256, 32),
      weight('v.blk.0.ffn_down', 256, 32),
      weight('v.blk.1.ffn_down', 256, 32),
      weight('mm.0', 256, 32),
    ],
    ofLayer: () => [],
  }),
];

/** As `llama-quantize` would find it: vectors are F32 and matrices of one type. */
function typed({ tensors }: MadeModel, type: BlockTypeName) {
  return tensors.map(({ name, shape }) => ({
    name,
    shape,
    type: shape.length === 1 ? ('F32' as const) : type,
  }));
}

export async function writeMadeGguf(
  file: string,
  model: MadeModel,
  type: BlockTypeName,
): Promise<void> {
  const { metadata } = model;
  const stated = metadata.find(({ key }) => key === 'general.alignment')?.value;
  const alignment = stated?.type === 'u32' ? { alignment: stated.value } : {};
  await writeLayout(file, layoutGguf({ metadata, tensors: typed(model, type), ...alignment }));
}

/** Writes the model in as many files as there are `sizes`, each of so many tensors; returns them. */
export async function writeMadeParts(
  stem: string,
  model: MadeModel,
  type: BlockTypeName,
  sizes: readonly number[],
): Promise<string[]> {
  const tensors = typed(model, type);
  const number = (part: number): string => String(part).padStart(5, '0');
  const files = sizes.map(
    (_, part) => `${stem}-${number(part + 1)}-of-${number(sizes.length)}.gguf`,
  );
  let next = 0;
  for (const [part, file] of files.entries()) {
    const keys: KeyValue[] = [
      { key: 'split.no', value: { type: 'u16', value: part } },
      { key: 'split.tensors.count', value: { type: 'i32', value: tensors.length } },
      { key: 'split.count', value: { type: 'u16', value: sizes.length } },
    ];
    const here = tensors.slice(next, next + (sizes[part] ?? 0));
    next += here.length;
    const [first, ...rest] = model.metadata;
    const metadata = part > 0 || first === undefined ? keys : [first, ...keys, ...rest];
    await writeLayout(file, layoutGguf({ metadata, tensors: here }));
  }
  return files;
}

async function writeLayout(file: string, layout: ReturnType<typeof layoutGguf>): Promise<void> {
  const bytes = Buffer.alloc(layout.fileBytes);
  bytes.set(layout.header);
  // By the tensor's name, so that a model has the same weights however it is split.
  for (const { name, type, offset, bytes: length } of layout.tensors) {
    const random = seededRandom(
      [...name].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7),
    );
    fill(bytes.subarray(offset, offset + length), type, random);
  }
  await writeFile(file, bytes);
}

function fill(into: Buffer, type: BlockTypeName, random: Random): void {
  if (blockTypes[type].quantized) {
    fillBlocks(into, type, random);
    return;
  }
  const width = type === 'F32' ? 4 : 2;
  const single = Buffer.alloc(4);
  for (let at = 0; at < into.length; at += width) {
    const number = 0.05 * random.normal();
    if (type === 'F32') into.writeFloatLE(number, at);
    if (type === 'BF16') {
      single.writeFloatLE(number);
      into.writeUInt16LE(single.readUInt16LE(2), at);
    }
    // Any pattern below infinity is a half; these are of magnitude 2^-10 to 2^-2.
    if (type === 'F16')
      into.writeUInt16LE((random.below(2) << 15) | (0x1400 + random.below(0x2000)), at);
  }
}

/** Any bytes are blocks, as long as the scales are finite: without bit 6 no exponent is full. */
function fillBlocks(into: Buffer, type: BlockTypeName, random: Random): void {
  for (let at = 0; at < into.length; at++) into[at] = random.below(256) & ~0x40;
  if (type !== 'MXFP4') return;
  // Its exponent has 8 bits: these make numbers near 1.
  for (let at = 0; at < into.length; at += 17) into[at] = 120 + random.below(8);
}
