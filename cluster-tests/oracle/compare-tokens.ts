/**
 * Compare tokens: where two programs cut the same text in different ways, as a few lines to read.
 *
 *   texts, ids of both ──▶ compareTokens ──▶ a line for each text that differs
 */

/** The first differences are the telling ones. */
const DIFFERENCES_MAX = 5;
/** Tokens shown on either side of the first that differs. */
const SHOWN_TOKENS = 6;

export interface Names {
  id_to_token(id: number): string | undefined;
}

/** @returns one description for each text whose ids differ, the first few of them */
export function compareTokens(
  texts: readonly string[],
  ours: readonly (readonly number[])[],
  theirs: readonly (readonly number[])[],
  names: Names,
): string[] {
  const differences: string[] = [];
  for (const [index, text] of texts.entries()) {
    const [left = [], right = []] = [ours[index], theirs[index]];
    const at = firstDifference(left, right);
    if (at === undefined) continue;
    const show = (ids: readonly number[]): string =>
      ids
        .slice(Math.max(0, at - SHOWN_TOKENS), at + SHOWN_TOKENS)
        .map((id) => `${id}:${JSON.stringify(names.id_to_token(id))}`)
        .join(' ');
    differences.push(
      `text ${index}, token ${at}: llama.cpp ${show(left)} | tokenizers ${show(right)} | ${JSON.stringify(text)}`,
    );
    if (differences.length === DIFFERENCES_MAX) break;
  }
  return differences;
}

function firstDifference(left: readonly number[], right: readonly number[]): number | undefined {
  const length = Math.max(left.length, right.length);
  for (let at = 0; at < length; at++) {
    if (left[at] !== right[at]) return at;
  }
  return undefined;
}
