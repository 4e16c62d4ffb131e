/** Value types of GGUF metadata: their ids and sizes in the file. Format: docs/gguf.md. */

import type { NumberType, WideType } from './metadata.ts';

export type ScalarType = NumberType | WideType | 'bool' | 'string';

export const valueTypeIds: Readonly<Record<ScalarType | 'array', number>> = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
};

/** Bytes of one value; for a string the least it can take, its length field. */
export const valueBytes: Readonly<Record<ScalarType, number>> = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  bool: 1,
  string: 8,
  u64: 8,
  i64: 8,
  f64: 8,
};

/** Smallest and largest integer of each type. */
export const integerRanges = {
  u8: [0, 0xff],
  i8: [-0x80, 0x7f],
  u16: [0, 0xffff],
  i16: [-0x8000, 0x7fff],
  u32: [0, 0xffff_ffff],
  i32: [-0x8000_0000, 0x7fff_ffff],
} as const satisfies Partial<Record<NumberType, readonly [number, number]>>;

export const wideRanges = {
  u64: [0n, 2n ** 64n - 1n],
  i64: [-(2n ** 63n), 2n ** 63n - 1n],
} as const satisfies Record<WideType, readonly [bigint, bigint]>;

const typesById = new Map(
  Object.entries(valueTypeIds).map(([name, id]) => [id, name as ScalarType | 'array']),
);

/** The type with an id; undefined for 13 and above. */
export function valueTypeById(id: number): ScalarType | 'array' | undefined {
  return typesById.get(id);
}
