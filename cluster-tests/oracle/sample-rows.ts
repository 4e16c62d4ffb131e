/**
 * Sample rows: numbers on which quantizers differ when a rounding, a tie or an order is wrong.
 *
 *   kind, seed, count ──▶ fillRows ──▶ Float32Array;  a checkpoint ──▶ readTensors ──▶ bf16 rows
 *
 * Read next: quantizers.test.ts.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** SplitMix32: small, and the same on every machine. */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed | 0;
  }
  /** 32 random bits, unsigned. */
  bits(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  }
  below(limit: number): number {
    return Math.floor((this.bits() / 2 ** 32) * limit);
  }
  /** In [-1, 1). */
  uniform(): number {
    return this.bits() / 2 ** 31 - 1;
  }
  /** Bell-shaped around 0, deviation about 1. */
  bell(): number {
    return (this.uniform() + this.uniform() + this.uniform()) * 1.0;
  }
}

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);
const fromBits = (bits: number): number => {
  word[0] = bits;
  return float[0] ?? 0;
};
const toBf16 = (value: number): number => {
  float[0] = value;
  const bits = word[0] ?? 0;
  return fromBits(((bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000) >>> 0);
};
/** Rounds to the 11 bits of a half, in its normal range. */
const toHalf = (value: number): number => {
  float[0] = value;
  const bits = word[0] ?? 0;
  return fromBits(((bits + 0xfff + ((bits >>> 13) & 1)) & 0xffffe000) >>> 0);
};
/** Any sign and mantissa, an exponent field below `limit`. */
const anyBits = (random: Random, limit: number): number =>
  fromBits(((random.bits() & 0x807fffff) | (random.below(limit) << 23)) >>> 0);

type Make = (random: Random, index: number) => number;

/** One row kind each; `index` counts within the row's blocks of 256. */
export const rowKinds = {
  bell: (random) => random.bell(),
  bf16: (random) => toBf16(random.bell() * 0.02),
  half: (random) => toHalf(random.bell()),
  uniform: (random) => random.uniform(),
  heavyTail: (random) => random.bell() ** 5,
  outliers: (random) => random.bell() * (random.below(60) === 0 ? 100 : 1),
  shifted: (random) => random.bell() * 0.1 + 1,
  sparse: (random) => (random.below(12) === 0 ? random.bell() : 0),
  zeros: () => 0,
  signedZeros: (random) => (random.below(2) === 0 ? 0 : -0),
  negativeZeros: () => -0,
  constant: () => 0.3711,
  negativeConstant: () => -7.25,
  plusMinusConstant: (random) => (random.below(2) === 0 ? 1.75 : -1.75),
  spike: (_random, index) => (index % 32 === 19 ? 5.5 : 0),
  negativeSpike: (_random, index) => (index % 256 === 77 ? -5.5 : 0),
  positive: (random) => Math.abs(random.bell()) + 1e-3,
  negative: (random) => -Math.abs(random.bell()) - 1e-3,
  subnormal: (random) => anyBits(random, 1),
  tinySubnormal: (random) => fromBits(random.below(64)) * (random.below(2) === 0 ? 1 : -1),
  nearSubnormal: (random) => anyBits(random, 4),
  threshold: (random) => random.bell() * 8e-16,
  thresholdHalf: (random) => random.bell() * 1.2e-15,
  thresholdBeside: (random, index) => random.bell() * ((index >> 4) % 2 === 0 ? 1 : 8e-16),
  thresholdOfScales: (random) => random.bell() * 2e-14,
  tiny: (random) => random.bell() * 1e-37,
  small: (random) => random.bell() * 1e-9,
  large: (random) => random.bell() * 1e4,
  larger: (random) => random.bell() * 1e9,
  huge: (random) => random.bell() * 1e19,
  hugest: (random) => random.bell() * 3.3e37,
  ternary: (random) => random.below(3) - 1,
  ties: (random) => random.below(31) * 0.5 - 7.5,
  steps: (random) => random.below(255) - 127,
  extremesTie: (random, index) => (index % 8 === 3 ? 2 : index % 8 === 5 ? -2 : random.uniform()),
  zeroSubBlocks: (random, index) => ((index >> 4) % 3 === 0 ? 0 : random.bell()),
  zeroSubBlocks32: (random, index) => ((index >> 5) % 2 === 0 ? 0 : random.bell()),
  oneSubBlock: (random, index) => (index >> 4 === 5 ? random.bell() : 0),
  mixedScales: (random, index) => random.bell() * 10 ** (((index >> 4) % 9) - 6),
  constantSubBlocks: (_random, index) => ((index >> 4) % 7) * 0.25 - 0.75,
  powers: (random) => 2 ** (random.below(40) - 30) * (random.below(2) === 0 ? 1 : -1),
  anyBelowOne: (random) => anyBits(random, 128),
  anyModerate: (random) => anyBits(random, 143),
  anyFinite: (random) => anyBits(random, 255),
  // Around 65520, from where a half is infinite.
  halfEdge: (random) => (65_480 + random.below(80) + random.uniform()) * (random.below(2) * 2 - 1),
  // Fits whose sums overflow although every value is finite.
  overflowingSums: (random) => random.bell() * 3e12,
  mixedHuge: (random, index) => random.bell() * 10 ** (3 * ((index >> 4) % 12)),
} as const satisfies Record<string, Make>;
export type RowKind = keyof typeof rowKinds;
export const rowKindNames = Object.keys(rowKinds) as readonly RowKind[];

/** Overwrites `values`; the same kind and seed give the same numbers. */
export function fillRows(kind: RowKind, seed: number, values: Float32Array): void {
  const random = new Random(Math.imul(seed, 0x01000193) ^ rowKindNames.indexOf(kind));
  const make: Make = rowKinds[kind];
  for (let i = 0; i < values.length; i++) values[i] = make(random, i & 255);
}

/** One kind of importance each; `part` is the place in the row, in [0, 1). */
const importanceKinds = {
  squares: (random) => random.bell() ** 2,
  unexcited: (random) => (random.below(4) === 0 ? 0 : random.bell() ** 2),
  ones: () => 1,
  halfRow: (random, _index, part) => (part < 0.5 ? 0 : random.bell() ** 2),
  zeros: () => 0,
  tiny: (random) => random.bell() ** 2 * 1e-30,
  everySecondSubBlock: (random, index) => ((index >> 4) % 2 === 0 ? 0 : random.bell() ** 2),
  everySecondBlock: (random, index) => ((index >> 5) % 2 === 0 ? random.bell() ** 2 : 0),
  oneColumn: (random, index) => (index % 32 === 9 ? random.bell() ** 2 : 0),
  outweighed: (random) => random.bell() ** 2 * (random.below(40) === 0 ? 1e6 : 1),
  large: (random) => random.bell() ** 2 * 1e12,
  anyFinite: (random) => Math.abs(anyBits(random, 160)),
} as const satisfies Record<string, (random: Random, index: number, part: number) => number>;
export type ImportanceKind = keyof typeof importanceKinds;
export const importanceKindNames = Object.keys(importanceKinds) as readonly ImportanceKind[];

/** Overwrites `importance` (columns) with numbers ≥ 0. */
export function fillImportance(kind: ImportanceKind, seed: number, importance: Float32Array): void {
  const random = new Random(Math.imul(seed, 0x01000193) ^ ~importanceKindNames.indexOf(kind));
  const make: (random: Random, index: number, part: number) => number = importanceKinds[kind];
  for (let i = 0; i < importance.length; i++) {
    importance[i] = make(random, i, i / importance.length);
  }
}

export interface Bf16Tensor {
  readonly name: string;
  readonly columns: number;
  /** Little endian, rows back to back. */
  readonly bytes: Uint8Array;
}

/** Every BF16 tensor of at least one dimension in a directory's safetensors files. */
export function readTensors(directory: string): readonly Bf16Tensor[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.safetensors'))
    .sort()
    .flatMap((name) => readFile(readFileSync(join(directory, name))));
}

interface TensorEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

function readFile(file: Buffer): Bf16Tensor[] {
  const headerBytes = Number(file.readBigUInt64LE(0));
  const data = file.subarray(8 + headerBytes);
  // A fixture of this repository, made by its own generator.
  const header = JSON.parse(file.toString('utf8', 8, 8 + headerBytes)) as Record<
    string,
    TensorEntry
  >;
  return Object.entries(header)
    .filter(([name, { dtype }]) => name !== '__metadata__' && dtype === 'BF16')
    .map(([name, { shape, data_offsets }]) => ({
      name,
      columns: shape.at(-1) ?? 1,
      bytes: data.subarray(...data_offsets),
    }));
}

/** The exact floats of bf16 elements. */
export function bf16ToFloats(bytes: Uint8Array): Float32Array {
  const bits = new Uint32Array(bytes.length / 2);
  for (let i = 0; i < bits.length; i++) {
    bits[i] = ((bytes[2 * i] ?? 0) << 16) | ((bytes[2 * i + 1] ?? 0) << 24);
  }
  return new Float32Array(bits.buffer);
}
