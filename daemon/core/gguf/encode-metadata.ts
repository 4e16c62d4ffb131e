/**
 * Encode metadata: the key–value part of a GGUF header, in two passes.
 *
 *   KeyValue[] ──▶ metadataBytes (checks and measures) ──▶ writeMetadata (into the header)
 *
 * Measuring first makes the header one allocation, whatever the tokenizer's size. The second
 * pass trusts the first.
 */

import { assert } from '../../../proto/assert.ts';
import { FaultError } from '../../../proto/fault.ts';
import { ggufFaults } from './faults.ts';
import { ARRAY_ELEMENTS_MAX, KEY_BYTES_MAX, KEYS_MAX, STRING_BYTES_MAX } from './limits.ts';
import type { ArrayValue, KeyValue, MetadataValue, NumberType, WideType } from './metadata.ts';
import { utf8Bytes, writeUtf8 } from './utf8.ts';
import { integerRanges, valueBytes, valueTypeIds, wideRanges } from './value-types.ts';

// Lower-case words with dots between them. The hyphen is there because architectures have it, and
// their keys begin with the architecture (`nomic-bert.block_count`).
const KEY_PATTERN = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;

/** A buffer that is filled from the front. */
export interface Pen {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  at: number;
}

/**
 * Bytes of the key–value part.
 * @throws FaultError for keys and values that the format or a reader would refuse
 */
export function metadataBytes(metadata: readonly KeyValue[]): number {
  if (metadata.length > KEYS_MAX) {
    throw new FaultError(ggufFaults.unwritableSize, { why: `${metadata.length} metadata keys` });
  }
  const seen = new Set<string>();
  let bytes = 0;
  let elements = 0;
  for (const { key, value, encoded } of metadata) {
    const keyBytes = encoded === undefined ? checkKey(key) : utf8Bytes(key);
    assert(keyBytes !== undefined, 'a key that was read is whole UTF-8');
    if (seen.has(key)) {
      throw new FaultError(ggufFaults.unwritableKey, { key, why: 'it stands twice' });
    }
    seen.add(key);
    bytes += 8 + keyBytes + 4 + (encoded?.length ?? measure(key, value));
    elements += value.type === 'array' ? value.value.length : 0;
  }
  if (elements > ARRAY_ELEMENTS_MAX) {
    throw new FaultError(ggufFaults.unwritableSize, { why: `${elements} array elements` });
  }
  return bytes;
}

/** Bytes of a key of our own; one that was read from a file may be of another form. */
function checkKey(key: string): number {
  // The pattern makes the key ASCII, so its characters are its bytes.
  if (key.length > KEY_BYTES_MAX || !KEY_PATTERN.test(key)) {
    throw new FaultError(ggufFaults.unwritableKey, { key: key.slice(0, 80) });
  }
  return key.length;
}

function measure(key: string, value: MetadataValue): number {
  switch (value.type) {
    case 'array':
      return 12 + measureArray(key, value);
    case 'string':
      return measureString(key, value.value);
    case 'bool':
      return 1;
    case 'u64':
    case 'i64':
      checkWide(key, value.type, value.value);
      return 8;
    default:
      checkNumber(key, value.type, value.value);
      return valueBytes[value.type];
  }
}

function measureArray(key: string, array: ArrayValue): number {
  switch (array.of) {
    case 'string': {
      let bytes = 0;
      for (const text of array.value) bytes += measureString(key, text);
      return bytes;
    }
    case 'bool':
      return array.value.length;
    case 'u64':
    case 'i64':
      for (const wide of array.value) checkWide(key, array.of, wide);
      return 8 * array.value.length;
    default:
      for (const number of array.value) checkNumber(key, array.of, number);
      return valueBytes[array.of] * array.value.length;
  }
}

function measureString(key: string, text: string): number {
  const bytes = utf8Bytes(text);
  if (bytes === undefined) {
    throw new FaultError(ggufFaults.unwritableValue, {
      key,
      why: `a text with half a surrogate pair: ${JSON.stringify(text.slice(0, 40))}`,
    });
  }
  if (bytes > STRING_BYTES_MAX) {
    throw new FaultError(ggufFaults.unwritableSize, { key, why: `a text of ${bytes} bytes` });
  }
  return 8 + bytes;
}

function checkNumber(key: string, type: NumberType, number: number): void {
  if (fits(type, number)) return;
  throw new FaultError(ggufFaults.unwritableValue, { key, why: `${number} is no ${type}` });
}

function fits(type: NumberType, number: number): boolean {
  // An f32 that is too large would silently become an infinity. Rounding to the nearest is meant.
  if (type === 'f32') return !Number.isFinite(number) || Number.isFinite(Math.fround(number));
  if (type === 'f64') return true;
  const [least, most] = integerRanges[type];
  return Number.isInteger(number) && number >= least && number <= most;
}

function checkWide(key: string, type: WideType, number: bigint): void {
  const [least, most] = wideRanges[type];
  if (number >= least && number <= most) return;
  throw new FaultError(ggufFaults.unwritableValue, { key, why: `${number} is no ${type}` });
}

/** Writes what `metadataBytes` has measured. */
export function writeMetadata(metadata: readonly KeyValue[], pen: Pen): void {
  for (const { key, value, encoded } of metadata) {
    writeString(pen, key);
    writeU32(pen, valueTypeIds[value.type]);
    if (encoded === undefined) writeValue(pen, value);
    else writeBytes(pen, encoded);
  }
}

function writeBytes(pen: Pen, bytes: Uint8Array): void {
  pen.bytes.set(bytes, pen.at);
  pen.at += bytes.length;
}

function writeValue(pen: Pen, value: MetadataValue): void {
  switch (value.type) {
    case 'array':
      writeArray(pen, value);
      return;
    case 'string':
      writeString(pen, value.value);
      return;
    case 'bool':
      writeBool(pen, value.value);
      return;
    case 'u64':
    case 'i64':
      writeWide(pen, value.value);
      return;
    default:
      writeNumbers(pen, value.type, [value.value]);
  }
}

function writeArray(pen: Pen, array: ArrayValue): void {
  writeU32(pen, valueTypeIds[array.of]);
  writeSize(pen, array.value.length);
  switch (array.of) {
    case 'string':
      for (const text of array.value) writeString(pen, text);
      return;
    case 'bool':
      for (const claim of array.value) writeBool(pen, claim);
      return;
    case 'u64':
    case 'i64':
      for (const number of array.value) writeWide(pen, number);
      return;
    default:
      writeNumbers(pen, array.of, array.value);
  }
}

const setters: Readonly<Record<NumberType, (view: DataView, at: number, n: number) => void>> = {
  u8: (view, at, n) => view.setUint8(at, n),
  i8: (view, at, n) => view.setInt8(at, n),
  u16: (view, at, n) => view.setUint16(at, n, true),
  i16: (view, at, n) => view.setInt16(at, n, true),
  u32: (view, at, n) => view.setUint32(at, n, true),
  i32: (view, at, n) => view.setInt32(at, n, true),
  f32: (view, at, n) => view.setFloat32(at, n, true),
  f64: (view, at, n) => view.setFloat64(at, n, true),
};

function writeNumbers(pen: Pen, type: NumberType, numbers: readonly number[]): void {
  const set = setters[type];
  const bytes = valueBytes[type];
  for (const number of numbers) {
    set(pen.view, pen.at, number);
    pen.at += bytes;
  }
}

function writeBool(pen: Pen, claim: boolean): void {
  pen.bytes[pen.at++] = claim ? 1 : 0;
}

function writeWide(pen: Pen, number: bigint): void {
  // The two's complement of a negative number is what the unsigned setter stores.
  pen.view.setBigUint64(pen.at, BigInt.asUintN(64, number), true);
  pen.at += 8;
}

/** A length and the UTF-8 bytes, without terminator. */
export function writeString(pen: Pen, text: string): void {
  const start = pen.at + 8;
  const end = writeUtf8(text, pen.bytes, start);
  writeSize(pen, end - start);
  pen.at = end;
}

export function writeU32(pen: Pen, number: number): void {
  pen.view.setUint32(pen.at, number, true);
  pen.at += 4;
}

/** A u64 from a number below 2^53. */
export function writeSize(pen: Pen, size: number): void {
  assert(Number.isSafeInteger(size) && size >= 0, `${size} is no size`);
  pen.view.setUint32(pen.at, size % 2 ** 32, true);
  pen.view.setUint32(pen.at + 4, Math.floor(size / 2 ** 32), true);
  pen.at += 8;
}
