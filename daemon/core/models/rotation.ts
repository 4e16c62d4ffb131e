/**
 * Rotation: cosines and sines of positions, and the logarithm, the same bits on every machine.
 *
 *   RotationTable + positions ──▶ rotationsOf ──▶ cosine, sine (binary32)
 *
 * The functions of a mathematics library differ in their last bits from one to the next, and these
 * numbers are part of a measurement that machines make together. So they are computed here from
 * +, −, ×, ÷ in binary64 alone, whose results IEEE 754 fixes. The steps below are the definition that
 * kernels/DET-1.md §7 and §11 speak of. Errors are within 2 units in the last place of binary64.
 */

import { assert } from '../../../proto/assert.ts';
import type { RotationTable } from './forward.ts';

export interface Rotations {
  /** (positions, width / 2), row-major. */
  readonly cosine: Float32Array;
  readonly sine: Float32Array;
}

/** Cosines and sines of the positions 0 … `positions` − 1, for each pair of a head's numbers. */
export function rotationsOf(table: RotationTable, positions: number): Rotations {
  const frequencies = frequenciesOf(table);
  const pairs = frequencies.length;
  const cosine = new Float32Array(positions * pairs);
  const sine = new Float32Array(positions * pairs);
  for (let position = 0; position < positions; position++) {
    for (const [pair, frequency] of frequencies.entries()) {
      const { cos, sin } = turn(position * frequency);
      cosine[position * pairs + pair] = cos;
      sine[position * pairs + pair] = sin;
    }
  }
  return { cosine, sine };
}

/** What a pair turns by from one position to the next: base^(−2i / width) / factor, in radians. */
export function frequenciesOf({ width, base, factors }: RotationTable): Float64Array {
  const log = logOf(base);
  return Float64Array.from({ length: width / 2 }, (_, pair) => {
    return negativePower(log, 2 * pair, width) / (factors?.[pair] ?? 1);
  });
}

/** Natural logarithm of a positive, finite, normal number. */
export function ln(x: number): number {
  assert(x >= NORMAL_MIN && x < Infinity, `no logarithm of ${x}`);
  let exponent = 0;
  let m = x;
  while (m >= SQRT2) {
    m *= 0.5;
    exponent++;
  }
  while (m < SQRT2 * 0.5) {
    m *= 2;
    exponent--;
  }
  // ln(1 + f) = f − f²/2 + s · (f²/2 + 2s²/3 + 2s⁴/5 + …) with s = f / (2 + f).
  const f = m - 1;
  const s = f / (2 + f);
  const half = 0.5 * f * f;
  const rest = horner(LOG_SERIES, s * s) * (s * s);
  return exponent * LN2_HIGH - (half - (s * (half + rest) + exponent * LN2_LOW) - f);
}

interface Sum {
  readonly high: number;
  /** What is missing from `high`. */
  readonly low: number;
}

// The least number with all its bits.
const NORMAL_MIN = 2.2250738585072014e-308;
// √2 is where the fraction that a logarithm is taken of is centred; these two are fixed to the bit.
const { SQRT2, LOG2E: LN2_INVERSE } = Math;
// ln 2 in two parts; the first has 33 bits, so that its product with an exponent is exact.
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;
// π / 2 in parts of 33 bits, so that their products with a number of quarter turns are exact.
const QUARTER_HIGH = 1.5707963267341256;
const QUARTER_MIDDLE = 6.077100506303966e-11;
const QUARTER_LOW = 2.0222662487959506e-21;
const QUARTER_INVERSE = 0.6366197723675814;
// 1.5 · 2^52: adding it rounds a number below 2^51 to the nearest whole one; taking it off leaves that.
const ROUNDER = 6_755_399_441_055_744;
// More quarter turns than this times 33 bits would not fit in binary64's 53.
const QUARTERS_MAX = 524_288;
// 2^27 + 1: splits 53 bits into two halves.
const SPLITTER = 134_217_729;

// Terms until the first that no longer shows in binary64, at the largest argument of each series:
// |s| < 0.1716, |r| < 0.3466 (e^r), |r| < 0.7854 (cosine, sine).
const LOG_SERIES = Array.from({ length: 11 }, (_, k) => 2 / (2 * k + 3));
const EXP_SERIES = Array.from({ length: 13 }, (_, k) => 1 / factorial(k + 2));
const SINE_SERIES = Array.from({ length: 8 }, (_, k) => signed(k + 1) / factorial(2 * k + 3));
const COSINE_SERIES = Array.from({ length: 8 }, (_, k) => signed(k) / factorial(2 * k + 4));

/** ln(x) to about twice the bits: what `ln` misses is seen in e^(−ln x) · x. */
function logOf(x: number): Sum {
  const high = ln(x);
  return { high, low: x * exp(-high, 0) - 1 };
}

/** e^(−log · numerator / denominator). */
function negativePower(log: Sum, numerator: number, denominator: number): number {
  const product = multiplied(log.high, numerator);
  const high = product.high / denominator;
  const back = multiplied(high, denominator);
  const left = product.high - back.high - back.low + product.low;
  return exp(-high, -(left + log.low * numerator) / denominator);
}

/** e^(high + low), for −700 < high < 700 and a `low` that is small beside it. */
function exp(high: number, low: number): number {
  const n = high * LN2_INVERSE + ROUNDER - ROUNDER;
  const first = high - n * LN2_HIGH;
  const second = n * LN2_LOW - low;
  const r = first - second;
  const lost = first - r - second;
  let power = 1 + (r + (lost + r * r * horner(EXP_SERIES, r)));
  for (let k = 0; k < n; k++) power *= 2;
  for (let k = 0; k > n; k--) power *= 0.5;
  return power;
}

/** Cosine and sine of an angle from 0 on, in radians. */
function turn(angle: number): { cos: number; sin: number } {
  const quarters = angle * QUARTER_INVERSE + ROUNDER - ROUNDER;
  assert(quarters < QUARTERS_MAX, `an angle of ${angle} is more than the parts of π / 2 allow`);
  const { high, low } = withoutQuarters(angle, quarters);
  const cos = cosineOf(high, low);
  const sin = sineOf(high, low);
  const turned = [
    { cos, sin },
    { cos: -sin, sin: cos },
    { cos: -cos, sin: -sin },
    { cos: sin, sin: -cos },
  ][quarters % 4];
  assert(turned !== undefined, 'there are four quarters');
  return turned;
}

/** angle − quarters · π / 2, of which the last steps keep what rounding would lose. */
function withoutQuarters(angle: number, quarters: number): Sum {
  const first = angle - quarters * QUARTER_HIGH;
  const step = quarters * QUARTER_MIDDLE;
  const second = first - step;
  const third = quarters * QUARTER_LOW - (first - second - step);
  const high = second - third;
  return { high, low: second - high - third };
}

function sineOf(r: number, low: number): number {
  const square = r * r;
  const cube = square * r;
  return r + (cube * horner(SINE_SERIES, square) + low * (1 - 0.5 * square));
}

function cosineOf(r: number, low: number): number {
  const square = r * r;
  const half = 0.5 * square;
  const first = 1 - half;
  return first + (1 - first - half + (square * square * horner(COSINE_SERIES, square) - r * low));
}

/** a · b as a sum of two numbers, exactly. */
function multiplied(a: number, b: number): Sum {
  const high = a * b;
  const one = split(a);
  const other = split(b);
  const low =
    one.high * other.high -
    high +
    one.high * other.low +
    one.low * other.high +
    one.low * other.low;
  return { high, low };
}

function split(a: number): Sum {
  const scaled = SPLITTER * a;
  const high = scaled - (scaled - a);
  return { high, low: a - high };
}

/** Σ series[k] · x^k, from the last term on. */
function horner(series: readonly number[], x: number): number {
  let sum = 0;
  for (let k = series.length - 1; k >= 0; k--) sum = sum * x + (series[k] ?? 0);
  return sum;
}

function factorial(n: number): number {
  let product = 1;
  for (let k = 2; k <= n; k++) product *= k;
  return product;
}

function signed(k: number): number {
  return k % 2 === 0 ? 1 : -1;
}
