/**
 * Dice: everything that chance decides in a simulated run, thrown from its seed.
 *
 *   seed ──▶ diceOf ──▶ chance, between, pick, bytes
 */

import { assert } from '../../proto/assert.ts';
import { seededRandom } from '../checkpoints/random.ts';

export interface Dice {
  /** True in `share` of the throws. */
  chance(share: number): boolean;
  /** A whole number from `low` to `high`, both possible. */
  between(low: number, high: number): number;
  /** As `between`, with small numbers more often: each power of two is as likely. */
  skewed(low: number, high: number): number;
  pick<T>(among: readonly T[]): T;
  bytes(count: number): Uint8Array;
}

export function diceOf(seed: number): Dice {
  const random = seededRandom(seed);
  const between = (low: number, high: number): number => low + random.below(high - low + 1);
  return {
    chance: (share) => random.below(1_000_000) < share * 1_000_000,
    between,
    skewed: (low, high) => {
      const power = Math.log2(high - low + 1) * (random.below(4096) / 4096);
      return Math.min(high, low + Math.floor(2 ** power) - 1);
    },
    pick: (among) => {
      const picked = among[random.below(among.length)];
      assert(picked !== undefined, 'there is something to pick');
      return picked;
    },
    bytes: (count) => {
      const bytes = new Uint8Array(count);
      mixInto(bytes, between(1, 0x7fff_ffff));
      return bytes;
    },
  };
}

/** Fills `into` with numbers that depend on every bit of `start`: xorshift32, four bytes a step. */
export function mixInto(into: Uint8Array, start: number): void {
  let state = (start ^ 0x9e37_79b9) | 0 || 1;
  for (let at = 0; at < into.length; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    into[at] = state;
    into[at + 1] = state >>> 8;
    into[at + 2] = state >>> 16;
    into[at + 3] = state >>> 24;
  }
}
