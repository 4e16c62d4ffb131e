/**
 * Steps: the operations of kernels/DET-1.md on rows of numbers, one scalar step after another.
 *
 *   rows of binary32 ──▶ norm, multiplyRows, attend, … ──▶ rows of binary32
 *
 * A transcription of that page for reading and for comparing, not for speed; paragraphs are named.
 * Read next: interpreter.ts, which carries out a model's lists of operations with them.
 */

import type { Activation } from '../../daemon/core/models/forward.ts';

const { fround } = Math;

/** a · b + c with one rounding, of binary32 numbers. */
export function fma(a: number, b: number, c: number): number {
  // The product is exact in binary64. The sum is rounded there and then again to binary32, which
  // differs from one rounding only where the first one lands in the middle between two binary32.
  const product = a * b;
  const sum = product + c;
  const rounded = fround(sum);
  const mirrored = rounded + 2 * (sum - rounded);
  if (sum === rounded || fround(mirrored) !== mirrored) return rounded;
  const back = sum - product;
  const lost = product - (sum - back) + (c - back);
  if (lost === 0) return rounded;
  return lost > 0 ? Math.max(rounded, mirrored) : Math.min(rounded, mirrored);
}

const LOG2_E = fround(Math.LOG2E);
const ROUNDER = 12_582_912;
const MINUS_LN2_HIGH = fround(-0.693145752);
const MINUS_LN2_LOW = fround(-1.42860677e-6);
const EXP_SERIES = [720, 120, 24, 6, 2, 1, 1].map((factorial) => fround(1 / factorial));
const EXP_FIRST = fround(1 / 5040);

/** §2 */
export function exp(given: number): number {
  if (given < -87) return 0;
  const x = given > 88 ? 88 : given;
  const n = fround(fma(x, LOG2_E, ROUNDER) - ROUNDER);
  const r = fma(n, MINUS_LN2_LOW, fma(n, MINUS_LN2_HIGH, x));
  let p = EXP_FIRST;
  for (const c of EXP_SERIES) p = fma(p, r, c);
  return fround(p * 2 ** n);
}

const GELU_OUTER = fround(-1.59576912);
const GELU_INNER = fround(0.044715);

/** §3 */
export function activate(activation: Activation, x: number): number {
  if (activation === 'silu') return fround(x / fround(1 + exp(-x)));
  const inner = fround(x * fma(GELU_INNER, fround(x * x), 1));
  return fround(x / fround(1 + exp(fround(GELU_OUTER * inner))));
}

const LANES = 16;

/** §4: adds up what `step` makes of the lane and the place, for places from 0 to `count` − 1. */
export function sumInLanes(count: number, step: (lane: number, place: number) => number): number {
  const lanes = new Float32Array(LANES);
  for (let place = 0; place < count; place++) {
    lanes[place % LANES] = step(at(lanes, place % LANES), place);
  }
  for (let half = LANES / 2; half >= 1; half /= 2) {
    for (let lane = 0; lane < half; lane++) lanes[lane] = at(lanes, lane) + at(lanes, lane + half);
  }
  return at(lanes, 0);
}

/** §5, over runs of `width` numbers. */
export function norm(
  from: Float32Array,
  width: number,
  weight: Float32Array | undefined,
  epsilon: number,
): Float32Array {
  const into = new Float32Array(from.length);
  for (let start = 0; start < from.length; start += width) {
    const sum = sumInLanes(width, (lane, i) => {
      const x = at(from, start + i);
      return fma(x, x, lane);
    });
    const mean = fround(fround(sum / fround(width)) + fround(epsilon));
    const factor = fround(1 / fround(Math.sqrt(mean)));
    for (let i = 0; i < width; i++) {
      const x = fround(at(from, start + i) * factor);
      into[start + i] = weight === undefined ? x : x * at(weight, i);
    }
  }
  return into;
}

/** How a weight is multiplied: A with numbers as they are, B with bfloat16 ones. */
export type Mode = 'A' | 'B';

/** Rows of weights, widened to binary32; in mode B without those below FLUSH_END. */
export interface Rows {
  readonly mode: Mode;
  readonly columns: number;
  readonly values: Float32Array;
}

const FLUSH_END = 2 ** -55;

/** §6: what is too small becomes +0. */
export function flush(x: number): number {
  return Math.abs(x) < FLUSH_END ? 0 : x;
}

const words = new DataView(new ArrayBuffer(4));

/** Nearest even. */
export function roundToBfloat16(x: number): number {
  words.setFloat32(0, x);
  const bits = words.getUint32(0);
  if ((bits & 0x7fff_ffff) > 0x7f80_0000) return x;
  const odd = (bits >>> 16) & 1;
  words.setUint32(0, ((bits + 0x7fff + odd) & 0xffff_0000) >>> 0);
  return words.getFloat32(0);
}

/** §6: (tokens, columns) times the `count` rows from `first` on gives (tokens, count). */
export function multiplyRows(
  from: Float32Array,
  { mode, columns, values }: Rows,
  first: number,
  count: number,
): Float32Array {
  const x = mode === 'A' ? from : from.map((value) => roundToBfloat16(flush(value)));
  const chain = mode === 'A' ? chainA : chainB;
  const tokens = from.length / columns;
  const into = new Float32Array(tokens * count);
  for (let row = 0; row < count; row++) {
    const weights = values.subarray((first + row) * columns, (first + row + 1) * columns);
    for (let token = 0; token < tokens; token++) {
      into[token * count + row] = chain(weights, x, token * columns);
    }
  }
  return into;
}

// Most of the time goes here, hence without `at`.
function chainA(w: Float32Array, x: Float32Array, start: number): number {
  let a = 0;
  for (let k = 0; k < w.length; k++) a = fma(w[k] as number, x[start + k] as number, a);
  return a;
}

/** Products of two bfloat16 are exact in binary32, so a multiplication and an addition do. */
function chainB(w: Float32Array, x: Float32Array, start: number): number {
  let a = 0;
  for (let block = 0; block < w.length; block += 32) {
    const end = Math.min(block + 32, w.length);
    let even = 0;
    for (let k = block; k < end; k += 2) {
      even = fround((w[k] as number) * (x[start + k] as number) + even);
    }
    let odd = 0;
    for (let k = block + 1; k < end; k += 2) {
      odd = fround((w[k] as number) * (x[start + k] as number) + odd);
    }
    a = fround(a + fround(even + odd));
  }
  return a;
}

/** §7, in place: heads of `width` numbers from `start` on, by the cosines and sines of a position. */
export function rotate(
  row: Float32Array,
  width: number,
  cosine: Float32Array,
  sine: Float32Array,
): void {
  const pairs = width / 2;
  for (let start = 0; start < row.length; start += width) {
    for (let i = 0; i < pairs; i++) {
      const a = at(row, start + i);
      const b = at(row, start + pairs + i);
      row[start + i] = fma(a, at(cosine, i), -fround(b * at(sine, i)));
      row[start + pairs + i] = fma(b, at(cosine, i), fround(a * at(sine, i)));
    }
  }
}

/** What attention over one chunk needs; every array is (positions, heads, width). */
export interface Attention {
  readonly queries: Float32Array;
  readonly keys: Float32Array;
  readonly values: Float32Array;
  readonly heads: number;
  readonly keyHeads: number;
  readonly width: number;
  /** 0 is none. */
  readonly window: number;
  readonly scale: number;
}

/** §8 */
export function attend(of: Attention): Float32Array {
  const { heads, width } = of;
  const into = new Float32Array(of.queries.length);
  const positions = of.queries.length / (heads * width);
  for (let position = 0; position < positions; position++) {
    for (let head = 0; head < heads; head++) attendOnce(of, position, head, into);
  }
  return into;
}

function attendOnce(of: Attention, position: number, head: number, into: Float32Array): void {
  const { queries, keys, values, heads, keyHeads, width, window, scale } = of;
  const keyHead = Math.floor(head / (heads / keyHeads));
  const start = (position * heads + head) * width;
  const query = queries.subarray(start, start + width);
  const first = window === 0 ? 0 : Math.max(0, position - window + 1);
  const keyAt = (j: number): number => (j * keyHeads + keyHead) * width;

  const e = new Float32Array(position + 1);
  let largest = Number.NaN;
  for (let j = first; j <= position; j++) {
    const chain = chainA(query, keys, keyAt(j));
    const score = scale === 1 ? chain : fround(chain * fround(scale));
    e[j] = score;
    largest = j === first || score > largest ? score : largest;
  }
  for (let j = first; j <= position; j++) e[j] = exp(fround(at(e, j) - largest));
  const sum = sumInLanes(position + 1, (lane, j) => (j < first ? lane : fround(lane + at(e, j))));
  for (let c = 0; c < width; c++) {
    let a = 0;
    for (let j = first; j <= position; j++) a = fma(at(e, j), at(values, keyAt(j) + c), a);
    into[start + c] = fround(a + 0) / sum;
  }
}

const TOTAL_MIN = 2 ** -14;

/** §9, one token: the chosen experts in ascending order, each with its weight. */
export function route(
  logits: Float32Array,
  used: number,
  scales: Float32Array | undefined,
): { expert: number; weight: number }[] {
  const largest = logits.reduce((m, z) => (z > m ? z : m));
  const e = logits.map((z) => exp(fround(z - largest)));
  const sum = sumInLanes(e.length, (lane, expert) => fround(lane + at(e, expert)));
  const shares = e.map((value) => value / sum);
  const chosen: number[] = [];
  let total = 0;
  while (chosen.length < used) {
    let best = -1;
    for (const [expert, share] of shares.entries()) {
      if (chosen.includes(expert)) continue;
      if (best < 0 || share > at(shares, best)) best = expert;
    }
    chosen.push(best);
    total = fround(total + at(shares, best));
  }
  const divisor = total > TOTAL_MIN ? total : TOTAL_MIN;
  return chosen
    .sort((one, other) => one - other)
    .map((expert) => {
      const weight = fround(at(shares, expert) / divisor);
      return {
        expert,
        weight: scales === undefined ? weight : fround(weight * at(scales, expert)),
      };
    });
}

/** §11; 0 is no cap. */
export function capped(z: number, cap: number): number {
  if (cap === 0) return z;
  const grown = exp(fround(2 * fround(z / cap)));
  return fround(cap * fround(1 - fround(2 / fround(1 + grown))));
}

const LOSS_BLOCK = 256;

/** §11, one row of logits: the largest and the sum of exp over it. */
export function logSum(logits: Float32Array): { largest: number; sum: number } {
  let [largest, sum] = [Number.NaN, Number.NaN];
  for (let start = 0; start < logits.length; start += LOSS_BLOCK) {
    const block = logits.subarray(start, start + LOSS_BLOCK);
    const m = block.reduce((most, z) => (z > most ? z : most));
    const s = sumInLanes(block.length, (lane, i) => fround(lane + exp(fround(at(block, i) - m))));
    if (start === 0) {
      [largest, sum] = [m, s];
      continue;
    }
    const both = m > largest ? m : largest;
    sum = fma(sum, exp(fround(largest - both)), fround(s * exp(fround(m - both))));
    largest = both;
  }
  return { largest, sum };
}

/** Of a place that is there. */
export function at(numbers: Float32Array, place: number): number {
  return numbers[place] as number;
}
