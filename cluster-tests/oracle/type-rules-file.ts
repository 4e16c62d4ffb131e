/**
 * A small GGUF for llama.cpp's quantizer to read: just enough metadata to load, F32 tensors.
 *
 *   shape + tensors ──▶ modelFile ──▶ the bytes of a GGUF, version 3
 *
 * Written apart from the project's own writer, so that a mistake there is no mistake here.
 */

import type { ModelShape } from '../../daemon/core/models/family.ts';
import type { RecipeTensor } from '../../daemon/core/recipe/type-rules.ts';

const ALIGNMENT_BYTES = 32;
const valueTypes = { u32: 4, f32: 6, string: 8 } as const;
type Value =
  | readonly [type: 'u32' | 'f32', value: number]
  | readonly [type: 'string', value: string];

/** All tensors are written as F32, their elements a smooth wave. */
export function modelFile(shape: ModelShape, tensors: readonly RecipeTensor[]): Uint8Array {
  const metadata = metadataOf(shape);
  const infos: Buffer[] = [];
  const data: Buffer[] = [];
  let offset = 0;
  for (const [index, { name, shape: dimensions }] of tensors.entries()) {
    infos.push(string(name), u32(dimensions.length), ...dimensions.map(u64), u32(0), u64(offset));
    const elements = dimensions.reduce((product, dimension) => product * dimension, 1);
    const wave = Float32Array.from({ length: elements }, (_, place) => Math.sin(place + index));
    const bytes = padded(Buffer.from(wave.buffer));
    data.push(bytes);
    offset += bytes.length;
  }
  const keyValues = Object.entries(metadata).flatMap(([key, value]) => [
    string(key),
    u32(valueTypes[value[0]]),
    written(value),
  ]);
  const counts = [u64(tensors.length), u64(Object.keys(metadata).length)];
  const header = Buffer.concat([Buffer.from('GGUF'), u32(3), ...counts, ...keyValues, ...infos]);
  return Buffer.concat([padded(header), ...data]);
}

function metadataOf({ architecture, layers, heads, kvHeads, experts }: ModelShape) {
  const key = (name: string) => `${architecture}.${name}`;
  const metadata: Record<string, Value> = {
    'general.architecture': ['string', architecture],
    [key('block_count')]: ['u32', layers],
    [key('context_length')]: ['u32', 512],
    [key('embedding_length')]: ['u32', 256],
    [key('feed_forward_length')]: ['u32', 256],
    [key('attention.head_count')]: ['u32', heads],
    [key('attention.head_count_kv')]: ['u32', kvHeads],
    [key('attention.layer_norm_rms_epsilon')]: ['f32', 1e-6],
    [key('attention.layer_norm_epsilon')]: ['f32', 1e-6],
    [key('rope.dimension_count')]: ['u32', 32],
    'tokenizer.ggml.model': ['string', 'no_vocab'],
  };
  if (experts > 0) {
    metadata[key('expert_count')] = ['u32', experts];
    metadata[key('expert_used_count')] = ['u32', Math.min(2, experts)];
  }
  return metadata;
}

function written(value: Value): Buffer {
  switch (value[0]) {
    case 'u32':
      return u32(value[1]);
    case 'f32': {
      const bytes = Buffer.alloc(4);
      bytes.writeFloatLE(value[1]);
      return bytes;
    }
    case 'string':
      return string(value[1]);
  }
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function string(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([u64(bytes.length), bytes]);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & (ALIGNMENT_BYTES - 1))]);
}
