/** Goal: a text is taken as it stands or refused with the place. Method: texts with one thing wrong. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FaultError } from '../../../proto/fault.ts';
import { calibrationText } from './text.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const faultOf = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    if (error instanceof FaultError) return error.toMessage();
    throw error;
  }
};

const wellFormed = fc
  .string({ unit: 'binary', minLength: 1 })
  .filter((text) => !text.includes('\0') && !text.startsWith('\ufeff'));

test('text comes out as it went in', () => {
  fc.assert(fc.property(wellFormed, (text) => calibrationText('t', bytes(text)) === text));
  expect(calibrationText('t', bytes('a\r\nb\n\r'))).toBe('a\r\nb\n\r');
  expect(calibrationText('t', bytes('\ufeffa\ufeff'))).toBe('a\ufeff');
});

// Each is no UTF-8, from its first byte on.
const wrong = [
  [0x80],
  [0xff],
  [0xc0, 0xaf],
  [0xc3],
  [0xe2, 0x82],
  [0xe0, 0x80, 0x80],
  [0xed, 0xa0, 0x80],
  [0xf0, 0x80, 0x80, 0x80],
  [0xf4, 0x90, 0x80, 0x80],
  [0xf8, 0x88, 0x80, 0x80, 0x80],
  [0xf0, 0x9f, 0x99, 0x41],
];

test.each(wrong)('bytes %j… are named by their place', (...broken) => {
  fc.assert(
    fc.property(wellFormed, (before) => {
      const all = Uint8Array.from([...bytes(before), ...broken]);
      const fault = faultOf(() => calibrationText('t', all));
      expect(fault).toMatchObject({ code: 'QD-8404', file: 't', byte: bytes(before).length });
    }),
  );
});

test('nothing and binaries are refused', () => {
  expect(faultOf(() => calibrationText('t', bytes('')))).toMatchObject({ code: 'QD-8402' });
  expect(faultOf(() => calibrationText('t', bytes('\ufeff')))).toMatchObject({ code: 'QD-8402' });
  const binary = faultOf(() => calibrationText('t', bytes('ab\0c')));
  expect(binary).toMatchObject({ code: 'QD-8405', byte: 2 });
});
