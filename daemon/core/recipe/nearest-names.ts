/**
 * Nearest names: what a person who mistyped a name may have meant.
 *
 *   text + the names that exist ──▶ nearestNames ──▶ those within a few key strokes
 */

import { quoted } from '../models/quoted.ts';

// Three strokes turn "q4km" into "Q4_K_M"; four would turn any short name into any other.
const STROKES_MAX = 3;
const SUGGESTIONS_MAX = 3;
// The longest name has 9 characters; whatever is much longer resembles none of them.
const TEXT_LENGTH_MAX = 24;

/** Names at most three insertions, deletions or replacements away from `text`, nearest first. */
export function nearestNames(text: string, names: readonly string[]): readonly string[] {
  if (text.length > TEXT_LENGTH_MAX) return [];
  const typed = text.toUpperCase();
  return names
    .map((name) => ({ name, strokes: strokesBetween(typed, name.toUpperCase()) }))
    .filter(({ name, strokes }) => strokes <= Math.min(STROKES_MAX, name.length - 1))
    .sort((a, b) => a.strokes - b.strokes)
    .slice(0, SUGGESTIONS_MAX)
    .map(({ name }) => name);
}

/** The `why` of a fault about an unknown name: what was typed, what is near, what there is. */
export function explainUnknown(text: string, names: readonly string[]): string {
  const typed = quoted(text.slice(0, TEXT_LENGTH_MAX));
  const near = nearestNames(text, names);
  const question = near.length > 0 ? `; did you mean ${near.join(' or ')}?` : ';';
  return `${typed}${question} known are ${names.join(', ')}`;
}

/** Levenshtein's distance, one row of the table at a time. */
function strokesBetween(from: string, to: string): number {
  let above = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const replaced = at(above, column - 1) + (from[row - 1] === to[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, at(above, column) + 1, at(current, column - 1) + 1));
    }
    above = current;
  }
  return at(above, to.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}
