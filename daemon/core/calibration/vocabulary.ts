/**
 * Vocabulary: what a model's GGUF says about cutting text, for whoever cuts it.
 *
 *   keys `tokenizer.*` of a Model ──▶ vocabularyOf ──▶ Vocabulary  (read next: chunks.ts)
 *
 * It is read from the keys of the outputs and not from tokenizer.json, so that a checkpoint and the
 * GGUF made of it are measured with the same ids. How text is cut stands in docs/calibration.md.
 */

import { FaultError } from '../../../proto/fault.ts';
import type { KeyValue, MetadataValue } from '../gguf/metadata.ts';
import type { Model } from '../models/family.ts';
import { calibrationFaults as faults } from './faults.ts';

/** The `tokenizer.ggml.model`s whose rules are known here, each with whether bos goes in front. */
const kinds: ReadonlyMap<string, { readonly addsBos: boolean }> = new Map([
  // Whatever `add_bos_token` says: llama.cpp begins every text of this kind with bos.
  ['gemma4', { addsBos: true }],
]);

/** `tokenizer.ggml.token_type`. */
const tokenTypes = { unknown: 2, control: 3, userDefined: 4 } as const;

export interface SpecialToken {
  readonly id: number;
  readonly text: string;
  /** Cut out of any text; the others only where special tokens are parsed. */
  readonly always: boolean;
}

export interface Vocabulary {
  /** Id to text; a space is written ▁. */
  readonly tokens: readonly string[];
  /** `left right`, the first one applied first. */
  readonly merges: readonly string[];
  readonly specials: readonly SpecialToken[];
  /** What a text begins with; undefined where the vocabulary adds nothing. */
  readonly bos: number | undefined;
  /** Of the chat, where the model has one. */
  readonly chatTemplate: string | undefined;
  /** What a chat template calls the named special tokens: `bos_token` and the like, to their text. */
  readonly namedTexts: Readonly<Record<string, string>>;
}

/** @throws FaultError QD-8411 where the keys are not those of a known kind */
export function vocabularyOf({
  general,
  parameters,
  vocabulary,
}: Pick<Model, 'general' | 'parameters' | 'vocabulary'>): Vocabulary {
  const keys = new Map(
    [...general, ...parameters, ...vocabulary].map(({ key, value }: KeyValue) => [key, value]),
  );
  const read = new Keys(keys);
  const model = read.text('tokenizer.ggml.model');
  const kind = kinds.get(model ?? '');
  if (kind === undefined) {
    const known = [...kinds.keys()].join(', ');
    throw unusable('tokenizer.ggml.model', `${JSON.stringify(model)} is none of ${known}`);
  }
  const tokens = read.texts('tokenizer.ggml.tokens');
  return {
    tokens,
    merges: read.texts('tokenizer.ggml.merges'),
    specials: specialsOf(tokens, read.numbers('tokenizer.ggml.token_type', tokens.length)),
    bos: kind.addsBos ? read.id('bos', tokens.length) : undefined,
    chatTemplate: read.text('tokenizer.chat_template'),
    namedTexts: namedTexts(tokens, read),
  };
}

function specialsOf(tokens: readonly string[], types: readonly number[]): SpecialToken[] {
  const kinds: readonly number[] = Object.values(tokenTypes);
  return types.flatMap((type, id) => {
    const text = tokens[id] ?? '';
    if (!kinds.includes(type) || text === '') return [];
    return [{ id, text, always: type === tokenTypes.userDefined }];
  });
}

/** A template's names for special tokens, with the names that a GGUF has for their ids. */
const named = { bos: 'bos', eos: 'eos', unk: 'unknown', pad: 'padding', mask: 'mask' } as const;

function namedTexts(tokens: readonly string[], read: Keys): Record<string, string> {
  return Object.fromEntries(
    Object.entries(named).flatMap(([name, key]) => {
      const text = tokens[read.optionalId(key) ?? -1];
      return text === undefined ? [] : [[`${name}_token`, text]];
    }),
  );
}

/** Looks values up, and refuses those of another kind. */
class Keys {
  readonly #values: ReadonlyMap<string, MetadataValue>;

  constructor(values: ReadonlyMap<string, MetadataValue>) {
    this.#values = values;
  }

  text(key: string): string | undefined {
    const value = this.#values.get(key);
    return value?.type === 'string' ? value.value : undefined;
  }

  texts(key: string): readonly string[] {
    const value = this.#values.get(key);
    if (value?.type === 'array' && value.of === 'string') return value.value;
    throw unusable(key, 'it must be a list of texts');
  }

  numbers(key: string, length: number): readonly number[] {
    const value = this.#values.get(key);
    if (value?.type === 'array' && value.of === 'i32' && value.value.length === length) {
      return value.value;
    }
    throw unusable(key, `it must be a list of ${length} numbers (i32)`);
  }

  optionalId(name: string): number | undefined {
    const value = this.#values.get(`tokenizer.ggml.${name}_token_id`);
    return value?.type === 'u32' ? value.value : undefined;
  }

  id(name: string, tokens: number): number {
    const id = this.optionalId(name);
    if (id !== undefined && id < tokens) return id;
    throw unusable(`tokenizer.ggml.${name}_token_id`, 'it must be the id (u32) of a token');
  }
}

function unusable(key: string, why: string): FaultError {
  return new FaultError(faults.vocabulary, { key, why });
}
