/** Goal: only what a machine has signed passes for its word. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cryptography, identityOf } from '../../adapters/cryptography.ts';
import { peerIdOf } from '../membership/peer-id.ts';
import { attestedBytes } from '../plan/attestation.ts';
import { encodeAttestation } from './attestations.ts';
import { readAttestation } from './read-attestations.ts';

const identity = identityOf(new Uint8Array(32).fill(3));
const peer = peerIdOf(identity.publicKey);
const made = [1, 2].map((index) => ({
  unit: index.toString(16).padStart(64, '0'),
  digest: new Uint8Array(32).fill(index),
}));
const line = encodeAttestation({
  peer,
  made,
  signature: identity.sign(attestedBytes(made)),
}).trim();

test('a line that was signed gives its units', () => {
  const { units } = readAttestation(line, 1, cryptography.verify);
  expect(units).toEqual([1, 2].map((index) => [made[index - 1]?.unit, `0${index}`.repeat(32)]));
});

test('a line in which one bit is another is named by its number', () => {
  const bytes = new TextEncoder().encode(line);
  fc.assert(
    fc.property(fc.nat(8 * bytes.length - 1), (bit) => {
      const changed = bytes.slice();
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const text = new TextDecoder().decode(changed);
      expect(() => readAttestation(text, 7, cryptography.verify)).toThrow(/QD-6526.*line 7/s);
    }),
  );
});

test('another machine cannot take the words for its own', () => {
  const other = peerIdOf(identityOf(new Uint8Array(32).fill(4)).publicKey);
  expect(() => readAttestation(line.replace(peer, other), 1, cryptography.verify)).toThrow(
    'has not signed it',
  );
});
