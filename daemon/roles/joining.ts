/**
 * Joining: the joiner's side of an invite.
 *
 *   token ──▶ joinRequest ──▶ coordinator ──▶ answer ──▶ adoptAnswer ──▶ disk
 *
 * The coordinator has proven to be the peer that the token names before anything is sent, and the
 * secret itself is never sent.
 */

import { FaultError } from '../../proto/fault.ts';
import type { NetworkKey } from '../core/membership/cluster-state.ts';
import { clusterFaults, joinFaults } from '../core/membership/faults.ts';
import {
  decodeJoinAnswer,
  encodeJoinRequest,
  NONCE_BYTES,
  proofMessage,
} from '../core/membership/join-messages.ts';
import { cleanName } from '../core/membership/names.ts';
import type { AdmitRecord } from '../core/membership/records.ts';
import { Roster } from '../core/membership/roster.ts';
import type { InviteToken } from '../core/membership/token.ts';
import { hex } from '../core/plan/unit-id.ts';
import { answerFaults, VERIFIER_PURPOSE } from './admission.ts';
import type { Membership } from './membership.ts';

/**
 * Whether this machine may take the invite: it is not its own, and it leaves no other cluster
 * that has members.
 * @throws FaultError `ownInvite`, `otherCluster`
 */
export function checkInvite(membership: Membership, token: InviteToken): void {
  if (token.coordinator === membership.self) throw new FaultError(clusterFaults.ownInvite);
  const { state } = membership;
  if (state === undefined || state.cluster === token.cluster) return;
  const { roster } = membership.require();
  const isAlone = membership.isFounder && roster.members().length <= 1;
  const isOut = roster.roleOf(membership.self) === undefined;
  if (!isAlone && !isOut) throw new FaultError(clusterFaults.otherCluster);
}

export function joinRequest(
  membership: Membership,
  token: InviteToken,
  { name, version }: { readonly name: string; readonly version: string },
): Uint8Array {
  const { cryptography } = membership.ports;
  const nonce = cryptography.random(NONCE_BYTES);
  const key = cryptography.deriveKey(token.secret, token.invite, VERIFIER_PURPOSE);
  const message = proofMessage(token.cluster, membership.self, token.coordinator, nonce);
  return encodeJoinRequest({
    invite: hex(token.invite),
    nonce,
    proof: cryptography.mac(key, message),
    name: cleanName(name),
    version,
  });
}

/**
 * Takes the answer of the token's coordinator: from then on this machine is a member.
 * @throws FaultError of joinFaults
 */
export async function adoptAnswer(
  membership: Membership,
  token: InviteToken,
  bytes: Uint8Array,
): Promise<AdmitRecord> {
  const answer = decodeJoinAnswer(bytes);
  if (answer.kind === 'refused') {
    const kind = answerFaults.get(answer.code) ?? joinFaults.badAnswer;
    throw new FaultError(kind, answer.why === 'unnamed' ? {} : { why: answer.why });
  }
  const roster = new Roster(token.cluster, membership.ports.cryptography.verify, answer.records);
  const record = roster.member(membership.self);
  if (record === undefined) {
    throw new FaultError(joinFaults.badAnswer, { why: 'it does not say that this is a member' });
  }
  await membership.update((state) => {
    const before = state?.cluster === token.cluster ? state : undefined;
    // What a member knows already stays: records that revoke, and keys that are newer.
    for (const old of before?.records ?? []) roster.merge(old);
    const known = before?.networkKeys ?? [];
    const networkKeys = withNewest(known, answer.networkKey);
    return {
      cluster: token.cluster,
      networkKeys,
      records: roster.records(),
      invites: [],
      addresses: { ...before?.addresses, [token.coordinator]: token.addresses },
    };
  });
  return record;
}

function withNewest(known: readonly NetworkKey[], key: NetworkKey): NetworkKey[] {
  return [key, ...known.filter(({ epoch }) => epoch !== key.epoch)].sort(
    (a, b) => b.epoch - a.epoch,
  );
}
