/**
 * Operations: kernels/DET-1.md carried out number by number, as it is written.
 *
 *   numbers ──▶ exp, sum, norm, … ──▶ the bits that every kernel must give  (read next: hashes.ts)
 *
 * Written from the page, not from the kernels: two readings that agree are worth more than one.
 */

import {
  add,
  divide,
  fma,
  fromBits,
  multiply,
  round,
  squareRoot,
  subtract,
  toBits,
} from './binary32.ts';

/** §1, of two. */
const larger = (a: number, b: number): number => (a > b ? a : b);

const at = (numbers: ArrayLike<number>, index: number): number => numbers[index] ?? Number.NaN;

/** §4 with any step. */
function overLanes(
  values: ArrayLike<number>,
  start: number,
  step: (lane: number, value: number) => number,
  join: (a: number, b: number) => number,
): number {
  const lanes = new Float32Array(16).fill(start);
  for (let i = 0; i < values.length; i++) {
    lanes[i % 16] = step(at(lanes, i % 16), at(values, i));
  }
  for (const half of [8, 4, 2, 1]) {
    for (let l = 0; l < half; l++) lanes[l] = join(at(lanes, l), at(lanes, l + half));
  }
  return at(lanes, 0);
}

/** §4. */
export const sum = (values: ArrayLike<number>): number => overLanes(values, 0, add, add);

/** §1, of several. */
export const largest = (values: ArrayLike<number>): number =>
  overLanes(values, Number.NEGATIVE_INFINITY, larger, larger);

/** §2. */
export function exp(value: number): number {
  if (value < -87) return 0;
  const x = value > 88 ? 88 : value;
  const n = subtract(fma(x, round(Math.LOG2E), 12582912), 12582912);
  let r = fma(n, -round(0.693145752), x);
  r = fma(n, -round(1.42860677e-6), r);
  let p = divide(1, 5040);
  for (const factorial of [720, 120, 24, 6, 2, 1, 1]) p = fma(p, r, divide(1, factorial));
  return multiply(p, 2 ** n);
}

/** §3. */
export function gelu(x: number): number {
  const cubic = multiply(x, fma(round(0.044715), multiply(x, x), 1));
  return divide(x, add(1, exp(multiply(-round(1.59576912), cubic))));
}

/** §3. */
export const silu = (x: number): number => divide(x, add(1, exp(-x)));

/** §5, one run of numbers. */
export function norm(
  x: ArrayLike<number>,
  weight: ArrayLike<number> | undefined,
  epsilon: number,
): Float32Array {
  const squares = overLanes(x, 0, (lane, value) => fma(value, value, lane), add);
  const factor = divide(1, squareRoot(add(divide(squares, x.length), round(epsilon))));
  return Float32Array.from(x, (value, i) => {
    const scaled = multiply(value, factor);
    return weight === undefined ? scaled : multiply(scaled, at(weight, i));
  });
}

/** §6, mode A: one output. */
export function productA(weights: ArrayLike<number>, x: ArrayLike<number>): number {
  let a = 0;
  for (let k = 0; k < x.length; k++) a = fma(at(weights, k), at(x, k), a);
  return a;
}

/** §6: what mode B takes for 0. */
export const flush = (value: number): number => (Math.abs(value) < 2 ** -55 ? 0 : value);

/** Rounded to bfloat16, nearest even. */
function toBfloat16(value: number): number {
  const bits = toBits(value);
  const isOdd = (bits >>> 16) & 1;
  const upper = Math.floor((bits + 0x7fff + isOdd) / 0x10000);
  return fromBits(upper * 0x10000);
}

/** §6, mode B: one output. `weights` are bfloat16 numbers. */
export function productB(weights: ArrayLike<number>, x: ArrayLike<number>): number {
  const chain = (first: number, end: number): number => {
    let a = 0;
    for (let k = first; k < end; k += 2) {
      a = fma(flush(at(weights, k)), toBfloat16(flush(at(x, k))), a);
    }
    return a;
  };
  let a = 0;
  for (let block = 0; block < x.length; block += 32) {
    const end = Math.min(block + 32, x.length);
    a = add(a, add(chain(block, end), chain(block + 1, end)));
  }
  return a;
}

/** §7, one head in place. */
export function rotate(x: Float32Array, cosine: ArrayLike<number>, sine: ArrayLike<number>): void {
  const half = x.length / 2;
  for (let i = 0; i < half; i++) {
    const a = at(x, i);
    const b = at(x, i + half);
    x[i] = fma(a, at(cosine, i), -multiply(b, at(sine, i)));
    x[i + half] = fma(b, at(cosine, i), multiply(a, at(sine, i)));
  }
}

/** One head of one chunk: a row for each position. */
export interface Head {
  readonly queries: readonly Float32Array[];
  readonly keys: readonly Float32Array[];
  readonly values: readonly Float32Array[];
  readonly window: number;
  readonly scale: number;
}

/** §8, one position. */
export function attention(head: Head, position: number): Float32Array {
  const { window, scale } = head;
  const query = head.queries[position] ?? [];
  const isVisible = (j: number): boolean =>
    j <= position && (window === 0 || j > position - window);
  const scores = head.keys.map((key, j) => {
    const score = isVisible(j) ? productA(key, query) : Number.NEGATIVE_INFINITY;
    return scale === 1 ? score : multiply(score, scale);
  });
  const most = largest(scores);
  const e = scores.map((score, j) => (isVisible(j) ? exp(subtract(score, most)) : 0));
  const total = sum(e);
  return Float32Array.from(query, (_, c) => {
    let a = 0;
    for (const [j, value] of head.values.entries()) {
      if (isVisible(j)) a = fma(at(e, j), at(value, c), a);
    }
    return divide(add(a, 0), total);
  });
}

export interface Routing {
  readonly probabilities: Float32Array;
  /** Ascending. */
  readonly chosen: readonly number[];
  readonly weights: readonly number[];
}

/** §9. */
export function route(
  logits: Float32Array,
  used: number,
  scales: ArrayLike<number> | undefined,
): Routing {
  const most = largest(logits);
  const e = logits.map((z) => exp(subtract(z, most)));
  const total = sum(e);
  const probabilities = e.map((value) => divide(value, total));
  const chosen = [...probabilities.keys()]
    .sort((a, b) => at(probabilities, b) - at(probabilities, a) || a - b)
    .slice(0, used);
  const share = chosen.reduce((t, expert) => add(t, at(probabilities, expert)), 0);
  const divisor = larger(share, 2 ** -14);
  const ascending = chosen.toSorted((a, b) => a - b);
  const weights = ascending.map((expert) => {
    const weight = divide(at(probabilities, expert), divisor);
    return scales === undefined ? weight : multiply(weight, at(scales, expert));
  });
  return { probabilities, chosen: ascending, weights };
}

/** §11. */
export function softcap(z: number, c: number): number {
  const fraction = divide(2, add(1, exp(multiply(2, divide(z, c)))));
  return multiply(c, subtract(1, fraction));
}

/** §11: of one block of logits. */
export function logSum(logits: Float32Array): { readonly largest: number; readonly sum: number } {
  const most = largest(logits);
  return { largest: most, sum: sum(logits.map((z) => exp(subtract(z, most)))) };
}

/** §12: of the columns of some tokens. */
export function squares(rows: readonly Float32Array[], columns: number): Float64Array {
  const sums = new Float64Array(columns);
  for (const row of rows) {
    for (let c = 0; c < columns; c++) sums[c] = at(sums, c) + at(row, c) * at(row, c);
  }
  return sums;
}

/** §12: q · 2^64 to nearest even; undefined for a bad one. */
export function fixedPoint(q: number): bigint | undefined {
  if (!(q >= 0 && q < 2 ** 62)) return undefined;
  const bits = new BigUint64Array(Float64Array.of(q).buffer)[0] ?? 0n;
  const exponent = Number(bits >> 52n);
  const fraction = bits & ((1n << 52n) - 1n);
  const mantissa = exponent === 0 ? fraction : fraction | (1n << 52n);
  const shift = Math.max(exponent, 1) - 1075 + 64;
  if (shift >= 0) return mantissa << BigInt(shift);
  const unit = 1n << BigInt(-shift);
  const rest = mantissa % unit;
  const whole = mantissa / unit;
  const isUp = 2n * rest > unit || (2n * rest === unit && whole % 2n === 1n);
  return isUp ? whole + 1n : whole;
}
