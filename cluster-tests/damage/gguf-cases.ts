/**
 * Damaged GGUFs: one small valid file, and every way it can be wrong that we know of.
 *
 *   smallGguf() ──▶ damage ──▶ a file that must end in its code, at once and in little memory
 *
 * The list follows the public record: counts and sizes whose products wrap around, paddings that
 * do, lengths past the end, and everything a lenient reader has once believed.
 */

import { ggufFaults } from '../../daemon/core/gguf/faults.ts';
import { layoutGguf } from '../../daemon/core/gguf/layout.ts';
import type { KeyValue, MetadataValue } from '../../daemon/core/gguf/metadata.ts';
import { fileOf, smallRequest } from './any-gguf.ts';

export interface DamageCase {
  readonly name: string;
  /** The fault it must end in. */
  readonly code: string;
  /** Set where llama.cpp's header reader takes the file, with the reason why we do not. */
  readonly llamaAccepts?: string;
  /** The damaged file; `bytes` stays as it is. */
  damage(bytes: Uint8Array): Uint8Array;
}

const u32 = (value: number): Uint8Array => Uint8Array.from([0, 8, 16, 24], (bit) => value >>> bit);
const u64 = (value: bigint): Uint8Array =>
  new Uint8Array(BigUint64Array.of(BigInt.asUintN(64, value)).buffer);
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const joined = (...parts: readonly Uint8Array[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => [...part]));
const text = (value: string): Uint8Array => joined(u64(BigInt(utf8(value).length)), utf8(value));

/** Where the bytes after a key or a tensor name begin. */
function after(bytes: Uint8Array, name: string): number {
  const wanted = text(name);
  const start = bytes.findIndex((_, at) => wanted.every((byte, i) => bytes[at + i] === byte));
  if (start < 0) throw new Error(`${name} is not in the file`);
  return start + wanted.length;
}

type Damage = (bytes: Uint8Array) => Uint8Array;

/** Exchanges `removed` bytes at a place for others; the rest of the file moves up or down. */
const splice =
  (at: (bytes: Uint8Array) => number, removed: number, inserted: Uint8Array): Damage =>
  (bytes) =>
    joined(bytes.subarray(0, at(bytes)), inserted, bytes.subarray(at(bytes) + removed));
const put = (at: number, value: Uint8Array): Damage => splice(() => at, value.length, value);
const putAfter = (name: string, skip: number, value: Uint8Array): Damage =>
  splice((bytes) => after(bytes, name) + skip, value.length, value);
/** A key or name with other bytes of its own; `value` has a length of its own too. */
const rename = (name: string, value: Uint8Array): Damage =>
  splice((bytes) => after(bytes, name) - text(name).length, text(name).length, value);
const cutBy =
  (count: number): Damage =>
  (bytes) =>
    bytes.slice(0, bytes.length - count);
const relaid =
  (change: (metadata: readonly KeyValue[]) => readonly KeyValue[]): Damage =>
  () => {
    const request = smallRequest();
    return fileOf(layoutGguf({ ...request, metadata: change(request.metadata) }));
  };
const withKeys = (entries: Readonly<Record<string, MetadataValue>>): Damage =>
  relaid((metadata) => [
    ...metadata,
    ...Object.entries(entries).map(([key, value]) => ({ key, value })),
  ]);

// Places inside the small file, from any-gguf.ts. After a key: type at 0, value at 4; after the
// key of an array: element type at 4, count at 8. After a tensor name: number of dimensions at 0,
// the first at 4; for two dimensions the type at 20 and the offset at 24, for one at 12 and 16.
const VERSION = 4;
const TENSOR_COUNT = 8;
const KEY_COUNT = 16;
const [first, second, third] = ['first.weight', 'second.weight', 'third.weight'] as const;
// 20 bytes of the last tensor, then padding up to 32.
const LAST_PADDING = 12;
const invalidUtf8 = Uint8Array.of(0x61, 0xff, 0x62);

type Row = readonly [name: string, damage: Damage, llamaAccepts?: string];
const cases = (code: string, rows: readonly Row[]): DamageCase[] =>
  rows.map(([name, damage, llamaAccepts]) =>
    llamaAccepts === undefined ? { name, code, damage } : { name, code, damage, llamaAccepts },
  );

const notAGguf: readonly DamageCase[] = [
  ...cases(ggufFaults.notGguf.code, [
    ['an empty file', () => new Uint8Array(0)],
    ['one byte', (bytes) => bytes.slice(0, 1)],
    ['a wrong magic', put(0, utf8('GGUX'))],
    ['the magic in lower case', put(0, utf8('gguf'))],
    ['a GGML file', put(0, utf8('lmgg'))],
    ['a GGJT file', put(0, utf8('tjgg'))],
    ['a file of zeros', (bytes) => new Uint8Array(bytes.length)],
  ]),
  ...cases(ggufFaults.truncated.code, [
    ['four bytes', (bytes) => bytes.slice(0, 4)],
    ['23 bytes', (bytes) => bytes.slice(0, 23)],
    ['a cut inside a key', (bytes) => bytes.slice(0, after(bytes, 'test.floats') - 2)],
    ['a cut inside an array', (bytes) => bytes.slice(0, after(bytes, 'test.texts') + 45)],
    ['a cut inside a tensor info', (bytes) => bytes.slice(0, after(bytes, third) + 9)],
  ]),
  ...cases(ggufFaults.unsupportedVersion.code, [
    ['version 0', put(VERSION, u32(0))],
    ['version 1', put(VERSION, u32(1))],
    ['version 4', put(VERSION, u32(4))],
    ['version 2^32 - 1', put(VERSION, u32(0xffff_ffff))],
    ['version 3 in big-endian order', put(VERSION, Uint8Array.of(0, 0, 0, 3))],
  ]),
];

const counts: readonly DamageCase[] = cases(ggufFaults.impossibleCount.code, [
  ['2^63 tensors', put(TENSOR_COUNT, u64(2n ** 63n))],
  ['2^32 tensors', put(TENSOR_COUNT, u64(2n ** 32n))],
  ['-1 tensors', put(TENSOR_COUNT, u64(-1n))],
  ['2^58 tensors, which wrap when multiplied', put(TENSOR_COUNT, u64(2n ** 58n))],
  ['2^63 keys', put(KEY_COUNT, u64(2n ** 63n))],
  ['2^32 keys', put(KEY_COUNT, u64(2n ** 32n))],
  ['-1 keys', put(KEY_COUNT, u64(-1n))],
  ['an array of 2^64 - 1 floats', putAfter('test.floats', 8, u64(-1n))],
  ['an array of 2^62 floats, 2^64 bytes', putAfter('test.floats', 8, u64(2n ** 62n))],
  [
    'an array of 2^62 + 3 floats, 12 bytes after wrapping',
    putAfter('test.floats', 8, u64(2n ** 62n + 3n)),
  ],
  ['an array of 2^61 texts, 2^64 bytes', putAfter('test.texts', 8, u64(2n ** 61n))],
  ['an array longer than the file', putAfter('test.floats', 8, u64(400n))],
]);

const keysAndTexts: readonly DamageCase[] = [
  ...cases(ggufFaults.badKey.code, [
    ['a key of 0 bytes', rename('test.bool', text(''))],
    [
      'a key of 64 KiB',
      rename('test.bool', text('k'.repeat(65_536))),
      'its bound is 1 GiB, the format has 65 535 bytes',
    ],
    ['a key of 2^63 bytes', rename('test.bool', joined(u64(2n ** 63n), utf8('x')))],
    ['a key of 2^64 - 1 bytes', rename('test.bool', joined(u64(-1n), utf8('x')))],
    ['NUL in a key', rename('test.bool', text('test\0bool')), 'C then sees another, shorter key'],
    [
      'a key with a terminal escape',
      rename('test.bool', text('\u001b[2J')),
      'it would act when printed',
    ],
    [
      'a key that is no UTF-8',
      rename('test.bool', joined(u64(3n), invalidUtf8)),
      'a key is compared as text',
    ],
    [
      'an overlong form in a key',
      rename('test.bool', joined(u64(2n), Uint8Array.of(0xc0, 0x80))),
      'a key is compared as text',
    ],
    [
      'half a surrogate pair in a key',
      rename('test.bool', joined(u64(3n), Uint8Array.of(0xed, 0xa0, 0x80))),
      'a key is compared as text',
    ],
  ]),
  ...cases(ggufFaults.truncated.code, [
    ['a key past the end', rename('test.bool', joined(u64(65_535n), utf8('x')))],
    ['a text past the end', putAfter('general.type', 4, u64(100_000n))],
    [
      'a text one byte longer than the file',
      (bytes) => {
        const at = after(bytes, 'general.type') + 4;
        return put(at, u64(BigInt(bytes.length - at - 8 + 1)))(bytes);
      },
    ],
  ]),
  ...cases(ggufFaults.overLimit.code, [
    ['a text of 2^64 - 1 bytes', putAfter('general.type', 4, u64(-1n))],
    ['a text of 2^63 bytes', putAfter('general.type', 4, u64(2n ** 63n))],
    ['a text of 1 GiB in a small file', putAfter('general.type', 4, u64(2n ** 30n))],
    ['a text of 2^64 - 8 bytes in an array', putAfter('test.texts', 16, u64(-8n))],
  ]),
  ...cases(ggufFaults.duplicateKey.code, [
    ['a key twice', rename('general.type', text('general.architecture'))],
    [
      '__proto__ twice',
      (bytes) =>
        rename('test.last', text('__proto__'))(rename('test.bool', text('__proto__'))(bytes)),
    ],
  ]),
];

const deep = 10_000;
const values: readonly DamageCase[] = [
  ...cases(ggufFaults.unknownValueType.code, [
    ['value type 13', putAfter('test.last', 0, u32(13))],
    ['value type 2^32 - 1', putAfter('test.last', 0, u32(0xffff_ffff))],
    ['elements of type 13', putAfter('test.floats', 4, u32(13))],
    ['elements of type 2^31', putAfter('test.floats', 4, u32(2 ** 31))],
  ]),
  ...cases(ggufFaults.nestedArray.code, [
    ['an array of arrays', putAfter('test.floats', 4, u32(9))],
    [
      'arrays 10 000 deep',
      splice(
        (bytes) => after(bytes, 'test.floats') + 4,
        12,
        joined(...Array.from({ length: deep }, () => joined(u32(9), u64(1n)))),
      ),
    ],
  ]),
  ...cases(ggufFaults.badBool.code, [
    [
      'a boolean of 2',
      putAfter('test.bool', 4, Uint8Array.of(2)),
      'it takes every other byte for true',
    ],
    [
      'a boolean of 255',
      putAfter('test.bool', 4, Uint8Array.of(255)),
      'it takes every other byte for true',
    ],
  ]),
  ...cases(ggufFaults.badAlignment.code, [
    ...[0, 3, 24].map(
      (value): Row => [`alignment ${value}`, putAfter('general.alignment', 4, u32(value))],
    ),
    ...[2 ** 21, 2 ** 31].map(
      (value): Row => [`alignment ${value}`, putAfter('general.alignment', 4, u32(value))],
    ),
    ['an alignment of type i32', putAfter('general.alignment', 0, u32(5))],
    ['an alignment of type f32', putAfter('general.alignment', 0, u32(6))],
    [
      'an alignment that is a text',
      splice((bytes) => after(bytes, 'general.alignment'), 8, joined(u32(8), text('32'))),
    ],
  ]),
  ...cases(ggufFaults.badArchitecture.code, [
    [
      'no architecture',
      rename('general.architecture', text('general.architectura')),
      'only its model loader asks for it',
    ],
    [
      'an architecture that is a number',
      splice((bytes) => after(bytes, 'general.architecture'), 18, joined(u32(4), u32(7))),
      'only its model loader asks for it',
    ],
    [
      'an architecture that is an array',
      splice(
        (bytes) => after(bytes, 'general.architecture'),
        18,
        joined(u32(9), u32(8), u64(1n), text('gemma4')),
      ),
      'only its model loader asks for it',
    ],
    [
      'an empty architecture',
      splice((bytes) => after(bytes, 'general.architecture') + 4, 14, text('')),
      'only its model loader asks for it',
    ],
    [
      'part 0 of a split file without architecture',
      relaid(() => [
        { key: 'split.no', value: { type: 'u16', value: 0 } },
        { key: 'split.count', value: { type: 'u16', value: 2 } },
        { key: 'split.tensors.count', value: { type: 'i32', value: 9 } },
      ]),
      'only its model loader asks for it',
    ],
  ]),
];

const splitLater = 'only its model loader looks at the parts';
const split = (no: number, count: number, total: number): Damage =>
  withKeys({
    'split.no': { type: 'u16', value: no },
    'split.count': { type: 'u16', value: count },
    'split.tensors.count': { type: 'i32', value: total },
  });
const splits: readonly DamageCase[] = cases(ggufFaults.badSplit.code, [
  ['part 3 of 2', split(2, 2, 9), splitLater],
  ['more tensors here than in all parts', split(0, 2, 2), splitLater],
  ['a negative number of tensors in all', split(0, 2, -1), splitLater],
  [
    'a count of parts without a number',
    withKeys({ 'split.count': { type: 'u16', value: 2 } }),
    splitLater,
  ],
  [
    'a number of parts that is a text',
    withKeys({ 'split.count': { type: 'string', value: '2' } }),
    splitLater,
  ],
]);

const names: readonly DamageCase[] = [
  ...cases(ggufFaults.badTensorName.code, [
    [
      'a tensor name of 0 bytes',
      rename(second, text('')),
      'a tensor without a name cannot be asked for',
    ],
    ['a tensor name of 64 bytes', rename(second, text('x'.repeat(64)))],
    ['a tensor name of 2^64 - 1 bytes', rename(second, joined(u64(-1n), utf8('x')))],
    ['NUL in a tensor name', rename(second, text('a\0b')), 'C then sees another, shorter name'],
    [
      'a tensor name that is no UTF-8',
      rename(second, joined(u64(3n), invalidUtf8)),
      'names are compared as text',
    ],
    [
      'a tensor name with a terminal escape',
      rename(second, text('\u001b[31m')),
      'it would act when printed',
    ],
  ]),
  ...cases(ggufFaults.duplicateTensor.code, [['a tensor name twice', rename(second, text(first))]]),
];

const dimensions = (name: string, ...sizes: readonly bigint[]): Damage =>
  putAfter(name, 4, joined(...sizes.map(u64)));
/** The last tensor as one of `type` and this shape. */
const lastAs = (type: number, ...sizes: readonly bigint[]): Damage =>
  splice(
    (bytes) => after(bytes, third),
    16,
    joined(u32(sizes.length), ...sizes.map(u64), u32(type)),
  );
const [F32, Q8_0, Q4_K, I8, F64] = [0, 8, 12, 24, 28] as const;
const emptyTensor = 'an empty tensor is of no use, and its block run would be none';
const wraps = 'its product wraps around, and the tensor then looks small';
const shapes: readonly DamageCase[] = [
  ...cases(ggufFaults.badShape.code, [
    ['0 dimensions', putAfter(third, 0, u32(0))],
    ['5 dimensions', putAfter(first, 0, u32(5))],
    ['2^32 - 1 dimensions', putAfter(first, 0, u32(0xffff_ffff))],
    ['a dimension of 0', dimensions(first, 256n, 0n)],
    ['a first dimension of 0', dimensions(first, 0n, 2n)],
    ['a last tensor without elements', lastAs(F32, 0n), emptyTensor],
    ['a dimension of -1', dimensions(first, 256n, -1n)],
    ['a dimension of 2^63', dimensions(first, 256n, 2n ** 63n)],
    ['2^32 × 2^32 elements, 0 after wrapping', lastAs(F32, 2n ** 32n, 2n ** 32n), wraps],
    ['2^31 × 2^32 elements, 2^63 in all', lastAs(F32, 2n ** 31n, 2n ** 32n)],
    [
      'four dimensions of 2^16, 0 after wrapping',
      lastAs(I8, ...Array<bigint>(4).fill(2n ** 16n)),
      wraps,
    ],
    ['2^62 floats, 0 bytes after wrapping', lastAs(F32, 2n ** 62n)],
    ['2^64 - 4 bytes, which wrap when padded', lastAs(F32, 2n ** 31n + 1n, 2n ** 31n - 1n), wraps],
    ['2^63 - 1 bytes, which wrap when padded', lastAs(I8, 2n ** 63n - 1n)],
    ['2^64 - 1 bytes, which wrap when padded', lastAs(I8, 2n ** 64n - 1n)],
    ['a row of 2^62 Q8_0 elements, which wraps in bytes', lastAs(Q8_0, 2n ** 62n), wraps],
    ['a row of 2^62 Q4_K elements, 0 bytes after wrapping', lastAs(Q4_K, 2n ** 62n, 1n), wraps],
    ['2^52 doubles', lastAs(F64, 2n ** 52n), 'it counts up to 2^63; no file is as large'],
    [
      '2^53 + 1 elements, which a double rounds',
      lastAs(I8, 2n ** 53n + 1n),
      'it counts up to 2^63; no file is as large',
    ],
    ['a Q4_K row of 255', dimensions(first, 255n, 2n)],
    ['a Q4_K row of 32', dimensions(first, 32n, 2n)],
    ['a Q8_0 row of 33', dimensions(second, 33n, 3n)],
  ]),
  ...cases(
    ggufFaults.unknownBlockType.code,
    [4, 5, 31, 33, 36, 38, 43, 0xffff_ffff].map(
      (id): Row => [`block type ${id}`, putAfter(first, 20, u32(id))],
    ),
  ),
];

const offset = (name: string, value: bigint): Damage =>
  putAfter(name, name === third ? 16 : 24, u64(value));
const dataLater = 'only its model loader compares with the size of the file';
const places: readonly DamageCase[] = [
  ...cases(ggufFaults.badOffset.code, [
    ['a first offset of 32', offset(first, 32n)],
    ['an offset that is not aligned', offset(second, 289n)],
    ['an offset inside the tensor before', offset(third, 288n)],
    ['two tensors in one place', offset(second, 0n)],
    ['a gap between two tensors', offset(second, 320n)],
    ['an offset past the end', offset(third, 2n ** 20n)],
    ['an offset of 2^63', offset(third, 2n ** 63n)],
    ['an offset of 2^64 - 32, before the data', offset(third, -32n)],
    [
      'offsets for another alignment',
      (bytes) => putAfter('general.alignment', 4, u32(64))(offset(second, 288n)(bytes)),
    ],
  ]),
  ...cases(ggufFaults.outsideFile.code, [
    ['one byte missing', cutBy(LAST_PADDING + 1), dataLater],
    ['no data at all', (bytes) => bytes.slice(0, layoutGguf(smallRequest()).dataStart), dataLater],
    ['a last tensor of 4 TB', lastAs(F32, 2n ** 40n), dataLater],
    ['a last tensor of 2^52 bytes', lastAs(I8, 2n ** 52n), dataLater],
  ]),
  ...cases(ggufFaults.trailingBytes.code, [
    ['one byte too many', (bytes) => joined(bytes, Uint8Array.of(0)), dataLater],
    ['32 zero bytes too many', (bytes) => joined(bytes, new Uint8Array(32)), dataLater],
    ['two files in one', (bytes) => joined(bytes, bytes), dataLater],
    ['one tensor fewer than there are', put(TENSOR_COUNT, u64(2n)), dataLater],
    ['no tensors', put(TENSOR_COUNT, u64(0n)), dataLater],
  ]),
];

export const ggufDamage: readonly DamageCase[] = [
  ...notAGguf,
  ...counts,
  ...keysAndTexts,
  ...values,
  ...splits,
  ...names,
  ...shapes,
  ...places,
];

/**
 * Keys that a reader which keeps metadata in a plain object would stumble over, each with the key
 * of the same length whose place it takes.
 */
export const harmlessKeys = [
  ['__proto__', 'test.bool'],
  ['toString', 'test.u64'],
  ['constructor', 'test.floats'],
] as const;

/** The file with one key renamed; it is as valid as before. */
export function withKey(bytes: Uint8Array, key: string, old: string): Uint8Array {
  return rename(old, text(key))(bytes);
}
