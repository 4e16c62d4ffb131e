/**
 * Goal: what is answered was on disk, what is not on disk counts for nothing, and who has no proof
 * learns nothing. Method: the real roles and signatures over a store in memory that may fail.
 */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeOfEnd } from '../../cluster-tests/fault-code.ts';
import { cryptography, identityOf } from '../adapters/cryptography.ts';
import { decodeJoinAnswer } from '../core/membership/join-messages.ts';
import { decodeToken, type InviteToken } from '../core/membership/token.ts';
import type { ClusterStore, Identity } from '../ports.ts';
import { Admission } from './admission.ts';
import { adoptAnswer, checkInvite, joinRequest } from './joining.ts';
import { Membership, newestKey } from './membership.ts';

const VERSION = '0.1.0';
const identities: Identity[] = Array.from({ length: 4 }, (_, n) =>
  identityOf(new Uint8Array(32).fill(n + 1)),
);

class MemoryStore implements ClusterStore {
  text: string | undefined;
  writes = 0;
  fails = false;

  async read(): Promise<unknown> {
    return this.text === undefined ? undefined : JSON.parse(this.text);
  }

  async write(value: object): Promise<void> {
    if (this.fails) throw new Error('the disk is full');
    this.writes++;
    this.text = JSON.stringify(value);
  }

  async remove(): Promise<void> {
    this.text = undefined;
  }
}

interface Machine {
  readonly store: MemoryStore;
  readonly membership: Membership;
  readonly admission: Admission;
}

let nowMs = 1_000_000;

async function machine(number: number, store = new MemoryStore()): Promise<Machine> {
  const identity = identities[number];
  if (identity === undefined) throw new RangeError(`machine ${number}`);
  const wallClock = (): number => nowMs;
  const membership = await Membership.open({ identity, cryptography, store, wallClock });
  return { store, membership, admission: new Admission(membership, VERSION) };
}

async function founder(): Promise<Machine> {
  const made = await machine(0);
  await made.membership.found('nas');
  return made;
}

const invite = (of: Machine, uses = 1): Promise<{ token: string }> =>
  of.admission.invite({ role: 'worker', uses, ttlMs: 1000, addresses: [] });
const read = (token: string): InviteToken => decodeToken(token, cryptography.sha256, nowMs);

/** As the network would do it: the joiner's peer id is proven. */
async function ask(joiner: Machine, at: Machine, token: InviteToken): Promise<Uint8Array> {
  const request = joinRequest(joiner.membership, token, { name: 'box', version: VERSION });
  return at.admission.answerJoin(joiner.membership.self, request);
}

async function join(joiner: Machine, at: Machine, token: InviteToken): Promise<void> {
  await adoptAnswer(joiner.membership, token, await ask(joiner, at, token));
}

describe('joining', () => {
  test('makes a member on both sides, on disk before the answer', async () => {
    const nas = await founder();
    const box = await machine(1);
    const token = read((await invite(nas)).token);
    checkInvite(box.membership, token);
    const answer = await ask(box, nas, token);
    // A coordinator that dies now and comes back knows the member.
    const revived = await machine(0, nas.store);
    expect(revived.membership.roleOf(box.membership.self)).toBe('worker');
    await adoptAnswer(box.membership, token, answer);
    const restarted = await machine(1, box.store);
    expect(restarted.membership.roleOf(box.membership.self)).toBe('worker');
    expect(restarted.membership.roleOf(nas.membership.self)).toBe('coordinator');
    expect(newestKey(restarted.membership.require().state)).toEqual(
      newestKey(nas.membership.require().state),
    );
    // Nothing that was kept tells the secret of the token.
    const secret = Buffer.from(token.secret).toString('hex');
    expect(nas.store.text).not.toContain(secret);
    expect(box.store.text).not.toContain(secret);
  });

  test('asked again after a lost answer spends nothing and says the same', async () => {
    const nas = await founder();
    const box = await machine(1);
    const token = read((await invite(nas)).token);
    const lost = decodeJoinAnswer(await ask(box, nas, token));
    const { writes } = nas.store;
    expect(decodeJoinAnswer(await ask(box, nas, token))).toEqual(lost);
    expect(nas.store.writes).toBe(writes);
    expect(nas.membership.require().state.invites[0]?.spentBy).toEqual([box.membership.self]);
  });

  test('of many at once lets in as many as the invite says', async () => {
    const nas = await founder();
    const token = read((await invite(nas, 2)).token);
    const boxes = await Promise.all([1, 2, 3].map((number) => machine(number)));
    const codes = await Promise.all(boxes.map((box) => codeOfEnd(join(box, nas, token))));
    expect(codes.sort()).toEqual(['QD-8213', 'no fault', 'no fault']);
    expect(nas.membership.require().roster.members()).toHaveLength(3);
  });

  test('is not answered where it cannot be kept, and changes nothing', async () => {
    const nas = await founder();
    const box = await machine(1);
    const token = read((await invite(nas)).token);
    const before = nas.store.text;
    nas.store.fails = true;
    await expect(ask(box, nas, token)).rejects.toThrow('the disk is full');
    expect(nas.store.text).toBe(before);
    expect(nas.membership.roleOf(box.membership.self)).toBeUndefined();
    nas.store.fails = false;
    expect(await codeOfEnd(join(box, nas, token))).toBe('no fault');
  });

  test('needs the proof: any change of the request is answered alike', async () => {
    const nas = await founder();
    const box = await machine(1);
    const token = read((await invite(nas)).token);
    const request = joinRequest(box.membership, token, { name: 'box', version: VERSION });
    const other = (await machine(2)).membership.self;
    // Said by another peer, the same bytes prove nothing.
    const stolen = decodeJoinAnswer(await nas.admission.answerJoin(other, request));
    expect(stolen).toMatchObject({ kind: 'refused', code: 'QD-8211' });
    const PROVEN_BYTES = 1 + 8 + 16 + 32;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: PROVEN_BYTES - 1 }),
        fc.integer({ min: 1, max: 255 }),
        async (at, flip) => {
          nowMs += 60_000;
          const fresh = read((await invite(nas)).token);
          const changed = joinRequest(box.membership, fresh, { name: 'box', version: VERSION });
          changed[at] = (changed[at] ?? 0) ^ flip;
          const answer = decodeJoinAnswer(
            await nas.admission.answerJoin(box.membership.self, changed),
          );
          expect(answer).toMatchObject({ kind: 'refused', code: 'QD-8211' });
        },
      ),
      { numRuns: 40 },
    );
    expect(nas.membership.require().roster.members()).toHaveLength(1);
  });

  test('is limited in attempts, each peer for itself', async () => {
    const nas = await founder();
    const [box, other] = await Promise.all([machine(1), machine(2)]);
    const token = read((await invite(nas)).token);
    const forged = { ...token, secret: new Uint8Array(32) };
    const codes: string[] = [];
    for (let attempt = 0; attempt < 25; attempt++) {
      codes.push(await codeOfEnd(join(box, nas, forged)));
    }
    expect(codes.slice(0, 20)).toEqual(Array(20).fill('QD-8211'));
    expect(codes.slice(20)).toEqual(Array(5).fill('QD-8218'));
    expect(await codeOfEnd(join(other, nas, token))).toBe('no fault');
    nowMs += 60_000;
    expect(await codeOfEnd(join(box, nas, forged))).toBe('QD-8211');
  });

  test('with another version of quantd spends nothing', async () => {
    const nas = await founder();
    const box = await machine(1);
    const token = read((await invite(nas)).token);
    const request = joinRequest(box.membership, token, { name: 'box', version: '0.2.0' });
    const answer = decodeJoinAnswer(await nas.admission.answerJoin(box.membership.self, request));
    expect(answer).toMatchObject({ kind: 'refused', code: 'QD-8219' });
    expect(nas.membership.require().state.invites[0]?.spentBy).toEqual([]);
  });

  test('believes no answer that the founder did not sign for this machine', async () => {
    const nas = await founder();
    const [box, other] = await Promise.all([machine(1), machine(2)]);
    const token = read((await invite(nas, 2)).token);
    const forOther = await ask(other, nas, token);
    expect(await codeOfEnd(adoptAnswer(box.membership, token, forOther))).toBe('QD-8217');
    const elsewhere = { ...token, cluster: other.membership.self };
    const forBox = await ask(box, nas, token);
    expect(await codeOfEnd(adoptAnswer(box.membership, elsewhere, forBox))).toBe('QD-8221');
    expect(box.membership.state).toBeUndefined();
  });

  test('leaves a cluster that has members to itself', async () => {
    const [nas, rival] = await Promise.all([founder(), machine(3)]);
    await rival.membership.found('rival');
    const token = read((await invite(nas)).token);
    // Alone in its own cluster, it may go.
    checkInvite(rival.membership, token);
    const box = await machine(1);
    await join(box, rival, read((await invite(rival)).token));
    for (const busy of [rival, box]) {
      expect(() => checkInvite(busy.membership, token)).toThrow('QD-8234');
    }
    expect(() => checkInvite(nas.membership, token)).toThrow('QD-8233');
  });
});

describe('revoking', () => {
  test('puts out, changes the key, and ends the invites that tell the old one', async () => {
    const nas = await founder();
    const [box, other] = await Promise.all([machine(1), machine(2)]);
    const first = read((await invite(nas, 3)).token);
    await join(box, nas, first);
    await join(other, nas, first);
    const oldKey = newestKey(nas.membership.require().state);
    await nas.admission.revokeMember(box.membership.self);
    const { state } = nas.membership.require();
    expect(newestKey(state).epoch).toBe(oldKey.epoch + 1);
    expect(newestKey(state).key).not.toEqual(oldKey.key);
    expect(state.networkKeys).toContainEqual(oldKey);
    expect(nas.admission.isOpen).toBe(false);
    expect(nas.membership.roleOf(box.membership.self)).toBeUndefined();
    expect(await codeOfEnd(join(box, nas, first))).toBe('QD-8215');
    // What the others hear is enough for them to put it out as well.
    expect(await other.membership.merge(state.records)).toBe(true);
    expect(other.membership.roleOf(box.membership.self)).toBeUndefined();
    expect(await other.membership.merge(state.records)).toBe(false);
    // Who revokes may change their mind: an invite of today counts more than the past.
    await join(box, nas, read((await invite(nas)).token));
    expect(nas.membership.roleOf(box.membership.self)).toBe('worker');
    expect(box.membership.roleOf(box.membership.self)).toBe('worker');
  });

  test('is the founder’s alone, and not for itself', async () => {
    const nas = await founder();
    const box = await machine(1);
    await join(box, nas, read((await invite(nas)).token));
    const own = nas.membership.self;
    expect(await codeOfEnd(nas.admission.revokeMember(own))).toBe('QD-8237');
    expect(await codeOfEnd(box.admission.revokeMember(own))).toBe('QD-8232');
    expect(
      await codeOfEnd(box.admission.invite({ role: 'worker', uses: 1, ttlMs: 1, addresses: [] })),
    ).toBe('QD-8232');
    expect(await codeOfEnd(nas.admission.revokeMember(identities.toString()))).toBe('QD-8235');
  });

  test('a newer key is taken, an older one is not', async () => {
    const box = await founder();
    const key = new Uint8Array(32).fill(9);
    await box.membership.takeKey({ epoch: 5, key });
    await box.membership.takeKey({ epoch: 4, key: new Uint8Array(32) });
    expect(newestKey(box.membership.require().state)).toEqual({ epoch: 5, key });
    for (let epoch = 6; epoch < 60; epoch++) await box.membership.takeKey({ epoch, key });
    expect(box.membership.require().state.networkKeys.length).toBeLessThanOrEqual(16);
  });

  test('a name that two machines have is not enough', async () => {
    const nas = await founder();
    const [box, other] = await Promise.all([machine(1), machine(2)]);
    const { token, invite: given } = await nas.admission.invite({
      ...{ role: 'worker', uses: 2, ttlMs: 1000, addresses: [] },
    });
    await join(box, nas, read(token));
    await join(other, nas, read(token));
    expect(() => nas.admission.find('box')).toThrow('QD-8236');
    expect(() => nas.admission.find('tower')).toThrow('QD-8235');
    expect(nas.admission.find('nas')).toMatchObject({ member: { peer: nas.membership.self } });
    expect(nas.admission.find(given.id.slice(0, 6))).toMatchObject({ invite: { id: given.id } });
  });
});
