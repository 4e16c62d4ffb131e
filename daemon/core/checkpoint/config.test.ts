/** Goal: a value leaves the reader only when it is what the caller asked for. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FaultError } from '../../../proto/fault.ts';
import { ConfigReader, parseJsonFile } from './config.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);
const read = (text: string) =>
  new ConfigReader('config.json', parseJsonFile('config.json', bytesOf(text)));

function faultOf(action: () => unknown): { code: string; key: string | undefined } {
  try {
    action();
  } catch (error) {
    if (error instanceof FaultError) return { code: error.kind.code, key: error.detail.key };
    throw error;
  }
  throw new Error('nothing was refused');
}

test('an integer is in its range, or a fault names it', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer(), (value, min) => {
      const reader = read(JSON.stringify({ n: value }));
      const good = Number.isSafeInteger(value) && value >= min && value <= min + 1000;
      const range = { min, max: min + 1000 };
      if (good) expect(reader.integer('n', range)).toBe(value === 0 ? 0 : value);
      else expect(faultOf(() => reader.integer('n', range)).code).toBe('QD-2206');
    }),
  );
});

test('typed values, defaults and null', () => {
  const reader = read(
    '{"n":30.0,"x":1e-6,"b":false,"s":"","none":null,"list":[1,2],"words":["a"],"o":{"k":[1,null]}}',
  );
  expect(reader.integer('n', { min: 1, max: 100 })).toBe(30);
  expect(reader.number('x', { min: 0 })).toBe(1e-6);
  expect(reader.boolean('b', { default: true })).toBe(false);
  expect(reader.string('s', { default: 'x' })).toBe('');
  expect(reader.integer('none', { min: 0, max: 9, default: 7 })).toBe(7);
  expect(reader.has('none')).toBe(false);
  expect(reader.integers('list', { min: 1, max: 2, lengthMax: 2 })).toEqual([1, 2]);
  expect(reader.strings('words', { lengthMax: 1 })).toEqual(['a']);
  expect(reader.strings('gone', { lengthMax: 1, default: [] })).toEqual([]);
  const range = { min: 0, max: 9, lengthMax: 9 };
  expect(faultOf(() => reader.object('o').integers('k', range))).toEqual({
    code: 'QD-2206',
    key: 'o.k[1]',
  });
});

test.each([
  ['missing', (r: ConfigReader) => r.integer('gone', { min: 0, max: 1 }), 'QD-2205'],
  ['null', (r: ConfigReader) => r.string('none'), 'QD-2205'],
  ['inherited', (r: ConfigReader) => r.object('constructor'), 'QD-2205'],
  ['prototype', (r: ConfigReader) => r.object('__proto__'), 'QD-2205'],
  ['text for a number', (r: ConfigReader) => r.integer('s', { min: 0, max: 1 }), 'QD-2206'],
  ['number for a boolean', (r: ConfigReader) => r.boolean('n'), 'QD-2206'],
  ['list for an object', (r: ConfigReader) => r.object('list'), 'QD-2206'],
  ['list too long', (r: ConfigReader) => r.strings('list', { lengthMax: 0 }), 'QD-2206'],
  [
    'list too short',
    (r: ConfigReader) => r.strings('list', { lengthMin: 2, lengthMax: 2 }),
    'QD-2206',
  ],
  ['above the range', (r: ConfigReader) => r.number('n', { max: 4 }), 'QD-2206'],
  ['fraction', (r: ConfigReader) => r.integer('x', { min: 0, max: 9 }), 'QD-2206'],
  ['beyond 2^53', (r: ConfigReader) => r.integer('big', { min: 0, max: 1e300 }), 'QD-2206'],
])('%s', (_, action, code) => {
  const reader = read('{"s":"a","n":5,"x":0.5,"big":9007199254740993,"none":null,"list":["a"]}');
  expect(faultOf(() => action(reader)).code).toBe(code);
});

test.each([
  ['no JSON', '{', 'QD-2203'],
  ['a list', '[]', 'QD-2204'],
  ['NaN', '{"a":NaN}', 'QD-2203'],
  ['a key twice', '{"a":1,"a":2}', 'QD-2209'],
  ['a pointer', 'version https://git-lfs.github.com/spec/v1\noid sha256:00', 'QD-2207'],
])('a file that holds %s', (_, text, code) => {
  expect(faultOf(() => read(text)).code).toBe(code);
});

test('a file that is no UTF-8', () => {
  expect(faultOf(() => parseJsonFile('config.json', Uint8Array.of(0x7b, 0xff))).code).toBe(
    'QD-2208',
  );
});

test('the message of a fault does not quote the file', () => {
  const text = '{"password":"hunter2" "x"}';
  try {
    read(text);
  } catch (error) {
    expect(String(error)).not.toContain('hunter2');
    return;
  }
  throw new Error('nothing was refused');
});
