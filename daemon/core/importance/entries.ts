/**
 * Entries: what an importance matrix says it holds, before its numbers are read.
 *
 *   gguf-entries.ts or dat-entries.ts ──▶ ImportanceIndex ──▶ chooseEntries ──▶ weights.ts
 *
 * Both forms of the file come down to the same list: for every tensor a run of sums, and how often
 * each of its slices was seen. docs/imatrix.md tells the formats.
 */

import { FaultError } from '../../../proto/fault.ts';
import { NAME_BYTES_MAX } from '../gguf/limits.ts';
import { hasControl, utf8Bytes } from '../gguf/utf8.ts';
import { importanceFaults } from './faults.ts';

/** A run of little-endian binary32 numbers in the file. */
export interface NumberRange {
  readonly offset: number;
  readonly count: number;
}

export interface ImportanceEntry {
  /** The name of the tensor it belongs to. */
  readonly name: string;
  /** Sums of squares, slice after slice, each of as many columns. */
  readonly sums: NumberRange;
  /** How many tokens each slice has seen; or one number of calls that divides every sum. */
  readonly divisor:
    | { readonly kind: 'counts'; readonly range: NumberRange }
    | { readonly kind: 'calls'; readonly calls: number };
}

export interface ImportanceIndex {
  /** In the order of the file, each name once. */
  readonly entries: readonly ImportanceEntry[];
  /** The texts that the sums were made of, as the file has them. */
  readonly datasets: readonly string[];
  /** Chunks of calibration text; 0 where the file does not tell. */
  readonly chunks: number;
  /** Tokens a chunk; undefined where the file does not tell. */
  readonly chunkSize: number | undefined;
}

// The most columns of all experts together in use are some 3 million (384 experts of 7168 columns).
export const ENTRY_VALUES_MAX = 2 ** 26;

// As many as a GGUF may have tensors.
export const ENTRIES_MAX = 2 ** 17;

export interface EntryFilters {
  /** Parts of names, one of which an entry's name must contain; all entries where it is empty. */
  readonly include: readonly string[];
  /** Parts of names, none of which an entry's name may contain. */
  readonly exclude: readonly string[];
}

/**
 * The entries that `--include-weights` or `--exclude-weights` leave.
 * @throws FaultError bothFilters, nothingLeft
 */
export function chooseEntries<E extends { readonly name: string }>(
  all: readonly E[],
  { include, exclude }: EntryFilters,
): E[] {
  if (include.length > 0 && exclude.length > 0) throw new FaultError(importanceFaults.bothFilters);
  const holds = (name: string, parts: readonly string[]): boolean =>
    parts.some((part) => name.includes(part));
  const entries = all.filter(
    ({ name }) => (include.length === 0 || holds(name, include)) && !holds(name, exclude),
  );
  if (entries.length === 0) {
    const why = `of ${all.length} entries`;
    throw new FaultError(importanceFaults.nothingLeft, { why });
  }
  return entries;
}

/**
 * Checks an entry's name, and that it is the first of its name.
 * @throws FaultError badEntryName, duplicateEntry
 */
export function checkEntryName(file: string, name: string, seen: Set<string>): void {
  const bytes = utf8Bytes(name) ?? 0;
  if (bytes < 1 || bytes > NAME_BYTES_MAX || hasControl(name)) {
    const why = JSON.stringify(name.slice(0, NAME_BYTES_MAX));
    throw new FaultError(importanceFaults.badEntryName, { file, why });
  }
  if (seen.has(name)) throw new FaultError(importanceFaults.duplicateEntry, { file, tensor: name });
  seen.add(name);
}
