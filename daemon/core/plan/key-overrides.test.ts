import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FaultError } from '../../../proto/fault.ts';
import { parseKeyOverride } from './key-overrides.ts';

test.each([
  ['a.b=int:7', { type: 'u32', value: 7 }],
  ['a.b=int:-7', { type: 'u32', value: 7 }],
  ['a.b=int:4294967295', { type: 'u32', value: 4_294_967_295 }],
  ['a.b=float:0.1', { type: 'f32', value: Math.fround(0.1) }],
  ['a.b=float:-1e-3', { type: 'f32', value: Math.fround(-0.001) }],
  ['a.b=bool:true', { type: 'bool', value: true }],
  ['a.b=bool:false', { type: 'bool', value: false }],
  ['a.b=str:', { type: 'string', value: '' }],
  ['a.b=str:x=y:z', { type: 'string', value: 'x=y:z' }],
  [`a.b=str:${'x'.repeat(127)}`, { type: 'string', value: 'x'.repeat(127) }],
])('%s', (text, value) => {
  expect(parseKeyOverride(text)).toEqual({ key: 'a.b', value });
});

test.each([
  'a.b',
  'a.b=7',
  'a.b=u32:7',
  '=int:7',
  'a.b=int:',
  'a.b=int:7.5',
  'a.b=int:4294967296',
  'a.b=int:0x10',
  'a.b=float:one',
  'a.b=float:1e39',
  'a.b=float:',
  'a.b=bool:1',
  `a.b=str:${'x'.repeat(128)}`,
  `a.b=str:${'☃'.repeat(43)}`,
  `${'a'.repeat(128)}=int:1`,
])('%s is refused', (text) => {
  expect(() => parseKeyOverride(text)).toThrow(/QD-4341/);
});

test.each([
  'general.architecture',
  'general.alignment',
  'split.count',
  'gemma4.block_count',
  'gemma4.attention.head_count_kv',
])('%s is not to be set', (key) => {
  expect(() => parseKeyOverride(`${key}=int:8`)).toThrow(/QD-4342/);
});

test('any text is a key and a value, or a fault', () => {
  const kinds = fc.constantFrom('int', 'float', 'bool', 'str');
  const near = fc.tuple(fc.string(), kinds, fc.string()).map(([k, t, v]) => `${k}=${t}:${v}`);
  fc.assert(
    fc.property(fc.oneof(fc.string(), near), (text) => {
      try {
        expect(text.startsWith(`${parseKeyOverride(text).key}=`)).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(FaultError);
      }
    }),
  );
});
