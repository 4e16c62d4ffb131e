import { expect, test } from 'vitest';
import { parseGguf } from '../../daemon/core/gguf/reader.ts';
import { FaultError } from '../../proto/fault.ts';
import { smallGguf } from './any-gguf.ts';
import { ggufDamage, harmlessKeys, withKey } from './gguf-cases.ts';
import { peakBytes, startOfPeak } from './peak-memory.ts';

const MILLISECONDS_MAX = 1_000;
const EXTRA_BYTES_MAX = 64 * 2 ** 20;

/** Parses as a role would, from a short prefix on; returns the code or 'ok'. */
function codeOf(bytes: Uint8Array): string {
  let prefix = bytes.subarray(0, 64);
  try {
    for (;;) {
      const result = parseGguf('damaged.gguf', bytes.length, prefix);
      if (result.kind === 'gguf') return 'ok';
      prefix = bytes.subarray(0, result.bytes);
    }
  } catch (error) {
    if (error instanceof FaultError) return error.kind.code;
    throw error;
  }
}

test('the file without damage is read', () => {
  expect(codeOf(smallGguf())).toBe('ok');
});

test('there are cases of every kind, each with a name of its own', () => {
  const names = new Set(ggufDamage.map(({ name }) => name));
  expect(names.size).toBe(ggufDamage.length);
  expect(new Set(ggufDamage.map(({ code }) => code)).size).toBe(20);
  console.log(`${ggufDamage.length} damaged GGUFs`);
});

test.each(ggufDamage.map((damage) => [damage.name, damage] as const))('%s', (_, damage) => {
  const bytes = damage.damage(smallGguf());
  const before = startOfPeak();
  const start = performance.now();
  expect(codeOf(bytes)).toBe(damage.code);
  expect(performance.now() - start).toBeLessThan(MILLISECONDS_MAX);
  expect(peakBytes() - before).toBeLessThan(EXTRA_BYTES_MAX);
});

// Goal: a size that a header claims costs nothing until the bytes are there. Method: claim a file
// of 1 TB, and hand in the same few bytes: the reader asks for no more than its limits.
test.each(ggufDamage.map((damage) => [damage.name, damage] as const))(
  'in a file that claims 1 TB: %s',
  (_, { damage }) => {
    const bytes = damage(smallGguf());
    const claimed = 2 ** 40;
    const before = startOfPeak();
    try {
      const result = parseGguf('damaged.gguf', claimed, bytes);
      if (result.kind === 'need') expect(result.bytes).toBeLessThan(2 ** 28);
    } catch (error) {
      expect(error).toBeInstanceOf(FaultError);
    }
    expect(peakBytes() - before).toBeLessThan(EXTRA_BYTES_MAX);
  },
);

test.each(harmlessKeys)('the key %s is a key like any other', (key, old) => {
  const bytes = withKey(smallGguf(), key, old);
  const result = parseGguf('x.gguf', bytes.length, bytes);
  if (result.kind !== 'gguf') throw new Error('a whole file needs no more bytes');
  expect(result.gguf.metadata.map((entry) => entry.key)).toContain(key);
  expect(Object.keys({})).toEqual([]);
  expect('test.bool' in {}).toBe(false);
});
