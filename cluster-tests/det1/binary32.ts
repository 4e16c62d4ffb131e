/**
 * Binary32: the scalar steps that DET-1.md is written in, each with one rounding.
 *
 *   numbers that are binary32 ──▶ fma, add, … ──▶ the nearest binary32  (read next: operations.ts)
 *
 * A number of JavaScript is binary64. One sum, product, quotient or root of binary32 numbers,
 * rounded first to binary64 and then to binary32, is rounded right; a fused one is not, and takes
 * the long way.
 */

export const round: (value: number) => number = Math.fround;

export const add = (a: number, b: number): number => round(a + b);
export const subtract = (a: number, b: number): number => round(a - b);
export const multiply = (a: number, b: number): number => round(a * b);
export const divide = (a: number, b: number): number => round(a / b);
export const squareRoot = (a: number): number => round(Math.sqrt(a));

const wide = new Float64Array(1);
const halves = new Int32Array(wide.buffer);
const single = new Float32Array(1);
const singleBits = new Uint32Array(single.buffer);

/** The binary32 number with these bits. */
export function fromBits(bits: number): number {
  singleBits[0] = bits;
  return single[0] ?? 0;
}

/** The bits of a binary32 number. */
export function toBits(value: number): number {
  single[0] = value;
  return singleBits[0] ?? 0;
}

/**
 * a·b + c with one rounding. The product is exact in binary64. The sum is rounded there to the
 * neighbour whose last bit is 1 unless it is exact, from where a second rounding goes right.
 */
export function fma(a: number, b: number, c: number): number {
  const product = a * b;
  const sum = product + c;
  if (!Number.isFinite(sum)) return round(sum);
  const fromC = sum - product;
  const error = product - (sum - fromC) + (c - fromC);
  return round(error === 0 ? sum : towardOdd(sum, error));
}

/** `sum` or its neighbour in the direction of `error`, whichever is odd. */
function towardOdd(sum: number, error: number): number {
  wide[0] = sum;
  const low = halves[0] ?? 0;
  if ((low & 1) === 1) return sum;
  if (error > 0 === sum > 0) {
    halves[0] = low | 1;
    return wide[0];
  }
  halves[0] = low - 1;
  // A borrow from the upper half.
  if (low === 0) halves[1] = (halves[1] ?? 0) - 1;
  return wide[0];
}
