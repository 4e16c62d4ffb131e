/**
 * Tokenizer: the vocabulary of a GGUF from tokenizer.json and tokenizer_config.json.
 *
 *   Checkpoint + embedding rows ──▶ describeVocabulary ──▶ `tokenizer.*` keys
 *
 * For byte-pair encoders with SentencePiece conventions: spaces become ▁ before encoding, bytes
 * without a token of their own are written <0xHH>. Order of the keys: model, tokens, scores,
 * token_type, merges, special ids, add_*, suppress_tokens, chat_template. Source of the facts:
 * docs/gemma4.md. Read next: special-tokens.ts.
 */

import { FaultError } from '../../../proto/fault.ts';
import type { Checkpoint, Json } from '../checkpoint/checkpoint.ts';
import { ConfigReader, isJsonObject } from '../checkpoint/config.ts';
import type { KeyValue } from '../gguf/metadata.ts';
import { tokenizerFaults } from './faults.ts';
import { bool, f32s, i32s, str, strings } from './key-values.ts';
import { quoted } from './quoted.ts';
import { specialIds, specialTexts } from './special-tokens.ts';

/** What one family's vocabulary has of its own. */
export interface TokenizerKind {
  /** `tokenizer.ggml.model`. */
  readonly model: string;
  /** Tokens that are matched in any text and shown in output, whatever the config calls them. */
  readonly userDefined: ReadonlySet<string>;
  /** Whether generation_config.json's `suppress_tokens` are written. */
  readonly suppressTokens: boolean;
}

/** `tokenizer.ggml.token_type`. */
const tokenTypes = { normal: 1, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

// Ranks of merges decide, scores are not read; every token gets the same low one.
const SCORE = -1000;
// Eight times the largest known table of merges (514906), as for the vocabulary.
const MERGES_MAX = 2 ** 22;
// Gemma 4 adds about 6400.
const ADDED_TOKENS_MAX = 2 ** 20;
// A space inside a part would read as the space between the parts.
const SPACE_IN_PART = '\u0120';

interface Vocabulary {
  /** Id to text, without gaps. */
  readonly tokens: readonly string[];
  /** Text to id, of the model's own vocabulary; merges speak of these. */
  readonly base: ReadonlyMap<string, number>;
  /** Text to id, of the added tokens, which may repeat ones of `base`. */
  readonly added: ReadonlyMap<string, number>;
}

/**
 * @param rows of the embedding table: readers want exactly as many tokens, so missing ones are
 *   filled with `[PADn]`, which no text encodes to
 * @throws FaultError QD-2401 to QD-2407; QD-2205 and QD-2206 for single values
 */
export function describeVocabulary(
  checkpoint: Checkpoint,
  rows: number,
  kind: TokenizerKind,
): KeyValue[] {
  const tokenizer = new ConfigReader('tokenizer.json', checkpoint.tokenizer);
  const tokenizerConfig = new ConfigReader('tokenizer_config.json', checkpoint.tokenizerConfig);
  checkKind(tokenizer);
  const vocabulary = readVocabulary(tokenizer, rows);
  const special = specialTexts(tokenizerConfig);
  const template = chatTemplate(checkpoint);
  return [
    str('tokenizer.ggml.model', kind.model),
    strings('tokenizer.ggml.tokens', padded(vocabulary, rows)),
    f32s('tokenizer.ggml.scores', new Array<number>(rows).fill(SCORE)),
    i32s('tokenizer.ggml.token_type', typesOf(vocabulary, rows, special, kind.userDefined)),
    strings('tokenizer.ggml.merges', readMerges(tokenizer, vocabulary.base)),
    ...specialIds(checkpoint.config, tokenizerConfig, vocabulary.added, rows),
    // Readers of this kind begin with bos whatever the file says, and never put ▁ in front.
    bool('tokenizer.ggml.add_bos_token', true),
    bool('tokenizer.ggml.add_space_prefix', false),
    ...(kind.suppressTokens ? suppressed(checkpoint, rows) : []),
    ...(template === undefined ? [] : [str('tokenizer.chat_template', template)]),
  ];
}

/** Every option that changes how text is cut must be the one that readers have built in. */
function checkKind(tokenizer: ConfigReader): void {
  const refuse = (key: string, why: string): never => {
    throw new FaultError(tokenizerFaults.tokenizerKind, { file: tokenizer.file, key, why });
  };
  const model = tokenizer.object('model');
  if (model.string('type') !== 'BPE') refuse('model.type', 'it must be BPE');
  if (!model.boolean('byte_fallback', { default: false })) {
    refuse('model.byte_fallback', 'it must be true');
  }
  if (model.boolean('ignore_merges', { default: false })) {
    refuse('model.ignore_merges', 'it must be false');
  }
  for (const key of ['continuing_subword_prefix', 'end_of_word_suffix']) {
    if (model.string(key, { default: '' }) !== '') refuse(`model.${key}`, 'it must be empty');
  }
  const { normalizer } = tokenizer.values;
  if (!replacesSpaces(normalizer)) {
    refuse('normalizer', 'it must replace each space by ▁ and do nothing else');
  }
  if (tokenizer.object('decoder').string('type') !== 'Sequence') {
    refuse('decoder.type', 'it must be Sequence');
  }
}

function replacesSpaces(normalizer: Json | undefined): boolean {
  if (!isJsonObject(normalizer)) return false;
  const { type, normalizers, pattern, content } = normalizer;
  if (type === 'Sequence') {
    return Array.isArray(normalizers) && normalizers.length === 1 && replacesSpaces(normalizers[0]);
  }
  if (type !== 'Replace' || content !== '▁' || !isJsonObject(pattern)) return false;
  const { String: replaced } = pattern;
  return replaced === ' ';
}

function readVocabulary(tokenizer: ConfigReader, rows: number): Vocabulary {
  const { values } = tokenizer.object('model').object('vocab');
  const texts = Object.keys(values);
  const tokens: (string | undefined)[] = [];
  const base = new Map<string, number>();
  for (const text of texts) {
    const id = checkId(tokenizer, text, values[text], rows);
    if (tokens[id] !== undefined) throw repeatedId(tokenizer, id, text, tokens[id]);
    tokens[id] = text;
    base.set(text, id);
  }
  const added = readAdded(tokenizer, rows, tokens, base);
  const dense: string[] = [];
  for (const [id, text] of tokens.entries()) {
    if (text === undefined) {
      throw new FaultError(tokenizerFaults.tokenIds, {
        file: tokenizer.file,
        why: `there are ids up to ${tokens.length - 1} but no id ${id}`,
      });
    }
    dense.push(text);
  }
  checkBytes(tokenizer, base);
  return { tokens: dense, base, added };
}

/** Adds the tokens beyond the model's own vocabulary to `tokens`. */
function readAdded(
  tokenizer: ConfigReader,
  rows: number,
  tokens: (string | undefined)[],
  base: ReadonlyMap<string, number>,
): Map<string, number> {
  const added = new Map<string, number>();
  const { added_tokens: list = [] } = tokenizer.values;
  if (!Array.isArray(list)) return tokenizer.wrong('added_tokens', 'it must be a list');
  if (list.length > ADDED_TOKENS_MAX) throw tooLarge(tokenizer, 'added_tokens', ADDED_TOKENS_MAX);
  for (const [place, entry] of list.entries()) {
    const { id: anyId, content: text } = isJsonObject(entry) ? entry : {};
    if (typeof text !== 'string') {
      return tokenizer.wrong(`added_tokens[${place}]`, 'it must be an object with a content');
    }
    const id = checkId(tokenizer, text, anyId, rows);
    const other = tokens[id];
    if (other !== undefined && other !== text) throw repeatedId(tokenizer, id, text, other);
    if ((added.get(text) ?? base.get(text) ?? id) !== id) {
      throw new FaultError(tokenizerFaults.tokenIds, {
        file: tokenizer.file,
        key: `added_tokens[${place}]`,
        why: `${quoted(text)} has a second id, ${id}`,
      });
    }
    tokens[id] = text;
    added.set(text, id);
  }
  return added;
}

function checkId(
  tokenizer: ConfigReader,
  text: string,
  id: Json | undefined,
  rows: number,
): number {
  if (typeof id !== 'number' || !Number.isSafeInteger(id) || id < 0) {
    return tokenizer.wrong('model.vocab', `the id of ${quoted(text)} is no whole number`);
  }
  if (id >= rows) {
    throw new FaultError(tokenizerFaults.vocabularySize, {
      file: tokenizer.file,
      why: `${quoted(text)} has id ${id}, and vocab_size is ${rows}`,
    });
  }
  return id;
}

/** A reader that meets a byte without a token stops. */
function checkBytes(tokenizer: ConfigReader, base: ReadonlyMap<string, number>): void {
  for (let byte = 0; byte < 256; byte++) {
    const text = `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
    if (base.has(text)) continue;
    throw new FaultError(tokenizerFaults.byteTokens, { file: tokenizer.file, why: text });
  }
}

function padded({ tokens }: Vocabulary, rows: number): string[] {
  const padding = Array.from(
    { length: rows - tokens.length },
    (_, n) => `[PAD${tokens.length + n}]`,
  );
  return [...tokens, ...padding];
}

const byteText = /^<0x[0-9A-Fa-f]{2}>$/;

/** The first rule that fits a token gives its type. */
function typesOf(
  { tokens, base }: Vocabulary,
  rows: number,
  special: ReadonlySet<string>,
  userDefined: ReadonlySet<string>,
): number[] {
  const types = tokens.map((text, id) => {
    if (userDefined.has(text)) return tokenTypes.userDefined;
    if (byteText.test(text)) return tokenTypes.byte;
    if (special.has(text)) return tokenTypes.control;
    return id >= base.size ? tokenTypes.userDefined : tokenTypes.normal;
  });
  const unused = new Array<number>(rows - tokens.length).fill(tokenTypes.unused);
  return [...types, ...unused];
}

/** Each merge as `left right`, in the order of their ranks. */
function readMerges(tokenizer: ConfigReader, base: ReadonlyMap<string, number>): string[] {
  const { merges: list } = tokenizer.object('model').values;
  if (!Array.isArray(list)) return tokenizer.wrong('model.merges', 'it must be a list');
  if (list.length > MERGES_MAX) throw tooLarge(tokenizer, 'model.merges', MERGES_MAX);
  // Half a million merges: no list is made for one that is in order.
  return list.map((merge: Json, place) => {
    const [left, right] = mergeParts(tokenizer, merge, place);
    if (!base.has(left) || !base.has(right) || !base.has(left + right)) {
      const stranger = [left, right, left + right].find((text) => !base.has(text)) ?? '';
      throw brokenMerge(tokenizer, place, `${quoted(stranger)} is no token`);
    }
    return typeof merge === 'string' ? merge : `${withoutSpaces(left)} ${withoutSpaces(right)}`;
  });
}

function mergeParts(
  tokenizer: ConfigReader,
  merge: Json,
  place: number,
): readonly [string, string] {
  const parts: unknown = typeof merge === 'string' ? merge.split(' ') : merge;
  if (Array.isArray(parts) && parts.length === 2) {
    const left: unknown = parts[0];
    const right: unknown = parts[1];
    if (typeof left === 'string' && typeof right === 'string') return [left, right];
  }
  throw brokenMerge(tokenizer, place, 'it is not two parts');
}

function withoutSpaces(part: string): string {
  return part.includes(' ') ? part.replaceAll(' ', SPACE_IN_PART) : part;
}

function suppressed({ generationConfig }: Checkpoint, rows: number): KeyValue[] {
  const config = new ConfigReader('generation_config.json', generationConfig ?? {});
  if (!config.has('suppress_tokens')) return [];
  const ids = config.integers('suppress_tokens', { min: 0, max: rows - 1, lengthMax: rows });
  return [i32s('tokenizer.ggml.suppress_tokens', ids)];
}

/** tokenizer_config.json's template, of several the one named default; else the template's file. */
function chatTemplate({ tokenizerConfig, chatTemplate: fromFile }: Checkpoint): string | undefined {
  const { chat_template: own } = tokenizerConfig;
  const templates = Array.isArray(own)
    ? own.filter(isJsonObject)
    : [{ name: 'default', template: own }];
  const template = templates.find(({ name }) => name === 'default')?.template;
  return typeof template === 'string' ? template : fromFile;
}

function repeatedId(tokenizer: ConfigReader, id: number, text: string, other: string): FaultError {
  return new FaultError(tokenizerFaults.tokenIds, {
    file: tokenizer.file,
    why: `${quoted(text)} and ${quoted(other)} both have id ${id}`,
  });
}

function brokenMerge(tokenizer: ConfigReader, place: number, why: string): FaultError {
  const key = `model.merges[${place}]`;
  return new FaultError(tokenizerFaults.mergeParts, { file: tokenizer.file, key, why });
}

function tooLarge(tokenizer: ConfigReader, key: string, most: number): FaultError {
  const why = `more than ${most} entries`;
  return new FaultError(tokenizerFaults.tokenizerSize, { file: tokenizer.file, key, why });
}
