/**
 * Pattern parse: the parts of a pattern.
 *
 *   pattern that RegExp accepts with the flag u ──▶ parsePattern ──▶ PatternNode (pattern-search.ts)
 *
 * What is right is RegExp's to say; here it is only taken apart.
 */

export type PatternNode =
  /** A character, a class of them or an escape for some. */
  | { readonly kind: 'atom'; readonly matches: CharacterSet }
  | { readonly kind: 'edge'; readonly at: string }
  /** What must, or must not, come next. */
  | { readonly kind: 'look'; readonly isThere: boolean; readonly node: PatternNode }
  | { readonly kind: 'sequence'; readonly nodes: readonly PatternNode[] }
  | { readonly kind: 'choice'; readonly nodes: readonly PatternNode[] }
  | {
      readonly kind: 'repeat';
      readonly node: PatternNode;
      readonly min: number;
      readonly max: number;
    };

/** The characters that an atom matches, as the engine says; of ASCII it is asked once. */
export class CharacterSet {
  readonly #expression: RegExp;
  /** 0: not asked yet, 1: no, 2: yes. */
  readonly #known = new Uint8Array(128);

  constructor(atom: string) {
    this.#expression = new RegExp(`^${atom}$`, 'u');
  }

  has(character: string): boolean {
    const code = character.charCodeAt(0);
    const known = this.#known[code];
    if (known === undefined) return this.#expression.test(character);
    if (known === 0) this.#known[code] = this.#expression.test(character) ? 2 : 1;
    return this.#known[code] === 2;
  }
}

/** @throws RangeError at a reference to a group */
export function parsePattern(pattern: string): PatternNode {
  return new Parser(pattern).choice();
}

const edges = /^(?:\^|\$|\\[bB])/;
const opening = /^\((?:\?[:=!])?/;
// In a class a bracket that is meant stands behind a backslash.
const atoms =
  /^(?:\[(?:\\.|[^\]\\])*\]|\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|\\u[\da-fA-F]{4}|\\x[\da-fA-F]{2}|\\.|[^\\])/;
const repeats = /^(?:([*+?])|\{(\d+)(,?)(\d*)\})\??/;

class Parser {
  #rest: string;

  constructor(pattern: string) {
    this.#rest = pattern;
  }

  /** Up to the end, or to the bracket that ends a group. */
  choice(): PatternNode {
    const nodes = [this.#sequence()];
    while (this.#take(/^\|/) !== undefined) nodes.push(this.#sequence());
    return { kind: 'choice', nodes };
  }

  #sequence(): PatternNode {
    const nodes: PatternNode[] = [];
    while (!/^[|)]|^$/.test(this.#rest)) nodes.push(this.#repeated(this.#single()));
    return { kind: 'sequence', nodes };
  }

  #single(): PatternNode {
    const edge = this.#take(edges)?.[0];
    if (edge !== undefined) return { kind: 'edge', at: edge };
    const open = this.#take(opening)?.[0];
    if (open !== undefined) {
      const node = this.choice();
      this.#take(/^\)/);
      if (open === '(' || open === '(?:') return node;
      return { kind: 'look', isThere: open === '(?=', node };
    }
    const atom = this.#take(atoms)?.[0] ?? '';
    if (/^\\[1-9]/.test(atom)) throw new RangeError('references to groups cannot be used');
    return { kind: 'atom', matches: new CharacterSet(atom) };
  }

  #repeated(node: PatternNode): PatternNode {
    const found = this.#take(repeats);
    if (found === undefined) return node;
    const [, mark, least = '', comma, most] = found;
    const endless = Number.POSITIVE_INFINITY;
    if (mark === '*') return { kind: 'repeat', node, min: 0, max: endless };
    if (mark === '+') return { kind: 'repeat', node, min: 1, max: endless };
    if (mark === '?') return { kind: 'repeat', node, min: 0, max: 1 };
    const min = Number(least);
    const max = comma === '' ? min : most === '' ? endless : Number(most);
    return { kind: 'repeat', node, min, max };
  }

  #take(form: RegExp): RegExpExecArray | undefined {
    const found = form.exec(this.#rest) ?? undefined;
    if (found !== undefined) this.#rest = this.#rest.slice(found[0].length);
    return found;
  }
}
