/**
 * Read imatrix: the index and the numbers of an importance matrix's file, of either form.
 *
 *   path ──▶ openMatrix ──▶ index (importance/gguf-entries.ts, dat-entries.ts) and numbers by range
 *        ──▶ readMatrix ──▶ all of it, to be merged (core/importance/merge-files.ts)
 *
 * Numbers are read by their place in the file, so whoever wants few of them holds few of them.
 */

import { FaultError } from '../../proto/fault.ts';
import {
  COUNT_BYTES,
  HEAD_BYTES_MAX,
  readEntryCount,
  readEntryHead,
  readTail,
  TAIL_BYTES_MAX,
} from '../core/importance/dat-entries.ts';
import {
  checkEntryName,
  type ImportanceEntry,
  type ImportanceIndex,
  type NumberRange,
} from '../core/importance/entries.ts';
import { importanceFaults } from '../core/importance/faults.ts';
import { indexGguf } from '../core/importance/gguf-entries.ts';
import type { MatrixFile } from '../core/importance/merge-files.ts';
import { readNumbers } from '../core/importance/weights.ts';
import { type FileReader, readGguf } from './inspect.ts';

export type OpenFile = (path: string) => Promise<FileReader & { close(): Promise<void> }>;

/** An open file and what it says it holds. */
export interface OpenMatrix {
  readonly index: ImportanceIndex;
  numbers(range: NumberRange): Promise<Float32Array>;
  /** What divides the sums of an entry, as `weightsOf` takes it. */
  divisor(entry: ImportanceEntry): Promise<Float32Array | number>;
}

/**
 * Opens a file for as long as `use` runs.
 * @param file how the user knows it, for faults
 * @throws FaultError QD-43xx, and QD-31xx for a damaged GGUF
 */
export async function withMatrix<T>(
  openFile: OpenFile,
  { path, file }: { readonly path: string; readonly file: string },
  use: (matrix: OpenMatrix) => Promise<T>,
): Promise<T> {
  const reader = await open(openFile, path, file);
  try {
    const index = await readIndex(reader, file);
    const numbers = async ({ offset, count }: NumberRange): Promise<Float32Array> => {
      const bytes = new Uint8Array(4 * count);
      await reader.read(offset, bytes);
      return readNumbers(bytes);
    };
    const divisor = async ({ divisor }: ImportanceEntry): Promise<Float32Array | number> =>
      divisor.kind === 'calls' ? divisor.calls : await numbers(divisor.range);
    return await use({ index, numbers, divisor });
  } finally {
    await reader.close();
  }
}

/**
 * A whole file, for merging.
 * @throws FaultError QD-43xx, and QD-31xx for a damaged GGUF
 */
export async function readMatrix(
  openFile: OpenFile,
  at: { readonly path: string; readonly file: string },
): Promise<MatrixFile> {
  return await withMatrix(openFile, at, async ({ index, numbers, divisor }) => {
    const { datasets, chunks, chunkSize } = index;
    const entries: MatrixFile['entries'][number][] = [];
    for (const entry of index.entries) {
      const { name, sums } = entry;
      entries.push({ name, sums: await numbers(sums), divisor: await divisor(entry) });
    }
    return { file: at.file, entries, datasets, chunks, chunkSize };
  });
}

async function open(openFile: OpenFile, path: string, file: string): ReturnType<OpenFile> {
  try {
    return await openFile(path);
  } catch (cause) {
    if (!(cause instanceof FaultError)) throw cause;
    const { why = 'there is no regular file' } = cause.detail;
    throw new FaultError(importanceFaults.fileMissing, { file, why }, { cause });
  }
}

async function readIndex(reader: FileReader, file: string): Promise<ImportanceIndex> {
  const magic = await readBytes(reader, 0, COUNT_BYTES);
  // As a number of entries these letters would be more than a billion.
  if (String.fromCharCode(...magic) === 'GGUF')
    return indexGguf(file, await readGguf(reader, file));
  return await readDatIndex(reader, file);
}

async function readDatIndex(reader: FileReader, file: string): Promise<ImportanceIndex> {
  const dat = { file, fileBytes: reader.bytes };
  const count = readEntryCount(dat, await readBytes(reader, 0, COUNT_BYTES));
  const entries: ImportanceEntry[] = [];
  const seen = new Set<string>();
  let offset = COUNT_BYTES;
  for (let i = 0; i < count; i++) {
    const head = await readBytes(reader, offset, HEAD_BYTES_MAX);
    const { entry, end } = readEntryHead(dat, offset, head);
    checkEntryName(file, entry.name, seen);
    entries.push(entry);
    offset = end;
  }
  const tail = readTail(dat, offset, await readBytes(reader, offset, TAIL_BYTES_MAX));
  return { entries, ...tail };
}

/** At most `bytes` bytes: fewer where the file ends before. */
async function readBytes(reader: FileReader, offset: number, bytes: number): Promise<Uint8Array> {
  const into = new Uint8Array(Math.min(bytes, reader.bytes - offset));
  if (into.length > 0) await reader.read(offset, into);
  return into;
}
