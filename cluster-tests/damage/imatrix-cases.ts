/**
 * Imatrix cases: every way an importance matrix can be wrong that we know of, and the fault for it.
 *
 *   gguf(), dat() ──▶ damage ──▶ a file that must end in its code, before an output is begun
 *
 * The undamaged files belong to fixtures/tiny-gemma4.
 */

import { layoutGguf } from '../../daemon/core/gguf/layout.ts';
import type { KeyValue, MetadataValue } from '../../daemon/core/gguf/metadata.ts';
import {
  type Imatrix,
  imatrixDat,
  imatrixGguf,
  importanceMetadata,
  int32,
  text,
} from '../importance/write-imatrix.ts';
import { smallGguf } from './any-gguf.ts';

export interface ImatrixCase {
  /** What is wrong, to be read after "an importance matrix with". */
  readonly name: string;
  readonly code: string;
  readonly bytes: () => Uint8Array;
}

const query = 'blk.0.attn_q.weight';
const down = 'blk.0.ffn_down_exps.weight';

/** Rows of attn_q have 256 columns; ffn_down_exps has 8 experts of 96 columns. */
export function sound(): Imatrix {
  const ones = (count: number): Float32Array => new Float32Array(count).fill(1);
  return {
    entries: [
      { name: query, sums: ones(QUERY_COLUMNS), counts: ones(1) },
      { name: down, sums: ones(DOWN_COLUMNS * EXPERTS), counts: ones(EXPERTS) },
    ],
    datasets: ['text'],
    chunks: 2,
  };
}

const QUERY_COLUMNS = 256;
const DOWN_COLUMNS = 96;
const EXPERTS = 8;

/** One number of an entry changed. */
function changed(
  name: string,
  part: 'sums' | 'counts',
  index: number,
  value: number,
): () => Imatrix {
  return () => {
    const imatrix = sound();
    const entry = imatrix.entries.find((candidate) => candidate.name === name);
    if (entry !== undefined) entry[part][index] = value;
    return imatrix;
  };
}

function resized(name: string, sums: number, counts: number): () => Imatrix {
  return () => {
    const imatrix = sound();
    const entries = imatrix.entries.map((entry) =>
      entry.name === name
        ? {
            name,
            sums: new Float32Array(sums).fill(1),
            counts: new Float32Array(counts).fill(1),
          }
        : entry,
    );
    return { ...imatrix, entries };
  };
}

interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: 'F32' | 'F16' | 'Q8_0';
}

/** A GGUF that no writer of importance would make; every number in it is 0. */
function laid(
  tensors: readonly Tensor[],
  change = (all: readonly KeyValue[]): readonly KeyValue[] => all,
): () => Uint8Array {
  return () => {
    const layout = layoutGguf({ metadata: change(importanceMetadata(sound())), tensors });
    const bytes = new Uint8Array(layout.fileBytes);
    bytes.set(layout.header);
    return bytes;
  };
}

const pair = (name: string, type: Tensor['type'] = 'F32'): readonly Tensor[] => [
  { name: `${name}.in_sum2`, shape: [QUERY_COLUMNS], type },
  { name: `${name}.counts`, shape: [1], type: 'F32' },
];
const withoutKey = (key: string): (() => Uint8Array) =>
  laid(pair(query), (all) => all.filter((entry) => entry.key !== key));
const withKey = (key: string, value: MetadataValue): (() => Uint8Array) =>
  laid(pair(query), (all) => all.map((entry) => (entry.key === key ? { key, value } : entry)));

const gguf = (imatrix: () => Imatrix) => (): Uint8Array => imatrixGguf(imatrix());
const dat = (imatrix: () => Imatrix) => (): Uint8Array => imatrixDat(imatrix());
const cut = (bytes: () => Uint8Array, left: (length: number) => number) => (): Uint8Array => {
  const whole = bytes();
  return whole.slice(0, left(whole.length));
};

/** An older file of one entry, from its fields; `values` follow what `count` claims. */
const rawDat =
  ({ entries = 1, name = text(query), calls = 1, count = 0, values = new Uint8Array(0) }) =>
  (): Uint8Array =>
    Buffer.concat([int32(entries), name, int32(calls), int32(count), values]);
const four = new Uint8Array(16);

/** In a GGUF. */
const ggufCases: readonly ImatrixCase[] = [
  { name: 'a model in its place', code: 'QD-4303', bytes: smallGguf },
  { name: 'no type', code: 'QD-3112', bytes: withoutKey('general.type') },
  {
    name: 'another type',
    code: 'QD-3112',
    bytes: withKey('general.type', { type: 'string', value: 'adapter' }),
  },
  {
    name: 'a type that is a number',
    code: 'QD-3112',
    bytes: withKey('general.type', { type: 'u32', value: 1 }),
  },
  { name: 'no datasets', code: 'QD-4304', bytes: withoutKey('imatrix.datasets') },
  {
    name: 'datasets that are one text',
    code: 'QD-4304',
    bytes: withKey('imatrix.datasets', { type: 'string', value: 'text' }),
  },
  {
    name: 'datasets that are numbers',
    code: 'QD-4304',
    bytes: withKey('imatrix.datasets', { type: 'array', of: 'u32', value: [1] }),
  },
  { name: 'no number of chunks', code: 'QD-4304', bytes: withoutKey('imatrix.chunk_count') },
  {
    name: 'a signed number of chunks',
    code: 'QD-4304',
    bytes: withKey('imatrix.chunk_count', { type: 'i32', value: -1 }),
  },
  { name: 'no size of a chunk', code: 'QD-4304', bytes: withoutKey('imatrix.chunk_size') },
  { name: 'no entries', code: 'QD-4310', bytes: laid([]) },
  {
    name: 'tensors of other endings alone',
    code: 'QD-4310',
    bytes: laid([{ name: `${query}.stats`, shape: [12], type: 'F32' }]),
  },
  { name: 'sums without counts', code: 'QD-4305', bytes: laid(pair(query).slice(0, 1)) },
  { name: 'counts without sums', code: 'QD-4305', bytes: laid(pair(query).slice(1)) },
  { name: 'sums as F16', code: 'QD-4306', bytes: laid(pair(query, 'F16')) },
  { name: 'sums as Q8_0', code: 'QD-4306', bytes: laid(pair(query, 'Q8_0')) },
  {
    name: 'counts as F16',
    code: 'QD-4306',
    bytes: laid([...pair(query).slice(0, 1), { name: `${query}.counts`, shape: [1], type: 'F16' }]),
  },
  { name: 'an entry without a name', code: 'QD-4308', bytes: laid(pair('')) },
  {
    name: 'sums that the counts do not divide',
    code: 'QD-4307',
    bytes: laid([
      { name: `${query}.in_sum2`, shape: [QUERY_COLUMNS], type: 'F32' },
      { name: `${query}.counts`, shape: [1, 3], type: 'F32' },
    ]),
  },
  { name: 'the same entry twice', code: 'QD-3114', bytes: twice },
  { name: 'a cut header', code: 'QD-3102', bytes: cut(gguf(sound), () => 200) },
  { name: 'a cut last tensor', code: 'QD-3118', bytes: cut(gguf(sound), (all) => all - 40) },
  { name: 'NaN among the sums', code: 'QD-4313', bytes: gguf(changed(query, 'sums', 3, NaN)) },
  {
    name: 'an infinity among the sums',
    code: 'QD-4313',
    bytes: gguf(changed(down, 'sums', 300, Infinity)),
  },
  { name: 'a negative sum', code: 'QD-4313', bytes: gguf(changed(query, 'sums', 3, -1)) },
  { name: 'NaN as a count', code: 'QD-4314', bytes: gguf(changed(down, 'counts', 2, NaN)) },
  { name: 'a negative count', code: 'QD-4314', bytes: gguf(changed(down, 'counts', 0, -1)) },
  { name: 'half a count', code: 'QD-4314', bytes: gguf(changed(query, 'counts', 0, 2.5)) },
  {
    name: 'an infinite count',
    code: 'QD-4314',
    bytes: gguf(changed(query, 'counts', 0, Infinity)),
  },
  { name: 'fewer columns', code: 'QD-4315', bytes: gguf(resized(query, 255, 1)) },
  { name: 'more columns', code: 'QD-4315', bytes: gguf(resized(query, 512, 1)) },
  { name: 'fewer experts', code: 'QD-4315', bytes: gguf(resized(down, 3 * DOWN_COLUMNS, 3)) },
];

/** The GGUF with the name of one tensor in the place of another of the same length. */
function twice(): Uint8Array {
  const other = 'blk.1.attn_q.weight';
  const bytes = Buffer.from(laid([...pair(query), ...pair(other)])());
  for (const ending of ['.in_sum2', '.counts']) bytes.write(query, bytes.indexOf(other + ending));
  return bytes;
}

/** In the older form. */
const datCases: readonly ImatrixCase[] = [
  { name: 'no bytes', code: 'QD-4302', bytes: () => new Uint8Array(0) },
  { name: 'three bytes', code: 'QD-4302', bytes: () => new Uint8Array(3) },
  { name: 'no entries (.dat)', code: 'QD-4310', bytes: () => new Uint8Array(4) },
  { name: 'fewer than no entries', code: 'QD-4311', bytes: rawDat({ entries: -1 }) },
  { name: 'two billion entries', code: 'QD-4311', bytes: rawDat({ entries: 2 ** 31 - 1 }) },
  {
    name: 'a text in its place',
    code: 'QD-4311',
    bytes: () => Buffer.from('not an imatrix at all'),
  },
  {
    name: 'fewer entries than it counts',
    code: 'QD-4302',
    bytes: rawDat({ entries: 2, count: 4, values: four }),
  },
  {
    name: 'a name of a billion bytes',
    code: 'QD-4308',
    bytes: rawDat({ name: int32(1_000_000_000), values: four }),
  },
  {
    name: 'a name of less than nothing',
    code: 'QD-4308',
    bytes: rawDat({ name: int32(-5), values: four }),
  },
  { name: 'a name of no bytes', code: 'QD-4308', bytes: rawDat({ name: text(''), values: four }) },
  {
    name: 'a name that is no UTF-8',
    code: 'QD-4308',
    bytes: rawDat({ name: Buffer.from([2, 0, 0, 0, 0xc0, 0x80]), count: 4, values: four }),
  },
  {
    name: 'a name with a control character',
    code: 'QD-4308',
    bytes: rawDat({ name: text('a\u001b[2J'), count: 4, values: four }),
  },
  { name: 'no values', code: 'QD-4307', bytes: rawDat({ count: 0, values: four }) },
  { name: 'fewer than no values', code: 'QD-4307', bytes: rawDat({ count: -1, values: four }) },
  {
    name: 'two billion values',
    code: 'QD-4307',
    bytes: rawDat({ count: 2 ** 31 - 1, values: four }),
  },
  { name: 'more values than bytes', code: 'QD-4302', bytes: rawDat({ count: 5, values: four }) },
  {
    name: 'the same entry twice (.dat)',
    code: 'QD-4309',
    bytes: dat(() => {
      const imatrix = sound();
      return { ...imatrix, entries: [...imatrix.entries, ...imatrix.entries.slice(0, 1)] };
    }),
  },
  { name: 'a cut value', code: 'QD-4302', bytes: cut(dat(sound), () => 300) },
  { name: 'half the number of chunks', code: 'QD-4302', bytes: cut(dat(sound), (all) => all - 10) },
  { name: 'a cut name of the text', code: 'QD-4302', bytes: cut(dat(sound), (all) => all - 1) },
  {
    name: 'a name of the text of two billion bytes',
    code: 'QD-4311',
    bytes: () =>
      Buffer.concat([imatrixDat({ ...sound(), datasets: [] }), int32(1), int32(2 ** 31 - 1)]),
  },
  {
    name: 'bytes after its end',
    code: 'QD-4312',
    bytes: () => Buffer.concat([imatrixDat(sound()), four]),
  },
  { name: 'NaN among the values', code: 'QD-4313', bytes: dat(changed(query, 'sums', 3, NaN)) },
  {
    name: 'an infinity among the values',
    code: 'QD-4313',
    bytes: dat(changed(query, 'sums', 3, Infinity)),
  },
  { name: 'other columns (.dat)', code: 'QD-4315', bytes: dat(resized(query, 100, 1)) },
];

export const imatrixCases: readonly ImatrixCase[] = [...ggufCases, ...datCases];
