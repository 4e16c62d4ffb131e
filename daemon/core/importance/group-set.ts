/**
 * Group set: which groups of chunks a partial sum contains.
 *
 *   group indexes ──▶ GroupSet (runs) ──▶ encodeGroups ──▶ whole numbers, for digests
 *
 * Peers finish groups mostly in order, so runs are few where indexes are thousands. A set has one
 * representation and one encoding: equal sets have equal digests.
 */

import { assert } from '../../../proto/assert.ts';

/** The groups [first, end). */
export interface GroupRun {
  readonly first: number;
  readonly end: number;
}

/** Ascending runs that neither overlap nor touch. */
export type GroupSet = readonly GroupRun[];

// A million groups are sixteen million chunks; of 512 tokens each, more text than was ever used.
export const GROUPS_MAX: number = 2 ** 20;

/** The set of these indexes, in any order, repeated or not. */
export function groupSet(indexes: Iterable<number>): GroupSet {
  const runs: { first: number; end: number }[] = [];
  for (const index of [...new Set(indexes)].sort((a, b) => a - b)) {
    assert(Number.isInteger(index) && index >= 0 && index < GROUPS_MAX, `${index} is no group`);
    const last = runs.at(-1);
    if (last?.end === index) last.end++;
    else runs.push({ first: index, end: index + 1 });
  }
  return runs;
}

/** The indexes of a set, ascending. */
export function* groupsOf(set: GroupSet): Generator<number> {
  for (const { first, end } of set) {
    for (let group = first; group < end; group++) yield group;
  }
}

/** How many groups a set has. */
export function groupCount(set: GroupSet): number {
  return set.reduce((count, { first, end }) => count + end - first, 0);
}

/** The groups of both. */
export function unionOf(a: GroupSet, b: GroupSet): GroupSet {
  const union: { first: number; end: number }[] = [];
  for (const { first, end } of [...a, ...b].sort((one, two) => one.first - two.first)) {
    const last = union.at(-1);
    if (last !== undefined && first <= last.end) last.end = Math.max(last.end, end);
    else union.push({ first, end });
  }
  return union;
}

/** The groups of `a` that are not in `b`. */
export function differenceOf(a: GroupSet, b: GroupSet): GroupSet {
  let next = 0;
  return a.flatMap((run) => {
    // Runs of b that end before this one of a begins are of no use to later ones either.
    while ((b[next]?.end ?? GROUPS_MAX) <= run.first && next < b.length) next++;
    return cutRun(run, b, next);
  });
}

/** What of a run the runs of `b` from `start` on leave. */
function cutRun({ first, end }: GroupRun, b: GroupSet, start: number): GroupRun[] {
  const left: GroupRun[] = [];
  let at = first;
  for (let i = start; i < b.length; i++) {
    const cut = b[i];
    if (cut === undefined || cut.first >= end) break;
    if (cut.first > at) left.push({ first: at, end: cut.first });
    at = Math.max(at, cut.end);
  }
  if (at < end) left.push({ first: at, end });
  return left;
}

/** Whether they have no group in common. */
export function areDisjoint(a: GroupSet, b: GroupSet): boolean {
  return groupCount(differenceOf(a, b)) === groupCount(a);
}

/**
 * The gap before each run (from 0 or from the end of the run before it), then its length: every
 * such list of numbers means one set, and every set has one.
 */
export function encodeGroups(set: GroupSet): number[] {
  let end = 0;
  return set.flatMap((run) => {
    const pair = [run.first - end, run.end - run.first];
    end = run.end;
    return pair;
  });
}
