import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../../../cluster-tests/fault-code.ts';
import { peerIdOf, publicKeyOf } from './peer-id.ts';
import {
  decodeToken,
  encodeToken,
  INVITE_ID_BYTES,
  type InviteToken,
  NETWORK_KEY_BYTES,
  SECRET_BYTES,
} from './token.ts';

const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();
const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
const anyPeer = bytes(32).map(peerIdOf);
const anyPort = fc.integer({ min: 1, max: 65_535 });
const anyAddress = fc.oneof(
  fc
    .tuple(fc.integer({ min: 1, max: 223 }), fc.nat(255), fc.nat(255), fc.nat(255), anyPort)
    .map(([a, b, c, d, port]) => `/ip4/${a}.${b}.${c}.${d}/tcp/${port}`),
  fc
    .tuple(fc.constantFrom('::1', 'fe80::1', 'fd00:1:2:3:4:5:6:7'), anyPort)
    .map(([host, port]) => `/ip6/${host}/tcp/${port}`),
);
const anyToken: fc.Arbitrary<InviteToken> = fc.record({
  cluster: anyPeer,
  networkKey: bytes(NETWORK_KEY_BYTES),
  epoch: fc.nat(),
  coordinator: anyPeer,
  addresses: fc.array(anyAddress, { maxLength: 8 }),
  invite: bytes(INVITE_ID_BYTES),
  secret: bytes(SECRET_BYTES),
  expiresMs: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  uses: fc.integer({ min: 1, max: 1000 }),
  role: fc.constantFrom('worker', 'coordinator'),
});
const sample = fc.sample(anyToken, { numRuns: 1, seed: 7 })[0] as InviteToken;
const text = encodeToken(sample, sha256);

const codeOfText = (changed: string): string => codeOf(() => decodeToken(changed, sha256, 0));

// Goal: a token survives what people do to text, and nothing else passes.
test('a token comes back from its text in capitals, wrapped, indented and with look-alikes', () => {
  fc.assert(
    fc.property(anyToken, fc.integer({ min: 1, max: 90 }), (token, width) => {
      const line = encodeToken(token, sha256);
      expect(line).toMatch(/^qd1[0-9a-hjkmnp-tv-z]+$/);
      expect(decodeToken(line, sha256, 0)).toEqual(token);
      expect(decodeToken(line.toUpperCase(), sha256, 0)).toEqual(token);
      const wrapped = line.replace(new RegExp(`.{${width}}`, 'g'), '$&\r\n   \u00a0');
      expect(decodeToken(`  quantd join ${wrapped}\n`, sha256, 0)).toEqual(token);
      const misread = line.replaceAll('0', 'O').replaceAll('1', 'l');
      expect(decodeToken(misread, sha256, 0)).toEqual(token);
    }),
  );
});

test('one other digit anywhere is found', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 3, max: text.length - 1 }),
      fc.constantFrom(...'0x7'),
      (at, digit) => {
        const changed = text.slice(0, at) + digit + text.slice(at + 1);
        if (changed !== text) expect(codeOfText(changed)).toMatch(/^QD-820[245]$/);
      },
    ),
  );
});

test('every beginning of a token is too short', () => {
  for (let length = 3; length < text.length; length++) {
    expect(codeOfText(text.slice(0, length)), `${length}`).toBe('QD-8204');
  }
});

test('any text ends in a token or a fault', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.base64String()), (any) => {
      expect(codeOfText(any)).toMatch(/^QD-820\d$/);
      expect(codeOfText(`qd1${any}`)).toMatch(/^QD-820\d$/);
    }),
  );
});

describe('a token is refused', () => {
  const cases: Record<string, readonly [string, string]> = {
    'that is no token': ['hello', 'QD-8201'],
    'that is empty': ['', 'QD-8201'],
    'that is endless': [`qd1${'0'.repeat(10_000)}`, 'QD-8201'],
    'of a later version': [`qd2${text.slice(3)}`, 'QD-8202'],
    'with a Cyrillic letter': [text.replace(/.$/, 'а'), 'QD-8203'],
    'with a full-width digit': [text.replace(/.$/, '１'), 'QD-8203'],
    'with a letter that is no digit': [text.replace(/.$/, 'u'), 'QD-8203'],
    'with a Kelvin sign': [text.replace(/.$/, '\u212a'), 'QD-8203'],
    'with something behind it': [`${text}00`, 'QD-8205'],
  };
  test.each(Object.entries(cases))('%s', (_, [changed, code]) => {
    expect(codeOfText(changed)).toBe(code);
  });

  test('that has expired', () => {
    const expired = encodeToken({ ...sample, expiresMs: 5000 }, sha256);
    expect(codeOf(() => decodeToken(expired, sha256, 4999))).toBe('no fault');
    expect(codeOf(() => decodeToken(expired, sha256, 5000))).toBe('QD-8207');
  });

  test('that no coordinator writes', () => {
    const noUses = encodeToken({ ...sample, uses: 0 }, sha256);
    expect(codeOfText(noUses)).toBe('QD-8206');
  });
});

test('a peer id is the text of one key only', () => {
  fc.assert(
    fc.property(bytes(32), fc.string(), (key, other) => {
      const peer = peerIdOf(key);
      expect(publicKeyOf(peer)).toEqual(key);
      expect(publicKeyOf(`1${peer}`)).toBeUndefined();
      expect(publicKeyOf(other)).toBeUndefined();
    }),
  );
  // The example of an Ed25519 key in the libp2p peer id specification.
  const known = '12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA';
  expect(peerIdOf(publicKeyOf(known) ?? new Uint8Array(32))).toBe(known);
});
