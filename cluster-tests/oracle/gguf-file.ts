/**
 * GGUF file: a second, plain reader of the format, so that the tests do not trust the first.
 *
 *   a file ──▶ readGguf ──▶ metadata and tensors with their bytes
 *
 * It holds the whole file in memory and believes what it reads: for files of the tests only.
 */

import { readFile } from 'node:fs/promises';

export interface GgufFile {
  readonly metadata: readonly GgufEntry[];
  readonly tensors: readonly GgufTensor[];
  /** Where the tensors begin. */
  readonly dataStart: number;
  readonly bytes: Buffer;
}

export interface GgufEntry {
  readonly key: string;
  /** The number of the value's type; for an array that of its elements after it. */
  readonly type: readonly number[];
  readonly value: unknown;
}

export interface GgufTensor {
  readonly name: string;
  readonly type: number;
  readonly shape: readonly number[];
  /** From `dataStart`. */
  readonly offset: number;
  readonly bytes: Buffer;
}

/** Elements and bytes of a block, by type number, for the types that the tests make. */
const blocks: Readonly<Record<number, readonly [number, number]>> = {
  0: [1, 4],
  1: [1, 2],
  2: [32, 18],
  3: [32, 20],
  6: [32, 22],
  7: [32, 24],
  8: [32, 34],
  10: [256, 84],
  11: [256, 110],
  12: [256, 144],
  13: [256, 176],
  14: [256, 210],
  16: [256, 66],
  17: [256, 74],
  18: [256, 98],
  19: [256, 50],
  20: [32, 18],
  21: [256, 110],
  22: [256, 82],
  23: [256, 136],
  29: [256, 56],
  30: [1, 2],
  34: [256, 54],
  35: [256, 66],
  39: [32, 17],
  40: [64, 36],
  41: [128, 18],
  42: [64, 18],
};

const stringType = 8;
const arrayType = 9;

export async function readGguf(file: string): Promise<GgufFile> {
  const bytes = await readFile(file);
  const cursor = new Cursor(bytes);
  if (cursor.text(4) !== 'GGUF') throw new Error(`${file} is no GGUF`);
  const version = cursor.scalar(4);
  if (version !== 3) throw new Error(`${file} is a GGUF of version ${version}`);
  const tensorCount = cursor.count();
  const entryCount = cursor.count();
  const metadata = Array.from({ length: entryCount }, () => readEntry(cursor));
  const infos = Array.from({ length: tensorCount }, () => readInfo(cursor));
  const aligned = metadata.find(({ key }) => key === 'general.alignment')?.value;
  const alignment = typeof aligned === 'number' ? aligned : 32;
  const dataStart = Math.ceil(cursor.at / alignment) * alignment;
  const tensors = infos.map((info) => {
    const start = dataStart + info.offset;
    const length = tensorBytes(info);
    if (start + length > bytes.length) throw new Error(`${info.name} does not end in ${file}`);
    return { ...info, bytes: bytes.subarray(start, start + length) };
  });
  return { metadata, tensors, dataStart, bytes };
}

function readEntry(cursor: Cursor): GgufEntry {
  const key = cursor.text();
  const type = Number(cursor.scalar(4));
  if (type !== arrayType) return { key, type: [type], value: cursor.value(type) };
  const elementType = Number(cursor.scalar(4));
  const length = cursor.count();
  const value = Array.from({ length }, () => cursor.value(elementType));
  return { key, type: [type, elementType], value };
}

function readInfo(cursor: Cursor): Omit<GgufTensor, 'bytes'> {
  const name = cursor.text();
  const dimensions = Number(cursor.scalar(4));
  const shape = Array.from({ length: dimensions }, () => cursor.count());
  return { name, shape, type: Number(cursor.scalar(4)), offset: cursor.count() };
}

function tensorBytes({ name, type, shape }: Omit<GgufTensor, 'bytes'>): number {
  const block = blocks[type];
  if (block === undefined)
    throw new Error(`${name} is of type ${type}, which the tests do not make`);
  const elements = shape.reduce((product, length) => product * length, 1);
  return (elements / block[0]) * block[1];
}

/** Reads forward through a little-endian file. */
class Cursor {
  at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  text(length: number = this.count()): string {
    this.at += length;
    return this.#bytes.toString('utf8', this.at - length, this.at);
  }

  count(): number {
    return Number(this.scalar(10));
  }

  value(type: number): unknown {
    return type === stringType ? this.text() : this.scalar(type);
  }

  scalar(type: number): number | bigint | boolean {
    const read = scalars[type];
    if (read === undefined) throw new Error(`there is no value of type ${type}`);
    const [length, decode] = read;
    this.at += length;
    return decode(this.#bytes, this.at - length);
  }
}

const scalars: Readonly<
  Record<number, readonly [number, (bytes: Buffer, at: number) => number | bigint | boolean]>
> = {
  0: [1, (bytes, at) => bytes.readUInt8(at)],
  1: [1, (bytes, at) => bytes.readInt8(at)],
  2: [2, (bytes, at) => bytes.readUInt16LE(at)],
  3: [2, (bytes, at) => bytes.readInt16LE(at)],
  4: [4, (bytes, at) => bytes.readUInt32LE(at)],
  5: [4, (bytes, at) => bytes.readInt32LE(at)],
  6: [4, (bytes, at) => bytes.readFloatLE(at)],
  7: [1, (bytes, at) => bytes.readUInt8(at) !== 0],
  10: [8, (bytes, at) => bytes.readBigUInt64LE(at)],
  11: [8, (bytes, at) => bytes.readBigInt64LE(at)],
  12: [8, (bytes, at) => bytes.readDoubleLE(at)],
};
