import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { hashOperation, operations } from './hashes.ts';

const stored = new Map(
  [
    ...readFileSync(new URL('../../kernels/forward-hashes.inc', import.meta.url), 'utf8').matchAll(
      /\{"([^"]+)",\s*"([0-9a-f]{64})"\}/g,
    ),
  ].map(([, name = '', hash = '']) => [name, hash]),
);

// Goal: the kernels compute what DET-1.md says, to the bit. Method: a second transcription of the
// page makes the hashes that the kernels' self-test compares with.
describe('the stored hashes of the forward pass', () => {
  test('are those of the operations written here, and no others', () => {
    expect([...stored.keys()]).toEqual([...operations.keys()]);
  });

  test.each([...operations.keys()])('%s', (name) => {
    expect(hashOperation(name)).toBe(stored.get(name));
  });
});
