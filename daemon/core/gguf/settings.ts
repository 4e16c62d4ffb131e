/**
 * Settings: metadata that a person sets by hand, `KEY=TYPE:VALUE`.
 *
 *   "general.tags=str[]:[\"a\"]" + the value before ──▶ parseSetting ──▶ key, MetadataValue
 *
 * `int` and `float` are the type that the key has already, so that readers find what they expect.
 * Read next: retouch.ts.
 */

import { FaultError } from '../../../proto/fault.ts';
import type { ArrayValue, MetadataValue, NumberType, WideType } from './metadata.ts';
import { rewriteFaults } from './rewrite-faults.ts';
import { integerRanges, type ScalarType, valueTypeIds, wideRanges } from './value-types.ts';

export interface Setting {
  readonly key: string;
  readonly value: MetadataValue;
}

type IntegerType = keyof typeof integerRanges | WideType;

const isInteger = (type: string): type is IntegerType => type in integerRanges || isWide(type);
const isWide = (type: string): type is WideType => type in wideRanges;
const isScalar = (type: string): type is ScalarType => type in valueTypeIds && type !== 'array';
const U32_MAX = integerRanges.u32[1];
const I32_MIN = integerRanges.i32[0];

/**
 * Reads a setting; the first `=` divides, then the first `:`.
 * @param valueBefore the value that a key has so far
 * @throws FaultError QD-3407
 */
export function parseSetting(
  text: string,
  valueBefore: (key: string) => MetadataValue | undefined,
): Setting {
  const [, key = '', type = '', isArray, value = ''] =
    /^([^=]+)=([a-z0-9]+)(\[\])?:(.*)$/su.exec(text) ?? [];
  if (key === '') throw bad(text, 'it is not of the form KEY=TYPE:VALUE');
  const before = valueBefore(key);
  const read =
    isArray === undefined ? readScalar(type, value, before) : readArray(type, value, before);
  if (typeof read === 'string') throw bad(text, read);
  return { key, value: read };
}

/** The value, or why there is none. */
function readScalar(
  type: string,
  text: string,
  before: MetadataValue | undefined,
): MetadataValue | string {
  const wanted = typeOf(type, before?.type, [text]);
  if (wanted === undefined) return unknownType(type);
  if (wanted === 'string') return { type: wanted, value: text };
  if (wanted === 'bool') {
    const isBool = text === 'true' || text === 'false';
    return isBool ? { type: wanted, value: text === 'true' } : 'its value is not true or false';
  }
  if (isWide(wanted)) {
    const value = readWide(wanted, text);
    return value === undefined ? noNumber(text, wanted) : { type: wanted, value };
  }
  const value = readNumber(wanted, text);
  return value === undefined ? noNumber(text, wanted) : { type: wanted, value };
}

/** An array in JSON. Whole numbers may be texts, since those that JavaScript reads end at 2^53. */
function readArray(
  type: string,
  json: string,
  before: MetadataValue | undefined,
): ArrayValue | string {
  const elements = readJson(json);
  if (elements === undefined) return 'its value is no array in JSON, such as ["a","b"] or [1,2]';
  const texts = elements.map(String);
  const of = typeOf(type, before?.type === 'array' ? before.of : undefined, texts);
  if (of === undefined) return unknownType(type);
  if (of === 'string') {
    const value = elements.filter((element) => typeof element === 'string');
    return value.length === elements.length
      ? { type: 'array', of, value }
      : 'an element is no text';
  }
  if (of === 'bool') {
    const value = elements.filter((element) => typeof element === 'boolean');
    return value.length === elements.length
      ? { type: 'array', of, value }
      : 'an element is not true or false';
  }
  if (isWide(of) && elements.some(isRounded)) return 'numbers above 2^53 are given as texts';
  if (isWide(of)) return numbers(texts, of, (value) => ({ type: 'array', of, value }), readWide);
  return numbers(texts, of, (value) => ({ type: 'array', of, value }), readNumber);
}

function numbers<Type extends NumberType | WideType, Value>(
  texts: readonly string[],
  of: Type,
  make: (values: readonly Value[]) => ArrayValue,
  read: (of: Type, text: string) => Value | undefined,
): ArrayValue | string {
  const values: Value[] = [];
  for (const text of texts) {
    const value = read(of, text);
    if (value === undefined) return noNumber(text, of);
    values.push(value);
  }
  return make(values);
}

function readJson(json: string): readonly (string | number | boolean)[] | undefined {
  let read: unknown;
  try {
    read = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (!Array.isArray(read)) return undefined;
  const elements: readonly unknown[] = read;
  const plain = elements.filter(isPlain);
  return plain.length === elements.length ? plain : undefined;
}

/** Whether a number may not be the one that was written. */
function isRounded(element: string | number | boolean): boolean {
  return typeof element === 'number' && !Number.isSafeInteger(element);
}

function isPlain(element: unknown): element is string | number | boolean {
  return ['string', 'number', 'boolean'].includes(typeof element);
}

/** The type that is meant by a word; `int` and `float` depend on what was there, and on the value. */
function typeOf(
  word: string,
  before: string | undefined,
  texts: readonly string[],
): ScalarType | undefined {
  if (word === 'str') return 'string';
  if (word === 'float') return before === 'f64' ? before : 'f32';
  if (word !== 'int') return isScalar(word) ? word : undefined;
  if (before !== undefined && isInteger(before)) return before;
  const values = texts.map((text) => Number(text));
  const least = Math.min(0, ...values);
  const most = Math.max(0, ...values);
  if (least < 0) return least >= I32_MIN && most <= integerRanges.i32[1] ? 'i32' : 'i64';
  return most <= U32_MAX ? 'u32' : 'u64';
}

function readWide(type: WideType, text: string): bigint | undefined {
  if (!/^[+-]?\d{1,20}$/.test(text)) return undefined;
  const value = BigInt(text.replace('+', ''));
  const [least, most] = wideRanges[type];
  return value >= least && value <= most ? value : undefined;
}

function readNumber(type: NumberType, text: string): number | undefined {
  if (isInteger(type)) {
    const value = /^[+-]?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    const [least, most] = integerRanges[type];
    return value >= least && value <= most ? value : undefined;
  }
  const isNumber = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text);
  const value = isNumber ? Number(text) : Number.NaN;
  return Number.isFinite(type === 'f32' ? Math.fround(value) : value) ? value : undefined;
}

function unknownType(type: string): string {
  const known = Object.keys(valueTypeIds).filter((name) => isScalar(name) && name !== 'string');
  return `there is no type ${JSON.stringify(type.slice(0, 20))}: int, float, str, ${known.join(', ')}; with [] an array`;
}

function noNumber(text: string, type: string): string {
  return `${JSON.stringify(text.slice(0, 40))} is no ${type}`;
}

// Enough of a text to recognise it.
const SHOWN_MAX = 80;

function bad(text: string, why: string): FaultError {
  const shown = JSON.stringify(text.slice(0, SHOWN_MAX));
  return new FaultError(rewriteFaults.badSetting, { why: `${shown}: ${why}` });
}
