/**
 * Write imatrix: importance matrices for the tests, in both forms of the file.
 *
 *   entries (sums, counts) ──▶ imatrixGguf, imatrixDat ──▶ bytes;  meansOf ──▶ what llama.cpp is given
 */

import { layoutGguf } from '../../daemon/core/gguf/layout.ts';
import type { KeyValue } from '../../daemon/core/gguf/metadata.ts';
import type { Random } from '../checkpoints/random.ts';

export interface Entry {
  readonly name: string;
  /** (slices, columns). */
  readonly sums: Float32Array;
  /** One a slice. */
  readonly counts: Float32Array;
}

export interface Imatrix {
  readonly entries: readonly Entry[];
  readonly datasets: readonly string[];
  readonly chunks: number;
}

/** How many tokens a chunk has; the older form divides by it. */
const CHUNK_TOKENS = 512;

export function importanceMetadata({ datasets, chunks }: Imatrix): KeyValue[] {
  return [
    { key: 'general.type', value: { type: 'string', value: 'imatrix' } },
    { key: 'imatrix.datasets', value: { type: 'array', of: 'string', value: datasets } },
    { key: 'imatrix.chunk_count', value: { type: 'u32', value: chunks } },
    { key: 'imatrix.chunk_size', value: { type: 'u32', value: CHUNK_TOKENS } },
  ];
}

export function imatrixGguf(imatrix: Imatrix): Uint8Array {
  const numbers = imatrix.entries.flatMap(({ name, sums, counts }) => [
    { name: `${name}.in_sum2`, shape: [sums.length / counts.length, counts.length], values: sums },
    { name: `${name}.counts`, shape: [1, counts.length], values: counts },
  ]);
  const layout = layoutGguf({
    metadata: importanceMetadata(imatrix),
    tensors: numbers.map(({ name, shape }) => ({ name, shape, type: 'F32' })),
  });
  const file = Buffer.alloc(layout.fileBytes);
  file.set(layout.header);
  for (const [index, { offset }] of layout.tensors.entries()) {
    file.set(bytesOf(numbers[index]?.values ?? new Float32Array()), offset);
  }
  return file;
}

/** The older form: means, multiplied with a number of calls that is stored beside them. */
export function imatrixDat({ entries, datasets, chunks }: Imatrix): Uint8Array {
  const parts: Uint8Array[] = [int32(entries.length)];
  for (const { name, sums, counts } of entries) {
    const calls = Math.max(1, Math.ceil(Math.max(...counts) / CHUNK_TOKENS));
    const values = meansOf(sums, counts).map((mean) => mean * calls);
    parts.push(text(name), int32(calls), int32(values.length), bytesOf(values));
  }
  const [dataset] = datasets;
  if (dataset !== undefined) parts.push(int32(chunks), text(dataset));
  return Buffer.concat(parts);
}

/** What the older form makes of the same sums: one more rounding, there and back. */
export function datMeansOf({ sums, counts }: Entry): Float32Array {
  const calls = Math.max(1, Math.ceil(Math.max(...counts) / CHUNK_TOKENS));
  return meansOf(sums, counts).map((mean) => Math.fround(mean * calls) / calls);
}

export function meansOf(sums: Float32Array, counts: Float32Array): Float32Array {
  const columns = sums.length / counts.length;
  return sums.map((sum, index) => {
    const count = counts[Math.floor(index / columns)] ?? 0;
    return count > 0 ? sum / count : 1;
  });
}

/** How an entry's numbers are drawn. */
export type Kind = 'positive' | 'zeros' | 'unreached';

/** Importance as calibration gives it: of very different sizes, and positive. */
export function drawEntry(
  { name, shape }: { readonly name: string; readonly shape: readonly number[] },
  random: Random,
  kind: Kind,
): Entry {
  const [columns = 1, , slices = 1] = shape;
  const counts = Float32Array.from({ length: slices }, () => 1 + random.below(3000));
  if (kind === 'unreached') counts[random.below(slices)] = 0;
  const sums = Float32Array.from({ length: columns * slices }, () => {
    if (kind === 'zeros' && random.below(4) === 0) return 0;
    return 10 ** (random.below(8001) / 1000 - 4);
  });
  if (kind === 'zeros') sums.fill(0, 0, Math.floor(columns / 2));
  return { name, sums, counts };
}

export function int32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

/** A length and the text. */
export function text(value: string): Uint8Array {
  const bytes = Buffer.from(value);
  return Buffer.concat([int32(bytes.length), bytes]);
}

function bytesOf(values: Float32Array): Uint8Array {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeFloatLE(value, 4 * index);
  return bytes;
}
