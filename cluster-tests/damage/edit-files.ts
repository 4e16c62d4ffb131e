/**
 * Edits for damage cases: a header, an index or a JSON file, as text or as values.
 *
 *   directory ──▶ editHeader, editIndex, editJson, … ──▶ the same directory, one thing wrong
 */

import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const firstShard = 'model-00001-of-00002.safetensors';
export const secondShard = 'model-00002-of-00002.safetensors';
export const indexFile = 'model.safetensors.index.json';

export interface HeaderEntry {
  dtype: unknown;
  shape: unknown[];
  data_offsets: unknown[];
}
export type Header = Record<string, HeaderEntry>;

interface Shard {
  readonly header: string;
  readonly data: Buffer;
}

function readShard(dir: string): Shard {
  const bytes = readFileSync(join(dir, firstShard));
  const end = 8 + Number(bytes.readBigUInt64LE(0));
  return { header: bytes.toString('utf8', 8, end).trimEnd(), data: bytes.subarray(end) };
}

/** Writes the first tensor file from a header and the data that follows it. */
export function writeShard(dir: string, header: string | Uint8Array, data: Uint8Array): void {
  const bytes = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  writeFileSync(join(dir, firstShard), Buffer.concat([length, bytes, data]));
}

/** Replaces the text of the first tensor file's header; the data stays. */
export function editHeaderText(dir: string, edit: (header: string) => string | Uint8Array): void {
  const { header, data } = readShard(dir);
  writeShard(dir, edit(header), data);
}

/** Changes the header as an object, or returns another one. */
export function editHeader(dir: string, edit: (header: Header) => undefined | object): void {
  editHeaderText(dir, (text) => {
    const header: Header = JSON.parse(text);
    return JSON.stringify(edit(header) ?? header);
  });
}

/** Changes one tensor of the first file: by default the one whose bytes come first. */
export function editTensor(
  dir: string,
  edit: (entry: HeaderEntry, header: Header) => void,
  place = 0,
): void {
  editHeader(dir, (header) => {
    const entry = Object.values(header)[tensorNames(header).length === 0 ? 0 : place + 1];
    if (entry === undefined) throw new Error(`the fixture has no tensor ${place}`);
    edit(entry, header);
    return undefined;
  });
}

/** In the order of the file; the fixtures begin with __metadata__. */
export function tensorNames(header: Header): string[] {
  return Object.keys(header).filter((name) => name !== '__metadata__');
}

/** Gives the first tensor another name. */
export function renameTensor(dir: string, name: string): void {
  editHeaderText(dir, (text) => {
    const [first] = tensorNames(JSON.parse(text));
    return text.replace(JSON.stringify(first), JSON.stringify(name));
  });
}

/** Overwrites the length before the header. */
export function writeHeaderLength(dir: string, length: bigint): void {
  const path = join(dir, firstShard);
  const bytes = readFileSync(path);
  bytes.writeBigUInt64LE(length);
  writeFileSync(path, bytes);
}

/** Cuts bytes off the end of the first tensor file, or adds zeros where `by` is positive. */
export function resizeShard(dir: string, by: number): void {
  const path = join(dir, firstShard);
  truncateSync(path, readFileSync(path).length + by);
}

/** Changes a JSON file as an object, or returns another value to write. */
export function editJson(
  dir: string,
  file: string,
  edit: (value: Record<string, unknown>) => unknown,
): void {
  const path = join(dir, file);
  const value: Record<string, unknown> = JSON.parse(readFileSync(path, 'utf8'));
  writeFileSync(path, JSON.stringify(edit(value) ?? value));
}

/** Changes the index's map from tensors to files. */
export function editWeightMap(dir: string, edit: (map: Record<string, unknown>) => void): void {
  editJson(dir, indexFile, (index) => {
    const map = index['weight_map'];
    if (typeof map !== 'object' || map === null) throw new Error('the fixture has no weight_map');
    const entries = { ...map };
    edit(entries);
    return { ...index, weight_map: entries };
  });
}

export function write(dir: string, file: string, content: string | Uint8Array): void {
  writeFileSync(join(dir, file), content);
}

/** A file that claims a size and takes no disk. */
export function writeSparse(dir: string, file: string, bytes: number): void {
  writeFileSync(join(dir, file), '{');
  truncateSync(join(dir, file), bytes);
}

export function remove(dir: string, ...files: string[]): void {
  for (const file of files) rmSync(join(dir, file));
}

export function removeWhere(dir: string, matches: (file: string) => boolean): void {
  remove(dir, ...readdirSync(dir).filter(matches));
}
