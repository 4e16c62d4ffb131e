import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FaultError } from '../../../proto/fault.ts';
import { blockTypes } from '../gguf/block-types.ts';
import { ftypes, parseBlockType, parseFtype } from './ftypes.ts';
import { nearestNames } from './nearest-names.ts';

const names = ftypes.map(({ name }) => name);

function faultOf(act: () => unknown): FaultError {
  try {
    act();
  } catch (error) {
    if (error instanceof FaultError) return error;
    throw error;
  }
  throw new Error('there was no fault');
}

test('every name, alias and number finds its ftype, in any case', () => {
  for (const ftype of ftypes) {
    for (const text of [ftype.name, ...ftype.aliases, String(ftype.id)]) {
      expect(parseFtype(text)).toBe(ftype);
      expect(parseFtype(text.toLowerCase())).toBe(ftype);
    }
  }
});

test('no two ftypes share a name, an alias or a number', () => {
  const texts = ftypes.flatMap(({ name, aliases, id }) => [name, ...aliases, String(id)]);
  expect(new Set(texts).size).toBe(texts.length);
  expect(ftypes.length).toBe(35);
});

test('the aliases and numbers people use', () => {
  expect(parseFtype('q4_k').name).toBe('Q4_K_M');
  expect(parseFtype('Q5_K').name).toBe('Q5_K_M');
  expect(parseFtype('Q3_k').name).toBe('Q3_K_M');
  expect(parseFtype('15').name).toBe('Q4_K_M');
  expect(parseFtype('32').type).toBe('BF16');
});

test('an unknown ftype is refused with what it may have meant, and with the whole list', () => {
  const fault = faultOf(() => parseFtype('q4km'));
  expect(fault.kind.code).toBe('QD-4101');
  expect(fault.detail.why).toMatch(/^"q4km"; did you mean .*Q4_K_M/);
  for (const name of names) expect(fault.detail.why).toContain(name);
});

test('retired numbers, NVFP4 and objects of the language are no ftypes', () => {
  for (const text of ['4', '5', '6', '33', '39', 'NVFP4', '1024', '', 'constructor', '07']) {
    expect(faultOf(() => parseFtype(text)).kind.code, text).toBe('QD-4101');
  }
});

test('every block type is found by its name, in any case', () => {
  for (const name of Object.keys(blockTypes)) {
    expect(parseBlockType(name)).toBe(name);
    expect(parseBlockType(name.toLowerCase())).toBe(name);
  }
  const fault = faultOf(() => parseBlockType('q4_k_m'));
  expect(fault.kind.code).toBe('QD-4102');
  expect(fault.detail.why).toContain('did you mean Q4_K');
});

test('no text makes the parser do anything but answer or refuse, and quote little of it', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 5000 }), (text) => {
      if (byName(text)) return;
      const { message } = faultOf(() => parseFtype(text));
      expect(message.length).toBeLessThan(1000);
    }),
  );
});

function byName(text: string): boolean {
  return ftypes.some(({ name, aliases, id }) =>
    [name, ...aliases, String(id)].includes(text.toUpperCase()),
  );
}

test('one stroke away is always suggested, nearest first', () => {
  fc.assert(
    fc.property(fc.constantFrom(...names), fc.nat(), (name, place) => {
      const cut = place % name.length;
      const typed = name.slice(0, cut) + name.slice(cut + 1);
      const found = nearestNames(typed, names);
      // Three at most: where more names are as near, the list's order decides.
      expect(found.includes(name) || found.length === 3).toBe(true);
    }),
  );
  expect(nearestNames('Q4_K_L', ['Q3_K_L', 'Q4_K_M', 'F16'])).toEqual(['Q3_K_L', 'Q4_K_M']);
  expect(nearestNames('hello', names)).toEqual([]);
});
