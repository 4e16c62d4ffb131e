/** Goal: a worker sees the model that the coordinator has; what is no description is refused. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FaultError } from '../../../proto/fault.ts';
import { readHeaderLength } from '../checkpoint/safetensors.ts';
import { decodeDescription, encodeDescription } from './description.ts';
import { forwardOf, tensorsOf } from './families.ts';

const fixture = fileURLToPath(new URL('../../../fixtures/tiny-gemma4-e', import.meta.url));
const read = (file: string): Uint8Array => new Uint8Array(readFileSync(join(fixture, file)));

function described(): Uint8Array {
  const file = 'model.safetensors';
  const whole = read(file);
  const header = whole.slice(8, 8 + readHeaderLength(whole.subarray(0, 8), file, whole.length));
  return encodeDescription({
    config: read('config.json'),
    files: [{ file, bytes: whole.length, digest: 'ab'.repeat(32), header }],
    positions: 128,
    head: { perplexity: true, output: false },
  });
}

test('what is described is what is read', () => {
  const { checkpoint, fileDigests, positions, head } = decodeDescription(described());
  expect({ positions, head }).toEqual({
    positions: 128,
    head: { perplexity: true, output: false },
  });
  expect([...fileDigests]).toEqual([['model.safetensors', 'ab'.repeat(32)]]);
  expect(forwardOf(checkpoint).layers).toHaveLength(4);
  expect(tensorsOf(checkpoint).length).toBeGreaterThan(60);
});

test('anything else is a fault, and nothing else', () => {
  const whole = described();
  const anyDamage = fc.record({
    at: fc.nat(whole.length - 1),
    byte: fc.nat(255),
    cut: fc.boolean(),
  });
  fc.assert(
    fc.property(anyDamage, ({ at, byte, cut }) => {
      const damaged = whole.slice(0, cut ? at : whole.length);
      if (!cut) damaged[at] = byte;
      try {
        decodeDescription(damaged);
      } catch (error) {
        expect(error).toBeInstanceOf(FaultError);
      }
    }),
  );
  for (const text of ['{}', '[]', '{"positions":1}', '{"positions":0,"config":"{}","files":[]}']) {
    expect(() => decodeDescription(new TextEncoder().encode(text))).toThrow(FaultError);
  }
});
