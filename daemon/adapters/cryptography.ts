/**
 * Cryptography: chance, digests and Ed25519 signatures of Node, behind the ports of membership.
 *
 *   32 bytes of seed ──▶ identityOf ──▶ Identity (ports.ts)
 */

import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto';
import type { Cryptography, Identity, RunningDigest } from '../ports.ts';

export const SEED_BYTES = 32;

// What stands before the key itself in the DER encodings of Ed25519 keys (RFC 8410).
const PRIVATE_DER = Buffer.from('302e020100300506032b657004220420', 'hex');
const PUBLIC_DER = Buffer.from('302a300506032b6570032100', 'hex');
// libp2p's protobuf of a private key: type (field 1) Ed25519, then 64 bytes (field 2).
const PRIVATE_PROTOBUF = Buffer.from('08011240', 'hex');
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

export function identityOf(seed: Uint8Array): Identity {
  const key = createPrivateKey({
    key: Buffer.concat([PRIVATE_DER, seed]),
    format: 'der',
    type: 'pkcs8',
  });
  const publicKey = createPublicKey(key)
    .export({ format: 'der', type: 'spki' })
    .subarray(PUBLIC_DER.length);
  return {
    privateKey: Buffer.concat([PRIVATE_PROTOBUF, seed, publicKey]),
    publicKey,
    sign: (message) => sign(null, message, key),
  };
}

export const cryptography: Cryptography = {
  // Plain arrays: a Buffer turns into something else where it is written as JSON.
  random: (bytes) => new Uint8Array(randomBytes(bytes)),
  sha256: (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest()),
  verify: (publicKey, message, signature) => {
    if (publicKey.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
    const key = publicKeyOf(publicKey);
    return key !== undefined && verify(null, message, key, signature);
  },
  deriveKey: (secret, salt, purpose) =>
    new Uint8Array(hkdfSync('sha256', secret, salt, purpose, KEY_BYTES)),
  mac: (key, message) => createHmac('sha256', key).update(message).digest(),
  isSame: (a, b) => a.length === b.length && timingSafeEqual(a, b),
};

export function startDigest(): RunningDigest {
  const hash = createHash('sha256');
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => hash.digest(),
  };
}

function publicKeyOf(bytes: Uint8Array): KeyObject | undefined {
  try {
    const key = Buffer.concat([PUBLIC_DER, bytes]);
    return createPublicKey({ key, format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}
