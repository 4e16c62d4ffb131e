/**
 * Reader: a GGUF's header, checked until nothing in it can surprise the code after it.
 *
 *   first bytes of a file + its size ──▶ parseGguf ──▶ metadata, tensors with their places
 *
 * Pure: the caller reads the file and hands in a longer prefix when asked to. Strict: what a
 * correct writer would not have written is a fault with a code, the byte and the reason. The
 * limits are limits.ts, the format is docs/gguf.md, writing is layout.ts.
 */

import { assert } from '../../../proto/assert.ts';
import { type FaultDetail, FaultError, type FaultKind } from '../../../proto/fault.ts';
import type { BlockTypeName } from './block-types.ts';
import { blockTypeById } from './block-types.ts';
import { ggufFaults } from './faults.ts';
import { HeaderCursor, PrefixEnds } from './header-cursor.ts';
import type { PlacedTensor } from './layout.ts';
import {
  ALIGNMENT_DEFAULT,
  ALIGNMENT_MAX,
  DIMENSIONS_MAX,
  FIXED_BYTES,
  isAlignment,
  KEY_RECORD_BYTES_MIN,
  KEYS_MAX,
  NAME_BYTES_MAX,
  padded,
  SIZE_MAX,
  TENSOR_RECORD_BYTES_MIN,
  TENSORS_MAX,
} from './limits.ts';
import type { KeyValue, MetadataValue } from './metadata.ts';
import { readMetadata } from './read-metadata.ts';
import { byKey, readSplit, type SplitPart } from './split.ts';
import { tensorSize } from './tensor-size.ts';
import { hasControl, readUtf8 } from './utf8.ts';

export interface GgufFile {
  readonly version: 2 | 3;
  readonly alignment: number;
  /** In the order of the file. */
  readonly metadata: readonly KeyValue[];
  /** Of each key in its order, what stands after the value's type; views of the prefix. */
  readonly encoded: readonly Uint8Array[];
  /** In the order of the file, with absolute offsets. */
  readonly tensors: readonly PlacedTensor[];
  /** Where the last tensor info ends; zeros follow up to `dataStart`. */
  readonly headerEnd: number;
  readonly dataStart: number;
  readonly fileBytes: number;
  /** Set when this file is a part of a split GGUF. */
  readonly split: SplitPart | undefined;
  /** What was repaired while reading, for a person to read. */
  readonly notices: readonly string[];
}

/** One file of a GGUF, and its header. */
export interface GgufPart {
  readonly file: string;
  readonly gguf: GgufFile;
}

export type ParseResult =
  /** Call again with the first `bytes` bytes; more than asked for is welcome. */
  | { readonly kind: 'need'; readonly bytes: number }
  | { readonly kind: 'gguf'; readonly gguf: GgufFile };

/**
 * Parses the header of a GGUF, version 2 or 3.
 * @param file its name, for faults
 * @param prefix the first bytes of the file, as many as there are at hand
 * @throws FaultError QD-31xx; the same one for the same file, whatever the prefixes
 */
export function parseGguf(file: string, fileBytes: number, prefix: Uint8Array): ParseResult {
  assert(Number.isSafeInteger(fileBytes) && fileBytes >= 0, `${fileBytes} is no file size`);
  assert(fileBytes < SIZE_MAX - ALIGNMENT_MAX, 'no disk holds a file of this size');
  assert(prefix.length <= fileBytes, 'a prefix is part of its file');
  try {
    return { kind: 'gguf', gguf: parse(new HeaderCursor(file, fileBytes, prefix)) };
  } catch (error) {
    if (!(error instanceof PrefixEnds)) throw error;
    // At least twice the bytes each time, so that all attempts together cost as much as two.
    const bytes = Math.min(fileBytes, Math.max(error.bytes, 2 * prefix.length));
    assert(bytes > prefix.length, 'a longer prefix is asked for, or the caller would ask for ever');
    return { kind: 'need', bytes };
  }
}

function fail(cursor: HeaderCursor, kind: FaultKind, detail: FaultDetail): never {
  throw new FaultError(kind, { file: cursor.file, ...detail });
}

function parse(cursor: HeaderCursor): GgufFile {
  checkMagic(cursor);
  const version = readVersion(cursor);
  const tensorCount = readEntries(cursor, 'tensors', TENSORS_MAX, TENSOR_RECORD_BYTES_MIN);
  const keyCount = readEntries(cursor, 'keys', KEYS_MAX, KEY_RECORD_BYTES_MIN);
  const { metadata, encoded, notices } = readMetadata(cursor, keyCount);
  const values = byKey(metadata);
  const alignment = readAlignment(cursor, values);
  const split = readSplit(cursor.file, values, tensorCount);
  checkArchitecture(cursor, values, split);
  const infos = readTensorInfos(cursor, tensorCount, alignment);
  const headerEnd = cursor.at;
  const dataStart = padded(headerEnd, alignment);
  const tensors = infos.map((tensor) => ({ ...tensor, offset: dataStart + tensor.offset }));
  checkEnd(cursor, tensors, headerEnd, alignment);
  const { fileBytes } = cursor;
  const places = { tensors, headerEnd, dataStart, fileBytes };
  return { version, alignment, metadata, encoded, ...places, split, notices };
}

const MAGIC = 'GGUF';
// The formats before GGUF: their magic was a number, so its letters stand in reverse.
const LEGACY_MAGICS: readonly string[] = ['lmgg', 'tjgg', 'fmgg', 'algg', 'GGML', 'GGJT', 'GGMF'];

function checkMagic(cursor: HeaderCursor): void {
  const found = String.fromCharCode(...cursor.raw(Math.min(4, cursor.fileBytes)));
  if (found === MAGIC) {
    // The fixed part at once, so that a stub is called cut and not miscounted.
    if (cursor.fileBytes < FIXED_BYTES) cursor.take(FIXED_BYTES - found.length);
    return;
  }
  if (found === '') fail(cursor, ggufFaults.notGguf, { why: 'it is empty' });
  const why = LEGACY_MAGICS.includes(found)
    ? 'it is a GGML file of before 2023; only its maker can convert it'
    : `it begins with ${JSON.stringify(found)} instead of "GGUF"`;
  fail(cursor, ggufFaults.notGguf, { byte: 0, why });
}

function readVersion(cursor: HeaderCursor): 2 | 3 {
  const byte = cursor.at;
  const version = cursor.u32();
  if (version === 2 || version === 3) return version;
  // A small number in the upper half is a small number that was written the other way round.
  const swapped = version !== 0 && version % 2 ** 16 === 0;
  const why = swapped ? 'the file is big-endian' : `version ${version}`;
  fail(cursor, ggufFaults.unsupportedVersion, { byte, why });
}

/** One of the two counts of the fixed part, of which the records are known to fit into the file. */
function readEntries(
  cursor: HeaderCursor,
  what: string,
  most: number,
  recordBytesMin: number,
): number {
  const byte = cursor.at;
  const fitting = Math.floor(Math.max(0, cursor.fileBytes - FIXED_BYTES) / recordBytesMin);
  const count = cursor.length(fitting);
  if (count === undefined) {
    const why = `${cursor.u64At(byte)} ${what} where at most ${fitting} fit`;
    fail(cursor, ggufFaults.impossibleCount, { byte, why });
  }
  if (count > most)
    fail(cursor, ggufFaults.overLimit, { byte, why: `${count} ${what} of ${most}` });
  return count;
}

function readAlignment(cursor: HeaderCursor, values: ReadonlyMap<string, MetadataValue>): number {
  const key = 'general.alignment';
  const value = values.get(key);
  if (value === undefined) return ALIGNMENT_DEFAULT;
  if (value.type !== 'u32') {
    fail(cursor, ggufFaults.badAlignment, { key, why: `it is of type ${value.type}` });
  }
  if (!isAlignment(value.value)) {
    fail(cursor, ggufFaults.badAlignment, { key, why: `it is ${value.value}` });
  }
  return value.value;
}

function checkArchitecture(
  cursor: HeaderCursor,
  values: ReadonlyMap<string, MetadataValue>,
  split: SplitPart | undefined,
): void {
  const key = 'general.architecture';
  const architecture = values.get(key);
  if (architecture === undefined) {
    // Later parts of a split file have no metadata of the model; an importance matrix is no model.
    const kind = values.get('general.type');
    const isImportance = kind?.type === 'string' && kind.value === 'imatrix';
    if (isImportance || (split !== undefined && split.part > 0)) return;
    fail(cursor, ggufFaults.badArchitecture, { key, why: 'the key is missing' });
  }
  if (architecture.type !== 'string') {
    fail(cursor, ggufFaults.badArchitecture, { key, why: `it is of type ${architecture.type}` });
  }
  if (architecture.value === '')
    fail(cursor, ggufFaults.badArchitecture, { key, why: 'it is empty' });
}

/** The tensor infos, with offsets from the start of the data, each where the one before it ends. */
function readTensorInfos(cursor: HeaderCursor, count: number, alignment: number): PlacedTensor[] {
  const tensors: PlacedTensor[] = [];
  const seen = new Set<string>();
  let end = 0;
  for (let i = 0; i < count; i++) {
    const tensor = readTensorInfo(cursor, seen, end, alignment);
    end = tensor.offset + padded(tensor.bytes, alignment);
    tensors.push(tensor);
  }
  return tensors;
}

function readTensorInfo(
  cursor: HeaderCursor,
  seen: Set<string>,
  expected: number,
  alignment: number,
): PlacedTensor {
  const name = readName(cursor, seen);
  const shape = readShape(cursor, name);
  const type = readBlockType(cursor, name);
  const size = tensorSize(shape, type);
  const byte = cursor.at;
  if (!size.ok) fail(cursor, ggufFaults.badShape, { tensor: name, byte, why: size.why });
  const offset = cursor.u64();
  if (offset !== BigInt(expected)) {
    const why = offsetComplaint(offset, BigInt(expected), BigInt(alignment));
    fail(cursor, ggufFaults.badOffset, { tensor: name, byte, why });
  }
  // The place of the data is not known yet, but no file is shorter than its data.
  if (expected + size.bytes > cursor.fileBytes) {
    const why = `${size.bytes} bytes at ${expected} of the data, the file has ${cursor.fileBytes}`;
    fail(cursor, ggufFaults.outsideFile, { tensor: name, byte, why });
  }
  return { name, shape, type, offset: expected, bytes: size.bytes };
}

function offsetComplaint(offset: bigint, expected: bigint, alignment: bigint): string {
  const place = `offset ${offset} instead of ${expected}`;
  if (offset % alignment !== 0n) return `${place}, no multiple of the alignment ${alignment}`;
  return offset < expected ? `${place}, inside the tensor before` : `${place}, after a gap`;
}

function readName(cursor: HeaderCursor, seen: Set<string>): string {
  const byte = cursor.at;
  const bytes = cursor.length(NAME_BYTES_MAX);
  if (bytes === undefined || bytes === 0) {
    const why = `it has ${cursor.u64At(byte)} bytes instead of 1 to ${NAME_BYTES_MAX}`;
    fail(cursor, ggufFaults.badTensorName, { byte, why });
  }
  const name = readUtf8(cursor.raw(bytes));
  if (name === undefined) fail(cursor, ggufFaults.badTensorName, { byte, why: 'it is no UTF-8' });
  if (hasControl(name)) {
    fail(cursor, ggufFaults.badTensorName, { byte, why: 'it holds a control character' });
  }
  if (seen.has(name)) fail(cursor, ggufFaults.duplicateTensor, { tensor: name, byte });
  seen.add(name);
  return name;
}

function readShape(cursor: HeaderCursor, tensor: string): number[] {
  const byte = cursor.at;
  const dimensions = cursor.u32();
  if (dimensions < 1 || dimensions > DIMENSIONS_MAX) {
    const why = `${dimensions} dimensions instead of 1 to ${DIMENSIONS_MAX}`;
    fail(cursor, ggufFaults.badShape, { tensor, byte, why });
  }
  const shape: number[] = [];
  for (let i = 0; i < dimensions; i++) {
    const start = cursor.at;
    const elements = cursor.length(SIZE_MAX);
    if (elements === undefined || elements === 0) {
      const why = `a dimension of ${cursor.u64At(start)}`;
      fail(cursor, ggufFaults.badShape, { tensor, byte: start, why });
    }
    shape.push(elements);
  }
  return shape;
}

function readBlockType(cursor: HeaderCursor, tensor: string): BlockTypeName {
  const byte = cursor.at;
  const id = cursor.u32();
  const type = blockTypeById(id);
  if (type === undefined) {
    fail(cursor, ggufFaults.unknownBlockType, { tensor, byte, why: `type ${id}` });
  }
  return type;
}

/** The file ends after the last tensor, with or without the padding that belongs to it. */
function checkEnd(
  cursor: HeaderCursor,
  tensors: readonly PlacedTensor[],
  headerEnd: number,
  alignment: number,
): void {
  const { fileBytes } = cursor;
  const last = tensors.at(-1);
  const end = last === undefined ? headerEnd : last.offset + last.bytes;
  // Offsets are consecutive, so the tensor that is cut is the last that begins inside the file.
  const cut = tensors.find(({ offset, bytes }) => offset + bytes > fileBytes);
  if (cut !== undefined) {
    const why = `it needs ${cut.offset + cut.bytes} bytes, the file has ${fileBytes}`;
    fail(cursor, ggufFaults.outsideFile, { tensor: cut.name, byte: cut.offset, why });
  }
  if (fileBytes > padded(end, alignment)) {
    const why = `${fileBytes - padded(end, alignment)} bytes more than there should be`;
    fail(cursor, ggufFaults.trailingBytes, { byte: padded(end, alignment), why });
  }
}
