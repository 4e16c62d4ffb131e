/** Names of machines: text that strangers choose and people read in a terminal. */

// Fits a line of `quantd peers` beside its other columns.
export const NAME_CHARACTERS_MAX = 64;
/** Each of them four bytes of UTF-8 at most. */
export const NAME_BYTES_MAX: number = NAME_CHARACTERS_MAX * 4;

// Control, format (directions, joiners), surrogate, private and unassigned characters can move
// the cursor, reorder a line or be invisible; separators of lines break it.
const unseemly = /[\p{C}\p{Zl}\p{Zp}]+/gu;

/** The name without what a terminal would act on, at most 64 characters; never empty. */
export function cleanName(text: string): string {
  // Cut first: a long text must not cost more than a short one.
  const visible = text
    .slice(0, NAME_CHARACTERS_MAX * 8)
    .replace(unseemly, ' ')
    .replace(/\s+/gu, ' ')
    .trim();
  return [...visible].slice(0, NAME_CHARACTERS_MAX).join('').trim() || 'unnamed';
}
