/** Goal: a header gives exactly its tensors, and no damaged header gives any. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { codeOf } from '../../../cluster-tests/fault-code.ts';
import { FaultError } from '../../../proto/fault.ts';
import {
  HEADER_BYTES_MAX,
  isUsable,
  parseSafetensorsHeader,
  readHeaderLength,
  TENSORS_PER_FILE_MAX,
} from './safetensors.ts';

const bytesPerElement = { BF16: 2, F16: 2, F32: 4, F8_E4M3: 1, BOOL: 1, I64: 8 };
type Dtype = keyof typeof bytesPerElement;

interface Wanted {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}
interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

const anyName = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  .filter((name) => name !== '__metadata__' && !/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(name));
const oddNames = fc.constantFrom('__proto__', 'constructor', 'toString', '0', 'a"b\\c', 'ü漢🙂');
const anyWanted: fc.Arbitrary<Wanted> = fc.record({
  name: fc.oneof(anyName, oddNames),
  dtype: fc.constantFrom(...(Object.keys(bytesPerElement) as Dtype[])),
  shape: fc.array(fc.nat({ max: 5 }), { maxLength: 8 }),
});
const anyTensors = fc.uniqueArray(anyWanted, { selector: ({ name }) => name, maxLength: 12 });

/** Lays the tensors out one after the other; the twin of what the parser must find. */
function layOut(tensors: readonly Wanted[]): { entries: Map<string, Entry>; dataBytes: number } {
  const entries = new Map<string, Entry>();
  let end = 0;
  for (const { name, dtype, shape } of tensors) {
    const begin = end;
    end += shape.reduce((product, size) => product * size, bytesPerElement[dtype]);
    entries.set(name, { dtype, shape: [...shape], data_offsets: [begin, end] });
  }
  return { entries, dataBytes: end };
}

function headerOf(entries: Iterable<readonly [string, unknown]>, end = ''): Uint8Array {
  // JSON.stringify of an object would lose or reorder names such as __proto__ and 0.
  const pairs = [...entries].map(
    ([name, entry]) => `${JSON.stringify(name)}:${JSON.stringify(entry)}`,
  );
  return new TextEncoder().encode(`{${pairs.join(',')}}${end}`);
}

function parse(header: Uint8Array, dataBytes: number) {
  return parseSafetensorsHeader('a.safetensors', 8 + header.length + dataBytes, header);
}

// Method: the header lists the tensors in another order than their bytes lie.
test('a valid header gives exactly its tensors, in the order of their bytes', () => {
  const shuffledCase = anyTensors.chain((tensors) =>
    fc.tuple(
      fc.constant(tensors),
      fc.shuffledSubarray([...layOut(tensors).entries], { minLength: tensors.length }),
      fc.boolean(),
      fc.nat({ max: 9 }),
    ),
  );
  fc.assert(
    fc.property(shuffledCase, ([tensors, shuffled, withMetadata, spaces]) => {
      const metadata: [string, unknown][] = [['__metadata__', { format: 'pt', ä: '' }]];
      const header = headerOf(
        withMetadata ? [...metadata, ...shuffled] : shuffled,
        ' '.repeat(spaces),
      );
      const { entries, dataBytes } = layOut(tensors);
      const found = parse(header, dataBytes);

      expect(found.length).toBe(tensors.length);
      const dataStart = 8 + header.length;
      for (const tensor of found) {
        const wanted = entries.get(tensor.name);
        const [begin, end] = wanted?.data_offsets ?? [-1, -1];
        expect(tensor).toEqual({
          file: 'a.safetensors',
          name: tensor.name,
          dtype: wanted?.dtype,
          shape: wanted?.shape,
          offset: dataStart + begin,
          bytes: end - begin,
        });
        expect(isUsable(tensor)).toBe(['BF16', 'F16', 'F32'].includes(tensor.dtype));
      }
      const full = found.filter(({ bytes }) => bytes > 0).map(({ name }) => name);
      const laidOut = [...entries].filter(
        ([
          ,
          {
            data_offsets: [a, b],
          },
        ]) => b > a,
      );
      expect(full).toEqual(laidOut.map(([name]) => name));
    }),
    { numRuns: 500 },
  );
});

// Method: change one number of one tensor. Only a size beside a 0 may change without harm.
test('one wrong number in a shape or an offset is refused', () => {
  const anyChange = fc.tuple(
    fc.nat(),
    fc.constantFrom('shape', 'begin', 'end'),
    fc.nat(),
    fc.integer({ min: -6, max: 1000 }).filter((by) => by !== 0),
  );
  fc.assert(
    fc.property(anyTensors, anyChange, (tensors, [which, what, dimension, by]) => {
      const { entries, dataBytes } = layOut(tensors);
      const entry = [...entries.values()][which % Math.max(1, tensors.length)];
      fc.pre(entry !== undefined);
      if (what === 'shape') {
        const at = dimension % Math.max(1, entry.shape.length);
        const size = entry.shape[at];
        fc.pre(size !== undefined);
        const others = entry.shape.filter((_, place) => place !== at);
        fc.pre(size + by < 0 || !others.includes(0));
        entry.shape[at] = size + by;
      } else {
        entry.data_offsets[what === 'begin' ? 0 : 1] += by;
      }
      expect(codeOf(() => parse(headerOf(entries), dataBytes))).toMatch(/^QD-21/);
    }),
    { numRuns: 2000 },
  );
});

test('a file that is longer or shorter than its tensors is refused', () => {
  fc.assert(
    fc.property(anyTensors, fc.integer({ min: -40, max: 40 }), (tensors, by) => {
      const { entries, dataBytes } = layOut(tensors);
      fc.pre(by !== 0);
      const code = codeOf(() => parse(headerOf(entries), dataBytes + by));
      expect(code).toBe(by < 0 ? 'QD-2107' : 'QD-2108');
    }),
  );
});

// Method: damage the bytes themselves. Most damage is refused; what is accepted still covers the
// data exactly, so no later reader can be led outside of the file.
test('whatever is accepted covers the data exactly', () => {
  const anyDamage = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 3 });
  fc.assert(
    fc.property(anyTensors, anyDamage, (tensors, damages) => {
      const { entries, dataBytes } = layOut(tensors);
      const header = headerOf(entries);
      for (const [place, value] of damages) header[place % header.length] = value;
      try {
        let end = 8 + header.length;
        for (const { offset, bytes } of parse(header, dataBytes)) {
          expect(offset).toBe(end);
          end += bytes;
        }
        expect(end).toBe(8 + header.length + dataBytes);
      } catch (error) {
        if (!(error instanceof FaultError)) throw error;
        expect(error.kind.code).toMatch(/^QD-21/);
      }
    }),
    { numRuns: 2000 },
  );
});

test('no bytes at all lead to anything but tensors or a fault', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat({ max: 100 }), (header, dataBytes) => {
      expect(codeOf(() => parse(header, dataBytes))).toMatch(/^(?:QD-21\d\d|accepted)$/);
    }),
  );
});

const good = { dtype: 'F32', shape: [2], data_offsets: [0, 8] };
const text = (value: string) => new TextEncoder().encode(value);

test.each<[string, Uint8Array | string, string]>([
  ['an empty header object', '{}', 'QD-2108'],
  ['a list', '[]', 'QD-2103'],
  ['white space before {', ' {}', 'QD-2103'],
  ['no UTF-8', Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d), 'QD-2103'],
  ['an overlong encoding', Uint8Array.of(0x7b, 0x22, 0xc0, 0x80, 0x22, 0x7d), 'QD-2103'],
  ['a null byte after the end', '{}\0', 'QD-2103'],
  ['a fraction', '{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}', 'QD-2106'],
  ['an exponent', '{"a":{"dtype":"F32","shape":[2e0],"data_offsets":[0,8]}}', 'QD-2106'],
  ['minus zero', '{"a":{"dtype":"F32","shape":[2],"data_offsets":[-0,8]}}', 'QD-2106'],
  ['2^53', '{"a":{"dtype":"F32","shape":[9007199254740992],"data_offsets":[0,8]}}', 'QD-2106'],
  [
    'the largest exact number',
    '{"a":{"dtype":"F32","shape":[9007199254740991,0],"data_offsets":[0,8]}}',
    'QD-2110',
  ],
  [
    '2^80 elements times zero',
    headerOf([['a', { dtype: 'F32', shape: [2 ** 40, 2 ** 40, 0], data_offsets: [0, 0] }]]),
    'QD-2110',
  ],
  [
    'a size too many',
    headerOf([['a', { ...good, shape: [2, 1, 1, 1, 1, 1, 1, 1, 1] }]]),
    'QD-2106',
  ],
  ['one offset', headerOf([['a', { ...good, data_offsets: [8] }]]), 'QD-2106'],
  ['three offsets', headerOf([['a', { ...good, data_offsets: [0, 8, 8] }]]), 'QD-2106'],
  ['no shape', headerOf([['a', { dtype: 'F32', data_offsets: [0, 8] }]]), 'QD-2106'],
  ['another key', headerOf([['a', { ...good, stride: [1] }]]), 'QD-2106'],
  [
    'the prototype for a shape',
    '{"a":{"dtype":"F32","__proto__":[2],"data_offsets":[0,8]}}',
    'QD-2106',
  ],
  ['a null entry', headerOf([['a', null]]), 'QD-2106'],
  ['a number for a dtype', headerOf([['a', { ...good, dtype: 0 }]]), 'QD-2106'],
  ['a dtype of the prototype', headerOf([['a', { ...good, dtype: 'constructor' }]]), 'QD-2111'],
  ['half a byte', headerOf([['a', { dtype: 'F4', shape: [3], data_offsets: [0, 1] }]]), 'QD-2110'],
  ['an empty name', headerOf([['', good]]), 'QD-2113'],
  ['a null byte in a name', headerOf([['a\0', good]]), 'QD-2113'],
  ['a direction override in a name', headerOf([['a\u202eb', good]]), 'QD-2113'],
  ['a name of 513 bytes', headerOf([['é'.repeat(256).concat('a'), good]]), 'QD-2113'],
  [
    'metadata that is no map',
    headerOf([
      ['__metadata__', 'x'],
      ['a', good],
    ]),
    'QD-2114',
  ],
  [
    'metadata of numbers',
    headerOf([
      ['__metadata__', { a: 1 }],
      ['a', good],
    ]),
    'QD-2114',
  ],
  ['metadata twice', '{"__metadata__":{},"__metadata__":{}}', 'QD-2104'],
  ['the same key twice in an entry', '{"a":{"dtype":"F32","dtype":"F32"}}', 'QD-2104'],
])('%s', (_, header, code) => {
  expect(codeOf(() => parse(typeof header === 'string' ? text(header) : header, 8))).toBe(code);
});

test('a name of exactly 512 bytes is read', () => {
  expect(parse(headerOf([['é'.repeat(256), good]]), 8)).toHaveLength(1);
});

test('sub-byte dtypes are measured in bits', () => {
  const header = headerOf([['a', { dtype: 'F6_E2M3', shape: [4], data_offsets: [0, 3] }]]);
  expect(parse(header, 3)).toMatchObject([{ dtype: 'F6_E2M3', bytes: 3 }]);
});

const lengthCases: [string, bigint, number, number | string][] = [
  ['zero', 0n, 100, 'QD-2102'],
  ['one', 1n, 100, 'QD-2102'],
  ['the limit', BigInt(HEADER_BYTES_MAX), HEADER_BYTES_MAX + 8, HEADER_BYTES_MAX],
  ['above the limit', BigInt(HEADER_BYTES_MAX) + 1n, 1e12, 'QD-2102'],
  ['2^63', 2n ** 63n, 100, 'QD-2102'],
  ['2^64 - 1', 2n ** 64n - 1n, 100, 'QD-2102'],
  ['all of the file', 92n, 100, 92],
  ['one more than the file', 93n, 100, 'QD-2107'],
];
test.each(lengthCases)('a header length of %s', (_, length, fileBytes, expected) => {
  const first8 = new Uint8Array(8);
  new DataView(first8.buffer).setBigUint64(0, length, true);
  let result: number | string = '';
  const code = codeOf(() => {
    result = readHeaderLength(first8, 'a.safetensors', fileBytes);
  });
  expect(code === 'no fault' ? result : code).toBe(expected);
});

test('a file without room for a header length, and a Git LFS pointer', () => {
  expect(codeOf(() => readHeaderLength(new Uint8Array(7), 'a', 7))).toBe('QD-2101');
  expect(codeOf(() => readHeaderLength(text('version '), 'a', 130))).toBe('QD-2207');
});

// Goal: the limit itself is quick to reach and quick to refuse beyond.
test('100 000 tensors are read, one more is refused', () => {
  const pairs = Array.from({ length: TENSORS_PER_FILE_MAX }, (_, index) => {
    const entry = { dtype: 'U8', shape: [1], data_offsets: [index, index + 1] };
    return [`model.layers.${index}.weight`, entry] as const;
  });
  expect(parse(headerOf(pairs), TENSORS_PER_FILE_MAX)).toHaveLength(TENSORS_PER_FILE_MAX);
  const more = [...pairs, ['one', good] as const];
  expect(codeOf(() => parse(headerOf(more), 0))).toBe('QD-2105');
});
