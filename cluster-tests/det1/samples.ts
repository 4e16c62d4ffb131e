/**
 * Samples: the numbers that the stored hashes of the forward pass are made from.
 *
 *   seed ──▶ SampleSource ──▶ numbers  (read next: hashes.ts)
 *
 * The same as kernels/forward-samples.h, step by step, in the same order.
 */

import { fromBits, toBits } from './binary32.ts';

/** Exponents [lowest, lowest + count), as the bits have them. */
export interface Spread {
  readonly lowest: number;
  readonly count: number;
}

const MASK = (1n << 64n) - 1n;
const INCREMENT = 0x9e3779b97f4a7c15n;

/** SplitMix64. */
export class SampleSource {
  #state: bigint;

  constructor(seed: number) {
    this.#state = BigInt(seed);
  }

  bits(): bigint {
    this.#state = (this.#state + INCREMENT) & MASK;
    let z = this.#state;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK;
    return z ^ (z >> 31n);
  }

  number(spread: Spread): number {
    const bits = this.bits();
    const low = Number(bits & 0xffffffffn);
    const high = Number(bits >> 32n);
    const sign = high >= 0x80000000 ? 0x80000000 : 0;
    if (((low >>> 23) & 15) === 0) return fromBits(sign);
    const exponent = spread.lowest + Math.floor(((high & 0x7fffffff) * spread.count) / 2 ** 31);
    return fromBits((sign | (exponent << 23) | (low & 0x7fffff)) >>> 0);
  }

  numbers(count: number, spread: Spread): Float32Array {
    return new Float32Array(count).map(() => this.number(spread));
  }

  ties(count: number): Float32Array {
    const values = [-1, 0.5, 1, 2];
    return new Float32Array(count).map(() => values[Number(this.bits() >> 62n)] ?? 0);
  }

  /** Finite halves. */
  halves(count: number): Float32Array {
    return new Float32Array(count).map(() => widenHalf(Number(this.bits() >> 48n) & 0xbfff));
  }

  bfloat16s(count: number, spread: Spread): Float32Array {
    return new Float32Array(count).map(() => {
      const upper = toBits(this.number(spread)) >>> 16;
      return fromBits((upper << 16) >>> 0);
    });
  }
}

function widenHalf(half: number): number {
  const sign = half >>> 15 === 0 ? 1 : -1;
  const exponent = (half >>> 10) & 31;
  const fraction = half & 1023;
  const magnitude = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
  return sign * magnitude;
}
