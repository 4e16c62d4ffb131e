import fc from 'fast-check';
import { expect, test } from 'vitest';
import { codeOf } from '../../../cluster-tests/fault-code.ts';
import { PATTERN_CHARACTERS_MAX } from '../../../proto/recipe-file.ts';
import { compileOverrides, findOverride, parseTensorTypeOption } from './overrides.ts';

test('PATTERN=TYPE is read, the pattern in lower case, the last = divides', () => {
  expect(parseTensorTypeOption('FFN_Down=q8_0')).toEqual({ pattern: 'ffn_down', type: 'Q8_0' });
  expect(parseTensorTypeOption('blk(?=\\.1)=Q6_k')).toEqual({
    pattern: 'blk(?=\\.1)',
    type: 'Q6_K',
  });
  // What \S means is lost, as it is in llama-quantize.
  expect(parseTensorTypeOption('a\\Sb=f16').pattern).toBe('a\\sb');
});

test.each([
  ['ffn_down', 'QD-4103'],
  ['=q8_0', 'QD-4103'],
  ['ffn_down=', 'QD-4103'],
  ['ffn_down=q9_9', 'QD-4102'],
  ['ffn_(down=q8_0', 'QD-4104'],
  ['[[:digit:]]=q8_0', 'QD-4104'],
  ['(?<=k)e=q8_0', 'QD-4104'],
  ['a{=q8_0', 'QD-4104'],
  ['\u017F=q8_0', 'QD-4104'],
  [`${'a'.repeat(PATTERN_CHARACTERS_MAX)}=q8_0`, 'no fault'],
  [`${'a'.repeat(PATTERN_CHARACTERS_MAX + 1)}=q8_0`, 'QD-4104'],
])('%s: %s', (text, code) => {
  expect(codeOf(() => parseTensorTypeOption(text))).toBe(code);
});

test('the first pattern that is found wins', () => {
  const overrides = compileOverrides([
    { pattern: 'blk\\.[01]\\.', type: 'Q8_0' },
    { pattern: 'FFN', type: 'Q4_0' },
    { pattern: '.', type: 'Q6_K' },
  ]);
  expect(findOverride(overrides, 'blk.1.ffn_up.weight')).toBe('Q8_0');
  expect(findOverride(overrides, 'blk.11.ffn_up.weight')).toBe('Q4_0');
  expect(findOverride(overrides, 'output.weight')).toBe('Q6_K');
  expect(findOverride([], 'output.weight')).toBeUndefined();
});

test('any text is read or refused with a fault; what is read again reads the same', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (pattern) => {
      const text = `${pattern}=q8_0`;
      if (codeOf(() => parseTensorTypeOption(text)) !== 'no fault') return;
      const option = parseTensorTypeOption(text);
      expect(parseTensorTypeOption(`${option.pattern}=${option.type}`)).toEqual(option);
      expect(compileOverrides([option]).length).toBe(1);
    }),
  );
});
