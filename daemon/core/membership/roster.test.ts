import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../../../cluster-tests/fault-code.ts';
import { type Invite, inviteState, keptInvites, spendInvite, usesLeft } from './ledger.ts';
import { peerIdOf } from './peer-id.ts';
import { type MemberRecord, openRecord, type Sign, sealRecord, type Verify } from './records.ts';
import { Roster } from './roster.ts';

// The beginning of the DER encodings of Ed25519 keys; the rest is the key itself.
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');
const verifyEd25519: Verify = (publicKey, message, signature) =>
  verify(
    null,
    message,
    createPublicKey({ key: Buffer.concat([SPKI, publicKey]), format: 'der', type: 'spki' }),
    signature,
  );

function founder(): { cluster: string; sign: Sign } {
  const { privateKey } = generateKeyPairSync('ed25519');
  const key = createPublicKey(
    createPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs8' })),
  );
  const raw = key.export({ format: 'der', type: 'spki' }).subarray(SPKI.length);
  return { cluster: peerIdOf(raw), sign: (message) => sign(null, message, privateKey) };
}

const { cluster, sign: signIt } = founder();
const peers = [1, 2, 3].map((number) => peerIdOf(new Uint8Array(32).fill(number)));
const invites = ['01'.repeat(8), '02'.repeat(8)];

const numbered = { cluster: fc.constant(cluster), sequence: fc.integer({ min: 1, max: 6 }) };
const anyRecord: fc.Arbitrary<MemberRecord> = fc.oneof(
  fc.record({
    ...numbered,
    kind: fc.constant('admit' as const),
    peer: fc.constantFrom(...peers),
    name: fc.constantFrom('nas', 'tower'),
    role: fc.constantFrom('worker' as const, 'coordinator' as const),
    invite: fc.constantFrom(...invites),
  }),
  fc.record({ ...numbered, kind: fc.constant('revoke' as const), peer: fc.constantFrom(...peers) }),
  fc.record({
    ...numbered,
    kind: fc.constant('revoke-invite' as const),
    invite: fc.constantFrom(...invites),
  }),
);

/** What must hold, said in another way: look through all records each time. */
function isMember(peer: string, records: readonly MemberRecord[]): boolean {
  const about = records.filter((record) => 'peer' in record && record.peer === peer);
  const last = Math.max(0, ...about.map(({ sequence }) => sequence));
  const latest = about.filter(({ sequence }) => sequence === last);
  return latest.length > 0 && latest.every(({ kind }) => kind === 'admit');
}

describe('records', () => {
  test('the order in which they arrive, and how often, changes nothing', () => {
    const anyArrival = fc
      .array(anyRecord, { maxLength: 12 })
      .chain((records) =>
        fc.tuple(
          fc.constant(records),
          fc.shuffledSubarray([...records, ...records], { minLength: 2 * records.length }),
        ),
      );
    fc.assert(
      fc.property(anyArrival, ([records, again]) => {
        const seal = (record: MemberRecord): Uint8Array => sealRecord(record, signIt);
        const first = new Roster(cluster, verifyEd25519, records.map(seal));
        const second = new Roster(cluster, verifyEd25519, again.map(seal));
        expect(second.records()).toEqual(first.records());
        // What two peers exchange is enough for both.
        const half = new Roster(cluster, verifyEd25519, records.slice(0, 5).map(seal));
        for (const bytes of first.records()) half.merge(bytes);
        expect(half.records()).toEqual(first.records());
        for (const peer of peers) {
          expect(first.member(peer) !== undefined, peer).toBe(isMember(peer, records));
        }
        for (const invite of invites) {
          const isRevoked = records.some((r) => r.kind === 'revoke-invite' && r.invite === invite);
          expect(first.isInviteRevoked(invite)).toBe(isRevoked);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('come back from their bytes, and from no others', () => {
    fc.assert(
      fc.property(anyRecord, fc.nat(), fc.integer({ min: 1, max: 255 }), (record, place, flip) => {
        const bytes = sealRecord(record, signIt);
        expect(openRecord(bytes, cluster, verifyEd25519)).toEqual(record);
        const changed = bytes.slice();
        changed[place % bytes.length] = (changed[place % bytes.length] ?? 0) ^ flip;
        expect(() => openRecord(changed, cluster, verifyEd25519)).toThrow('QD-8221');
        const short = bytes.slice(0, place % bytes.length);
        expect(() => openRecord(short, cluster, verifyEd25519)).toThrow('QD-8221');
      }),
      { numRuns: 60 },
    );
  });

  test('of another founder count for nothing', () => {
    const other = founder();
    const record: MemberRecord = { kind: 'revoke', cluster, sequence: 9, peer: peers[0] ?? '' };
    const forged = sealRecord(record, other.sign);
    const foreign = sealRecord({ ...record, cluster: other.cluster }, other.sign);
    const swapped = sealRecord({ ...record, cluster: other.cluster }, signIt);
    const roster = new Roster(cluster, verifyEd25519);
    for (const bytes of [forged, foreign, swapped]) {
      expect(() => roster.merge(bytes)).toThrow('QD-8221');
    }
    expect(roster.records()).toEqual([]);
  });

  test('with a name that a terminal would act on are refused', () => {
    const record = { kind: 'admit', cluster, sequence: 1, peer: peers[0], role: 'worker' } as const;
    const bytes = sealRecord(
      { ...record, peer: peers[0] ?? '', invite: invites[0] ?? '', name: 'a\u001b[2J' },
      signIt,
    );
    expect(() => openRecord(bytes, cluster, verifyEd25519)).toThrow('QD-8221');
  });
});

describe('the ledger', () => {
  const invite: Invite = {
    id: invites[0] ?? '',
    role: 'worker',
    createdMs: 0,
    expiresMs: 1000,
    uses: 2,
    verifier: new Uint8Array(32),
    epoch: 1,
    spentBy: [],
  };
  const admits = (peer: string): Uint8Array =>
    sealRecord(
      { kind: 'admit', cluster, sequence: 2, peer, role: 'worker', invite: invite.id, name: 'nas' },
      signIt,
    );
  const context = { nowMs: 0, epoch: 1, roster: new Roster(cluster, verifyEd25519) };

  test('an invite is spent once by each peer, however often each asks, and no more than its uses', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...peers), { maxLength: 12 }), (asking) => {
        let left = invite;
        const admitted = new Set<string>();
        for (const peer of asking) {
          const expected = admitted.has(peer) || admitted.size < invite.uses;
          const code = codeOf(() => {
            left = spendInvite(left, peer, context);
          });
          expect(code).toBe(expected ? 'no fault' : 'QD-8213');
          if (expected) admitted.add(peer);
        }
        expect(usesLeft(left)).toBe(invite.uses - admitted.size);
        expect(new Set(left.spentBy)).toEqual(admitted);
      }),
    );
  });

  test('a closed invite says why', () => {
    const [peer = '', other = ''] = peers;
    const revoked = new Roster(cluster, verifyEd25519, [
      sealRecord({ kind: 'revoke-invite', cluster, sequence: 3, invite: invite.id }, signIt),
    ]);
    expect(codeOf(() => spendInvite(invite, peer, { ...context, nowMs: 999 }))).toBe('no fault');
    expect(codeOf(() => spendInvite(invite, peer, { ...context, nowMs: 1000 }))).toBe('QD-8212');
    expect(codeOf(() => spendInvite(invite, peer, { ...context, epoch: 2 }))).toBe('QD-8215');
    expect(codeOf(() => spendInvite(invite, peer, { ...context, roster: revoked }))).toBe(
      'QD-8214',
    );
    expect(codeOf(() => spendInvite({ ...invite, boundTo: other }, peer, context))).toBe('QD-8211');
    expect(inviteState({ ...invite, spentBy: peers }, context)).toBe('spent');
  });

  test('a member that missed the answer hears it even after the last hour, a stranger does not', () => {
    const [peer = '', other = ''] = peers;
    const spent = spendInvite(invite, peer, context);
    const late = { ...context, nowMs: 5000 };
    const isMemberNow = { ...late, roster: new Roster(cluster, verifyEd25519, [admits(peer)]) };
    expect(codeOf(() => spendInvite(spent, peer, late))).toBe('QD-8212');
    expect(codeOf(() => spendInvite(spent, peer, isMemberNow))).toBe('no fault');
    expect(codeOf(() => spendInvite(spent, other, isMemberNow))).toBe('QD-8212');
  });

  test('old and closed invites make room for new ones', () => {
    const many = Array.from({ length: 400 }, (_, n) => ({
      ...invite,
      id: n.toString(16).padStart(16, '0'),
      createdMs: n,
      expiresMs: n < 10 ? 10_000 : 1,
    }));
    const kept = keptInvites(many, { ...context, nowMs: 500 });
    expect(kept).toHaveLength(255);
    expect(kept.slice(0, 10)).toEqual(many.slice(0, 10));
    expect(kept.at(-1)).toEqual(many.at(-1));
  });
});
