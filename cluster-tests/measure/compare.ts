/**
 * Compare: how far two forward passes are apart, in the figures that the tolerances are given in.
 *
 *   ours, llama.cpp's ──▶ relative distances, statistics' distances, routings that flipped
 *
 * In every function `theirs` is the reference: distances are relative to it.
 */

import { assert } from '../../proto/assert.ts';
import type { Routing, Statistic } from './llama-forward.ts';

type Numbers = ArrayLike<number>;

/** Root mean square of the differences over that of the reference; NaN if either is not finite. */
export function relativeRms(ours: Numbers, theirs: Numbers): number {
  assert(ours.length === theirs.length, 'as many numbers');
  let difference = 0;
  let scale = 0;
  for (let index = 0; index < theirs.length; index++) {
    difference += (at(ours, index) - at(theirs, index)) ** 2;
    scale += at(theirs, index) ** 2;
  }
  return difference === 0 ? 0 : Math.sqrt(difference / scale);
}

/** NaN if any difference is. */
export function largestDifference(ours: Numbers, theirs: Numbers): number {
  assert(ours.length === theirs.length, 'as many numbers');
  let largest = 0;
  for (let index = 0; index < theirs.length; index++) {
    // The largest of anything and NaN is NaN.
    largest = Math.max(largest, Math.abs(at(ours, index) - at(theirs, index)));
  }
  return largest;
}

/** How the same statistic of two passes differs. */
export interface StatisticDifference {
  readonly name: string;
  /** Of mean squares: the sum of absolute differences over the sum of the reference. */
  readonly meanSquares: number;
  /** The same of counts. */
  readonly counts: number;
}

/**
 * A difference for each name that either side has, the largest mean squares first; Infinity where
 * a side lacks the name or has it in another shape.
 */
export function compareStatistics(
  ours: ReadonlyMap<string, Statistic>,
  theirs: ReadonlyMap<string, Statistic>,
): StatisticDifference[] {
  const names = [...new Set([...ours.keys(), ...theirs.keys()])];
  const differences = names.map((name) => {
    const [left, right] = [ours.get(name), theirs.get(name)];
    return { name, ...(left && right && sameShape(left, right) ? compareOne(left, right) : apart) };
  });
  // NaN, which no tolerance admits, comes first.
  const rank = ({ meanSquares }: StatisticDifference): number =>
    Number.isNaN(meanSquares) ? Infinity : meanSquares;
  return differences.sort((a, b) => (rank(a) === rank(b) ? 0 : rank(b) - rank(a)));
}

const apart = { meanSquares: Infinity, counts: Infinity };

/** Sums over counts, one matrix after the other; 0 where nothing was counted. */
export function meanSquares({ columns, sums, counts }: Statistic): Float64Array {
  return sums.map((sum, index) => {
    const count = counts[Math.floor(index / columns)] ?? 0;
    return count === 0 ? 0 : sum / count;
  });
}

function sameShape(ours: Statistic, theirs: Statistic): boolean {
  return ours.columns === theirs.columns && ours.matrices === theirs.matrices;
}

function compareOne(ours: Statistic, theirs: Statistic): Omit<StatisticDifference, 'name'> {
  return {
    meanSquares: relativeSum(meanSquares(ours), meanSquares(theirs)),
    counts: relativeSum(ours.counts, theirs.counts),
  };
}

function relativeSum(ours: Numbers, theirs: Numbers): number {
  assert(ours.length === theirs.length, 'as many numbers');
  let difference = 0;
  let scale = 0;
  for (let index = 0; index < theirs.length; index++) {
    difference += Math.abs(at(ours, index) - at(theirs, index));
    scale += Math.abs(at(theirs, index));
  }
  return difference === 0 ? 0 : difference / scale;
}

/** A token that got other experts. */
export interface Flip {
  readonly token: number;
  /** Chosen by one side alone, ascending. */
  readonly ours: readonly number[];
  readonly theirs: readonly number[];
  /**
   * How far apart the reference's router logits of the exchanged experts are at most. A true tie
   * is small; where the layers before differ too it may be anything.
   */
  readonly gap: number;
}

/** @param ours (slots, tokens): the experts of each token, in any order within it */
export function findFlips(ours: Numbers, theirs: Routing): Flip[] {
  const { experts, slots, logits, chosen } = theirs;
  assert(ours.length === chosen.length, 'as many slots for as many tokens');
  const flips: Flip[] = [];
  for (let token = 0; token < chosen.length / slots; token++) {
    const range = { from: token * slots, to: (token + 1) * slots };
    const [left, right] = [slotsOf(ours, range), slotsOf(chosen, range)];
    const [onlyOurs, onlyTheirs] = [without(left, right), without(right, left)];
    if (onlyOurs.length === 0 && onlyTheirs.length === 0) continue;
    const logit = (expert: number): number => at(logits, token * experts + expert);
    const largest = Math.max(...onlyTheirs.map(logit));
    const least = Math.min(...onlyOurs.map(logit));
    flips.push({ token, ours: onlyOurs, theirs: onlyTheirs, gap: largest - least });
  }
  return flips;
}

function slotsOf(ids: Numbers, { from, to }: { readonly from: number; readonly to: number }) {
  return Array.from({ length: to - from }, (_, slot) => at(ids, from + slot));
}

function without(experts: readonly number[], others: readonly number[]): number[] {
  return experts.filter((expert) => !others.includes(expert)).sort((a, b) => a - b);
}

/**
 * The first token of a chunk that any layer routed elsewhere, or the number of tokens: logits of
 * the tokens before it are comparable, those after it are not.
 *
 * @param layers by layer, what `findFlips` found
 */
export function firstFlip(layers: readonly (readonly Flip[])[], tokens: number): number {
  return Math.min(tokens, ...layers.flat().map(({ token }) => token));
}

/**
 * Tokens whose largest logit stands elsewhere although the reference's two largest are more than
 * twice `difference` apart.
 *
 * @param ours (vocabulary, tokens), as `theirs`
 * @param difference by how much logits may differ, such as the tolerance or `largestDifference`
 */
export function wrongArgmax(
  ours: Numbers,
  theirs: Numbers,
  { vocabulary, difference }: { readonly vocabulary: number; readonly difference: number },
): number[] {
  assert(ours.length === theirs.length, 'as many numbers');
  const wrong: number[] = [];
  for (let token = 0; token < theirs.length / vocabulary; token++) {
    const expected = twoLargest(theirs, token * vocabulary, vocabulary);
    const found = twoLargest(ours, token * vocabulary, vocabulary);
    if (expected.gap > 2 * difference && found.index !== expected.index) wrong.push(token);
  }
  return wrong;
}

function twoLargest(
  logits: Numbers,
  from: number,
  count: number,
): { readonly index: number; readonly gap: number } {
  let index = 0;
  let second = -Infinity;
  for (let other = 1; other < count; other++) {
    const logit = at(logits, from + other);
    const largest = at(logits, from + index);
    if (logit > largest) index = other;
    second = Math.max(second, Math.min(logit, largest));
  }
  return { index, gap: at(logits, from + index) - second };
}

/** Reading past the end gives NaN, which no tolerance admits. */
function at(numbers: Numbers, index: number): number {
  return numbers[index] ?? Number.NaN;
}
