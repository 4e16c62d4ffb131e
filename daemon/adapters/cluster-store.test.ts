/** Goal: what was written is there, is whole, and is for its owner's eyes alone. */

import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { loadIdentity, openClusterStore, readPeerPort, writePeerPort } from './cluster-store.ts';
import { cryptography, identityOf } from './cryptography.ts';

const made: string[] = [];
let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quantd-cluster-store-'));
  made.push(directory);
});
afterAll(() => {
  for (const path of made) rmSync(path, { recursive: true, force: true });
});
const modeOf = (file: string): number => statSync(join(directory, file)).mode & 0o777;

test('the identity is made once, and stays', async () => {
  const first = await loadIdentity(directory);
  expect(await loadIdentity(directory)).toMatchObject({ publicKey: first.publicKey });
  expect(modeOf('identity')).toBe(0o600);
  writeFileSync(join(directory, 'identity'), 'short');
  await expect(loadIdentity(directory)).rejects.toThrow('QD-8251');
  writeFileSync(join(directory, 'identity'), Buffer.alloc(33));
  await expect(loadIdentity(directory)).rejects.toThrow('QD-8251');
});

test('an identity signs as RFC 8032 says, and libp2p reads it', async () => {
  // Test 2 of section 7.1: a message of one byte.
  const seed = '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb';
  const key = '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c';
  const identity = identityOf(Buffer.from(seed, 'hex'));
  expect(Buffer.from(identity.publicKey).toString('hex')).toBe(key);
  const message = Uint8Array.of(0x72);
  const signature = identity.sign(message);
  expect(Buffer.from(signature).toString('hex')).toMatch(/^92a009a9f0d4cab8720e820b5f642540/);
  expect(cryptography.verify(identity.publicKey, message, signature)).toBe(true);
  expect(cryptography.verify(identity.publicKey, Uint8Array.of(0x73), signature)).toBe(false);
  expect(cryptography.verify(new Uint8Array(31), message, signature)).toBe(false);
  expect(cryptography.verify(identity.publicKey, message, signature.subarray(1))).toBe(false);
  const { privateKeyFromProtobuf } = await import('@libp2p/crypto/keys');
  const read = privateKeyFromProtobuf(identity.privateKey);
  expect(read.type).toBe('Ed25519');
  expect(Buffer.from(read.publicKey.raw).toString('hex')).toBe(key);
});

test('a key is derived and a digest keyed as RFC 5869 and RFC 4231 say', () => {
  // HKDF with SHA-256, test case 3: neither salt nor purpose; the first 32 of its 42 bytes.
  const derived = cryptography.deriveKey(Buffer.alloc(22, 0x0b), new Uint8Array(), '');
  expect(Buffer.from(derived).toString('hex')).toBe(
    '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d',
  );
  const mac = cryptography.mac(Buffer.from('Jefe'), Buffer.from('what do ya want for nothing?'));
  expect(Buffer.from(mac).toString('hex')).toMatch(/^5bdcc146bf60754e6a042426089575c7/);
  expect(cryptography.isSame(mac, mac.slice())).toBe(true);
  expect(cryptography.isSame(mac, mac.subarray(1))).toBe(false);
});

test('the cluster file is what was written last, and nothing is left beside it', async () => {
  const store = openClusterStore(directory);
  expect(await store.read()).toBeUndefined();
  await store.write({ first: 1 });
  await store.write({ second: [2] });
  expect(await store.read()).toEqual({ second: [2] });
  expect(modeOf('cluster')).toBe(0o600);
  expect(readdirSync(directory)).toEqual(['cluster']);
  await store.remove();
  await store.remove();
  expect(await store.read()).toBeUndefined();
  writeFileSync(join(directory, 'cluster'), '{"torn":');
  await expect(store.read()).rejects.toThrow('QD-8253');
});

test('a write that fails leaves the old content', async () => {
  const store = openClusterStore(directory);
  await store.write({ old: true });
  // A name that is taken by a directory cannot be replaced, whoever runs the test.
  const blocked = openClusterStore(join(directory, 'nothing'));
  await expect(blocked.write({ new: true })).rejects.toThrow('QD-8252');
  if (process.getuid?.() !== 0) {
    chmodSync(directory, 0o500);
    await expect(store.write({ new: true })).rejects.toThrow('QD-8252');
    chmodSync(directory, 0o700);
  }
  expect(await store.read()).toEqual({ old: true });
});

test('the port of last time is a port, or none', async () => {
  expect(await readPeerPort(directory)).toBe(0);
  await writePeerPort(directory, 7421);
  expect(await readPeerPort(directory)).toBe(7421);
  for (const text of ['', 'x', '65536', '-1', '9'.repeat(400)]) {
    writeFileSync(join(directory, 'peer-port'), text);
    expect(await readPeerPort(directory), text).toBe(0);
  }
});
