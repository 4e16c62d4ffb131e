/**
 * Safetensors: writes tensor files as Hugging Face's library does, from weights or with holes.
 *
 *   tensors in order ──▶ planShards ──▶ writeShard ──▶ *.safetensors (read next: generate.ts)
 *
 * A file is the length of its header (8 bytes, little endian), the header as JSON, and the
 * tensors without gaps; offsets count from the end of the header.
 */

import { type FileHandle, open } from 'node:fs/promises';
import type { Dtype } from './spec.ts';
import type { TensorSpec } from './tensors.ts';

const dtypeBytes = { BF16: 2, F16: 2, F32: 4 } as const satisfies Record<Dtype, number>;

export function tensorBytes({ dtype, shape }: Pick<TensorSpec, 'dtype' | 'shape'>): number {
  return shape.reduce((product, length) => product * length, dtypeBytes[dtype]);
}

export interface Shard {
  readonly file: string;
  readonly tensors: readonly TensorSpec[];
}

/** Cuts the tensors into `count` files of about one size, in order. */
export function planShards(tensors: readonly TensorSpec[], count: number): Shard[] {
  const total = tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
  const groups: TensorSpec[][] = Array.from({ length: count }, () => []);
  let passed = 0;
  for (const tensor of tensors) {
    const index = Math.min(count - 1, Math.floor((passed * count) / total));
    groups[index]?.push(tensor);
    passed += tensorBytes(tensor);
  }
  const digits = (number: number): string => String(number).padStart(5, '0');
  return groups.map((group, index) => ({
    file:
      count === 1
        ? 'model.safetensors'
        : `model-${digits(index + 1)}-of-${digits(count)}.safetensors`,
    tensors: group,
  }));
}

/** The index file's text, for a checkpoint of more than one shard. */
export function indexOf(shards: readonly Shard[]): object {
  const all = shards.flatMap(({ tensors }) => tensors);
  return {
    metadata: { total_size: all.reduce((sum, tensor) => sum + tensorBytes(tensor), 0) },
    weight_map: Object.fromEntries(
      shards.flatMap(({ file, tensors }) => tensors.map(({ name }) => [name, file])),
    ),
  };
}

/** A part of a tensor's bytes. */
export interface TensorPiece {
  /** From the tensor's first byte. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/**
 * Writes one file of which only some parts take room on disk.
 *
 * @param piecesOf the parts of a tensor that are not zero
 */
export async function writeSparseShard(
  file: string,
  tensors: readonly TensorSpec[],
  piecesOf: (tensor: TensorSpec) => Iterable<TensorPiece>,
): Promise<void> {
  const handle = await open(file, 'w');
  try {
    let start = await writeHeader(handle, tensors);
    const dataBytes = tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
    await handle.truncate(start + dataBytes);
    for (const tensor of tensors) {
      for (const { offset, bytes } of piecesOf(tensor)) {
        await handle.write(bytes, 0, bytes.length, start + offset);
      }
      start += tensorBytes(tensor);
    }
  } finally {
    await handle.close();
  }
}

/**
 * Writes one file; without `bytesOf` its tensors are holes, which read as zeros.
 *
 * @param bytesOf a tensor's bytes, or parts of them in order where they are too many at once
 */
export async function writeShard(
  file: string,
  tensors: readonly TensorSpec[],
  bytesOf?: (tensor: TensorSpec) => Uint8Array | Iterable<Uint8Array>,
): Promise<void> {
  const handle = await open(file, 'w');
  try {
    const headerBytes = await writeHeader(handle, tensors);
    const dataBytes = tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
    if (bytesOf === undefined) return await handle.truncate(headerBytes + dataBytes);
    for (const tensor of tensors) {
      const bytes = bytesOf(tensor);
      const parts = bytes instanceof Uint8Array ? [bytes] : bytes;
      for (const part of parts) await handle.write(part);
    }
  } finally {
    await handle.close();
  }
}

async function writeHeader(handle: FileHandle, tensors: readonly TensorSpec[]): Promise<number> {
  let offset = 0;
  const entries = tensors.map((tensor) => {
    const { name, dtype, shape } = tensor;
    const start = offset;
    offset += tensorBytes(tensor);
    return [name, { dtype, shape, data_offsets: [start, offset] }] as const;
  });
  const header = { __metadata__: { format: 'pt' }, ...Object.fromEntries(entries) };
  const text = Buffer.from(JSON.stringify(header));
  // Hugging Face's writer fills up with spaces so that the data starts at a multiple of 8.
  const padded = Buffer.alloc(Math.ceil(text.length / 8) * 8, ' ');
  text.copy(padded);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  await handle.write(length);
  await handle.write(padded);
  return length.length + padded.length;
}

/** The weights in the bytes of their type, rounded to the nearest, ties to even. */
export function encodeWeights(weights: Float32Array, dtype: Dtype): Uint8Array {
  const bits = new Uint32Array(weights.buffer, weights.byteOffset, weights.length);
  if (dtype === 'F32') return new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength);
  const encode = dtype === 'BF16' ? bf16 : f16;
  return new Uint8Array(Uint16Array.from(bits, encode).buffer);
}

function bf16(bits: number): number {
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

function f16(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const exponent = (bits >>> 23) & 0xff;
  const mantissa = (bits & 0x7fffff) | 0x800000;
  // Below 2^-25 nothing is left, not even after rounding.
  if (exponent < 102) return sign;
  // Subnormal halves lose a bit more of the mantissa for each step below 2^-14.
  const shift = exponent < 113 ? 126 - exponent : 13;
  const kept = mantissa >>> shift;
  const rest = mantissa & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  const up = rest > half || (rest === half && (kept & 1) === 1) ? 1 : 0;
  // The leading bit of `kept` adds the 1 that the exponent lacks here; a carry does too.
  const raised = exponent < 113 ? 0 : (exponent - 113) << 10;
  return sign | (raised + kept + up);
}
