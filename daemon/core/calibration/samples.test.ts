/** Goal: a file's samples are what its author meant. Method: files that are written from samples. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readSamples } from './samples.ts';

const message = fc.record({ role: fc.constantFrom('user', 'model'), content: fc.string() });
const samples = fc.array(fc.array(message, { minLength: 1, maxLength: 4 }), { minLength: 1 });
const ending = fc.constantFrom('\n', '\r\n', '\n\n', '\n \n');

test('lines of messages, in either form', () => {
  fc.assert(
    fc.property(samples, ending, fc.boolean(), (all, end, bare) => {
      const text = all
        .map((one) => JSON.stringify(bare ? one : { id: 1, messages: one }))
        .join(end);
      expect(readSamples('f', text).map(({ messages }) => messages)).toEqual(all);
    }),
  );
});

const word = fc.stringMatching(/^[a-z .,]{0,8}[a-z]$/);
const paragraphs = fc.array(fc.array(word, { minLength: 1, maxLength: 3 }), { minLength: 1 });

test('text between blank lines is one turn of a user', () => {
  fc.assert(
    fc.property(paragraphs, fc.constantFrom('\n', '\r\n'), fc.nat(3), (all, end, blank) => {
      const between = end + `  ${end}`.repeat(1 + blank);
      const text = all.map((lines) => lines.join(end)).join(between) + end;
      const wanted = all.map((lines) => [{ role: 'user', content: lines.join('\n') }]);
      expect(readSamples('f', text).map(({ messages }) => messages)).toEqual(wanted);
    }),
  );
});

test('a sample knows its line', () => {
  expect(readSamples('f', '\na\nb\n\n\nc').map(({ line }) => line)).toEqual([2, 6]);
  expect(readSamples('f', '\n[{"role":"r","content":""}]')[0]?.line).toBe(2);
});

test.each([
  ['{"messages":[]}', 'line 1: the list of messages is empty'],
  ['{"messages":1}', 'line 1: there is no list'],
  ['[{"role":"user","content":"x"}]\n{}', 'line 2: there is no list'],
  ['[{"role":"user","content":["x"]}]', 'message 1 has no text'],
  ['[{"content":"x"}]', 'message 1 has no role'],
  ['[{"role":"user","content":"x"}', 'line 1: '],
  ['[{"role":"user","content":"\\ud800"}]', 'surrogate'],
  ['{"messages":[],"messages":[]}', 'given before'],
])('%s is refused', (text, why) => {
  expect(() => readSamples('f', text)).toThrow('QD-8409');
  expect(() => readSamples('f', text)).toThrow(why);
});

test('a file of blank lines has no sample', () => {
  expect(() => readSamples('f', ' \n\r\n')).toThrow('QD-8410');
});
