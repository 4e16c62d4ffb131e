/** Any GGUF: fast-check arbitraries of what layout.ts can write, and the bytes of a whole file. */

import fc from 'fast-check';
import {
  type BlockTypeName,
  blockTypeById,
  blockTypes,
} from '../../daemon/core/gguf/block-types.ts';
import { type GgufLayout, type LayoutTensor, layoutGguf } from '../../daemon/core/gguf/layout.ts';
import type { KeyValue, MetadataValue, NumberType } from '../../daemon/core/gguf/metadata.ts';
import { integerRanges, wideRanges } from '../../daemon/core/gguf/value-types.ts';

export interface GgufRequest {
  readonly metadata: readonly KeyValue[];
  readonly tensors: readonly LayoutTensor[];
  readonly alignment: number;
}

/** A whole file of this layout; every tensor's bytes are its index, so none is like its neighbour. */
export function fileOf({ header, tensors, fileBytes }: GgufLayout): Uint8Array {
  const bytes = new Uint8Array(fileBytes);
  bytes.set(header);
  tensors.forEach((tensor, index) => {
    bytes.fill((index + 1) % 256, tensor.offset, tensor.offset + tensor.bytes);
  });
  return bytes;
}

const anyInteger = (type: keyof typeof integerRanges): fc.Arbitrary<number> => {
  const [min, max] = integerRanges[type];
  return fc.integer({ min, max });
};
const anyWide = (type: keyof typeof wideRanges): fc.Arbitrary<bigint> => {
  const [min, max] = wideRanges[type];
  return fc.bigInt({ min, max });
};
const anyNumber: Readonly<Record<NumberType, fc.Arbitrary<number>>> = {
  u8: anyInteger('u8'),
  i8: anyInteger('i8'),
  u16: anyInteger('u16'),
  i16: anyInteger('i16'),
  u32: anyInteger('u32'),
  i32: anyInteger('i32'),
  f32: fc.float(),
  f64: fc.double(),
};
const numberTypes = ['u8', 'i8', 'u16', 'i16', 'u32', 'i32', 'f32', 'f64'] as const;

/** Texts of whole code points: half a surrogate pair has no UTF-8. */
export const anyText: fc.Arbitrary<string> = fc.string({ unit: 'binary', maxLength: 20 });
const short = { maxLength: 6 };

export const anyValue: fc.Arbitrary<MetadataValue> = fc.oneof(
  ...numberTypes.map((type) => anyNumber[type].map((value) => ({ type, value }))),
  ...numberTypes.map((of) =>
    fc.array(anyNumber[of], short).map((value) => ({ type: 'array' as const, of, value })),
  ),
  anyWide('u64').map((value) => ({ type: 'u64' as const, value })),
  anyWide('i64').map((value) => ({ type: 'i64' as const, value })),
  fc
    .array(anyWide('u64'), short)
    .map((value) => ({ type: 'array' as const, of: 'u64' as const, value })),
  fc
    .array(anyWide('i64'), short)
    .map((value) => ({ type: 'array' as const, of: 'i64' as const, value })),
  fc.boolean().map((value) => ({ type: 'bool' as const, value })),
  fc
    .array(fc.boolean(), short)
    .map((value) => ({ type: 'array' as const, of: 'bool' as const, value })),
  anyText.map((value) => ({ type: 'string' as const, value })),
  fc
    .array(anyText, short)
    .map((value) => ({ type: 'array' as const, of: 'string' as const, value })),
);

// Some words are names that only a careless reader finds interesting.
const anyKey = fc
  .array(fc.oneof(fc.stringMatching(/^[a-z0-9_-]{1,8}$/), fc.constant('__proto__')), {
    minLength: 1,
    maxLength: 3,
  })
  .map((words) => words.join('.'));

const allTypes = Array.from({ length: 64 }, (_, id) => blockTypeById(id)).filter(
  (type): type is BlockTypeName => type !== undefined,
);

const anyTensor: fc.Arbitrary<LayoutTensor> = fc
  .record({
    name: fc.oneof(
      fc.stringMatching(/^[a-z_.0-9]{1,40}$/),
      fc.stringMatching(/^blk\.\d{1,3}\.[a-z_]{1,8}\.weight$/),
      fc.constantFrom('ä', '漢字.weight', '__proto__', 'toString'),
    ),
    type: fc.constantFrom(...allTypes),
    blocks: fc.integer({ min: 1, max: 3 }),
    rest: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }),
  })
  .map(({ name, type, blocks, rest }) => ({
    name,
    type,
    shape: [blocks * blockTypes[type].blockElements, ...rest],
  }));

const architecture: KeyValue = {
  key: 'general.architecture',
  value: { type: 'string', value: 'gemma4' },
};

export const anyRequest: fc.Arbitrary<GgufRequest> = fc
  .record({
    entries: fc.uniqueArray(fc.record({ key: anyKey, value: anyValue }), {
      selector: ({ key }) => key,
      maxLength: 8,
    }),
    tensors: fc.uniqueArray(anyTensor, { selector: ({ name }) => name, maxLength: 6 }),
    alignment: fc.constantFrom(1, 8, 32, 32, 64, 4096),
  })
  .map(({ entries, tensors, alignment }) => {
    const stated: KeyValue = {
      key: 'general.alignment',
      value: { type: 'u32', value: alignment },
    };
    const metadata = [architecture, ...entries, ...(alignment === 32 ? [] : [stated])];
    return { metadata, tensors, alignment };
  });

/** A small valid file with one of everything, on which the damage is done. */
export function smallRequest(): GgufRequest {
  return {
    alignment: 32,
    metadata: [
      architecture,
      { key: 'general.type', value: { type: 'string', value: 'model' } },
      { key: 'general.alignment', value: { type: 'u32', value: 32 } },
      { key: 'test.bool', value: { type: 'bool', value: true } },
      { key: 'test.u64', value: { type: 'u64', value: 2n ** 63n } },
      { key: 'test.floats', value: { type: 'array', of: 'f32', value: [0.5, -1, 2] } },
      { key: 'test.texts', value: { type: 'array', of: 'string', value: ['a', 'bc', '▁d'] } },
      { key: 'test.last', value: { type: 'u32', value: 7 } },
    ],
    tensors: [
      { name: 'first.weight', shape: [256, 2], type: 'Q4_K' },
      { name: 'second.weight', shape: [32, 3], type: 'Q8_0' },
      { name: 'third.weight', shape: [5], type: 'F32' },
    ],
  };
}

export function smallGguf(): Uint8Array {
  return fileOf(layoutGguf(smallRequest()));
}
