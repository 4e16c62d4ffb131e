import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FaultError } from '../../../proto/fault.ts';
import { ggufFaults } from './faults.ts';
import type { MetadataValue } from './metadata.ts';
import { checkParts, type PartFile, readSplit } from './split.ts';

const partsOf = (sizes: readonly number[]): PartFile[] =>
  sizes.map((size, part) => ({
    file: `m-${part + 1}.gguf`,
    split: { part, parts: sizes.length, tensors: sizes.reduce((sum, n) => sum + n, 0) },
    tensors: Array.from({ length: size }, (_, i) => ({ name: `${part}.${i}` })),
  }));

function why(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof FaultError && error.kind === ggufFaults.badSplit) {
      return error.detail.why ?? '';
    }
    throw error;
  }
  return 'ok';
}

// Goal: the whole set in any order is accepted, and every other set is not. Method: random sets
// from which one part is left out, doubled or exchanged for that of another model.
test('only all the parts of one model belong together', () => {
  const anySizes = fc.array(fc.nat(4), { minLength: 2, maxLength: 5 });
  fc.assert(
    fc.property(anySizes, fc.nat(), (sizes, pick) => {
      const parts = partsOf(sizes);
      const at = pick % parts.length;
      const without = parts.filter((_, i) => i !== at);
      const part = parts[at];
      if (part?.split === undefined) throw new Error('there is one');
      expect(why(() => checkParts([...without, part]))).toBe('ok');
      expect(why(() => checkParts(without))).toContain('is missing');
      expect(why(() => checkParts([...parts, part]))).toContain('the same part');
      const foreign = { ...part, split: { ...part.split, tensors: part.split.tensors + 1 } };
      expect(why(() => checkParts([...without, foreign]))).toContain('speaks of');
      const longer = { ...part, tensors: [...part.tensors, { name: 'extra' }] };
      expect(why(() => checkParts([...without, longer]))).toContain('instead of');
    }),
  );
});

test('a tensor in two parts, a whole file among the parts, and no parts are refused', () => {
  const [a, b] = partsOf([1, 1]);
  if (a === undefined || b === undefined) throw new Error('there are two');
  expect(why(() => checkParts([a, { ...b, tensors: a.tensors }]))).toContain('also in');
  expect(why(() => checkParts([a, { ...b, split: undefined }]))).toContain('a whole GGUF');
  expect(why(() => checkParts([]))).toContain('no parts');
});

test('the three keys must agree', () => {
  const read = (no?: MetadataValue, count?: MetadataValue, total?: MetadataValue): unknown => {
    const metadata = new Map<string, MetadataValue>();
    if (no !== undefined) metadata.set('split.no', no);
    if (count !== undefined) metadata.set('split.count', count);
    if (total !== undefined) metadata.set('split.tensors.count', total);
    return readSplit('m.gguf', metadata, 3);
  };
  const u16 = (value: number): MetadataValue => ({ type: 'u16', value });
  const i32 = (value: number): MetadataValue => ({ type: 'i32', value });
  expect(read()).toBeUndefined();
  expect(read(u16(0), u16(0), i32(3))).toBeUndefined();
  expect(read(u16(1), u16(2), i32(3))).toEqual({ part: 1, parts: 2, tensors: 3 });
  expect(why(() => read(u16(2), u16(2), i32(3)))).toContain('part 2');
  expect(why(() => read(i32(-1), u16(2), i32(3)))).toContain('part -1');
  expect(why(() => read(u16(1), u16(2), i32(2)))).toContain('in all');
  expect(why(() => read(u16(1), u16(2)))).toContain('without');
  expect(why(() => read({ type: 'string', value: '1' }, u16(2), i32(3)))).toContain('type string');
});
