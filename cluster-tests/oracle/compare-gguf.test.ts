import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareGguf } from './compare-gguf.ts';
import type { GgufEntry, GgufFile, GgufTensor } from './gguf-file.ts';

const anyEntry: fc.Arbitrary<GgufEntry> = fc.record({
  key: fc.string({ minLength: 1 }),
  type: fc.constant([4]),
  value: fc.nat(),
});
const anyTensor: fc.Arbitrary<GgufTensor> = fc.record({
  name: fc.string({ minLength: 1 }),
  type: fc.constantFrom(0, 1, 8),
  shape: fc.array(fc.nat(), { minLength: 1, maxLength: 4 }),
  offset: fc.nat(),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }).map((bytes) => Buffer.from(bytes)),
});
const anyFile: fc.Arbitrary<GgufFile> = fc.record({
  metadata: fc.uniqueArray(anyEntry, { selector: ({ key }) => key, minLength: 2, maxLength: 5 }),
  tensors: fc.uniqueArray(anyTensor, { selector: ({ name }) => name, minLength: 2, maxLength: 5 }),
  dataStart: fc.constant(0),
  bytes: fc.constant(Buffer.from('one')),
});

// Goal: the comparison that the byte tests rest on sees every kind of difference. Method: make one
// in a random file, and look for its name in what is said.
const changes: readonly [string, (file: GgufFile) => GgufFile, (file: GgufFile) => string][] = [
  ['a value', changeFirstEntry((entry) => ({ ...entry, value: -1 })), firstKey],
  ['the type of a value', changeFirstEntry((entry) => ({ ...entry, type: [5] })), firstKey],
  ['a key that is absent', (file) => ({ ...file, metadata: file.metadata.slice(1) }), firstKey],
  ['the order of keys', (file) => ({ ...file, metadata: file.metadata.toReversed() }), keyOrder],
  ['the type of a tensor', changeFirstTensor((tensor) => ({ ...tensor, type: 30 })), firstName],
  ['a shape', changeFirstTensor((tensor) => ({ ...tensor, shape: [7, 7, 7] })), firstName],
  ['a byte', changeFirstTensor((tensor) => ({ ...tensor, bytes: flip(tensor) })), firstName],
  ['a tensor more', (file) => ({ ...file, tensors: file.tensors.slice(1) }), tensorOrder],
  [
    'the order of tensors',
    (file) => ({ ...file, tensors: file.tensors.toReversed() }),
    tensorOrder,
  ],
  ['only the padding', (file) => file, () => 'between the tensors'],
];
test.each(changes)('%s that differs is named', (_, change, named) => {
  fc.assert(
    fc.property(anyFile, (ours) => {
      const theirs = { ...change(ours), bytes: Buffer.from('two') };
      expect(compareGguf({ ours, theirs }).join('\n')).toContain(named(ours));
    }),
  );
});

test('files of the same bytes do not differ', () => {
  fc.assert(
    fc.property(anyFile, (ours) => {
      expect(compareGguf({ ours, theirs: ours })).toEqual([]);
    }),
  );
});

function changeFirstEntry(change: (entry: GgufEntry) => GgufEntry): (file: GgufFile) => GgufFile {
  return (file) => ({
    ...file,
    metadata: file.metadata.map((entry, index) => (index === 0 ? change(entry) : entry)),
  });
}

function changeFirstTensor(
  change: (tensor: GgufTensor) => GgufTensor,
): (file: GgufFile) => GgufFile {
  return (file) => ({
    ...file,
    tensors: file.tensors.map((tensor, index) => (index === 0 ? change(tensor) : tensor)),
  });
}

function flip({ bytes }: GgufTensor): Buffer {
  return Buffer.from(bytes.map((byte, index) => (index === 0 ? byte ^ 1 : byte)));
}

function firstKey({ metadata }: GgufFile): string {
  return `key ${metadata[0]?.key}: `;
}

function firstName({ tensors }: GgufFile): string {
  return `${tensors[0]?.name}`;
}

function keyOrder(): string {
  return 'order of keys';
}

function tensorOrder(): string {
  return 'order of tensors';
}
