/**
 * Peer id: the text that names a peer, and the Ed25519 public key that it is made of.
 *
 *   32 bytes ──▶ peerIdOf ──▶ 12D3KooW… ──▶ publicKeyOf ──▶ 32 bytes
 *
 * A libp2p peer id of an Ed25519 key holds the whole key: base58btc of the identity multihash
 * (00, length 24h) of the key's protobuf (type 08 01, data 12 20 and 32 bytes).
 */

import { assert } from '../../../proto/assert.ts';
import type { PeerId } from '../../../proto/peer-messages.ts';
import type { Sha256 } from '../plan/unit-id.ts';
import { encodeBase32 } from './base32.ts';

export const PUBLIC_KEY_BYTES = 32;

const PREFIX = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];
const DIGITS = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
// 38 bytes have 52 digits at most.
const DIGITS_MAX = 52;
// Forty bits: to meet one by chance takes a machine months, and approval takes two people.
const FINGERPRINT_BYTES = 5;

export function peerIdOf(publicKey: Uint8Array): PeerId {
  assert(publicKey.length === PUBLIC_KEY_BYTES, 'an Ed25519 public key has 32 bytes');
  let number = 0n;
  for (const byte of [...PREFIX, ...publicKey]) number = number * 256n + BigInt(byte);
  let text = '';
  for (; number > 0n; number /= 58n) text = `${DIGITS[Number(number % 58n)]}${text}`;
  // The multihash begins with one zero byte, which base58btc writes as its zero digit.
  return `1${text}`;
}

/** The key in a peer id; undefined for ids of other kinds of keys, and for any other text. */
export function publicKeyOf(peer: string): Uint8Array | undefined {
  if (peer.length > DIGITS_MAX || !peer.startsWith('1')) return undefined;
  let number = 0n;
  for (const character of peer) {
    const digit = DIGITS.indexOf(character);
    if (digit < 0) return undefined;
    number = number * 58n + BigInt(digit);
  }
  const bytes = new Uint8Array(PREFIX.length + PUBLIC_KEY_BYTES);
  for (let at = bytes.length - 1; at >= 0; at--) {
    bytes[at] = Number(number % 256n);
    number /= 256n;
  }
  const key = bytes.slice(PREFIX.length);
  // Other lengths and prefixes, and a second zero digit, do not come back as they were.
  return peerIdOf(key) === peer ? key : undefined;
}

/** `ab12-cd34`: what two people compare. The same on every machine for one identity. */
export function fingerprintOf(peer: PeerId, sha256: Sha256): string {
  const key = publicKeyOf(peer);
  assert(key !== undefined, 'a peer of the cluster has an Ed25519 key');
  const text = encodeBase32(sha256(key).subarray(0, FINGERPRINT_BYTES));
  return `${text.slice(0, 4)}-${text.slice(4)}`;
}
