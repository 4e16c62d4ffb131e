import fc from 'fast-check';
import { expect, test } from 'vitest';
import { anyRequest, fileOf } from '../../../cluster-tests/damage/any-gguf.ts';
import { codeOf } from '../../../cluster-tests/fault-code.ts';
import { COPY_BYTES_MAX, type CopiedFile, planCopy } from './copy-plan.ts';
import { cutTensors, type PartLimit, partName, planMerge, planSplit } from './cut-parts.ts';
import { layoutGguf } from './layout.ts';
import { type GgufFile, parseGguf } from './reader.ts';
import { rewriteFaults } from './rewrite-faults.ts';

type Files = ReadonlyMap<string, Uint8Array>;

function read(file: string, bytes: Uint8Array): { file: string; gguf: GgufFile } {
  const result = parseGguf(file, bytes.length, bytes);
  if (result.kind !== 'gguf') throw new Error('the whole file was given');
  return { file, gguf: result.gguf };
}

/** Carries a plan out, byte by byte; a byte that is written twice is an error. */
function make({ layout, runs }: CopiedFile, files: Files): Uint8Array {
  const bytes = new Uint8Array(layout.fileBytes);
  bytes.set(layout.header);
  let end = layout.header.length;
  for (const { file, from, offset, bytes: length } of runs) {
    if (offset < end) throw new Error(`${file} writes byte ${offset} twice`);
    end = offset + length;
    bytes.set(files.get(file)?.subarray(from, end - offset + from) ?? [], offset);
  }
  return bytes;
}

function splitBytes(
  file: string,
  bytes: Uint8Array,
  limit: PartLimit,
  emptyFirst: boolean,
): Map<string, Uint8Array> {
  const files = new Map([[file, bytes]]);
  const parts = planSplit(read(file, bytes), 'm', limit, emptyFirst);
  return new Map(parts.map((part) => [part.file, make(part, files)]));
}

const anyLimit: fc.Arbitrary<PartLimit> = fc.oneof(
  fc.record({ of: fc.constant('tensors' as const), most: fc.integer({ min: 1, max: 7 }) }),
  fc.record({ of: fc.constant('bytes' as const), most: fc.integer({ min: 1, max: 20_000 }) }),
);

// Goal: cutting and joining lose and change nothing. Method: random files with every kind of value,
// alignment and block type; the parts are made, read by the strict reader, and joined in any order.
test('the parts of a file make the file, and the file the parts', () => {
  fc.assert(
    fc.property(anyRequest, anyLimit, fc.boolean(), fc.nat(), (request, limit, empty, turn) => {
      const whole = fileOf(layoutGguf(request));
      const parts = splitBytes('whole.gguf', whole, limit, empty);
      const readParts = [...parts].map(([file, bytes]) => read(file, bytes));
      const count = readParts.length;
      readParts.forEach(({ file, gguf }, part) => {
        expect(file).toBe(partName('m', part, count));
        expect(gguf.split).toEqual({ part, parts: count, tensors: request.tensors.length });
        if (part > 0) expect(gguf.metadata).toHaveLength(3);
      });
      if (empty) expect(readParts[0]?.gguf.tensors).toEqual([]);
      // Any order of the parts is good, so the same set is turned by some places.
      const at = turn % count;
      const turned = [...readParts.slice(at), ...readParts.slice(0, at)];
      const merged = make(planMerge(turned, 'again.gguf').whole, parts);
      expect(Buffer.compare(merged, whole)).toBe(0);
      const again = splitBytes('again.gguf', merged, limit, empty);
      expect([...again.keys()]).toEqual([...parts.keys()]);
      for (const [file, bytes] of parts) {
        expect(Buffer.compare(bytes, again.get(file) ?? new Uint8Array())).toBe(0);
      }
    }),
    { numRuns: 40 },
  );
});

test('a part is as long as the limit allows, and no longer', () => {
  const anyTensors = fc
    .array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 40 })
    .map((sizes) =>
      sizes.map((bytes, i) => ({
        name: `t${i}`,
        shape: [bytes],
        type: 'I8' as const,
        offset: 0,
        bytes,
      })),
    );
  fc.assert(
    fc.property(anyTensors, anyLimit, fc.constantFrom(1, 32, 64), (tensors, limit, alignment) => {
      const parts = cutTensors(tensors, limit, alignment);
      expect(parts.flat()).toEqual(tensors);
      const cost = (part: readonly { bytes: number }[]): number =>
        limit.of === 'tensors'
          ? part.length
          : part.reduce((sum, { bytes }) => sum + Math.ceil(bytes / alignment) * alignment, 0);
      parts.forEach((part, index) => {
        expect(part.length).toBeGreaterThan(0);
        if (part.length > 1) expect(cost(part)).toBeLessThanOrEqual(limit.most);
        const next = parts[index + 1];
        if (next !== undefined)
          expect(cost([...part, ...next.slice(0, 1)])).toBeGreaterThan(limit.most);
      });
    }),
  );
});

test('runs are short, in order, and cover a large tensor once', () => {
  const bytes = 2 * COPY_BYTES_MAX + 5;
  const tensor = { name: 't', shape: [bytes], type: 'I8', offset: 4096, bytes } as const;
  const { runs, layout } = planCopy('m.gguf', [], [{ file: 'a.gguf', tensor }]);
  const start = layout.tensors[0]?.offset ?? 0;
  const sizes = [COPY_BYTES_MAX, COPY_BYTES_MAX, 5];
  expect(runs).toEqual(
    sizes.map((size, index) => ({
      file: 'a.gguf',
      from: 4096 + index * COPY_BYTES_MAX,
      offset: start + index * COPY_BYTES_MAX,
      bytes: size,
    })),
  );
});

const architecture = {
  key: 'general.architecture',
  value: { type: 'string', value: 'x' },
} as const;
const small = (keys: readonly Parameters<typeof layoutGguf>[0]['metadata'][number][] = []) =>
  fileOf(
    layoutGguf({
      metadata: [architecture, ...keys],
      tensors: ['a', 'b', 'c'].map((name) => ({ name, shape: [8], type: 'F32' })),
    }),
  );
const one: PartLimit = { of: 'tensors', most: 1 };

test('a part is not split, and a whole file not merged', () => {
  const [[file, bytes] = ['', new Uint8Array()]] = splitBytes('m.gguf', small(), one, false);
  expect(codeOf(() => planSplit(read(file, bytes), 'm', one, false))).toBe(
    rewriteFaults.alreadySplit.code,
  );
  expect(codeOf(() => planMerge([read('m.gguf', small())], 'm.gguf'))).toBe(
    rewriteFaults.notSplit.code,
  );
});

test('parts that are not all of one file are not merged', () => {
  const parts = [...splitBytes('m.gguf', small(), one, false)].map(([file, bytes]) =>
    read(file, bytes),
  );
  const [first] = parts;
  if (first === undefined) throw new Error('there are three');
  expect(codeOf(() => planMerge(parts.slice(1), 'm.gguf'))).toBe('QD-3120');
  expect(codeOf(() => planMerge([...parts, first], 'm.gguf'))).toBe('QD-3120');
  expect(codeOf(() => planMerge([...parts, read('w.gguf', small())], 'm.gguf'))).toBe('QD-3120');
});

test('one part is a part, and what an old merge has left of its keys goes', () => {
  const left = { key: 'split.count', value: { type: 'u16', value: 0 } } as const;
  const parts = splitBytes('m.gguf', small([left]), { of: 'tensors', most: 9 }, false);
  expect([...parts.keys()]).toEqual(['m-00001-of-00001.gguf']);
  const merge = planMerge(
    [...parts].map(([file, bytes]) => read(file, bytes)),
    'm.gguf',
  );
  expect(Buffer.compare(make(merge.whole, parts), small())).toBe(0);
  expect(merge.notices).toEqual([]);
});

test('keys of a later part are left out and named', () => {
  const parts = splitBytes('m.gguf', small(), { of: 'tensors', most: 2 }, false);
  const [first, second] = [...parts].map(([file, bytes]) => read(file, bytes));
  if (first === undefined || second === undefined) throw new Error('there are two');
  const metadata = [...second.gguf.metadata, { key: 'odd.key', value: architecture.value }];
  const odd = { ...second, gguf: { ...second.gguf, metadata } };
  const { whole, notices } = planMerge([odd, first], 'm.gguf');
  expect(Buffer.compare(make(whole, parts), small())).toBe(0);
  expect(notices).toEqual([expect.stringContaining('odd.key')]);
});

test('more parts than can be read again are refused', () => {
  const tensors = Array.from({ length: 10_001 }, (_, i) => ({
    name: `t${i}`,
    shape: [1],
    type: 'I8' as const,
  }));
  const many = fileOf(layoutGguf({ metadata: [architecture], tensors }));
  expect(codeOf(() => planSplit(read('m.gguf', many), 'm', one, false))).toBe(
    rewriteFaults.tooManyParts.code,
  );
});
