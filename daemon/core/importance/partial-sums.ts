/**
 * Partial sums: the statistics of one layer over some groups of chunks, and their merging.
 *
 *   LayerSums of any peers, in any order ──▶ mergeSums ──▶ the sums of all groups
 *
 * Sums are integers, so merging is adding, and only what has no group in common may be added. Who
 * has which groups is kept by roles/sums-store.ts.
 */

import { assert } from '../../../proto/assert.ts';
import { FaultError } from '../../../proto/fault.ts';
import type { Statistic } from '../models/forward.ts';
import { CONTRACT, digestFields, type Sha256 } from '../plan/unit-id.ts';
import { importanceFaults } from './faults.ts';
import { addFixed } from './fixed-point.ts';
import { areDisjoint, encodeGroups, type GroupSet, unionOf } from './group-set.ts';
import { COUNT_BYTES, countsOffset, placeOfSum } from './statistics.ts';

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
  assert(one.bytes.length === other.bytes.length, 'sums of one layer have one size');
  assert(areDisjoint(one.groups, other.groups), 'only disjoint groups are merged');
  const bytes = one.bytes.slice();
  const end = countsOffset(statistics);
  const overflow = addFixed(bytes.subarray(0, end), other.bytes.subarray(0, end));
  if (overflow !== undefined) {
    throw new FaultError(importanceFaults.sumsOverflow, placeOfSum(statistics, overflow));
  }
  addCounts(bytes.subarray(end), other.bytes.subarray(end));
  return { layer: one.layer, groups: unionOf(one.groups, other.groups), bytes };
}

function addCounts(into: Uint8Array, added: Uint8Array): void {
  const a = new DataView(into.buffer, into.byteOffset, into.byteLength);
  const b = new DataView(added.buffer, added.byteOffset, added.byteLength);
  for (let at = 0; at < into.length; at += COUNT_BYTES) {
    const count = a.getBigUint64(at, true) + b.getBigUint64(at, true);
    assert(count < 2n ** 64n, 'counts of all groups are below 2^64 together');
    a.setBigUint64(at, count, true);
  }
}
