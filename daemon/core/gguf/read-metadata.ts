/**
 * Read metadata: the key–value part of a GGUF header.
 *
 *   cursor + number of keys ──▶ readMetadata ──▶ KeyValue[] + notices
 *
 * A count is believed only as far as the bytes that are left could hold it; read next: reader.ts.
 */

import { type FaultDetail, FaultError, type FaultKind } from '../../../proto/fault.ts';
import { ggufFaults } from './faults.ts';
import type { HeaderCursor } from './header-cursor.ts';
import { ARRAY_ELEMENTS_MAX, KEY_BYTES_MAX } from './limits.ts';
import type { ArrayValue, KeyValue, MetadataValue, NumberType, ScalarValue } from './metadata.ts';
import { hasControl, readUtf8 } from './utf8.ts';
import { type ScalarType, valueBytes, valueTypeById } from './value-types.ts';

// A value's type, and that of an array's elements, is a u32.
const TYPE_BYTES = 4;

export interface MetadataPart {
  readonly metadata: readonly KeyValue[];
  /** Of each key in its order, what stands after the value's type; views of the prefix. */
  readonly encoded: readonly Uint8Array[];
  /** What was repaired, for a person to read. */
  readonly notices: readonly string[];
}

/** @throws FaultError QD-31xx with the key and the byte */
export function readMetadata(cursor: HeaderCursor, count: number): MetadataPart {
  const metadata: KeyValue[] = [];
  const encoded: Uint8Array[] = [];
  const notices: string[] = [];
  const seen = new Set<string>();
  const budget = { elements: ARRAY_ELEMENTS_MAX };
  for (let i = 0; i < count; i++) {
    const start = cursor.at;
    const key = readKey(cursor);
    if (seen.has(key)) fail(cursor, ggufFaults.duplicateKey, { key, byte: start });
    seen.add(key);
    cursor.repaired = false;
    const typeStart = cursor.at;
    metadata.push({ key, value: readValue(cursor, key, budget) });
    encoded.push(cursor.since(typeStart + TYPE_BYTES));
    if (cursor.repaired) {
      notices.push(`${key} holds bytes that are no UTF-8; they are shown as U+FFFD`);
    }
  }
  return { metadata, encoded, notices };
}

function fail(cursor: HeaderCursor, kind: FaultKind, detail: FaultDetail): never {
  throw new FaultError(kind, { file: cursor.file, ...detail });
}

function readKey(cursor: HeaderCursor): string {
  const byte = cursor.at;
  const bytes = cursor.length(KEY_BYTES_MAX);
  if (bytes === undefined || bytes === 0) {
    const why = `it has ${cursor.u64At(byte)} bytes instead of 1 to ${KEY_BYTES_MAX}`;
    fail(cursor, ggufFaults.badKey, { byte, why });
  }
  const key = readUtf8(cursor.raw(bytes));
  if (key === undefined) fail(cursor, ggufFaults.badKey, { byte, why: 'it is no UTF-8' });
  if (hasControl(key)) {
    fail(cursor, ggufFaults.badKey, { byte, why: 'it holds a control character' });
  }
  return key;
}

function readValue(cursor: HeaderCursor, key: string, budget: { elements: number }): MetadataValue {
  const byte = cursor.at;
  const id = cursor.u32();
  const type = valueTypeById(id);
  if (type === undefined) {
    fail(cursor, ggufFaults.unknownValueType, { key, byte, why: `type ${id}` });
  }
  return type === 'array' ? readArray(cursor, key, budget) : readScalar(cursor, key, type);
}

function readScalar(cursor: HeaderCursor, key: string, type: ScalarType): ScalarValue {
  switch (type) {
    case 'string':
      return { type, value: cursor.text(key) };
    case 'bool':
      return { type, value: readBool(cursor, key) };
    case 'u64':
    case 'i64':
      return { type, value: cursor[type]() };
    default:
      return { type, value: cursor[type]() };
  }
}

function readBool(cursor: HeaderCursor, key: string): boolean {
  const byte = cursor.at;
  const stored = cursor.u8();
  if (stored > 1) fail(cursor, ggufFaults.badBool, { key, byte, why: `the byte ${stored}` });
  return stored === 1;
}

function readArray(cursor: HeaderCursor, key: string, budget: { elements: number }): ArrayValue {
  const byte = cursor.at;
  const id = cursor.u32();
  const of = valueTypeById(id);
  if (of === undefined) {
    fail(cursor, ggufFaults.unknownValueType, { key, byte, why: `elements of type ${id}` });
  }
  if (of === 'array') fail(cursor, ggufFaults.nestedArray, { key, byte });
  const count = readCount(cursor, key, of, budget);
  switch (of) {
    case 'string':
      return { type: 'array', of, value: repeat(count, () => cursor.text(key)) };
    case 'bool':
      return { type: 'array', of, value: repeat(count, () => readBool(cursor, key)) };
    case 'u64':
    case 'i64':
      return { type: 'array', of, value: repeat(count, () => cursor[of]()) };
    default:
      return { type: 'array', of, value: readNumbers(cursor, of, count) };
  }
}

/** An array's count, of which the elements are known to fit into the file and into the budget. */
function readCount(
  cursor: HeaderCursor,
  key: string,
  of: ScalarType,
  budget: { elements: number },
): number {
  const byte = cursor.at;
  const fitting = Math.floor(Math.max(0, cursor.left - 8) / valueBytes[of]);
  const count = cursor.length(fitting);
  if (count === undefined) {
    const why = `an array of ${cursor.u64At(byte)} elements where ${fitting} fit`;
    fail(cursor, ggufFaults.impossibleCount, { key, byte, why });
  }
  budget.elements -= count;
  if (budget.elements < 0) {
    const why = `more than ${ARRAY_ELEMENTS_MAX} array elements`;
    fail(cursor, ggufFaults.overLimit, { key, byte, why });
  }
  return count;
}

function readNumbers(cursor: HeaderCursor, of: NumberType, count: number): number[] {
  return repeat(count, () => cursor[of]());
}

function repeat<T>(count: number, read: () => T): T[] {
  const values: T[] = [];
  for (let i = 0; i < count; i++) values.push(read());
  return values;
}
