import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FaultError } from '../../../proto/fault.ts';
import { isDialable, plainAddress } from './address.ts';
import { stateFromFile, stateToFile } from './cluster-state.ts';
import {
  decodeJoinAnswer,
  decodeJoinRequest,
  encodeJoinAnswer,
  encodeJoinRequest,
  type JoinAnswer,
  type JoinRequest,
} from './join-messages.ts';
import { cleanName } from './names.ts';
import { peerIdOf } from './peer-id.ts';

const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
const anyName = fc.string({ unit: 'grapheme', maxLength: 80 }).map(cleanName);
const anyRequest: fc.Arbitrary<JoinRequest> = fc.record({
  invite: bytes(8).map((id) => Buffer.from(id).toString('hex')),
  nonce: bytes(16),
  proof: bytes(32),
  name: anyName,
  version: fc.constantFrom('0.1.0', '1.22.333-alpha'),
});
const anyAnswer: fc.Arbitrary<JoinAnswer> = fc.oneof(
  fc.record({
    kind: fc.constant('admitted' as const),
    records: fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 2 }),
    networkKey: fc.record({ epoch: fc.nat(), key: bytes(32) }),
  }),
  fc.record({
    kind: fc.constant('refused' as const),
    code: fc.constantFrom('QD-8211', 'QD-8213'),
    why: anyName,
  }),
);

test('join messages come back from their bytes', () => {
  fc.assert(
    fc.property(anyRequest, anyAnswer, (request, answer) => {
      expect(decodeJoinRequest(encodeJoinRequest(request))).toEqual(request);
      expect(decodeJoinAnswer(encodeJoinAnswer(answer))).toEqual(answer);
    }),
  );
});

test('any bytes are a join message or a fault', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (any, marked) => {
      if (marked) any[0] = 1;
      for (const decode of [decodeJoinRequest, decodeJoinAnswer]) {
        try {
          decode(any);
        } catch (error) {
          expect(error).toBeInstanceOf(FaultError);
        }
      }
    }),
  );
});

test('a name has nothing that a terminal acts on, and cleaning it twice changes nothing', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const name = cleanName(text);
      expect(name).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
      expect([...name].length).toBeLessThanOrEqual(64);
      expect(name.length).toBeGreaterThan(0);
      expect(cleanName(name)).toBe(name);
    }),
  );
  expect(cleanName('  nas\u001b[31m \u202eevil\n ')).toBe('nas [31m evil');
  expect(cleanName('\u0000')).toBe('unnamed');
});

test('only one machine with a number can be called', () => {
  const good = ['/ip4/192.168.1.10/tcp/7421', '/ip6/fe80::1/tcp/1', '/ip4/127.0.0.1/tcp/65535'];
  const bad = [
    ...['/ip4/0.0.0.0/tcp/1', '/ip4/224.0.0.251/tcp/1', '/ip4/255.255.255.255/tcp/1'],
    ...['/ip4/1.2.3.4/tcp/0', '/ip4/1.2.3.4/tcp/65536', '/ip4/1.2.3/tcp/1', '/ip4/01.2.3.4/tcp/1'],
    ...['/dns4/nas.local/tcp/1', '/ip6/ff02::fb/tcp/1', '/ip6/::/tcp/1', '/ip6/1:2/tcp/1'],
    ...['/ip4/1.2.3.4/udp/1', '/ip4/1.2.3.4/tcp/1/ws', '', '/ip4/1.2.3.4/tcp/1\n'],
  ];
  expect(good.filter((text) => !isDialable(text))).toEqual([]);
  expect(bad.filter(isDialable)).toEqual([]);
  expect(plainAddress(`${good[0]}/p2p/12D3KooW`)).toBe(good[0]);
});

test('what is kept of a cluster comes back from its file', () => {
  const anyPeer = bytes(32).map(peerIdOf);
  const anyState = fc.record({
    cluster: anyPeer,
    networkKeys: fc.array(fc.record({ epoch: fc.nat(), key: bytes(32) }), {
      minLength: 1,
      maxLength: 3,
    }),
    records: fc.array(fc.uint8Array({ minLength: 1, maxLength: 99 }), { maxLength: 3 }),
    invites: fc.array(
      fc.record(
        {
          id: bytes(8).map((id) => Buffer.from(id).toString('hex')),
          role: fc.constantFrom('worker' as const, 'coordinator' as const),
          createdMs: fc.nat(),
          expiresMs: fc.nat(),
          uses: fc.integer({ min: 1, max: 9 }),
          verifier: bytes(32),
          epoch: fc.nat(),
          spentBy: fc.array(anyPeer, { maxLength: 2 }),
          boundTo: anyPeer,
        },
        {
          requiredKeys: [
            'id',
            'role',
            'createdMs',
            'expiresMs',
            'uses',
            'verifier',
            'epoch',
            'spentBy',
          ],
        },
      ),
      { maxLength: 2 },
    ),
    addresses: fc.dictionary(anyPeer, fc.constant(['/ip4/10.0.0.1/tcp/1']), {
      maxKeys: 2,
      noNullPrototype: true,
    }),
  });
  fc.assert(
    fc.property(anyState, (state) => {
      const read: unknown = JSON.parse(JSON.stringify(stateToFile(state)));
      expect(stateFromFile(read)).toEqual(state);
    }),
    { numRuns: 50 },
  );
  fc.assert(
    fc.property(fc.jsonValue(), (any) => {
      expect(() => stateFromFile(any)).toThrow('QD-8222');
    }),
  );
});
