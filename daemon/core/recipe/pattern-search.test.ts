/** Goal: it finds what RegExp finds, and ends soon where RegExp does not. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PatternSearch } from './pattern-search.ts';

const anyAtom = fc.constantFrom(
  ...['a', 'b', '_', '1', '.', '\\.', '\\d', '\\D', '\\w', '\\W', '\\s', '\\S', '\\x61', '\\u0061'],
  ...[
    '[ab]',
    '[^a]',
    '[a-c1]',
    '[\\]a]',
    '[^\\d.]',
    '[\\b]',
    '[-a]',
    '\\/',
    '-',
    ' ',
    '\\t',
    '\\0',
  ],
  ...['\\ud83d\\ude00', '[\\ud83d\\ude00-\\ud83d\\ude01]', '\\ud83d'],
);
const anyRepeat = fc.constantFrom('*', '+', '?', '*?', '+?', '??', '{2}', '{0}', '{1,}', '{0,2}?');
const anyPattern = fc.letrec<{ choice: string; part: string; group: string }>((tie) => ({
  choice: fc
    .array(fc.array(tie('part'), { maxLength: 4 }), { minLength: 1, maxLength: 3 })
    .map((all) => all.map((parts) => parts.join('')).join('|')),
  part: fc.oneof(
    { maxDepth: 3 },
    fc.tuple(anyAtom, fc.option(anyRepeat, { nil: '' })).map(([node, repeat]) => node + repeat),
    fc.constantFrom('^', '$', '\\b', '\\B'),
    fc
      .tuple(tie('group'), fc.option(anyRepeat, { nil: '' }))
      .map(([node, repeat]) => node + repeat),
    tie('choice').map((inner) => `(?=${inner})`),
    tie('choice').map((inner) => `(?!${inner})`),
  ),
  group: fc
    .tuple(fc.constantFrom('(', '(?:'), tie('choice'))
    .map(([open, inner]) => `${open}${inner})`),
})).choice;
// Of characters outside the basic plane the engine also looks at the halves; no name has such.
const anyText = fc.string({
  unit: fc.constantFrom('a', 'b', 'c', '_', '1', '.', ' ', '-', 'é', '\n'),
  maxLength: 5,
});

test('what RegExp finds, and nothing else', () => {
  let found = 0;
  let compared = 0;
  fc.assert(
    fc.property(anyPattern, fc.array(anyText, { maxLength: 6 }), (pattern, texts) => {
      let expression: RegExp;
      let search: PatternSearch;
      try {
        expression = new RegExp(pattern, 'u');
        search = new PatternSearch(pattern);
      } catch {
        return;
      }
      for (const text of texts) {
        const wanted = expression.test(text);
        expect(search.test(text), JSON.stringify([pattern, text])).toBe(wanted);
        compared++;
        if (wanted) found++;
      }
    }),
    { numRuns: 300 },
  );
  expect(found).toBeGreaterThan(compared / 20);
  expect(found).toBeLessThan((compared * 19) / 20);
});

const name = `blk.17.${'post_attention_norm_'.repeat(3)}.weight`;

// RegExp takes longer for these than anyone waits: that the test ends is the point of it.
test.each([
  '(.+)+=',
  '(.*)*=',
  '(a|a|[a-z_])*=',
  '.*.*.*.*.*.*.*.*.*=',
  `${'.?'.repeat(80)}=`,
  '(?:.{1,3}){1,40}=',
  '(?=((?=(.*)*=)|.)*=)=',
  '(?!(.+)+=)(?!(.+)+=)(.+)+=',
])('%s', (pattern) => {
  expect(new PatternSearch(pattern).test(name)).toBe(false);
});

test('what would take too many steps, or could not be told in few', () => {
  expect(() => new PatternSearch('(?:(?:a{99}){99}){99}')).toThrow(/repeats too much/);
  expect(() => new PatternSearch('a{999999999999}')).toThrow(/repeats too much/);
  expect(() => new PatternSearch('(a)\\1')).toThrow(/references to groups/);
});
