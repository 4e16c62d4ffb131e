/**
 * Tokenizer: a small tokenizer.json in the manner of Gemma 4's, with merges that a seed draws.
 *
 *   vocabulary size, Random ──▶ makeTokenizer ──▶ tokenizer.json, tokenizer_config.json
 *
 * As in the real one: byte-pair encoding over characters, `▁` for the space, bytes as a last
 * resort, no rule that cuts the text before merging except around special tokens.
 */

import type { Random } from './random.ts';

const specials = ['<pad>', '<eos>', '<bos>', '<unk>', '<mask>', '<|turn>', '<turn|>'] as const;
/** llama.cpp marks these as user defined: they are cut out even where special tokens are not. */
const markers = ['<|channel>', '<channel|>', '<|"|>'] as const;
const letters = [...'etaoinshrdlucmfwygpbvkETAOINSH0123456789.,;(){}='];
/** Tokens that are drawn at random; more are made of those. */
const DRAWN_MAX = 16_384;
/** Longer pieces would never be met in a text. */
const PIECE_CHARACTERS_MAX = 8;
const template =
  "{{ bos_token }}{% for m in messages %}{{ '<|turn>' + m['role'] + '\\n' + m['content'] + '<turn|>\\n' }}{% endfor %}";

export interface TokenizerFiles {
  readonly tokenizer: object;
  readonly tokenizerConfig: object;
  /** Where the template does not stand in tokenizer_config.json. */
  readonly chatTemplate: string | undefined;
}

/** @param size tokens of the vocabulary; all of it is used */
export function makeTokenizer(size: number, random: Random): TokenizerFiles {
  const bytes = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
  );
  const fixed = [...specials, ...markers, '\n', ...bytes, '▁', ...letters];
  const pieces = new Set(['\n', '▁', ...letters]);
  const merges: [string, string][] = [];
  const merge = (left: string, right: string): void => {
    if (pieces.has(left + right)) return;
    pieces.add(left + right);
    merges.push([left, right]);
  };
  // llama.cpp never merges a line break with text, so neither may a table it is to agree with.
  merge('\n', '\n');
  merge('\n\n', '\n');
  const words = [...pieces].filter((piece) => !piece.includes('\n'));
  while (fixed.length + merges.length < Math.min(size, DRAWN_MAX)) {
    const before = merges.length;
    const [left, right] = [words[random.below(words.length)], words[random.below(words.length)]];
    if (left === undefined || right === undefined || !mayFollow(left, right)) continue;
    if (left.length + right.length > PIECE_CHARACTERS_MAX) continue;
    merge(left, right);
    if (merges.length > before) words.push(left + right);
  }
  // Of a large vocabulary the rest in order: ever fewer draws would be new.
  for (const [left, right] of pairsInOrder(words, size)) {
    if (fixed.length + merges.length < size) merge(left, right);
  }

  const tokens = [...fixed, ...merges.map(([left, right]) => left + right)];
  return {
    tokenizer: tokenizerJson(tokens, random.below(2) === 0 ? merges : merges.map(joinParts)),
    ...configFiles(random.below(2) === 0),
  };
}

/** Those that make pieces which are not too long. */
function pairsInOrder(words: readonly string[], size: number): [string, string][] {
  if (size <= DRAWN_MAX) return [];
  const short = words.filter((word) => word.length <= PIECE_CHARACTERS_MAX / 2);
  return short.flatMap((left) =>
    short.flatMap((right): [string, string][] => (mayFollow(left, right) ? [[left, right]] : [])),
  );
}

/** `▁` stands at the start of a word or beside others of its kind. */
function mayFollow(left: string, right: string): boolean {
  return !right.startsWith('▁') || /^▁+$/.test(left);
}

/** Older files write a merge as one string. */
function joinParts([left, right]: readonly [string, string]): string {
  return `${left} ${right}`;
}

function tokenizerJson(tokens: readonly string[], merges: readonly unknown[]): object {
  const added = [...specials, ...markers].map((content) => ({
    id: tokens.indexOf(content),
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  const bos = { SpecialToken: { id: '<bos>', type_id: 0 } };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
    pre_tokenizer: {
      type: 'Split',
      pattern: { String: ' ' },
      behavior: 'MergedWithPrevious',
      invert: false,
    },
    post_processor: {
      type: 'TemplateProcessing',
      single: [bos, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [bos, { Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
      special_tokens: { '<bos>': { id: '<bos>', ids: [2], tokens: ['<bos>'] } },
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
      ],
    },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: '<unk>',
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}

function configFiles(newer: boolean): Omit<TokenizerFiles, 'tokenizer'> {
  const extra = newer
    ? { extra_special_tokens: { sot_token: '<|turn>', eot_token: '<turn|>' } }
    : { additional_special_tokens: ['<|turn>', '<turn|>'] };
  return {
    tokenizerConfig: {
      tokenizer_class: 'GemmaTokenizerFast',
      bos_token: '<bos>',
      eos_token: '<eos>',
      unk_token: '<unk>',
      pad_token: '<pad>',
      mask_token: '<mask>',
      ...extra,
      ...(newer ? {} : { chat_template: template }),
    },
    chatTemplate: newer ? template : undefined,
  };
}
