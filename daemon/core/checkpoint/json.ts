/**
 * JSON, strictly: what RFC 8259 allows and nothing that two readers could understand differently.
 *
 *   text ──▶ parseJson ──▶ Json
 *
 * JSON.parse keeps the last of two equal keys and rounds whole numbers above 2^53; here a key
 * given twice is refused, and the caller may read each number's text itself. Objects have no
 * prototype, so `__proto__` and `constructor` are keys like any other.
 */

import type { Json, JsonObject } from './checkpoint.ts';

export interface JsonFailure {
  readonly reason: 'syntax' | 'too-deep' | 'too-many' | 'key-twice' | 'number' | 'text';
  readonly why: string;
  /** Position in the text's UTF-8 bytes. */
  readonly byte: number;
}

export interface JsonRules {
  /** How many objects and lists may stand inside each other. */
  readonly depthMax: number;
  /** How many entries one object or list may have. */
  readonly entriesMax?: number;
  /** Turns a number's text into its value; undefined refuses it. Default: as JSON.parse does. */
  readonly number?: (text: string) => number | undefined;
  readonly fail: (failure: JsonFailure) => never;
}

/** The value of a text that may have white space around it. Failures go to `rules.fail`. */
export function parseJson(text: string, rules: JsonRules): Json {
  return new JsonParser(text, rules).parse();
}

// Sticky expressions find the end of a token without a call per character.
const plainText = /[\x20\x21\x23-\x5b\x5d-\uffff]*/y;
const space = /[ \t\n\r]*/y;
const numberText = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const loneSurrogate = /\p{Surrogate}/u;
const words: ReadonlyMap<string, boolean | null> = new Map([
  ['true', true],
  ['false', false],
  ['null', null],
]);

function finiteNumber(text: string): number | undefined {
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

class JsonParser {
  readonly #text: string;
  readonly #rules: JsonRules;
  readonly #toNumber: (text: string) => number | undefined;
  readonly #entriesMax: number;
  #at = 0;

  constructor(text: string, rules: JsonRules) {
    this.#text = text;
    this.#rules = rules;
    this.#toNumber = rules.number ?? finiteNumber;
    this.#entriesMax = rules.entriesMax ?? Number.POSITIVE_INFINITY;
  }

  parse(): Json {
    const value = this.#value(0);
    this.#skipSpace();
    if (this.#at < this.#text.length) this.#fail('syntax', 'there is more after the value');
    return value;
  }

  #value(depth: number): Json {
    this.#skipSpace();
    const start = this.#text[this.#at];
    if (start === '"') return this.#string();
    if (start === '{' || start === '[') {
      if (depth >= this.#rules.depthMax) {
        this.#fail('too-deep', `it nests more than ${this.#rules.depthMax} deep`);
      }
      this.#at += 1;
      return start === '{' ? this.#object(depth) : this.#list(depth);
    }
    return start === '-' || (start !== undefined && start >= '0' && start <= '9')
      ? this.#number()
      : this.#word();
  }

  #object(depth: number): JsonObject {
    const object: { [key: string]: Json } = Object.create(null);
    if (this.#take('}')) return object;
    for (let entries = 1; ; entries += 1) {
      this.#checkEntries(entries);
      this.#skipSpace();
      const start = this.#at;
      if (this.#text[start] !== '"') this.#fail('syntax', 'a key must stand here');
      const key = this.#string();
      if (key in object) this.#fail('key-twice', 'this key was given before', start);
      if (!this.#take(':')) this.#fail('syntax', 'a colon must stand here');
      object[key] = this.#value(depth + 1);
      if (this.#take('}')) return object;
      if (!this.#take(',')) this.#fail('syntax', 'a comma or } must stand here');
    }
  }

  #list(depth: number): Json[] {
    const list: Json[] = [];
    if (this.#take(']')) return list;
    for (;;) {
      this.#checkEntries(list.length + 1);
      list.push(this.#value(depth + 1));
      if (this.#take(']')) return list;
      if (!this.#take(',')) this.#fail('syntax', 'a comma or ] must stand here');
    }
  }

  #string(): string {
    const start = this.#at;
    let end = this.#endOf(plainText, start + 1);
    if (this.#text[end] === '"') {
      this.#at = end + 1;
      return this.#text.slice(start + 1, end);
    }
    // Two characters after each backslash: \u's digits are plain text for this walk.
    while (this.#text[end] === '\\') end = this.#endOf(plainText, end + 2);
    if (this.#text[end] !== '"') this.#fail('syntax', 'a text does not end', start);
    this.#at = end + 1;
    return this.#unescape(start, end + 1);
  }

  #unescape(start: number, end: number): string {
    let value: unknown;
    try {
      value = JSON.parse(this.#text.slice(start, end));
    } catch {
      this.#fail('syntax', 'a text has a wrong escape', start);
    }
    if (typeof value !== 'string' || loneSurrogate.test(value)) {
      return this.#fail('text', 'a text holds half of a surrogate pair', start);
    }
    return value;
  }

  #number(): number {
    const start = this.#at;
    const end = this.#endOf(numberText, start);
    if (end === start) this.#fail('syntax', 'a number must stand here');
    this.#at = end;
    const value = this.#toNumber(this.#text.slice(start, end));
    return value ?? this.#fail('number', 'this number is not allowed here', start);
  }

  #word(): boolean | null {
    for (const [word, value] of words) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return value;
      }
    }
    return this.#fail('syntax', 'a value must stand here');
  }

  #take(character: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #skipSpace(): void {
    // Most tokens follow each other directly; the expression is for the others.
    if (this.#text.charCodeAt(this.#at) <= 0x20) this.#at = this.#endOf(space, this.#at);
  }

  /** Where a sticky expression that may match nothing ends. */
  #endOf(expression: RegExp, from: number): number {
    expression.lastIndex = from;
    return expression.test(this.#text) ? expression.lastIndex : from;
  }

  #checkEntries(entries: number): void {
    if (entries > this.#entriesMax) {
      this.#fail('too-many', `it has more than ${this.#entriesMax} entries`);
    }
  }

  #fail(reason: JsonFailure['reason'], why: string, at = this.#at): never {
    const byte = utf8Length(this.#text, at);
    return this.#rules.fail({ reason, why, byte });
  }
}

/** UTF-8 bytes of the first `end` code units, without a copy: a hostile text may be large. */
function utf8Length(text: string, end: number): number {
  let bytes = 0;
  for (let at = 0; at < end; at++) {
    const unit = text.charCodeAt(at);
    // A surrogate pair takes four bytes, two for each half.
    const isSurrogate = unit >= 0xd800 && unit <= 0xdfff;
    bytes += unit < 0x80 ? 1 : unit < 0x800 || isSurrogate ? 2 : 3;
  }
  return bytes;
}
