/**
 * Text tokenizer: cuts text into the ids that llama.cpp gives it, for vocabularies of its kind gemma4.
 *
 *   TextVocabulary ──▶ openTextTokenizer ──▶ encode(text) ──▶ ids
 *
 * Hugging Face's program does the merging; what happens around it is done here, because the two
 * programs differ there: llama.cpp cuts special tokens out longest first, takes a run of line breaks
 * whole where the vocabulary has it, and never merges one with text. docs/calibration.md has the
 * rules. Read next: text-seams.ts.
 */

import { Tokenizer } from '@huggingface/tokenizers';
import { FaultError } from '../../proto/fault.ts';
import type { TextTokenizer, TextVocabulary } from '../ports.ts';
import { textFaults } from './text-faults.ts';
import { TextSeams } from './text-seams.ts';

// Characters that are cut before other work gets its turn: some 15 ms of work.
const SECTION_CHARACTERS = 4096;
// One such run takes some hundred milliseconds, in which the daemon does nothing else.
const RUN_CHARACTERS_MAX = 65_536;
// A word that is longer will not be met again. A full cache takes some ten megabytes.
const CACHED_CHARACTERS_MAX = 64;
const CACHED_WORDS_MAX = 100_000;

export interface TextTokenizerOptions {
  /** Whether the names of control tokens become those tokens. */
  readonly parseSpecial: boolean;
}

export function openTextTokenizer(
  vocabulary: TextVocabulary,
  { parseSpecial }: TextTokenizerOptions,
): TextTokenizer {
  return new GemmaTokenizer(vocabulary, parseSpecial);
}

interface Special {
  readonly id: number;
  readonly text: string;
}

/** A part of a text: what is still to be cut, or the id that it has become. */
type Fragment = string | number;

class GemmaTokenizer implements TextTokenizer {
  readonly #specials: SpecialTokens;
  readonly #newlines: ReadonlyMap<string, number>;
  readonly #seams: TextSeams;
  readonly #merge: (text: string) => readonly number[];
  readonly #cache = new Map<string, readonly number[]>();

  constructor({ tokens, merges, specials }: TextVocabulary, parseSpecial: boolean) {
    const wanted = specials.filter(({ always }) => always || parseSpecial);
    this.#specials = new SpecialTokens(wanted);
    this.#newlines = new Map(
      [...tokens.entries()].flatMap(([id, text]) => (/^\n+$/.test(text) ? [[text, id]] : [])),
    );
    const pairs = merges.map(mergeParts);
    this.#seams = new TextSeams(
      pairs,
      wanted.map(({ text }) => text),
    );
    this.#merge = openMerger(tokens, pairs);
  }

  async encode(text: string, signal?: AbortSignal): Promise<Int32Array> {
    const parts: Int32Array[] = [];
    for (let start = 0; start < text.length; ) {
      signal?.throwIfAborted();
      const end = this.#seams.next(text, start + SECTION_CHARACTERS);
      parts.push(Int32Array.from(this.#encodeSection(text.slice(start, end))));
      start = end;
      if (start < text.length) await otherWork();
    }
    return joined(parts);
  }

  #encodeSection(section: string): number[] {
    const ids: number[] = [];
    for (const fragment of this.#specials.cutOut(section)) {
      if (typeof fragment === 'number') ids.push(fragment);
      else this.#encodeFragment(fragment, ids);
    }
    return ids;
  }

  #encodeFragment(fragment: string, ids: number[]): void {
    for (const [run] of fragment.matchAll(/\n+|[^\n]+/g)) {
      const newline = this.#newlines.get(run);
      if (newline === undefined) this.#encodeRun(run.replaceAll(' ', '▁'), ids);
      else ids.push(newline);
    }
  }

  #encodeRun(run: string, ids: number[]): void {
    for (let start = 0; start < run.length; ) {
      const end = this.#seams.next(run, start + 1);
      for (const id of this.#encodeWord(run.slice(start, end))) ids.push(id);
      start = end;
    }
  }

  #encodeWord(word: string): readonly number[] {
    if (word.length > RUN_CHARACTERS_MAX) {
      const why = `it begins with ${JSON.stringify(word.slice(0, 20))} and has ${word.length} characters, where ${RUN_CHARACTERS_MAX} are allowed`;
      throw new FaultError(textFaults.longRun, { why });
    }
    if (word.length > CACHED_CHARACTERS_MAX) return this.#merge(word);
    const known = this.#cache.get(word);
    if (known !== undefined) return known;
    const ids = this.#merge(word);
    if (this.#cache.size >= CACHED_WORDS_MAX) this.#cache.clear();
    this.#cache.set(word, ids);
    return ids;
  }
}

/** The two parts of a merge, which are divided by its first space but one at the beginning. */
function mergeParts(merge: string): readonly [string, string] {
  const at = merge.indexOf(' ', 1);
  return [merge.slice(0, at), merge.slice(at + 1)];
}

/** Pair merging alone: no text is normalized, cut or added to, and missing ones become bytes. */
function openMerger(
  tokens: readonly string[],
  merges: readonly (readonly [string, string])[],
): (text: string) => readonly number[] {
  const model = {
    type: 'BPE',
    vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    merges,
    byte_fallback: true,
    fuse_unk: false,
    ignore_merges: false,
    unk_token: null,
  };
  const nothingElse = {
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
  };
  const tokenizer = new Tokenizer({ model, ...nothingElse }, {});
  return (text) => {
    const { ids }: { readonly ids: readonly number[] } = tokenizer.encode(text, {
      add_special_tokens: false,
    });
    return ids;
  };
}

/** Finds special tokens in texts. */
class SpecialTokens {
  /** By text; the longest first, of equal ones the lower id. */
  readonly #order: readonly Special[];
  /** By their first unit, the lengths that there are. */
  readonly #lengths = new Map<string, Set<number>>();
  readonly #byText = new Map<string, Special>();

  constructor(specials: readonly Special[]) {
    const bytes = (special: Special): number => Buffer.byteLength(special.text);
    this.#order = specials.toSorted((a, b) => bytes(b) - bytes(a) || a.id - b.id);
    for (const special of specials) {
      const [first = ''] = special.text;
      this.#byText.set(special.text, special);
      const lengths = this.#lengths.get(first) ?? new Set();
      this.#lengths.set(first, lengths.add(special.text.length));
    }
  }

  /** Takes the tokens out one after the other, each wherever it still stands. */
  cutOut(text: string): readonly Fragment[] {
    const met = this.#met(text);
    if (met.size === 0) return [text];
    let fragments: readonly Fragment[] = [text];
    for (const special of this.#order) {
      if (!met.has(special)) continue;
      fragments = fragments.flatMap((fragment) =>
        typeof fragment === 'number' ? [fragment] : cutBy(fragment, special),
      );
    }
    return fragments;
  }

  /** Every token whose text stands somewhere: few of thousands do. */
  #met(text: string): ReadonlySet<Special> {
    const met = new Set<Special>();
    for (const [first, lengths] of this.#lengths) {
      for (let at = text.indexOf(first); at >= 0; at = text.indexOf(first, at + 1)) {
        for (const length of lengths) {
          const special = this.#byText.get(text.slice(at, at + length));
          if (special !== undefined) met.add(special);
        }
      }
    }
    return met;
  }
}

function cutBy(text: string, special: Special): Fragment[] {
  return text
    .split(special.text)
    .flatMap((part, index): Fragment[] => [
      ...(index === 0 ? [] : [special.id]),
      ...(part === '' ? [] : [part]),
    ]);
}

function joined(parts: readonly Int32Array[]): Int32Array {
  const all = new Int32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Resolves when what waits for the event loop has had its turn. */
function otherWork(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
