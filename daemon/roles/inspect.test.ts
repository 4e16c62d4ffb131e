import fc from 'fast-check';
import { expect, test } from 'vitest';
import { anyRequest, fileOf, smallGguf } from '../../cluster-tests/damage/any-gguf.ts';
import { FaultError } from '../../proto/fault.ts';
import { checkpointFaults } from '../core/checkpoint/faults.ts';
import { ggufFaults } from '../core/gguf/faults.ts';
import { layoutGguf } from '../core/gguf/layout.ts';
import type { KeyValue } from '../core/gguf/metadata.ts';
import { type FileReader, inspectFile } from './inspect.ts';

/** A file in memory that remembers how far it was read. */
function inMemory(bytes: Uint8Array): FileReader & { readonly readTo: () => number } {
  let readTo = 0;
  return {
    bytes: bytes.length,
    readTo: () => readTo,
    read: async (offset, into) => {
      if (offset + into.length > bytes.length) throw new Error('read past the end of the file');
      into.set(bytes.subarray(offset, offset + into.length));
      readTo = Math.max(readTo, offset + into.length);
    },
  };
}

async function codeOf(bytes: Uint8Array, file: string): Promise<string> {
  try {
    await inspectFile(inMemory(bytes), file);
    return 'ok';
  } catch (error) {
    if (error instanceof FaultError) return error.kind.code;
    throw error;
  }
}

const u32 = (key: string, value: number): KeyValue => ({ key, value: { type: 'u32', value } });
const architecture: KeyValue = {
  key: 'general.architecture',
  value: { type: 'string', value: 'x' },
};

// Goal: a report is JSON and says of a file what its layout says. Method: any GGUF, through JSON.
test('the report of a GGUF survives JSON and agrees with the layout', async () => {
  await fc.assert(
    fc.asyncProperty(anyRequest, async (request) => {
      const layout = layoutGguf(request);
      const report = await inspectFile(inMemory(fileOf(layout)), 'm.gguf');
      // JSON has no -0; nothing else may change.
      const positive = (_: string, value: unknown): unknown => (value === 0 ? 0 : value);
      const sent = JSON.stringify(report, positive);
      expect(JSON.stringify(JSON.parse(sent))).toBe(sent);
      expect(report.kind).toBe('gguf');
      expect(report.bytes).toBe(layout.fileBytes);
      expect(report.metadata.map(({ key }) => key)).toEqual(request.metadata.map(({ key }) => key));
      expect(report.tensors).toEqual(layout.tensors);
      const bytes = layout.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
      expect(report.totals.bytes).toBe(bytes);
      expect(report.totals.types.reduce((sum, type) => sum + type.tensors, 0)).toBe(
        layout.tensors.length,
      );
    }),
  );
});

test('long arrays and texts are shortened, special numbers are texts', async () => {
  const wide = {
    type: 'array',
    of: 'u64',
    value: Array<bigint>(100).fill(2n ** 64n - 1n),
  } as const;
  const { header } = layoutGguf({
    metadata: [
      architecture,
      { key: 'wide', value: wide },
      { key: 'nan', value: { type: 'f32', value: Number.NaN } },
      { key: 'template', value: { type: 'string', value: `${'x'.repeat(65_535)}😀y` } },
      { key: 'tokens', value: { type: 'array', of: 'string', value: ['t'.repeat(1_000)] } },
    ],
    tensors: [],
  });
  const { metadata } = await inspectFile(inMemory(header), 'm.gguf');
  expect(metadata.slice(1)).toEqual([
    {
      key: 'wide',
      value: {
        type: 'array',
        of: 'u64',
        length: 100,
        first: Array<string>(8).fill('18446744073709551615'),
      },
    },
    { key: 'nan', value: { type: 'f32', value: 'NaN' } },
    {
      key: 'template',
      value: { type: 'string', value: 'x'.repeat(65_535), length: 65_538 },
    },
    { key: 'tokens', value: { type: 'array', of: 'string', length: 1, first: ['t'.repeat(256)] } },
  ]);
});

test('totals count elements and bytes by type', async () => {
  const { totals } = await inspectFile(inMemory(smallGguf()), 'small.gguf');
  expect(totals).toEqual({
    elements: 512 + 96 + 5,
    bytes: 288 + 102 + 20,
    bitsPerWeight: (8 * 410) / 613,
    types: [
      { type: 'Q4_K', tensors: 1, elements: 512, bytes: 288 },
      { type: 'Q8_0', tensors: 1, elements: 96, bytes: 102 },
      { type: 'F32', tensors: 1, elements: 5, bytes: 20 },
    ],
  });
});

test('a header longer than the first read is read on, the tensors are not read', async () => {
  const tensors = [{ name: 'w', shape: [2 ** 20], type: 'F32' as const }];
  const metadata = [architecture, ...Array.from({ length: 9_000 }, (_, i) => u32(`key.${i}`, i))];
  const layout = layoutGguf({ metadata, tensors });
  expect(layout.dataStart).toBeGreaterThan(3 * 65_536);
  const reader = inMemory(fileOf(layout));
  const report = await inspectFile(reader, 'm.gguf');
  expect(report.metadata).toHaveLength(9_001);
  expect(reader.readTo()).toBeLessThan(2 * layout.dataStart);
});

test('one part of a split GGUF is shown as such', async () => {
  const { header } = layoutGguf({
    metadata: [
      { key: 'split.no', value: { type: 'u16', value: 2 } },
      { key: 'split.count', value: { type: 'u16', value: 3 } },
      { key: 'split.tensors.count', value: { type: 'i32', value: 12 } },
    ],
    tensors: [],
  });
  const report = await inspectFile(inMemory(header), 'm-00003-of-00003.gguf');
  expect(report.split).toEqual({ part: 2, parts: 3, tensors: 12 });
});

function safetensors(header: unknown, dataBytes: number): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

test('a safetensors file is reported in its own terms', async () => {
  const bytes = safetensors(
    {
      __metadata__: { format: 'pt' },
      'a.weight': { dtype: 'BF16', shape: [3, 2], data_offsets: [0, 12] },
      mask: { dtype: 'U8', shape: [], data_offsets: [12, 13] },
    },
    13,
  );
  const dataStart = bytes.length - 13;
  expect(await inspectFile(inMemory(bytes), 'model.safetensors')).toEqual({
    kind: 'safetensors',
    file: 'model.safetensors',
    bytes: bytes.length,
    metadata: [{ key: 'format', value: { type: 'string', value: 'pt' } }],
    tensors: [
      { name: 'a.weight', type: 'BF16', shape: [3, 2], offset: dataStart, bytes: 12 },
      { name: 'mask', type: 'U8', shape: [], offset: dataStart + 12, bytes: 1 },
    ],
    totals: {
      elements: 7,
      bytes: 13,
      bitsPerWeight: (8 * 13) / 7,
      types: [
        { type: 'BF16', tensors: 1, elements: 6, bytes: 12 },
        { type: 'U8', tensors: 1, elements: 1, bytes: 1 },
      ],
    },
    notices: [],
  });
});

// Goal: the bytes decide, the name only where they say nothing. Method: each with the other's name.
test('a GGUF is one whatever its name, anything else is read by its name', async () => {
  expect(await codeOf(smallGguf(), 'model.safetensors')).toBe('ok');
  expect(await codeOf(smallGguf(), 'model')).toBe('ok');
  const empty = new Uint8Array(0);
  expect(await codeOf(empty, 'model.gguf')).toBe(ggufFaults.notGguf.code);
  expect(await codeOf(empty, 'notes.txt')).toBe(ggufFaults.notGguf.code);
  expect(await codeOf(empty, 'model.safetensors')).toBe(checkpointFaults.tensorFileTooShort.code);
  expect(await codeOf(safetensors({}, 0), 'model.safetensors')).toBe('ok');
  expect(await codeOf(safetensors({}, 0), 'model.gguf')).toBe(ggufFaults.notGguf.code);
  const cut = smallGguf().subarray(0, 3);
  expect(await codeOf(cut, 'model.gguf')).toBe(ggufFaults.notGguf.code);
});
