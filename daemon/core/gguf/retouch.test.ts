import fc from 'fast-check';
import { expect, test } from 'vitest';
import { anyRequest, anyValue, fileOf, smallGguf } from '../../../cluster-tests/damage/any-gguf.ts';
import { codeOf } from '../../../cluster-tests/fault-code.ts';
import { layoutGguf } from './layout.ts';
import type { MetadataValue } from './metadata.ts';
import { type GgufFile, parseGguf } from './reader.ts';
import { planRetouch, type Wishes } from './retouch.ts';
import { parseSetting } from './settings.ts';

function read(bytes: Uint8Array): GgufFile {
  const result = parseGguf('m.gguf', bytes.length, bytes);
  if (result.kind !== 'gguf') throw new Error('the whole file was given');
  return result.gguf;
}

const none: Wishes = {
  set: [],
  remove: [],
  name: undefined,
  chatTemplate: undefined,
  force: false,
};

function retouch(bytes: Uint8Array, wishes: Partial<Wishes>) {
  const { copied, changes } = planRetouch(
    { file: 'm.gguf', gguf: read(bytes) },
    { ...none, ...wishes },
    'out.gguf',
  );
  const out = new Uint8Array(copied.layout.fileBytes);
  out.set(copied.layout.header);
  for (const run of copied.runs) {
    out.set(bytes.subarray(run.from, run.from + run.bytes), run.offset);
  }
  return { out, changes, gguf: read(out) };
}

/** The value as a setting of exactly its type. */
function settingOf(key: string, value: MetadataValue): string {
  if (value.type !== 'array') {
    return `${key}=${value.type === 'string' ? 'str' : value.type}:${String(value.value)}`;
  }
  const elements = value.value.map((each) => (typeof each === 'bigint' ? String(each) : each));
  return `${key}=${value.of === 'string' ? 'str' : value.of}[]:${JSON.stringify(elements)}`;
}

const isWritable = (value: MetadataValue): boolean =>
  [value.value]
    .flat()
    .every((each) => typeof each !== 'number' || (Number.isFinite(each) && !Object.is(each, -0)));

// Goal: what is asked for changes, and nothing else. Method: random files, a random value of a random
// key, written as text and found again by the reader; all other keys and every tensor by their bytes.
test('a setting of any value is found again, and all else is as it was', () => {
  fc.assert(
    fc.property(anyRequest, anyValue.filter(isWritable), (request, value) => {
      const bytes = fileOf(layoutGguf(request));
      const { out, gguf } = retouch(bytes, { set: [settingOf('test.new', value)], force: true });
      const before = read(bytes);
      expect(gguf.metadata.at(-1)).toEqual({ key: 'test.new', value });
      const others = before.metadata
        .map(({ key }, index) => ({ key, encoded: before.encoded[index] }))
        .filter(({ key }) => key !== 'test.new');
      expect(
        gguf.metadata.slice(0, -1).map(({ key }, index) => ({ key, encoded: gguf.encoded[index] })),
      ).toEqual(others);
      expect(gguf.tensors.map(({ offset, ...tensor }) => tensor)).toEqual(
        before.tensors.map(({ offset, ...tensor }) => tensor),
      );
      gguf.tensors.forEach(({ offset, bytes: length }, index) => {
        const from = before.tensors[index]?.offset ?? 0;
        expect(
          Buffer.compare(
            out.subarray(offset, offset + length),
            bytes.subarray(from, from + length),
          ),
        ).toBe(0);
      });
    }),
    { numRuns: 40 },
  );
});

const valueRead = (text: string, before?: MetadataValue): MetadataValue =>
  parseSetting(`k=${text}`, () => before).value;

test('int and float are of the type that the key has, else the narrowest usual one', () => {
  expect(valueRead('int:7')).toEqual({ type: 'u32', value: 7 });
  expect(valueRead('int:-7')).toEqual({ type: 'i32', value: -7 });
  expect(valueRead('int:4294967296')).toEqual({ type: 'u64', value: 4_294_967_296n });
  expect(valueRead('int:-2147483649')).toEqual({ type: 'i64', value: -2_147_483_649n });
  expect(valueRead('int:7', { type: 'u8', value: 1 })).toEqual({ type: 'u8', value: 7 });
  expect(valueRead('int:7', { type: 'i64', value: 1n })).toEqual({ type: 'i64', value: 7n });
  expect(valueRead('int[]:[1,-2]')).toEqual({ type: 'array', of: 'i32', value: [1, -2] });
  expect(valueRead('float:0.5')).toEqual({ type: 'f32', value: 0.5 });
  expect(valueRead('float:1e300', { type: 'f64', value: 1 })).toEqual({
    type: 'f64',
    value: 1e300,
  });
  expect(valueRead('u64:18446744073709551615')).toEqual({ type: 'u64', value: 2n ** 64n - 1n });
  expect(valueRead('str:a=b:c')).toEqual({ type: 'string', value: 'a=b:c' });
  expect(valueRead('str:')).toEqual({ type: 'string', value: '' });
});

test.each([
  ...[
    '',
    'k',
    'k=',
    'k=str',
    'k=text:a',
    'k=array:[]',
    '=int:1',
    'k=int:',
    'k=int:1.5',
    'k=u8:256',
  ],
  ...[
    'k=i8:-129',
    'k=u64:-1',
    'k=u64:18446744073709551616',
    'k=int:0x10',
    'k=f32:1e39',
    'k=float:NaN',
  ],
  ...['k=bool:yes', 'k=str[]:a', 'k=str[]:{}', 'k=str[]:[1]', 'k=int[]:[[1]]', 'k=int[]:[null]'],
  ...[
    'k=bool[]:["true"]',
    'k=int[]:[9007199254740993]',
    'k=i64[]:[9007199254740993]',
    'k=u8[]:[1,300]',
    'k=__proto__:1',
  ],
])('the setting %j is refused', (text) => {
  expect(codeOf(() => parseSetting(text, () => undefined))).toBe('QD-3407');
});

const file = smallGguf();

test.each<readonly [string, Partial<Wishes>, string]>([
  ['a key of the layout', { set: ['general.alignment=u32:64'], force: true }, 'QD-3409'],
  ['a split key', { remove: ['split.no'], force: true }, 'QD-3409'],
  ['a size of the model', { set: ['gemma4.block_count=int:3'] }, 'QD-3408'],
  ['a size by layer', { set: ['clip.vision.attention.head_count=int[]:[3]'] }, 'QD-3408'],
  ['the architecture', { remove: ['general.architecture'] }, 'QD-3408'],
  ['the tokens', { set: ['tokenizer.ggml.tokens=str[]:["a"]'] }, 'QD-3408'],
  ['a key that is not there', { remove: ['test.nothing'] }, 'QD-3410'],
  ['another type', { set: ['test.last=str:7'] }, 'QD-3411'],
  ['another type of elements', { set: ['test.floats=f64[]:[1]'] }, 'QD-3411'],
  ['nothing', {}, 'QD-3412'],
  ['a key twice', { set: ['test.last=int:1'], remove: ['test.last'] }, 'QD-3413'],
  ['a name twice', { set: ['general.name=str:a'], name: 'b' }, 'QD-3413'],
  ['a key of another form', { set: ['Test Key=int:1'] }, 'QD-3201'],
  ['a text that has no UTF-8', { name: '\ud800' }, 'QD-3202'],
  // What nobody could read is not written, whoever wants it.
  ['no architecture', { remove: ['general.architecture'], force: true }, 'QD-3112'],
])('%s is refused', (_, wishes, code) => {
  expect(codeOf(() => retouch(file, wishes))).toBe(code);
});

test('force changes a type and a size; what changes is told', () => {
  const set = ['test.last=str:7', 'gemma4.block_count=int:3'];
  const { changes, gguf } = retouch(file, { set, remove: ['test.texts'], force: true });
  expect(changes).toEqual([
    { key: 'test.last', from: 'u32 7', to: '"7"' },
    { key: 'gemma4.block_count', to: 'u32 3' },
    { key: 'test.texts', from: '3 × string [a, bc, ▁d]' },
  ]);
  expect(gguf.metadata.map(({ key }) => key)).not.toContain('test.texts');
});

test('what is so already changes nothing, to the byte', () => {
  const { out, changes } = retouch(file, {
    set: ['test.last=int:7', 'test.floats=float[]:[0.5,-1,2]', 'test.bool=bool:true'],
  });
  expect(changes).toEqual([]);
  expect(Buffer.compare(out, file)).toBe(0);
});

test('a later part of a split file is not retouched', () => {
  const metadata = [
    { key: 'split.no', value: { type: 'u16', value: 1 } },
    { key: 'split.count', value: { type: 'u16', value: 2 } },
    { key: 'split.tensors.count', value: { type: 'i32', value: 1 } },
  ] as const;
  const part = fileOf(layoutGguf({ metadata, tensors: [] }));
  expect(codeOf(() => retouch(part, { name: 'a' }))).toBe('QD-3415');
});
