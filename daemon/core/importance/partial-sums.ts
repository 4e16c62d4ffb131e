/**
 * Partial sums: the statistics of one layer over some groups of chunks, and their merging.
 *
 *   LayerSums of any peers, in any order ──▶ SumsLedger.merge ──▶ the sums of all groups
 *
 * Sums are integers, so merging is adding, and only what has no group in common may be added. What
 * arrives twice changes nothing. Where a union of groups overlaps what is there already, nothing
 * can be added, and the ledger says which single groups are still needed.
 */

import { assert } from '../../../proto/assert.ts';
import { FaultError } from '../../../proto/fault.ts';
import type { Statistic } from '../models/forward.ts';
import { CONTRACT, digestFields, type Sha256 } from '../plan/unit-id.ts';
import { importanceFaults } from './faults.ts';
import { addFixed, subtractFixed } from './fixed-point.ts';
import {
  areDisjoint,
  differenceOf,
  encodeGroups,
  type GroupSet,
  isInside,
  unionOf,
} from './group-set.ts';
import { COUNT_BYTES, checkSums, countsOffset, placeOfSum } from './statistics.ts';

/** The statistics of one layer over a set of groups. */
export interface LayerSums {
  readonly layer: number;
  readonly groups: GroupSet;
  /** As statistics.ts lays them out. */
  readonly bytes: Uint8Array;
}

/**
 * What a blob of sums is announced and pulled by.
 * @param bytesDigest SHA-256 of its bytes, which are large and hashed where hashing is cheap
 */
export function sumsDigest(
  sha256: Sha256,
  { layer, groups }: Pick<LayerSums, 'layer' | 'groups'>,
  bytesDigest: Uint8Array,
): Uint8Array {
  return digestFields(sha256, [CONTRACT, 'sums', layer, ...encodeGroups(groups), bytesDigest]);
}

/**
 * The sums of two disjoint sets of groups of one layer, as new bytes.
 * @throws FaultError sumsOverflow
 */
export function mergeSums(
  statistics: readonly Statistic[],
  one: LayerSums,
  other: LayerSums,
): LayerSums {
  assert(one.layer === other.layer, 'only sums of one layer are merged');
  assert(areDisjoint(one.groups, other.groups), 'only disjoint groups are merged');
  const bytes = one.bytes.slice();
  add(statistics, bytes, other.bytes);
  return { layer: one.layer, groups: unionOf(one.groups, other.groups), bytes };
}

function add(statistics: readonly Statistic[], into: Uint8Array, added: Uint8Array): void {
  const end = countsOffset(statistics);
  const overflow = addFixed(into.subarray(0, end), added.subarray(0, end));
  if (overflow !== undefined) {
    // Taking out undoes adding even where 128 bits were left, so nothing has happened.
    subtractFixed(into.subarray(0, end), added.subarray(0, end));
    throw new FaultError(importanceFaults.sumsOverflow, placeOfSum(statistics, overflow));
  }
  const fitting = changeCounts(into, added, end, 1n);
  assert(fitting, 'counts of all groups are below 2^64 together');
}

function subtract(statistics: readonly Statistic[], from: Uint8Array, taken: Uint8Array): void {
  const end = countsOffset(statistics);
  const overflow = subtractFixed(from.subarray(0, end), taken.subarray(0, end));
  assert(overflow === undefined, 'the difference of two sums of squares fits where they do');
  if (changeCounts(from, taken, end, -1n)) return;
  const why = 'a chunk that is taken out has more tokens than its group';
  throw new FaultError(importanceFaults.badSums, { why });
}

/** Whether all counts are still counts. */
function changeCounts(into: Uint8Array, by: Uint8Array, start: number, sign: bigint): boolean {
  assert(into.length === by.length, 'sums of one layer have one size');
  const a = new DataView(into.buffer, into.byteOffset, into.byteLength);
  const b = new DataView(by.buffer, by.byteOffset, by.byteLength);
  let fitting = true;
  for (let at = start; at < into.length; at += COUNT_BYTES) {
    const count = a.getBigUint64(at, true) + sign * b.getBigUint64(at, true);
    if (count < 0n || count >= 2n ** 64n) fitting = false;
    a.setBigUint64(at, BigInt.asUintN(64, count), true);
  }
  return fitting;
}

/** What the ledger makes of sums over some groups. */
export type Need =
  /** They can be added as they are. */
  | { readonly kind: 'all' }
  /** All of them are in it. */
  | { readonly kind: 'nothing' }
  /** Some are in it: the others are needed one by one. */
  | { readonly kind: 'singles'; readonly groups: GroupSet };

interface LayerState {
  readonly statistics: readonly Statistic[];
  groups: GroupSet;
  /** Undefined before the first groups arrive. */
  bytes: Uint8Array | undefined;
  /** By chunk: what it has added to these sums. */
  readonly takenOut: Map<number, Uint8Array>;
}

/** The coordinator's account of what has been merged, layer by layer. */
export class SumsLedger {
  readonly #layers: readonly LayerState[];

  /** @param statistics of each layer, from layer 0 on */
  constructor(statistics: readonly (readonly Statistic[])[]) {
    this.#layers = statistics.map((ofLayer) => ({
      statistics: ofLayer,
      groups: [],
      bytes: undefined,
      takenOut: new Map(),
    }));
  }

  get layerCount(): number {
    return this.#layers.length;
  }

  /** What is wanted of sums over these groups: to be asked before they are pulled. */
  need(layer: number, groups: GroupSet): Need {
    const { groups: held } = this.#layer(layer);
    const missing = differenceOf(groups, held);
    if (missing.length === 0) return { kind: 'nothing' };
    const whole = areDisjoint(groups, held) || isInside(held, groups);
    return whole ? { kind: 'all' } : { kind: 'singles', groups: missing };
  }

  /**
   * Adds what can be added; repeating it changes nothing.
   * @param sums `bytes` belongs to the ledger from here on
   * @returns what it made of them: `all` was added, of `singles` and `nothing` nothing was
   * @throws FaultError badSums, sumsOverflow; the ledger is then as it was before
   */
  merge({ layer, groups, bytes }: LayerSums): Need {
    const state = this.#layer(layer);
    const need = this.need(layer, groups);
    if (need.kind !== 'all') return need;
    checkSums(state.statistics, bytes);
    // A set that holds all that is there takes its place: equal groups have equal sums.
    if (state.bytes === undefined || isInside(state.groups, groups)) state.bytes = bytes;
    else add(state.statistics, state.bytes, bytes);
    state.groups = unionOf(state.groups, groups);
    return need;
  }

  /**
   * Takes a chunk out of a layer that had summed it before the chunk went wrong in a later one.
   * May come before its group does, and more than once.
   * @param bytes what this chunk alone has added to the layer's sums
   * @throws FaultError badSums
   */
  takeOut(layer: number, chunk: number, bytes: Uint8Array): void {
    const { statistics, takenOut } = this.#layer(layer);
    checkSums(statistics, bytes);
    takenOut.set(chunk, bytes);
  }

  /** The groups that a layer's sums contain. */
  held(layer: number): GroupSet {
    return this.#layer(layer).groups;
  }

  /** Those of `wanted` that a layer still lacks. */
  missing(layer: number, wanted: GroupSet): GroupSet {
    return differenceOf(wanted, this.#layer(layer).groups);
  }

  /** Whether every layer has all of `wanted`. */
  isComplete(wanted: GroupSet): boolean {
    return this.#layers.every(({ groups }) => isInside(wanted, groups));
  }

  /**
   * A layer's sums over all groups that it holds, without the chunks that were taken out.
   * @throws FaultError badSums where a chunk is more than its group
   */
  sums(layer: number): LayerSums {
    const { statistics, groups, bytes, takenOut } = this.#layer(layer);
    assert(bytes !== undefined, `layer ${layer} has sums before they are asked for`);
    const left = bytes.slice();
    for (const chunk of takenOut.values()) subtract(statistics, left, chunk);
    checkSums(statistics, left);
    return { layer, groups, bytes: left };
  }

  #layer(layer: number): LayerState {
    const state = this.#layers[layer];
    assert(state !== undefined, `there is no layer ${layer}`);
    return state;
  }
}
