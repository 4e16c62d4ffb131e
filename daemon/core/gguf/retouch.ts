/**
 * Retouch: a GGUF's metadata with some keys set and some removed, its tensors as they are.
 *
 *   GgufFile + wishes ──▶ planRetouch ──▶ CopiedFile + what changes
 *
 * A key that is set goes to the end, as everywhere. What the tensors are read by is not changed by
 * mistake: a file whose keys contradict its tensors still opens, and answers nonsense.
 */

import type { KeyChange } from '../../../proto/api.ts';
import { FaultError } from '../../../proto/fault.ts';
import { type CopiedFile, carriedMetadata, planCopy } from './copy-plan.ts';
import { mergeMetadata } from './layout.ts';
import type { ArrayValue, KeyValue, MetadataValue } from './metadata.ts';
import { type GgufPart, parseGguf } from './reader.ts';
import { rewriteFaults } from './rewrite-faults.ts';
import { parseSetting } from './settings.ts';
import { byKey } from './split.ts';

export interface Wishes {
  /** `KEY=TYPE:VALUE`. */
  readonly set: readonly string[];
  readonly remove: readonly string[];
  readonly name: string | undefined;
  readonly chatTemplate: string | undefined;
  readonly force: boolean;
}

export interface Retouch {
  readonly copied: CopiedFile;
  /** Empty where everything is as it was asked to be. */
  readonly changes: readonly KeyChange[];
}

// How the file is laid out: what writes a file sets them, and nobody else.
const layoutKeys = /^(general\.alignment|split\..*)$/s;

// What readers allocate and address tensors by.
const guardedKeys: readonly RegExp[] = [
  /^general\.(architecture|type|quantization_version)$/,
  /^.+\.(block|expert|expert_used)_count$/s,
  /^.+\.(embedding|feed_forward|expert_feed_forward)_length$/s,
  /^.+\.(vocab_size|rope\.dimension_count)$/s,
  /^.+\.attention\.(head_count|head_count_kv|key_length|value_length)$/s,
  /^tokenizer\.ggml\.(tokens|scores|token_type|merges)$/,
];

/**
 * Lays out the GGUF with the wishes done.
 * @param file the output's name
 * @throws FaultError QD-3407 to QD-3415, and QD-31xx where nobody could read the outcome
 */
export function planRetouch(source: GgufPart, wishes: Wishes, file: string): Retouch {
  const { gguf } = source;
  if (gguf.split !== undefined && gguf.split.part > 0) {
    throw new FaultError(rewriteFaults.laterPart, { file: source.file });
  }
  const before = byKey(gguf.metadata);
  const settings = settingsOf(wishes, before);
  checkTwice([...settings.map(({ key }) => key), ...wishes.remove]);
  for (const { key, value } of settings) checkSetting(key, value, before.get(key), wishes.force);
  for (const key of wishes.remove) checkRemoval(key, before, wishes.force);
  const news = settings.filter(({ key, value }) => !isSame(before.get(key), value));
  const kept = carriedMetadata(gguf).filter(({ key }) => !wishes.remove.includes(key));
  const tensors = gguf.tensors.map((tensor) => ({ file: source.file, tensor }));
  const copied = planCopy(file, mergeMetadata(kept, news), tensors);
  const { header, fileBytes } = copied.layout;
  // What is written must be read again, whatever was forced.
  parseGguf(file, fileBytes, header);
  const changes = [
    ...news.map(({ key, value }) => changeOf(key, before.get(key), value)),
    ...wishes.remove.map((key) => changeOf(key, before.get(key), undefined)),
  ];
  return { copied, changes };
}

function settingsOf(
  { set, remove, name, chatTemplate }: Wishes,
  before: ReadonlyMap<string, MetadataValue>,
): KeyValue[] {
  const settings: KeyValue[] = set.map((text) => parseSetting(text, (key) => before.get(key)));
  const named = { 'general.name': name, 'tokenizer.chat_template': chatTemplate };
  for (const [key, text] of Object.entries(named)) {
    if (text !== undefined) settings.push({ key, value: { type: 'string', value: text } });
  }
  if (settings.length + remove.length === 0) throw new FaultError(rewriteFaults.nothingAsked);
  return settings;
}

function checkTwice(keys: readonly string[]): void {
  const twice = keys.find((key, index) => keys.indexOf(key) !== index);
  if (twice !== undefined) throw new FaultError(rewriteFaults.keyTwice, { key: twice });
}

function checkSetting(
  key: string,
  value: MetadataValue,
  before: MetadataValue | undefined,
  force: boolean,
): void {
  checkKey(key, force);
  if (before === undefined || force || typeText(before) === typeText(value)) return;
  const why = `it is ${typeText(before)}, and ${typeText(value)} is given`;
  throw new FaultError(rewriteFaults.typeChanges, { key, why });
}

function checkRemoval(
  key: string,
  before: ReadonlyMap<string, MetadataValue>,
  force: boolean,
): void {
  checkKey(key, force);
  if (!before.has(key)) throw new FaultError(rewriteFaults.noSuchKey, { key });
}

function checkKey(key: string, force: boolean): void {
  if (layoutKeys.test(key)) throw new FaultError(rewriteFaults.layoutKey, { key });
  if (!force && guardedKeys.some((pattern) => pattern.test(key))) {
    throw new FaultError(rewriteFaults.guardedKey, { key });
  }
}

function typeText(value: MetadataValue): string {
  return value.type === 'array' ? `array of ${value.of}` : value.type;
}

function isSame(a: MetadataValue | undefined, b: MetadataValue): boolean {
  if (a === undefined || typeText(a) !== typeText(b)) return false;
  const one = a.type === 'array' ? a.value : [a.value];
  const other = b.type === 'array' ? b.value : [b.value];
  const isNarrow = typeText(a).endsWith('f32');
  const stored = (value: unknown): unknown =>
    isNarrow && typeof value === 'number' ? Math.fround(value) : value;
  return (
    one.length === other.length &&
    one.every((value, index) => Object.is(stored(value), stored(other[index])))
  );
}

// As much of a value as a line of a terminal shows.
const SHOWN_MAX = 60;

function changeOf(
  key: string,
  from: MetadataValue | undefined,
  to: MetadataValue | undefined,
): KeyChange {
  return {
    key,
    ...(from === undefined ? {} : { from: valueText(from) }),
    ...(to === undefined ? {} : { to: valueText(to) }),
  };
}

// A tokenizer has a million.
const ELEMENTS_SHOWN_MAX = 4;

function arrayText({ of, value }: ArrayValue): string {
  const shown = value.slice(0, ELEMENTS_SHOWN_MAX).map((element) => String(element).slice(0, 20));
  const more = value.length > shown.length ? ', …' : '';
  return `${value.length} × ${of} [${shown.join(', ')}${more}]`;
}

function valueText(value: MetadataValue): string {
  if (value.type === 'array') return arrayText(value);
  if (value.type !== 'string') return `${value.type} ${String(value.value)}`;
  const isLong = value.value.length > SHOWN_MAX;
  const shown = JSON.stringify(value.value.slice(0, SHOWN_MAX));
  return isLong ? `${shown}… (${value.value.length} characters)` : shown;
}
