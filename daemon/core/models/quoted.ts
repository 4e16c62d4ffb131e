/** Foreign texts inside messages: short, and without anything that could move a terminal's cursor. */

// Long enough for every real name; a foreign text must not fill the screen.
const QUOTED_CHARACTERS_MAX = 80;

/** The text in double quotes, cut off, with controls and invisible characters as \u escapes. */
export function quoted(text: string): string {
  return JSON.stringify(text.slice(0, QUOTED_CHARACTERS_MAX)).replaceAll(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}
