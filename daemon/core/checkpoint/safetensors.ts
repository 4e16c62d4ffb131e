/**
 * Safetensors: from the first bytes of a file to the place of every tensor in it.
 *
 *   first 8 bytes ──▶ readHeaderLength ──▶ header bytes ──▶ parseSafetensorsHeader ──▶ tensors
 *
 * The format (github.com/huggingface/safetensors, README): a little-endian u64 N, then N bytes of
 * JSON that begin with `{` and may end in spaces, then the data. The JSON maps each name to
 * {dtype, shape, data_offsets: [begin, end]}, the offsets counted from the data's start; the
 * tensors cover the data without gap or overlap. Read next: shard-index.ts.
 */

import { FaultError } from '../../../proto/fault.ts';
import {
  type Json,
  type JsonObject,
  type SourceTensor,
  sourceDtypes,
  type UnusableTensor,
} from './checkpoint.ts';
import { decodeUtf8, isJsonObject } from './config.ts';
import { checkpointFaults as faults } from './faults.ts';
import { type JsonFailure, parseJson } from './json.ts';

/** Bytes of the length that stands before the header. */
export const HEADER_LENGTH_BYTES = 8;
// Headers of models with 60000 tensors take 8 MB; the Hugging Face Hub stops at 25 MB, too.
export const HEADER_BYTES_MAX = 25_000_000;
// The largest published files hold 60000 tensors.
export const TENSORS_PER_FILE_MAX = 100_000;
// The longest names in use have 120 bytes.
export const TENSOR_NAME_BYTES_MAX = 512;
const METADATA_KEY = '__metadata__';
// GGUF has 4; convolutions and stacked experts stay below 8.
const DIMENSIONS_MAX = 8;
// 2^47 elements of 64 bits are 2^53 bits: below it every size is exact in a number.
const ELEMENTS_MAX = 2 ** 47;
// Header, tensor, its shape: 3; the rest says "wrong entry" instead of "too deep".
const DEPTH_MAX = 8;

// Bits per element of every dtype that the format names.
const dtypesByBits: Readonly<Record<number, readonly string[]>> = {
  4: ['F4'],
  6: ['F6_E2M3', 'F6_E3M2'],
  8: ['BOOL', 'U8', 'I8', 'F8_E5M2', 'F8_E4M3', 'F8_E8M0', 'F8_E5M2FNUZ', 'F8_E4M3FNUZ'],
  16: ['I16', 'U16', 'F16', 'BF16'],
  32: ['I32', 'U32', 'F32'],
  64: ['I64', 'U64', 'F64', 'C64'],
};
const dtypeBits: ReadonlyMap<string, number> = new Map(
  Object.entries(dtypesByBits).flatMap(([bits, dtypes]) =>
    dtypes.map((dtype) => [dtype, Number(bits)] as const),
  ),
);

const UTF8_BYTES_PER_UNIT_MAX = 3;
// Control and format characters and half pairs: they can hide a name or turn a terminal's text.
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
// "version " of a Git LFS pointer, read as the header's length.
const LFS_POINTER_START = 'version ';

/**
 * The header's length in bytes, from the first 8 bytes of a file of `fileBytes` bytes.
 * @throws FaultError when no header of that length can be in the file
 */
export function readHeaderLength(first8: Uint8Array, file: string, fileBytes: number): number {
  if (first8.length < HEADER_LENGTH_BYTES || fileBytes < HEADER_LENGTH_BYTES) {
    throw new FaultError(faults.tensorFileTooShort, { file, why: `it has ${fileBytes} bytes` });
  }
  const start = first8.subarray(0, HEADER_LENGTH_BYTES);
  if (decodeUtf8(start) === LFS_POINTER_START) throw new FaultError(faults.lfsPointer, { file });
  const wide = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
  if (wide < 2n || wide > BigInt(HEADER_BYTES_MAX)) {
    const why = `${wide} bytes, where 2 to ${HEADER_BYTES_MAX} are possible`;
    throw new FaultError(faults.headerLengthWrong, { file, byte: 0, why });
  }
  const length = Number(wide);
  if (HEADER_LENGTH_BYTES + length > fileBytes) {
    const why = `its header has ${length} bytes, the whole file ${fileBytes}`;
    throw new FaultError(faults.tensorFileShorter, { file, why });
  }
  return length;
}

/** Whether the tensor's dtype can be converted. */
export function isUsable(tensor: SourceTensor | UnusableTensor): tensor is SourceTensor {
  return Object.hasOwn(sourceDtypes, tensor.dtype);
}

/**
 * Every tensor of a file of `fileBytes` bytes, in the order of their bytes; offsets are those in
 * the file. Tensors of no elements come before the one that begins at the same place.
 * @param header the bytes that follow the length, all of them
 * @throws FaultError when the header is not strictly as the format asks
 */
export function parseSafetensorsHeader(
  file: string,
  fileBytes: number,
  header: Uint8Array,
): (SourceTensor | UnusableTensor)[] {
  const dataStart = HEADER_LENGTH_BYTES + header.length;
  const json = parseHeaderJson(file, header);
  const names = Object.keys(json).filter((name) => name !== METADATA_KEY);
  if (names.length > TENSORS_PER_FILE_MAX) throw new FaultError(faults.tooManyTensors, { file });
  const metadata = json[METADATA_KEY];
  if (metadata !== undefined) checkMetadata(file, metadata);
  const tensors = names.map((tensor) => parseTensor({ file, tensor }, json[tensor], dataStart));
  tensors.sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  checkCoverage(file, tensors, dataStart, fileBytes);
  return tensors;
}

/** Whether a text can be shown and stored as a name of at most `bytesMax` bytes. */
export function isPlainName(name: string, bytesMax: number): boolean {
  // The length spares encoding a name of many MB, and the usual short one.
  if (name === '' || name.length > bytesMax || unprintable.test(name)) return false;
  return (
    name.length * UTF8_BYTES_PER_UNIT_MAX <= bytesMax ||
    new TextEncoder().encode(name).length <= bytesMax
  );
}

function parseHeaderJson(file: string, header: Uint8Array): JsonObject {
  const fail = ({ reason, why, byte }: JsonFailure): never => {
    throw new FaultError(headerFaults[reason], { file, byte: HEADER_LENGTH_BYTES + byte, why });
  };
  const text = decodeUtf8(header);
  if (text === undefined) return fail({ reason: 'text', why: 'it is not UTF-8', byte: 0 });
  const value = parseJson(text, {
    depthMax: DEPTH_MAX,
    // One more for __metadata__.
    entriesMax: TENSORS_PER_FILE_MAX + 1,
    number: exactInteger,
    fail,
  });
  if (!isJsonObject(value) || !text.startsWith('{')) {
    return fail({ reason: 'syntax', why: 'it does not begin with {', byte: 0 });
  }
  return value;
}

const headerFaults = {
  syntax: faults.headerNotJson,
  'too-deep': faults.headerNotJson,
  text: faults.headerNotJson,
  'too-many': faults.tooManyTensors,
  'key-twice': faults.headerKeyTwice,
  number: faults.tensorEntryWrong,
} as const;

// Every number of a header is a size: no sign, fraction or exponent, and exact in a number.
function exactInteger(text: string): number | undefined {
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}

function checkMetadata(file: string, metadata: Json): void {
  const texts = isJsonObject(metadata) ? Object.values(metadata) : [metadata];
  if (texts.some((text) => typeof text !== 'string') || !isJsonObject(metadata)) {
    throw new FaultError(faults.headerMetadataWrong, { file });
  }
}

/** Where a fault is: a file and a tensor in it. */
interface Place {
  readonly file: string;
  readonly tensor: string;
}

function parseTensor(place: Place, entry: Json | undefined, dataStart: number): UnusableTensor {
  if (!isPlainName(place.tensor, TENSOR_NAME_BYTES_MAX)) {
    const why = `it must have 1 to ${TENSOR_NAME_BYTES_MAX} bytes, all of them printable`;
    throw new FaultError(faults.tensorNameWrong, { file: place.file, why });
  }
  if (!isJsonObject(entry) || Object.keys(entry).length !== 3) return wrongEntry(place);
  const { dtype, shape, data_offsets: offsets } = entry;
  const [begin, end, ...more] = numbers(place, offsets);
  if (begin === undefined || end === undefined || more.length > 0) return wrongEntry(place);
  if (begin > end) {
    const why = `it begins at ${begin} and ends at ${end} of the data`;
    throw new FaultError(faults.offsetsWrong, { ...place, why });
  }
  const dimensions = numbers(place, shape);
  if (typeof dtype !== 'string') return wrongEntry(place);
  const bytes = tensorBytes(place, dtype, dimensions);
  if (bytes !== end - begin) {
    const why = `[${dimensions}] of ${dtype} takes ${bytes} bytes, it has ${end - begin}`;
    throw new FaultError(faults.shapeAndBytesDiffer, { ...place, why });
  }
  const { file, tensor: name } = place;
  return { file, name, dtype, shape: dimensions, offset: dataStart + begin, bytes };
}

function wrongEntry(place: Place): never {
  const why = 'it must have a dtype, a shape of at most 8 sizes and two data_offsets';
  throw new FaultError(faults.tensorEntryWrong, { ...place, why });
}

function numbers(place: Place, list: Json | undefined): number[] {
  if (!Array.isArray(list) || list.length > DIMENSIONS_MAX) return wrongEntry(place);
  return list.map((value) => (typeof value === 'number' ? value : wrongEntry(place)));
}

function tensorBytes(place: Place, dtype: string, shape: readonly number[]): number {
  const bitsPerElement = dtypeBits.get(dtype);
  if (bitsPerElement === undefined) {
    // A dtype comes from the file: only a plain short one is repeated to the user.
    const why = isPlainName(dtype, 32) ? `its dtype is ${dtype}` : 'its dtype is no name';
    throw new FaultError(faults.dtypeUnknown, { ...place, why });
  }
  let elements = 1;
  for (const size of shape) {
    // Both factors are at most 2^53: the product may be rounded, but never to below the limit.
    elements *= size;
    if (elements > ELEMENTS_MAX) {
      const why = `[${shape}] has more elements than a file can hold`;
      throw new FaultError(faults.shapeAndBytesDiffer, { ...place, why });
    }
  }
  return (elements * bitsPerElement) / 8;
}

function checkCoverage(
  file: string,
  tensors: readonly UnusableTensor[],
  dataStart: number,
  fileBytes: number,
): void {
  let end = dataStart;
  for (const { name, offset, bytes } of tensors) {
    if (offset !== end) {
      const why = `it begins at byte ${offset}, the one before it ends at byte ${end}`;
      throw new FaultError(faults.offsetsWrong, { file, tensor: name, why });
    }
    end = offset + bytes;
  }
  if (end === fileBytes) return;
  const kind = end > fileBytes ? faults.tensorFileShorter : faults.tensorFileLonger;
  const why = `its tensors end at byte ${end}, the file at byte ${fileBytes}`;
  throw new FaultError(kind, { file, why });
}
