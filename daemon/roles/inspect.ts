/**
 * Inspect: reads a model file's header, and no tensor, and reports what is in it.
 *
 *   file ──▶ inspectFile ──▶ InspectReport (proto/inspect.ts) ──▶ cli/inspect-view.ts
 */

import { assert } from '../../proto/assert.ts';
import { FaultError } from '../../proto/fault.ts';
import type {
  InspectEntry,
  InspectReport,
  InspectScalar,
  InspectTensor,
  InspectTotals,
  InspectTypeTotal,
  InspectValue,
} from '../../proto/inspect.ts';
import {
  HEADER_LENGTH_BYTES,
  parseSafetensorsHeader,
  readHeaderLength,
} from '../core/checkpoint/safetensors.ts';
import type { KeyValue, MetadataValue } from '../core/gguf/metadata.ts';
import { type GgufFile, parseGguf } from '../core/gguf/reader.ts';
import type { Source } from '../ports.ts';
import { runFaults } from './faults.ts';

// As many as one line of a terminal shows.
const ARRAY_SHOWN_MAX = 8;
// Chat templates, the longest texts that people look at, have some 20 000 characters.
const TEXT_SHOWN_MAX = 65_536;
// Of a text in an array: longer than any token that says something.
const ELEMENT_SHOWN_MAX = 256;
// Holds every header without a tokenizer, and costs one read.
const FIRST_READ_BYTES = 65_536;

/** A file that is only read; a read that the file is too short for is a fault. */
export interface FileReader {
  readonly bytes: number;
  read(offset: number, into: Uint8Array): Promise<void>;
}

/**
 * Reports what a GGUF or safetensors file holds.
 * @param file its name, for the report and for faults
 * @throws FaultError when it is neither, or when its header is not strictly as its format asks
 */
export async function inspectFile(reader: FileReader, file: string): Promise<InspectReport> {
  const first = await readBytes(reader, 0, Math.min(reader.bytes, 4));
  const isGguf = String.fromCharCode(...first) === 'GGUF';
  return !isGguf && file.endsWith('.safetensors')
    ? inspectSafetensors(reader, file)
    : reportGguf(file, await readGguf(reader, file));
}

/**
 * The same of the file of a repository that the source names; nothing of it is kept, and the source
 * is closed.
 * @throws FaultError also where the source names no file
 */
export async function inspectRemote(source: Source): Promise<InspectReport> {
  const { named } = source;
  try {
    if (named === undefined) throw new FaultError(runFaults.noFileNamed);
    const entry = (await source.list()).find(({ file }) => file === named);
    assert(entry !== undefined, 'a source lists the file that it names');
    const read: FileReader['read'] = (offset, into) => source.read(named, offset, into);
    return await inspectFile({ bytes: entry.bytes, read }, named);
  } finally {
    await source.remote?.forget(true);
    await source.close();
  }
}

/**
 * Reads the header of a GGUF, in as few reads as its length allows.
 * @throws FaultError QD-31xx
 */
export async function readGguf(reader: FileReader, file: string): Promise<GgufFile> {
  let prefix = await readBytes(reader, 0, Math.min(reader.bytes, FIRST_READ_BYTES));
  for (;;) {
    const result = parseGguf(file, reader.bytes, prefix);
    if (result.kind === 'gguf') return result.gguf;
    const longer = new Uint8Array(result.bytes);
    longer.set(prefix);
    await reader.read(prefix.length, longer.subarray(prefix.length));
    prefix = longer;
  }
}

async function readBytes(reader: FileReader, offset: number, bytes: number): Promise<Uint8Array> {
  const into = new Uint8Array(bytes);
  if (bytes > 0) await reader.read(offset, into);
  return into;
}

function reportGguf(file: string, gguf: GgufFile): InspectReport {
  const tensors = gguf.tensors.map(({ name, type, shape, offset, bytes }) => ({
    name,
    type,
    shape,
    offset,
    bytes,
  }));
  return {
    kind: 'gguf',
    file,
    bytes: gguf.fileBytes,
    version: gguf.version,
    ...(gguf.split === undefined ? {} : { split: gguf.split }),
    metadata: gguf.metadata.map(shortenEntry),
    tensors,
    totals: totalsOf(tensors),
    notices: gguf.notices,
  };
}

async function inspectSafetensors(reader: FileReader, file: string): Promise<InspectReport> {
  const { bytes } = reader;
  const first = await readBytes(reader, 0, Math.min(bytes, HEADER_LENGTH_BYTES));
  const header = await readBytes(reader, HEADER_LENGTH_BYTES, readHeaderLength(first, file, bytes));
  const tensors = parseSafetensorsHeader(file, bytes, header).map((tensor) => ({
    name: tensor.name,
    type: tensor.dtype,
    shape: tensor.shape,
    offset: tensor.offset,
    bytes: tensor.bytes,
  }));
  const metadata = safetensorsMetadata(header);
  const totals = totalsOf(tensors);
  return { kind: 'safetensors', file, bytes, metadata, tensors, totals, notices: [] };
}

/** The free texts of a header that has just been checked to hold nothing else under that name. */
function safetensorsMetadata(header: Uint8Array): InspectEntry[] {
  const json = JSON.parse(new TextDecoder().decode(header)) as {
    readonly __metadata__?: Readonly<Record<string, string>>;
  };
  return Object.entries(json.__metadata__ ?? {}).map(([key, text]) => ({
    key,
    value: shortenValue({ type: 'string', value: text }),
  }));
}

function shortenEntry({ key, value }: KeyValue): InspectEntry {
  return { key, value: shortenValue(value) };
}

function shortenValue(value: MetadataValue): InspectValue {
  if (value.type === 'array') {
    const shown: readonly (number | bigint | boolean | string)[] = value.value.slice(
      0,
      ARRAY_SHOWN_MAX,
    );
    const first = shown.map((element) => jsonScalar(element, ELEMENT_SHOWN_MAX));
    return { type: 'array', of: value.of, length: value.value.length, first };
  }
  const { type } = value;
  const shown = jsonScalar(value.value, TEXT_SHOWN_MAX);
  return type === 'string' && value.value.length > TEXT_SHOWN_MAX
    ? { type, value: shown, length: value.value.length }
    : { type, value: shown };
}

function jsonScalar(value: number | bigint | boolean | string, unitsMax: number): InspectScalar {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value === 'boolean' || value.length <= unitsMax) return value;
  // A surrogate pair that would be cut in half is left out as a whole.
  const cutsPair = (value.codePointAt(unitsMax - 1) ?? 0) > 0xffff;
  return value.slice(0, cutsPair ? unitsMax - 1 : unitsMax);
}

/** Of every type that occurs, that with the most bytes first, and of all. */
export function totalsOf(
  tensors: readonly Pick<InspectTensor, 'type' | 'shape' | 'bytes'>[],
): InspectTotals {
  const types = new Map<string, InspectTypeTotal>();
  for (const { type, shape, bytes } of tensors) {
    const sum = types.get(type) ?? { type, tensors: 0, elements: 0, bytes: 0 };
    const elements = shape.reduce((product, size) => product * size, 1);
    types.set(type, {
      type,
      tensors: sum.tensors + 1,
      elements: sum.elements + elements,
      bytes: sum.bytes + bytes,
    });
  }
  const sorted = [...types.values()].sort((a, b) => b.bytes - a.bytes);
  const elements = sorted.reduce((sum, type) => sum + type.elements, 0);
  const bytes = sorted.reduce((sum, type) => sum + type.bytes, 0);
  const bitsPerWeight = elements === 0 ? 0 : (8 * bytes) / elements;
  return { elements, bytes, bitsPerWeight, types: sorted };
}
