/**
 * Config: the values of a checkpoint's JSON files, each checked before anyone uses it.
 *
 *   bytes ──▶ parseJsonFile ──▶ JsonObject ──▶ ConfigReader ──▶ numbers, texts, lists
 *
 * Read next: json.ts, the parser; models/family.ts, which asks for the values.
 */

import { FaultError } from '../../../proto/fault.ts';
import type { Json, JsonObject } from './checkpoint.ts';
import { checkpointFaults } from './faults.ts';
import { parseJson } from './json.ts';

// The largest published config.json is below 100 kB; multimodal ones stay below 1 MB.
export const CONFIG_BYTES_MAX = 10_000_000;
// A vocabulary of 262144 tokens with its merges takes 33 MB; this leaves room for eight times that.
export const TOKENIZER_BYTES_MAX = 256_000_000;
// Templates of published models stay below 100 kB.
export const CHAT_TEMPLATE_BYTES_MAX = 4_000_000;

// config.json nests 4 deep, tokenizer.json with its sequences of sequences about 8.
const DEPTH_MAX = 64;
// What git checks out when the large files were not fetched.
const LFS_POINTER_START = 'version https://git-lfs.github.com/spec/';

/**
 * The text of a file.
 * @throws FaultError when it is no UTF-8, or only a Git LFS pointer
 */
export function parseTextFile(file: string, bytes: Uint8Array): string {
  const text = decodeUtf8(bytes);
  if (text === undefined) throw new FaultError(checkpointFaults.notText, { file });
  if (text.startsWith(LFS_POINTER_START)) {
    throw new FaultError(checkpointFaults.lfsPointer, { file });
  }
  return text;
}

/**
 * The object that a JSON file holds; duplicate keys, NaN and the like are refused.
 * The messages never quote the file: it may be a link to something private.
 */
export function parseJsonFile(file: string, bytes: Uint8Array): JsonObject {
  const value = parseJson(parseTextFile(file, bytes), {
    depthMax: DEPTH_MAX,
    fail: ({ reason, why, byte }) => {
      const kind = reason === 'key-twice' ? checkpointFaults.keyTwice : checkpointFaults.notJson;
      throw new FaultError(kind, { file, byte, why });
    },
  });
  if (!isJsonObject(value)) throw new FaultError(checkpointFaults.notObject, { file });
  return value;
}

/** undefined where the bytes are no UTF-8. A byte order mark is kept, so that JSON refuses it. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Both ends belong to the range. */
export interface IntegerRange {
  readonly min: number;
  readonly max: number;
}

export interface NumberRange {
  readonly min?: number;
  readonly max?: number;
}

/** How many entries a list may have; both ends belong to the range. */
export interface ListLength {
  readonly lengthMin?: number;
  readonly lengthMax: number;
}

/**
 * Reads the values of one object of a JSON file. A key that is null counts as absent; an absent
 * key gives the default, and without a default the fault `keyMissing`. A value of another kind or
 * out of range is the fault `keyWrong`. Both name the file and the key, as in `text_config.head_dim`.
 */
export class ConfigReader {
  readonly file: string;
  readonly values: JsonObject;
  readonly #path: string;

  constructor(file: string, values: JsonObject, path = '') {
    this.file = file;
    this.values = values;
    this.#path = path;
  }

  /** Whether the key is there with a value other than null. */
  has(key: string): boolean {
    return this.#find(key) !== undefined;
  }

  keys(): string[] {
    return Object.keys(this.values);
  }

  integer(key: string, options: IntegerRange & { readonly default?: number }): number {
    const value = this.#find(key) ?? options.default ?? this.missing(key);
    return this.#checkInteger(key, value, options);
  }

  /** Finite. */
  number(key: string, options: NumberRange & { readonly default?: number } = {}): number {
    const value = this.#find(key) ?? options.default ?? this.missing(key);
    if (typeof value !== 'number') return this.wrong(key, 'it must be a number');
    const { min = -Number.MAX_VALUE, max = Number.MAX_VALUE } = options;
    if (!(value >= min && value <= max)) {
      return this.wrong(key, `${value} is not between ${min} and ${max}`);
    }
    return value;
  }

  boolean(key: string, options: { readonly default?: boolean } = {}): boolean {
    const value = this.#find(key) ?? options.default ?? this.missing(key);
    return typeof value === 'boolean' ? value : this.wrong(key, 'it must be true or false');
  }

  string(key: string, options: { readonly default?: string } = {}): string {
    const value = this.#find(key) ?? options.default ?? this.missing(key);
    return typeof value === 'string' ? value : this.wrong(key, 'it must be text');
  }

  /** A list of integers, each in the range. */
  integers(
    key: string,
    options: IntegerRange & ListLength & { readonly default?: readonly number[] },
  ): readonly number[] {
    const list = this.#list(key, options);
    return list.map((value, place) => this.#checkInteger(`${key}[${place}]`, value, options));
  }

  strings(
    key: string,
    options: ListLength & { readonly default?: readonly string[] },
  ): readonly string[] {
    const list = this.#list(key, options);
    return list.map((value, place) =>
      typeof value === 'string' ? value : this.wrong(`${key}[${place}]`, 'it must be text'),
    );
  }

  /** The reader of a nested object; ask `has` first where it may be absent. */
  object(key: string): ConfigReader {
    const value = this.#find(key) ?? this.missing(key);
    if (!isJsonObject(value)) return this.wrong(key, 'it must be an object');
    return new ConfigReader(this.file, value, this.#name(key));
  }

  /** Throws `keyMissing`. */
  missing(key: string): never {
    throw new FaultError(checkpointFaults.keyMissing, { file: this.file, key: this.#name(key) });
  }

  /** Throws `keyWrong`; for checks across several keys, too. */
  wrong(key: string, why: string): never {
    const detail = { file: this.file, key: this.#name(key), why };
    throw new FaultError(checkpointFaults.keyWrong, detail);
  }

  #name(key: string): string {
    return this.#path === '' ? key : `${this.#path}.${key}`;
  }

  // Own keys only: "constructor" must not find what every object inherits.
  #find(key: string): Json | undefined {
    return Object.hasOwn(this.values, key) ? (this.values[key] ?? undefined) : undefined;
  }

  #checkInteger(key: string, value: Json, { min, max }: IntegerRange): number {
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
      return this.wrong(key, 'it must be a whole number');
    }
    if (value < min || value > max) {
      return this.wrong(key, `${value} is not between ${min} and ${max}`);
    }
    return value;
  }

  #list(
    key: string,
    options: ListLength & { readonly default?: readonly Json[] },
  ): readonly Json[] {
    const value = this.#find(key) ?? options.default ?? this.missing(key);
    if (!isList(value)) return this.wrong(key, 'it must be a list');
    const { lengthMin = 0, lengthMax } = options;
    if (value.length < lengthMin || value.length > lengthMax) {
      const wanted = lengthMin === lengthMax ? lengthMin : `${lengthMin} to ${lengthMax}`;
      return this.wrong(key, `it has ${value.length} entries, not ${wanted}`);
    }
    return value;
  }
}

// Array.isArray alone does not narrow a readonly array.
function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
