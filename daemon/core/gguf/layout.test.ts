import fc from 'fast-check';
import { expect, test } from 'vitest';
import { anyRequest } from '../../../cluster-tests/damage/any-gguf.ts';
import { codeOf } from '../../../cluster-tests/fault-code.ts';
import { ggufFaults } from './faults.ts';
import { type LayoutTensor, layoutGguf, mergeMetadata, quantizedOrder, setKey } from './layout.ts';
import type { KeyValue, MetadataValue } from './metadata.ts';

const u32 = (key: string, value: number): KeyValue => ({ key, value: { type: 'u32', value } });
const weights: LayoutTensor = { name: 'w', shape: [256, 2], type: 'Q4_K' };

const layingOut = (metadata: readonly KeyValue[], tensors: readonly LayoutTensor[] = []): string =>
  codeOf(() => layoutGguf({ metadata, tensors }));

// Goal: no byte belongs to two tensors and none is lost. Method: walk the offsets in order.
test('tensors lie back to back at multiples of the alignment', () => {
  fc.assert(
    fc.property(anyRequest, (request) => {
      const { header, dataStart, tensors, fileBytes } = layoutGguf(request);
      const { alignment } = request;
      expect(header.length).toBe(dataStart);
      let next = dataStart;
      for (const { offset, bytes } of tensors) {
        expect(offset % alignment).toBe(0);
        expect(offset).toBe(next);
        next = Math.ceil((offset + bytes) / alignment) * alignment;
      }
      expect(fileBytes).toBe(next);
    }),
  );
});

test('a small file has exactly these bytes', () => {
  const { header, fileBytes } = layoutGguf({
    metadata: [u32('a.b', 258), { key: 'c', value: { type: 'array', of: 'string', value: ['ß'] } }],
    tensors: [{ name: 'w', shape: [32, 2], type: 'Q8_0' }],
  });
  const words = [
    '47475546 03000000 0100000000000000 0200000000000000',
    '0300000000000000 612e62 04000000 02010000',
    '0100000000000000 63 09000000 08000000 0100000000000000 0200000000000000 c39f',
    '0100000000000000 77 02000000 2000000000000000 0200000000000000 08000000 0000000000000000',
  ];
  const hex = words.join('').replaceAll(' ', '');
  expect(Buffer.from(header).toString('hex')).toBe(hex.padEnd(2 * header.length, '0'));
  expect(header.length).toBe(Math.ceil(hex.length / 2 / 32) * 32);
  expect(fileBytes).toBe(header.length + 96);
});

const badValues: readonly [string, MetadataValue][] = [
  ['u8 of 256', { type: 'u8', value: 256 }],
  ['u8 of -1', { type: 'u8', value: -1 }],
  ['i8 of 128', { type: 'i8', value: 128 }],
  ['u16 of 65536', { type: 'u16', value: 65_536 }],
  ['i16 of -32769', { type: 'i16', value: -32_769 }],
  ['u32 of 2^32', { type: 'u32', value: 2 ** 32 }],
  ['u32 of a half', { type: 'u32', value: 0.5 }],
  ['u32 of NaN', { type: 'u32', value: Number.NaN }],
  ['i32 of 2^31', { type: 'i32', value: 2 ** 31 }],
  ['f32 of 1e39', { type: 'f32', value: 1e39 }],
  ['u64 of -1', { type: 'u64', value: -1n }],
  ['u64 of 2^64', { type: 'u64', value: 2n ** 64n }],
  ['i64 of 2^63', { type: 'i64', value: 2n ** 63n }],
  ['half a surrogate pair', { type: 'string', value: 'a\ud800' }],
  ['the wrong half first', { type: 'string', value: '\udc00\ud800' }],
  ['a high half before a letter', { type: 'string', value: '\ud800a' }],
  ['half a pair in an array', { type: 'array', of: 'string', value: ['ok', '\udfff'] }],
  ['an array with one bad number', { type: 'array', of: 'i32', value: [1, 2 ** 31] }],
  ['an array with one bad i64', { type: 'array', of: 'i64', value: [0n, 2n ** 63n] }],
];
test.each(badValues)('refuses a value: %s', (_, value) => {
  expect(layingOut([{ key: 'k', value }])).toBe(ggufFaults.unwritableValue.code);
});

test.each(['', '.', 'a.', '.a', 'a..b', 'A', 'a b', 'ä', 'a\0', 'a\n'])(
  'refuses the key %j',
  (key) => {
    expect(layingOut([u32(key, 1)])).toBe(ggufFaults.unwritableKey.code);
  },
);

test('accepts keys up to the longest length and with hyphens', () => {
  expect(layingOut([u32('k'.repeat(65_536), 1)])).toBe(ggufFaults.unwritableKey.code);
  expect(layingOut([u32('k'.repeat(65_535), 1), u32('nomic-bert.block_count', 1)])).toBe(
    'no fault',
  );
});

test('refuses a key or a tensor that stands twice', () => {
  expect(layingOut([u32('a', 1), u32('a', 1)])).toBe(ggufFaults.unwritableKey.code);
  expect(layingOut([], [weights, weights])).toBe(ggufFaults.unwritableName.code);
});

test.each(['', 'x'.repeat(64), 'ä'.repeat(32), 'a\0b', 'a\u001b[2J', '\ud800'])(
  'refuses the tensor name %j',
  (name) => {
    expect(layingOut([], [{ ...weights, name }])).toBe(ggufFaults.unwritableName.code);
  },
);

test('accepts a name of 63 bytes', () => {
  expect(layingOut([], [{ ...weights, name: `${'ä'.repeat(31)}x` }])).toBe('no fault');
});

test.each([
  [[]],
  [[1, 1, 1, 1, 1]],
  [[0]],
  [[256, 0]],
  [[-1]],
  [[1.5]],
  [[704, 2]],
  [[256, 2 ** 50]],
  [[2 ** 53]],
])('refuses a Q4_K tensor of shape %j', (shape) => {
  expect(layingOut([], [{ ...weights, shape }])).toBe(ggufFaults.unwritableShape.code);
});

test('refuses files whose size is no exact number', () => {
  const huge = { shape: [2 ** 49, 8], type: 'F16' } as const;
  const tensors = ['a', 'b'].map((name) => ({ name, ...huge }));
  expect(layingOut([], tensors)).toBe(ggufFaults.unwritableShape.code);
  const half = { shape: [2 ** 49, 4], type: 'F16' } as const;
  const halves = ['a', 'b', 'c'].map((name) => ({ name, ...half }));
  expect(layingOut([], halves)).toBe(ggufFaults.unwritableSize.code);
});

test('an alignment must agree with its key', () => {
  const stating = (value: MetadataValue): KeyValue[] => [{ key: 'general.alignment', value }];
  const disagrees = ggufFaults.alignmentDisagrees.code;
  expect(codeOf(() => layoutGguf({ metadata: [], tensors: [], alignment: 64 }))).toBe(disagrees);
  expect(layingOut(stating({ type: 'u32', value: 64 }))).toBe(disagrees);
  expect(layingOut(stating({ type: 'u64', value: 32n }))).toBe(disagrees);
  expect(layingOut(stating({ type: 'u32', value: 32 }))).toBe('no fault');
  const metadata = stating({ type: 'u32', value: 64 });
  expect(layoutGguf({ metadata, tensors: [weights], alignment: 64 }).dataStart % 64).toBe(0);
  expect(() => layoutGguf({ metadata: [], tensors: [], alignment: 48 })).toThrow('assertion');
});

// Goal: setting several keys is setting them one after the other. Method: the slow twin.
test('mergeMetadata is setKey again and again', () => {
  const anyEntries = fc.array(fc.record({ key: fc.constantFrom(...'abcdef'), n: fc.nat(99) }));
  fc.assert(
    fc.property(anyEntries, anyEntries, (old, changes) => {
      const entries = (list: typeof old): KeyValue[] => list.map(({ key, n }) => u32(key, n));
      const base = entries(old).reduce<KeyValue[]>(setKey, []);
      expect(mergeMetadata(base, entries(changes))).toEqual(entries(changes).reduce(setKey, base));
    }),
  );
});

test('a key that is set again moves to the end', () => {
  expect(setKey([u32('a', 1), u32('b', 2)], u32('a', 3))).toEqual([u32('b', 2), u32('a', 3)]);
});

test('the quantized order is by layer, then by the bytes of the name', () => {
  const names = [
    'blk.10.attn_k.weight',
    'token_embd.weight',
    'blk.2.ffn_up.weight',
    'output_norm.weight',
    'blk.2.ffn_down.weight',
    'output.weight',
    'blk.x.weight',
    'blk.99999999999.weight',
    'rope_freqs.weight',
    '\u{10000}',
    '\uffff',
  ];
  expect(quantizedOrder(names.map((name) => ({ name }))).map(({ name }) => name)).toEqual([
    'blk.99999999999.weight',
    'blk.x.weight',
    'output.weight',
    'output_norm.weight',
    'rope_freqs.weight',
    'token_embd.weight',
    '\uffff',
    '\u{10000}',
    'blk.2.ffn_down.weight',
    'blk.2.ffn_up.weight',
    'blk.10.attn_k.weight',
  ]);
});

// Goal: the largest tokenizer in use is laid out in a blink. Method: one of its size. On a free
// core it takes 60 ms; the test runner and its neighbours cost several times that.
test('262 144 tokens and 514 906 merges are laid out quickly', () => {
  const tokens = Array.from({ length: 262_144 }, (_, i) => `▁tok${i.toString(36)}`);
  const merges = Array.from({ length: 514_906 }, (_, i) => `▁t ok${i.toString(36)}`);
  const metadata: KeyValue[] = [
    { key: 'tokenizer.ggml.tokens', value: { type: 'array', of: 'string', value: tokens } },
    {
      key: 'tokenizer.ggml.scores',
      value: { type: 'array', of: 'f32', value: tokens.map(() => -1e3) },
    },
    {
      key: 'tokenizer.ggml.token_type',
      value: { type: 'array', of: 'i32', value: tokens.map(() => 1) },
    },
    { key: 'tokenizer.ggml.merges', value: { type: 'array', of: 'string', value: merges } },
  ];
  const milliseconds = Math.min(
    ...[1, 2, 3].map(() => {
      const start = process.cpuUsage();
      layoutGguf({ metadata, tensors: [] });
      return process.cpuUsage(start).user / 1_000;
    }),
  );
  console.log(`laid out a tokenizer of 262 144 tokens in ${milliseconds.toFixed(0)} ms`);
  expect(milliseconds).toBeLessThan(900);
});
