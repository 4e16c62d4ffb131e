/**
 * Special tokens: which tokens steer a model instead of being text, and the ids of the named ones.
 *
 *   tokenizer_config.json ──▶ specialTexts ──▶ the texts that are CONTROL tokens
 *   tokenizer_config.json, config.json ──▶ specialIds ──▶ `tokenizer.ggml.*_token_id`
 */

import { FaultError } from '../../../proto/fault.ts';
import type { Json, JsonObject } from '../checkpoint/checkpoint.ts';
import { type ConfigReader, isJsonObject } from '../checkpoint/config.ts';
import type { KeyValue } from '../gguf/metadata.ts';
import { tokenizerFaults } from './faults.ts';
import { u32 } from './key-values.ts';

/** Names in tokenizer_config.json and config.json, and in a GGUF; the order is that of the keys. */
const named = [
  { source: 'bos', key: 'bos' },
  { source: 'eos', key: 'eos' },
  { source: 'unk', key: 'unknown' },
  { source: 'pad', key: 'padding' },
  { source: 'mask', key: 'mask' },
] as const;

/** Keys of tokenizer_config.json whose values, in a list or by name, are special tokens too. */
const groups = ['extra_special_tokens', 'additional_special_tokens'] as const;

export function specialTexts(tokenizerConfig: ConfigReader): ReadonlySet<string> {
  const { values } = tokenizerConfig;
  const tokens: (Json | undefined)[] = [
    ...named.map(({ source }) => values[`${source}_token`]),
    ...groups.flatMap((group) => entriesOf(values[group])),
  ];
  return new Set(tokens.map(textOf).filter((text) => text !== undefined));
}

/**
 * The ids of the named special tokens: the text that tokenizer_config.json gives, looked up among
 * the added tokens; else the id in the root of config.json, unless it is a list. Only bos has to be
 * there, since readers begin every text with it.
 *
 * @throws FaultError QD-2406 when bos is missing or an id is beyond the vocabulary
 */
export function specialIds(
  config: JsonObject,
  tokenizerConfig: ConfigReader,
  added: ReadonlyMap<string, number>,
  rows: number,
): KeyValue[] {
  return named.flatMap(({ source, key }) => {
    const text = textOf(tokenizerConfig.values[`${source}_token`]);
    const listed = text === undefined ? undefined : added.get(text);
    const id = listed ?? config[`${source}_token_id`];
    if (typeof id === 'number' && Number.isSafeInteger(id)) {
      if (id >= 0 && id < rows) return [u32(`tokenizer.ggml.${key}_token_id`, id)];
      throw new FaultError(tokenizerFaults.specialToken, {
        file: 'config.json',
        key: `${source}_token_id`,
        why: `${id} is not below ${rows}`,
      });
    }
    if (source !== 'bos') return [];
    throw new FaultError(tokenizerFaults.specialToken, {
      file: tokenizerConfig.file,
      key: 'bos_token',
    });
  });
}

function entriesOf(group: Json | undefined): Json[] {
  return typeof group === 'object' && group !== null ? Object.values(group) : [];
}

/** A token is written as its text, or as an object with the text as `content`. */
function textOf(token: Json | undefined): string | undefined {
  const { content } = isJsonObject(token) ? token : { content: token };
  return typeof content === 'string' ? content : undefined;
}
