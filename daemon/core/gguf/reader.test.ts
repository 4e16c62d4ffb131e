import fc from 'fast-check';
import { expect, test } from 'vitest';
import { anyRequest, fileOf, smallGguf } from '../../../cluster-tests/damage/any-gguf.ts';
import { FaultError } from '../../../proto/fault.ts';
import { ggufFaults } from './faults.ts';
import { HeaderCursor, PrefixEnds } from './header-cursor.ts';
import { layoutGguf } from './layout.ts';
import { ARRAY_ELEMENTS_MAX, HEADER_BYTES_MAX, KEYS_MAX, TENSORS_MAX } from './limits.ts';
import { type GgufFile, parseGguf } from './reader.ts';

function parseWhole(bytes: Uint8Array): GgufFile {
  const result = parseGguf('test.gguf', bytes.length, bytes);
  if (result.kind === 'need') throw new Error('a whole file needs no more bytes');
  return result.gguf;
}

/** Feeds the reader as a file would: with what it asks for, from a first prefix on. */
function parseGrowing(bytes: Uint8Array, first: number): GgufFile {
  let prefix = bytes.subarray(0, first);
  for (;;) {
    const result = parseGguf('test.gguf', bytes.length, prefix);
    if (result.kind === 'gguf') return result.gguf;
    expect(result.bytes).toBeGreaterThan(prefix.length);
    expect(result.bytes).toBeLessThanOrEqual(bytes.length);
    prefix = bytes.subarray(0, result.bytes);
  }
}

/** 'ok' or the code of the fault; anything else that is thrown is a bug and passes through. */
function outcome(parse: () => unknown): string {
  try {
    parse();
    return 'ok';
  } catch (error) {
    if (error instanceof FaultError) return error.message;
    throw error;
  }
}

// Goal: reading is the inverse of writing. Method: any request, laid out and read again.
test('what is laid out is read back', () => {
  fc.assert(
    fc.property(anyRequest, (request) => {
      const layout = layoutGguf(request);
      const gguf = parseWhole(fileOf(layout));
      expect(gguf.metadata).toEqual(request.metadata);
      expect(gguf.tensors).toEqual(layout.tensors);
      expect(gguf.dataStart).toBe(layout.dataStart);
      expect(gguf.alignment).toBe(request.alignment);
      expect(gguf.notices).toEqual([]);
      // And writing is the inverse of reading.
      const again = layoutGguf({ ...gguf });
      expect(again.header).toEqual(layout.header);
      expect(again.fileBytes).toBe(layout.fileBytes);
    }),
    { numRuns: 500 },
  );
});

// Goal: the prefix a caller happens to have changes nothing. Method: every first length there is.
test('every prefix leads to the same result', () => {
  const bytes = smallGguf();
  const whole = parseWhole(bytes);
  for (let first = 0; first <= bytes.length; first++) {
    expect(parseGrowing(bytes, first)).toEqual(whole);
  }
});

// Goal: no truncation is read as a file, and none ends in anything but a code. Method: all of them.
test('a file cut at any byte is refused', () => {
  const bytes = smallGguf();
  const padding = 32 - ((5 * 4) % 32);
  for (let length = 0; length < bytes.length - padding; length++) {
    const cut = bytes.subarray(0, length);
    const whole = outcome(() => parseWhole(cut));
    expect(whole).toMatch(/^QD-31\d\d /);
    expect(outcome(() => parseGrowing(cut, Math.min(7, length)))).toBe(whole);
  }
});

// The padding behind the last tensor holds nothing, and some writers leave it out.
test('the last padding may be missing, in whole or in part', () => {
  const bytes = smallGguf();
  for (let missing = 0; missing <= 32 - 5 * 4; missing++) {
    expect(parseWhole(bytes.subarray(0, bytes.length - missing)).tensors).toHaveLength(3);
  }
});

// Goal: hostile bytes end in a result or a coded fault, and in the same one for every prefix.
// Method: overwrite a few random bytes of a valid header, often with extreme ones.
test('flipped bytes never crash the reader', () => {
  const small = smallGguf();
  const headerBytes = parseWhole(small).dataStart;
  const anyFlip = fc.record({
    at: fc.integer({ min: 0, max: headerBytes - 1 }),
    to: fc.oneof(fc.constantFrom(0, 1, 4, 8, 9, 0x7f, 0x80, 0xff), fc.nat(255)),
  });
  const seen = new Set<string>();
  fc.assert(
    fc.property(fc.array(anyFlip, { minLength: 1, maxLength: 4 }), fc.nat(64), (flips, first) => {
      const bytes = small.slice();
      for (const { at, to } of flips) bytes[at] = to;
      const whole = outcome(() => parseWhole(bytes));
      expect(outcome(() => parseGrowing(bytes, first))).toBe(whole);
      seen.add(whole.slice(0, 7));
    }),
    { numRuns: 10_000 },
  );
  // The flips reach most of the reader.
  expect(seen.size).toBeGreaterThan(10);
});

test('a text that is no UTF-8 is shown repaired, with a notice', () => {
  const bytes = smallGguf();
  const text = new TextEncoder().encode('bc');
  const at = bytes.findIndex((byte, i) => byte === text[0] && bytes[i + 1] === text[1]);
  bytes[at] = 0xff;
  const gguf = parseWhole(bytes);
  const entry = gguf.metadata.find(({ key }) => key === 'test.texts');
  expect(entry?.value.value).toEqual(['a', '\ufffdc', '▁d']);
  expect(gguf.notices).toEqual([
    'test.texts holds bytes that are no UTF-8; they are shown as U+FFFD',
  ]);
});

test('U+FFFD that stands in the file is no repair, nor is a byte order mark dropped', () => {
  const value = ['\ufffd', '\ufeffx'];
  const { header } = layoutGguf({
    metadata: [
      { key: 'general.architecture', value: { type: 'string', value: 'llama' } },
      { key: 'tokenizer.ggml.tokens', value: { type: 'array', of: 'string', value } },
    ],
    tensors: [],
  });
  const gguf = parseWhole(header);
  expect(gguf.metadata[1]?.value.value).toEqual(value);
  expect(gguf.notices).toEqual([]);
});

test('version 2 has the layout of version 3', () => {
  const bytes = smallGguf();
  bytes[4] = 2;
  expect(parseWhole(bytes).version).toBe(2);
});

test('an importance matrix and a later part need no architecture', () => {
  const imatrix = layoutGguf({
    metadata: [{ key: 'general.type', value: { type: 'string', value: 'imatrix' } }],
    tensors: [],
  });
  expect(parseWhole(imatrix.header).metadata).toHaveLength(1);
  const split = (part: number): Uint8Array =>
    layoutGguf({
      metadata: [
        { key: 'split.no', value: { type: 'u16', value: part } },
        { key: 'split.count', value: { type: 'u16', value: 3 } },
        { key: 'split.tensors.count', value: { type: 'i32', value: 5 } },
      ],
      tensors: [],
    }).header;
  expect(parseWhole(split(1)).split).toEqual({ part: 1, parts: 3, tensors: 5 });
  expect(outcome(() => parseWhole(split(0)))).toContain(ggufFaults.badArchitecture.code);
});

// Goal: the time of an attack is bounded by what the limits allow. Method: as many tensors as the
// largest models have, in small prefixes that double.
test('100 000 tensors are read within the limits', () => {
  const tensors = Array.from({ length: 100_000 }, (_, i) => ({
    name: `blk.${i % 100}.ffn_down.${i}.weight`,
    shape: [32, 1],
    type: 'Q4_0' as const,
  }));
  const layout = layoutGguf({
    metadata: [{ key: 'general.architecture', value: { type: 'string', value: 'x' } }],
    tensors,
  });
  const start = process.cpuUsage();
  const result = parseGguf('test.gguf', layout.fileBytes, layout.header);
  const milliseconds = process.cpuUsage(start).user / 1_000;
  expect(result.kind).toBe('gguf');
  console.log(`read a header of 100 000 tensors in ${milliseconds.toFixed(0)} ms`);
  expect(milliseconds).toBeLessThan(2_500);
});

// Goal: limits hold although the file is large enough. Method: a header that claims a file of 1 TB.
test('counts above the limits are refused in a file that could hold them', () => {
  const claiming = (at: number, value: bigint): string => {
    const bytes = smallGguf();
    new DataView(bytes.buffer).setBigUint64(at, value, true);
    return outcome(() => parseGguf('test.gguf', 2 ** 40, bytes));
  };
  const small = smallGguf();
  const floats = new TextEncoder().encode('test.floats');
  const key = small.findIndex((_, at) => floats.every((byte, i) => small[at + i] === byte));
  const over = ggufFaults.overLimit.code;
  expect(claiming(8, BigInt(TENSORS_MAX) + 1n)).toContain(over);
  expect(claiming(16, BigInt(KEYS_MAX) + 1n)).toContain(over);
  expect(claiming(key + floats.length + 8, BigInt(ARRAY_ELEMENTS_MAX) + 1n)).toContain(over);
  // One fewer is only a matter of more bytes.
  expect(claiming(key + floats.length + 8, BigInt(ARRAY_ELEMENTS_MAX))).toBe('ok');
});

test('a header does not reach past its limit', () => {
  const cursor = new HeaderCursor('test.gguf', 2 ** 40, new Uint8Array(8));
  cursor.at = HEADER_BYTES_MAX - 4;
  expect(() => cursor.take(4)).toThrow(PrefixEnds);
  expect(outcome(() => cursor.take(5))).toContain(ggufFaults.overLimit.code);
});
