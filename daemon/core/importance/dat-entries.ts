/**
 * Dat entries: the index of an importance matrix in the older form, `imatrix.dat`.
 *
 *   4 bytes ──▶ readEntryCount;  bytes at an entry ──▶ readEntryHead;  the rest ──▶ readTail
 *
 * The form has no magic and no table: entry follows entry, each with its length in front. So the
 * caller walks through the file with short reads, and no length is believed before it is known to
 * fit into what is left of the file. The format is in docs/imatrix.md.
 */

import { FaultError, type FaultKind } from '../../../proto/fault.ts';
import { NAME_BYTES_MAX } from '../gguf/limits.ts';
import { readUtf8 } from '../gguf/utf8.ts';
import {
  ENTRIES_MAX,
  ENTRY_VALUES_MAX,
  type ImportanceEntry,
  type ImportanceIndex,
} from './entries.ts';
import { importanceFaults } from './faults.ts';

/** Bytes of the number of entries, with which the file begins. */
export const COUNT_BYTES = 4;
/** What a caller reads at an entry: the length of the name, the name, calls and length. */
export const HEAD_BYTES_MAX: number = 4 + NAME_BYTES_MAX + 8;
// A name of one byte and one value.
const ENTRY_BYTES_MIN = 4 + 1 + 8 + 4;
// The name of a calibration text; a path has at most 4096 bytes on the systems in use.
const DATASET_BYTES_MAX = 4096;
/** What a caller reads after the last entry: chunks, length of the name, the name. */
export const TAIL_BYTES_MAX: number = 8 + DATASET_BYTES_MAX + 1;

export interface DatFile {
  readonly file: string;
  readonly fileBytes: number;
}

/**
 * The number of entries, which is known to fit into the file.
 * @param bytes the first COUNT_BYTES of the file
 */
export function readEntryCount({ file, fileBytes }: DatFile, bytes: Uint8Array): number {
  if (bytes.length < COUNT_BYTES) fail(importanceFaults.truncated, file, 0, 'it is too short');
  const count = viewOf(bytes).getInt32(0, true);
  if (count === 0) throw new FaultError(importanceFaults.noEntries, { file });
  const most = Math.min(ENTRIES_MAX, Math.floor((fileBytes - COUNT_BYTES) / ENTRY_BYTES_MIN));
  if (count < 0 || count > most) {
    const why = `${count} entries where at most ${most} fit`;
    fail(importanceFaults.impossibleCount, file, 0, why);
  }
  return count;
}

/**
 * One entry and where the next begins.
 * @param head the file's bytes from `offset` on: HEAD_BYTES_MAX of them, or all that are left
 */
export function readEntryHead(
  { file, fileBytes }: DatFile,
  offset: number,
  head: Uint8Array,
): { readonly entry: ImportanceEntry; readonly end: number } {
  const view = viewOf(head);
  const need = (bytes: number): void => {
    if (bytes <= head.length) return;
    fail(importanceFaults.truncated, file, offset, 'the file ends inside an entry');
  };
  need(4);
  const nameBytes = view.getInt32(0, true);
  if (nameBytes < 1 || nameBytes > NAME_BYTES_MAX) {
    const why = `it has ${nameBytes} bytes instead of 1 to ${NAME_BYTES_MAX}`;
    fail(importanceFaults.badEntryName, file, offset, why);
  }
  need(4 + nameBytes + 8);
  const name = readUtf8(head.subarray(4, 4 + nameBytes));
  if (name === undefined) fail(importanceFaults.badEntryName, file, offset + 4, 'it is no UTF-8');
  const calls = view.getInt32(4 + nameBytes, true);
  const count = view.getInt32(8 + nameBytes, true);
  const start = offset + 12 + nameBytes;
  if (count < 1 || count > ENTRY_VALUES_MAX) {
    const why = `${count} values instead of 1 to ${ENTRY_VALUES_MAX}`;
    throw new FaultError(importanceFaults.badEntrySize, {
      file,
      tensor: name,
      byte: start - 4,
      why,
    });
  }
  const end = start + 4 * count;
  if (end > fileBytes) {
    const why = `${count} values, the file has ${Math.floor((fileBytes - start) / 4)} more`;
    throw new FaultError(importanceFaults.truncated, { file, tensor: name, byte: start, why });
  }
  return {
    entry: { name, sums: { offset: start, count }, divisor: { kind: 'calls', calls } },
    end,
  };
}

/**
 * What follows the last entry: nothing in the oldest files, else chunks and the name of the text.
 * @param tail the file's bytes from `offset` on: TAIL_BYTES_MAX of them, or all that are left
 */
export function readTail(
  { file, fileBytes }: DatFile,
  offset: number,
  tail: Uint8Array,
): Omit<ImportanceIndex, 'entries'> {
  if (offset === fileBytes) return { datasets: [], chunks: 0, chunkSize: undefined };
  const cut = 'the file ends inside the name of the text';
  if (tail.length < 8) fail(importanceFaults.truncated, file, offset, cut);
  const view = viewOf(tail);
  const chunks = view.getInt32(0, true);
  const bytes = view.getInt32(4, true);
  if (bytes < 0 || bytes > DATASET_BYTES_MAX) {
    const why = `the name of the text has ${bytes} bytes instead of 0 to ${DATASET_BYTES_MAX}`;
    fail(importanceFaults.impossibleCount, file, offset + 4, why);
  }
  const end = offset + 8 + bytes;
  if (end > fileBytes) fail(importanceFaults.truncated, file, offset, cut);
  if (end < fileBytes) {
    fail(importanceFaults.trailingBytes, file, end, `${fileBytes - end} bytes more`);
  }
  const dataset = readUtf8(tail.subarray(8, 8 + bytes));
  if (dataset === undefined) {
    fail(importanceFaults.badMetadata, file, offset + 8, 'the name of the text is no UTF-8');
  }
  return { datasets: [dataset], chunks: Math.max(0, chunks), chunkSize: undefined };
}

function fail(kind: FaultKind, file: string, byte: number, why: string): never {
  throw new FaultError(kind, { file, byte, why });
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
