import fc from 'fast-check';
import { parse } from 'smol-toml';
import { expect, test } from 'vitest';
import { linesOf } from './toml-lines.ts';

/** Every way to a value of a document, tables and lists included. */
function pathsOf(value: unknown, path: readonly (string | number)[]): (string | number)[][] {
  const entries: [string | number, unknown][] = Array.isArray(value)
    ? value.map((entry, index) => [index, entry])
    : typeof value === 'object' && value !== null
      ? Object.entries(value)
      : [];
  return entries.flatMap(([key, entry]) => [[...path, key], ...pathsOf(entry, [...path, key])]);
}

/** A text in which the last part of each path stands in the line that it is said to be in. */
const anyKey = fc.constantFrom('a', 'bc', '"d e"', "'f.g'", '"h]"', '1');
const anyScalar = fc.constantFrom('1', '1.5', '"x"', "'#'", 'true', '"]} = ["', '"""\n\n[z]"""');
const anyValue: fc.Arbitrary<string> = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    anyScalar,
    fc.array(tie('value'), { maxLength: 3 }).map((all) => `[ # [[x]]\n${all.join(',\n')}\n]`),
    fc
      .uniqueArray(fc.tuple(anyKey, tie('value')), { maxLength: 2, selector: ([key]) => key })
      .map((all) => `{ ${all.map(([key, value]) => `${key} = ${value}`).join(', ')} }`),
  ),
})).value;
const anyTable = fc
  .uniqueArray(fc.tuple(anyKey, anyValue), { maxLength: 3, selector: ([key]) => key })
  .map((all) => all.map(([key, value]) => `${key} = ${value} # k = 1`).join('\n'));
const anyText = fc
  .tuple(anyTable, fc.array(fc.tuple(fc.constantFrom('[[o]]', '[[ o . i ]]'), anyTable)))
  .map(([top, tables]) =>
    [top, '[[o]]', ...tables.flatMap(([head, table]) => ['', head, table])].join('\n'),
  );

// Goal: a person who goes to the line finds the key there. Method: every key of random documents.
test('the line of a key has the key in it', () => {
  let found = 0;
  fc.assert(
    fc.property(anyText, (text) => {
      const lines = text.split('\n');
      const lineOf = linesOf(text);
      for (const path of pathsOf(parse(text), [])) {
        const last = path.at(-1);
        if (typeof last !== 'string') continue;
        const line = lineOf(path);
        expect(line, JSON.stringify(path)).toBeDefined();
        expect(lines[(line ?? 0) - 1], JSON.stringify(path)).toContain(last);
        found++;
      }
    }),
    { numRuns: 200 },
  );
  expect(found).toBeGreaterThan(200);
});

test('the line of an entry of a list is where it begins', () => {
  const lineOf = linesOf('a = [\n  1,\n  [2,\n   3],\n  { b = [\n4] } ]\n[[o]]\n[[o]]\nx.y = 1');
  const told = (...path: (string | number)[]) => lineOf(path);
  expect([told('a', 0), told('a', 1), told('a', 1, 1), told('a', 2, 'b', 0)]).toEqual([2, 3, 4, 6]);
  expect([told('o', 0), told('o', 1), told('o', 1, 'x', 'y'), told('o', 1, 'z')]).toEqual([
    7, 8, 9, 8,
  ]);
  expect(told('nowhere')).toBeUndefined();
});

test('texts that no parser accepts are walked through too', () => {
  const pieces = fc.constantFrom('[', ']', '[[', ']]', '{', '}', '=', '"', "'''", '\n', '.', 'a');
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 30 }), (all) => {
      linesOf(all.join(''))(['a', 0]);
    }),
  );
});
