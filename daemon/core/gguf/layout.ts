/**
 * Layout: a GGUF's header and the place of every tensor, before the first tensor exists.
 *
 *   metadata + names, shapes, types ──▶ layoutGguf ──▶ header bytes + offsets + file size
 *
 * Sizes follow from shapes and types alone, so blocks can be written straight to their final
 * place, in any order and by anyone. Reading it back is reader.ts; the format is docs/gguf.md.
 */

import { assert } from '../../../proto/assert.ts';
import { FaultError } from '../../../proto/fault.ts';
import type { BlockTypeName } from './block-types.ts';
import { blockTypes } from './block-types.ts';
import {
  metadataBytes,
  type Pen,
  writeMetadata,
  writeSize,
  writeString,
  writeU32,
} from './encode-metadata.ts';
import { ggufFaults } from './faults.ts';
import {
  ALIGNMENT_DEFAULT,
  ALIGNMENT_MAX,
  FIXED_BYTES,
  HEADER_BYTES_MAX,
  isAlignment,
  NAME_BYTES_MAX,
  padded,
  SIZE_MAX,
  TENSORS_MAX,
} from './limits.ts';
import type { KeyValue } from './metadata.ts';
import { tensorSize } from './tensor-size.ts';
import { hasControl, utf8Bytes } from './utf8.ts';

const VERSION = 3;

export interface LayoutTensor {
  readonly name: string;
  /** Elements per dimension, fastest first: [columns, rows, experts]. */
  readonly shape: readonly number[];
  readonly type: BlockTypeName;
}

/** A tensor and the bytes of the file it lies in. */
export interface PlacedTensor extends LayoutTensor {
  /** From the start of the file. */
  readonly offset: number;
  /** Without the padding that follows. */
  readonly bytes: number;
}

export interface GgufLayout {
  /** Every byte before the data, padding included. */
  readonly header: Uint8Array;
  readonly dataStart: number;
  /** In the order given, which is the order in the file. */
  readonly tensors: readonly PlacedTensor[];
  /** With the zero bytes that follow each tensor, the last one too, up to the alignment. */
  readonly fileBytes: number;
}

/**
 * Lays a GGUF of version 3 out. Everything between the tensors is zero bytes.
 * @param request.alignment a power of two up to 2^20; must agree with `general.alignment`
 * @throws FaultError QD-32xx for keys, values, names and shapes that cannot stand in a GGUF
 */
export function layoutGguf(request: {
  readonly metadata: readonly KeyValue[];
  readonly tensors: readonly LayoutTensor[];
  readonly alignment?: number;
}): GgufLayout {
  const { metadata, tensors, alignment = ALIGNMENT_DEFAULT } = request;
  checkAlignment(metadata, alignment);
  const keyBytes = metadataBytes(metadata);
  const tensorBytes = tensorInfoBytes(tensors);
  const dataStart = padded(FIXED_BYTES + keyBytes + tensorBytes, alignment);
  if (dataStart > HEADER_BYTES_MAX) {
    throw new FaultError(ggufFaults.unwritableSize, { why: `a header of ${dataStart} bytes` });
  }
  const { placed, fileBytes } = place(tensors, dataStart, alignment);

  const header = new Uint8Array(dataStart);
  const pen: Pen = { bytes: header, view: new DataView(header.buffer), at: 0 };
  pen.at = 4;
  header.set([0x47, 0x47, 0x55, 0x46]);
  writeU32(pen, VERSION);
  writeSize(pen, tensors.length);
  writeSize(pen, metadata.length);
  writeMetadata(metadata, pen);
  for (const tensor of placed) writeTensorInfo(pen, tensor, dataStart);
  assert(pen.at === FIXED_BYTES + keyBytes + tensorBytes, 'the header has the measured size');
  return { header, dataStart, tensors: placed, fileBytes };
}

function checkAlignment(metadata: readonly KeyValue[], alignment: number): void {
  assert(isAlignment(alignment), `${alignment} is no alignment`);
  const stated = metadata.find(({ key }) => key === 'general.alignment')?.value;
  const agrees =
    stated === undefined
      ? alignment === ALIGNMENT_DEFAULT
      : stated.type === 'u32' && stated.value === alignment;
  if (!agrees) {
    const said = stated === undefined ? 'no key' : `${stated.type} ${String(stated.value)}`;
    throw new FaultError(ggufFaults.alignmentDisagrees, { why: `${said}, layout ${alignment}` });
  }
}

function tensorInfoBytes(tensors: readonly LayoutTensor[]): number {
  if (tensors.length > TENSORS_MAX) {
    throw new FaultError(ggufFaults.unwritableSize, { why: `${tensors.length} tensors` });
  }
  const seen = new Set<string>();
  let bytes = 0;
  for (const { name, shape } of tensors) {
    bytes += 8 + checkName(name, seen) + 4 + 8 * shape.length + 4 + 8;
  }
  return bytes;
}

function checkName(name: string, seen: Set<string>): number {
  const bytes = utf8Bytes(name);
  const tensor = name.slice(0, NAME_BYTES_MAX);
  if (bytes === undefined || bytes < 1 || bytes > NAME_BYTES_MAX || hasControl(name)) {
    throw new FaultError(ggufFaults.unwritableName, { tensor });
  }
  if (seen.has(name)) {
    throw new FaultError(ggufFaults.unwritableName, { tensor, why: 'it stands twice' });
  }
  seen.add(name);
  return bytes;
}

function place(
  tensors: readonly LayoutTensor[],
  dataStart: number,
  alignment: number,
): { placed: PlacedTensor[]; fileBytes: number } {
  let offset = dataStart;
  const placed = tensors.map(({ name, shape, type }): PlacedTensor => {
    const size = tensorSize(shape, type);
    if (!size.ok) throw new FaultError(ggufFaults.unwritableShape, { tensor: name, why: size.why });
    const here = offset;
    offset += padded(size.bytes, alignment);
    if (offset > SIZE_MAX - ALIGNMENT_MAX) {
      throw new FaultError(ggufFaults.unwritableSize, {
        tensor: name,
        why: 'the file is too large',
      });
    }
    return { name, shape, type, offset: here, bytes: size.bytes };
  });
  return { placed, fileBytes: offset };
}

function writeTensorInfo(pen: Pen, tensor: PlacedTensor, dataStart: number): void {
  writeString(pen, tensor.name);
  writeU32(pen, tensor.shape.length);
  for (const elements of tensor.shape) writeSize(pen, elements);
  writeU32(pen, blockTypes[tensor.type].id);
  // In the file an offset counts from the start of the data.
  writeSize(pen, tensor.offset - dataStart);
}

/** The metadata with one key set: an old value of it is removed, the new one goes to the end. */
export function setKey(metadata: readonly KeyValue[], entry: KeyValue): KeyValue[] {
  return [...metadata.filter(({ key }) => key !== entry.key), entry];
}

/** The metadata after each of `changes` in turn, as `setKey` would do them. */
export function mergeMetadata(
  metadata: readonly KeyValue[],
  changes: readonly KeyValue[],
): KeyValue[] {
  const merged = new Map(metadata.map((entry) => [entry.key, entry]));
  for (const change of changes) {
    // A Map keeps the place of a key that is overwritten, so it has to go first.
    merged.delete(change.key);
    merged.set(change.key, change);
  }
  return [...merged.values()];
}

/**
 * The order of tensors in a quantized file, which is that of llama-quantize: by layer (tensors of
 * none first), within a layer by the bytes of the name.
 */
export function quantizedOrder<T extends { readonly name: string }>(tensors: readonly T[]): T[] {
  const encoder = new TextEncoder();
  return tensors
    .map((tensor) => ({
      tensor,
      layer: layerOf(tensor.name),
      bytes: encoder.encode(tensor.name),
    }))
    .sort((a, b) => a.layer - b.layer || compareBytes(a.bytes, b.bytes))
    .map(({ tensor }) => tensor);
}

// Nine digits stay below 2^31; a longer number is no layer but an attack on one.
const LAYER_PATTERN = /^blk\.(\d{1,9})\./;

function layerOf(name: string): number {
  const digits = LAYER_PATTERN.exec(name)?.[1];
  return digits === undefined ? -1 : Number(digits);
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const common = Math.min(a.length, b.length);
  for (let i = 0; i < common; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
