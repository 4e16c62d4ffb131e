/**
 * Text seams: places where a text may be cut in two without changing one of its tokens.
 *
 *   merges + special tokens ──▶ TextSeams ──▶ next(text, from) ──▶ a place
 *
 * A merge joins two neighbours, so the characters at its seam stand beside each other in its result.
 * Two characters that no merge and no special token has beside each other can never come to lie in
 * one token, and what is on either side of them is cut as if it were alone. Line breaks are the
 * exception: a run of them is looked up whole. So long texts are cut into words and
 * sections of any vocabulary, exactly, and a word that was met before need not be merged again.
 */

// Below it a table answers, above it a set.
const TABLE_SIZE = 128;
// Beyond the last character there is.
const CHARACTERS = 0x11_0000;
const SPACE = 0x20;
/** What a space is written as in a vocabulary; both are the same to it. */
const WRITTEN_SPACE = 0x2581;

export class TextSeams {
  readonly #table = new Uint8Array(TABLE_SIZE * TABLE_SIZE);
  readonly #rest = new Set<number>();

  constructor(merges: readonly (readonly [string, string])[], specials: readonly string[]) {
    for (const [left, right] of merges) this.#join(lastCharacter(left), firstCharacter(right));
    for (const text of specials) {
      const characters = [...text].map(firstCharacter);
      for (const [index, character] of characters.slice(1).entries()) {
        this.#join(characters[index] ?? 0, character);
      }
    }
    this.#join(firstCharacter('\n'), firstCharacter('\n'));
  }

  /** The first seam at or behind `from`, which is above 0; the text's end where there is none. */
  next(text: string, from: number): number {
    let at = from;
    while (at < text.length && !this.#isSeam(text, at)) at++;
    return Math.min(at, text.length);
  }

  #isSeam(text: string, at: number): boolean {
    const unit = text.charCodeAt(at);
    // Inside a character of two units.
    if (unit >= 0xdc00 && unit <= 0xdfff) return false;
    const before = text.charCodeAt(at - 1);
    const isLow = before >= 0xdc00 && before <= 0xdfff;
    const left = plain((isLow ? text.codePointAt(at - 2) : before) ?? before);
    const right = plain(text.codePointAt(at) ?? unit);
    if (left < TABLE_SIZE && right < TABLE_SIZE) {
      return this.#table[left * TABLE_SIZE + right] === 0;
    }
    return !this.#rest.has(left * CHARACTERS + right);
  }

  #join(before: number, after: number): void {
    const [left, right] = [plain(before), plain(after)];
    if (left < TABLE_SIZE && right < TABLE_SIZE) this.#table[left * TABLE_SIZE + right] = 1;
    else this.#rest.add(left * CHARACTERS + right);
  }
}

function plain(character: number): number {
  return character === WRITTEN_SPACE ? SPACE : character;
}

function firstCharacter(text: string): number {
  return text.codePointAt(0) ?? 0;
}

function lastCharacter(text: string): number {
  return [...text.slice(-2)].at(-1)?.codePointAt(0) ?? 0;
}
