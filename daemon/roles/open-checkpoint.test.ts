/** Goal: a checkpoint opens from its small files and headers alone, and says what it left aside. */

import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { openSourceDirectory } from '../adapters/source-directory.ts';
import { HEADER_LENGTH_BYTES } from '../core/checkpoint/safetensors.ts';
import type { Source } from '../ports.ts';
import { openCheckpoint } from './open-checkpoint.ts';

const fixtures = join(import.meta.dirname, '../../fixtures');
const opened: Source[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((source) => source.close()));
});

async function openFixture(name: string): Promise<Source> {
  const source = await openSourceDirectory(join(fixtures, name), {
    hashFile: () => Promise.reject(new Error('nothing is hashed to open a checkpoint')),
  });
  opened.push(source);
  return source;
}

/** The bytes that each read asked for, by file. */
function counted(source: Source): { source: Source; bytesRead: Map<string, number> } {
  const bytesRead = new Map<string, number>();
  const read: Source['read'] = (file, offset, into, signal) => {
    bytesRead.set(file, (bytesRead.get(file) ?? 0) + into.length);
    return source.read(file, offset, into, signal);
  };
  return { bytesRead, source: { ...memory(new Map()), list: () => source.list(), read } };
}

/** A source that stands in memory. */
function memory(files: ReadonlyMap<string, Uint8Array>): Source {
  return {
    list: async () => [...files].map(([file, { length }]) => ({ file, bytes: length })),
    read: async (file, offset, into) => {
      const bytes = files.get(file) ?? new Uint8Array(0);
      into.set(bytes.subarray(offset, offset + into.length));
    },
    digest: () => Promise.reject(new Error('not asked for')),
    checkUnchanged: async () => undefined,
    close: async () => undefined,
  };
}

// The totals are those that the fixtures' own index gives, written by another program.
test.each([
  ['tiny-gemma4', 9_733_960, 2],
  ['tiny-gemma4-k', undefined, 2],
  ['tiny-gemma4-e', undefined, 1],
])('%s opens; its tensors fill its files exactly', async (name, total, fileCount) => {
  const source = await openFixture(name);
  const { checkpoint, notices } = await openCheckpoint(source);
  expect(notices).toEqual([]);
  expect(checkpoint.unusable.size).toBe(0);
  expect(checkpoint.files).toHaveLength(fileCount);
  expect(checkpoint.config['model_type']).toBe('gemma4');

  let bytes = 0;
  for (const { file, bytes: fileBytes } of checkpoint.files) {
    const tensors = [...checkpoint.tensors.values()].filter((tensor) => tensor.file === file);
    const last = tensors.at(-1);
    expect((last?.offset ?? 0) + (last?.bytes ?? 0)).toBe(fileBytes);
    bytes += tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  }
  if (total !== undefined) expect(bytes).toBe(total);
});

// Method: a dumb twin reads the header with JSON.parse, which is enough for a good file.
test('names, shapes and places are those of the header', async () => {
  const source = await openFixture('tiny-gemma4');
  const { checkpoint } = await openCheckpoint(source);
  let count = 0;
  for (const { file } of checkpoint.files) {
    const length = new Uint8Array(8);
    await source.read(file, 0, length);
    const headerBytes = Number(new DataView(length.buffer).getBigUint64(0, true));
    const header = new Uint8Array(headerBytes);
    await source.read(file, 8, header);
    const twin: Record<string, { dtype: string; shape: number[]; data_offsets: number[] }> =
      JSON.parse(new TextDecoder().decode(header));
    for (const [name, { dtype, shape, data_offsets }] of Object.entries(twin)) {
      if (name === '__metadata__') continue;
      const [begin = -1, end = -1] = data_offsets;
      const offset = HEADER_LENGTH_BYTES + headerBytes + begin;
      const expected = { file, name, dtype, shape, offset, bytes: end - begin };
      expect(checkpoint.tensors.get(name)).toEqual(expected);
      count += 1;
    }
  }
  expect(checkpoint.tensors.size).toBe(count);
});

test('of a tensor file only the header is read', async () => {
  const { source, bytesRead } = counted(await openFixture('tiny-gemma4'));
  const { checkpoint } = await openCheckpoint(source);
  for (const { file } of checkpoint.files) {
    const tensors = [...checkpoint.tensors.values()].filter((tensor) => tensor.file === file);
    expect(bytesRead.get(file)).toBe(Math.min(...tensors.map(({ offset }) => offset)));
  }
});

const text = (value: string) => new TextEncoder().encode(value);
function tensorFile(header: string, dataBytes: number): Uint8Array {
  const bytes = new Uint8Array(8 + header.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
  bytes.set(text(header), 8);
  return bytes;
}
const smallest: [string, Uint8Array][] = [
  ['config.json', text('{}')],
  ['tokenizer.json', text('{}')],
  ['tokenizer_config.json', text('{}')],
  ['model.safetensors', tensorFile('{"t":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}', 8)],
];

test('code that a checkpoint brings along is mentioned and never run', async () => {
  const files = new Map([
    ...smallest,
    ['config.json', text('{"auto_map":{"AutoModel":"modeling.Model"}}')] as const,
    ['modeling.py', text('raise SystemExit')] as const,
    ['lora.safetensors', text('never read')] as const,
  ]);
  const { notices } = await openCheckpoint(memory(files));
  expect(notices).toHaveLength(3);
  expect(notices.join()).toMatch(/lora.*auto_map.*1 Python file/);
});

test('a tensor that cannot be converted does not stop the opening', async () => {
  const { checkpoint } = await openCheckpoint(memory(new Map(smallest)));
  expect(checkpoint.tensors.size).toBe(0);
  expect(checkpoint.unusable.get('t')).toMatchObject({ dtype: 'I64', bytes: 8 });
});

test.each([
  ['in a file of its own', [['chat_template.jinja', '{{ a }}']], '{{ a }}'],
  ['in JSON', [['chat_template.json', '{"chat_template":"b"}']], 'b'],
  [
    'in both',
    [
      ['chat_template.jinja', 'a'],
      ['chat_template.json', '{"chat_template":"b"}'],
    ],
    'a',
  ],
  ['nowhere', [], undefined],
] as const)('a chat template %s', async (_, more, expected) => {
  const added = more.map(([file, content]) => [file, text(content)] as const);
  const { checkpoint } = await openCheckpoint(memory(new Map([...smallest, ...added])));
  expect(checkpoint.chatTemplate).toBe(expected);
});

test('an abort reaches the reads', async () => {
  const source = await openFixture('tiny-gemma4');
  const opening = openCheckpoint(source, AbortSignal.abort(new Error('stop')));
  await expect(opening).rejects.toThrow('stop');
});
