/**
 * JSON in the one form in which equal values are equal texts.
 *
 *   value ──▶ canonicalJson ──▶ text; keys in ascending order of their UTF-16 units, no spaces
 *
 * Read next: proto/lockfile.ts, whose pure part is compared in this form.
 */

import { assert } from '../../../proto/assert.ts';

/**
 * A property that is undefined counts as absent. Objects inside objects are as deep as their schema
 * makes them: this is for values that a schema has checked.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value)
      .filter(([, entry]) => entry !== undefined)
      // Not by locale: the order must be the same everywhere.
      .sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, entry]) => `${JSON.stringify(key)}:${canonicalJson(entry)}`).join(',')}}`;
  }
  // JSON writes NaN and infinities as null, which would make them equal to each other.
  assert(typeof value !== 'number' || Number.isFinite(value), 'a number that JSON can hold');
  const text = JSON.stringify(value);
  assert(text !== undefined, 'a value that JSON can hold');
  return text;
}
