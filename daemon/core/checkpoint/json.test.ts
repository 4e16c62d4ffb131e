/** Goal: the strict parser agrees with JSON.parse wherever it accepts, and refuses the rest. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type JsonFailure, parseJson } from './json.ts';

class Refused extends Error {
  readonly failure: JsonFailure;
  constructor(failure: JsonFailure) {
    super(failure.why);
    this.failure = failure;
  }
}

const rules = {
  depthMax: 20,
  fail: (failure: JsonFailure): never => {
    throw new Refused(failure);
  },
};

function refusal(text: string): JsonFailure | undefined {
  try {
    parseJson(text, rules);
  } catch (error) {
    if (error instanceof Refused) return error.failure;
    throw error;
  }
  return undefined;
}

test('every value that JSON.stringify writes is read as JSON.parse reads it', () => {
  const anyIndent = fc.constantFrom(undefined, 1, '\t');
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), anyIndent, (text, indent) => {
      const written = JSON.stringify(JSON.parse(text), null, indent);
      expect(JSON.stringify(parseJson(written, rules))).toBe(JSON.stringify(JSON.parse(written)));
    }),
    { numRuns: 500 },
  );
});

// Method: damage valid texts at random. The twin accepts more (equal keys, halves of pairs, 1e999),
// so only the other direction is a law: what is accepted here, JSON.parse reads the same way.
test('what is accepted is what JSON.parse accepts', () => {
  const anyDamage = fc.tuple(fc.nat(), fc.constantFrom(...'{}[]",:\\u0\n-.eE1tfn \u0001\u2028'));
  fc.assert(
    fc.property(fc.json(), fc.array(anyDamage, { maxLength: 3 }), (text, damages) => {
      let damaged = text;
      for (const [place, character] of damages) {
        const at = place % (damaged.length + 1);
        damaged = damaged.slice(0, at) + character + damaged.slice(at + (place % 2));
      }
      let twin: unknown;
      try {
        twin = JSON.parse(damaged);
      } catch {
        expect(refusal(damaged)).toBeDefined();
        return;
      }
      if (refusal(damaged) === undefined) {
        expect(JSON.stringify(parseJson(damaged, rules))).toBe(JSON.stringify(twin));
      } else {
        expect(['key-twice', 'number', 'text', 'too-deep']).toContain(refusal(damaged)?.reason);
      }
    }),
    { numRuns: 2000 },
  );
});

test.each([
  ['', 'syntax', 0],
  ['{"a":1}x', 'syntax', 7],
  ['{"a":1,}', 'syntax', 7],
  ['[1,]', 'syntax', 3],
  ['{"é":NaN}', 'syntax', 6],
  ['Infinity', 'syntax', 0],
  ['01', 'syntax', 1],
  ['1.', 'syntax', 1],
  ['+1', 'syntax', 0],
  ['"a\nb"', 'syntax', 0],
  ['"\\x"', 'syntax', 0],
  ['"\\', 'syntax', 0],
  ['"\\"', 'syntax', 0],
  ["{'a':1}", 'syntax', 1],
  ['\ufeff{}', 'syntax', 0],
  ['{"a":1,"a":1}', 'key-twice', 7],
  ['{"a":1,"\\u0061":1}', 'key-twice', 7],
  ['{"__proto__":1,"__proto__":2}', 'key-twice', 15],
  ['"\\ud800"', 'text', 0],
  ['1e999', 'number', 0],
  ['['.repeat(200_000), 'too-deep', 20],
])('%.30s is refused as %s', (text, reason, byte) => {
  expect(refusal(text)).toMatchObject({ reason, byte });
});

test('names of the prototype are keys like any other', () => {
  const value = parseJson('{"__proto__":{"x":1},"constructor":2,"hasOwnProperty":3}', rules);
  expect(Object.keys(Object(value))).toEqual(['__proto__', 'constructor', 'hasOwnProperty']);
  expect(Object.getPrototypeOf(value)).toBeNull();
  expect(Object.hasOwn(Object.prototype, 'x')).toBe(false);
});

test('a list longer than allowed is refused while it is read', () => {
  const failing = { ...rules, entriesMax: 3 };
  expect(parseJson('[1,2,3]', failing)).toEqual([1, 2, 3]);
  expect(() => parseJson('[1,2,3,4]', failing)).toThrow('more than 3');
  expect(() => parseJson('{"a":1,"b":1,"c":1,"d":1}', failing)).toThrow('more than 3');
});
