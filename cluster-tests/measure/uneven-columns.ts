/**
 * Uneven columns: the same model with activations of very different sizes, as large models have them.
 *
 *   checkpoint in BF16 ──▶ writeUneven ──▶ checkpoint that computes the same, in every bit of F32
 *
 * A column of a norm's weight grows by a power of two and what is multiplied by that column shrinks
 * by the same, which is exact. A small trained model has columns of nearly one size, so that a matrix
 * has little to tell about it: over 36,000 tokens Q3_K_M is 0.0002 ± 0.0008 nats apart with and without.
 */

import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { seededRandom } from '../checkpoints/random.ts';

const NORMS = /\.(input_layernorm|pre_feedforward_layernorm|pre_feedforward_layernorm_2)\.weight$/;
const READERS =
  /\.(self_attn\.[qkv]_proj\.weight|mlp\.(gate|up)_proj\.weight|experts\.gate_up_proj)$/;

/** Of two, by which a column grows at most. */
const POWER_MAX = 3;
const SEED = 77;

/** Writes to the directory `to` what `from` holds, with uneven columns. */
export async function writeUneven(from: string, to: string, hidden: number): Promise<void> {
  const random = seededRandom(SEED);
  const powers = Array.from({ length: hidden }, () => random.below(POWER_MAX + 1));
  await mkdir(to, { recursive: true });
  for (const file of await readdir(from)) {
    const [source, target] = [join(from, file), join(to, file)];
    if (file.endsWith('.safetensors')) {
      await writeFile(target, unevenFile(await readFile(source), powers));
    } else await cp(source, target);
  }
}

interface TensorInfo {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

function unevenFile(bytes: Buffer, powers: readonly number[]): Buffer {
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const { __metadata__: _, ...tensors } = JSON.parse(bytes.toString('utf8', 8, start)) as {
    readonly __metadata__?: object;
  } & Readonly<Record<string, TensorInfo>>;
  for (const [name, info] of Object.entries<TensorInfo>(tensors)) {
    const direction = NORMS.test(name) ? 1 : READERS.test(name) ? -1 : 0;
    if (direction === 0) continue;
    if (info.dtype !== 'BF16' || info.shape.at(-1) !== powers.length) {
      throw new Error(`${name} is not of BF16 with ${powers.length} columns`);
    }
    const [from, to] = info.data_offsets;
    for (let at = from, index = 0; at < to; at += 2, index++) {
      const power = direction * (powers[index % powers.length] ?? 0);
      bytes.writeUInt16LE(timesPower(bytes.readUInt16LE(start + at), power), start + at);
    }
  }
  return bytes;
}

/** A BF16 times a power of two. */
function timesPower(code: number, power: number): number {
  if ((code & 0x7fff) === 0) return code;
  const exponent = ((code >>> 7) & 0xff) + power;
  if (exponent < 1 || exponent > 0xfe) throw new Error('a weight leaves the range of BF16');
  return (code & 0x807f) | (exponent << 7);
}
