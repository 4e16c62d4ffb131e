/**
 * Admission: the founder gives invites, lets joiners in, and puts members out.
 *
 *   join request ──▶ proof ──▶ ledger ──▶ disk ──▶ answer (record, network key)
 *
 * Only the founder's key signs records. Whatever is answered was on disk before.
 */

import { FaultError, type FaultKind } from '../../proto/fault.ts';
import type { MemberRole, PeerId } from '../../proto/peer-messages.ts';
import type { ClusterState } from '../core/membership/cluster-state.ts';
import { clusterFaults, joinFaults } from '../core/membership/faults.ts';
import {
  decodeJoinRequest,
  encodeJoinAnswer,
  type JoinRequest,
  proofMessage,
} from '../core/membership/join-messages.ts';
import {
  INVITES_MAX,
  type Invite,
  inviteState,
  keptInvites,
  spendInvite,
} from '../core/membership/ledger.ts';
import { fingerprintOf } from '../core/membership/peer-id.ts';
import { type MemberRecord, sealRecord } from '../core/membership/records.ts';
import type { Roster } from '../core/membership/roster.ts';
import {
  encodeToken,
  INVITE_ID_BYTES,
  INVITE_USES_MAX,
  NETWORK_KEY_BYTES,
  SECRET_BYTES,
} from '../core/membership/token.ts';
import { hex } from '../core/plan/unit-id.ts';
import { AttemptLimit } from './attempt-limit.ts';
import { type Membership, newestKey, withKey } from './membership.ts';

/** What the secret of a token is turned into before it is kept. */
export const VERIFIER_PURPOSE = 'quantd-invite-1';
// The founder keeps a connection to each; the records of all must fit the memory of the least.
const MEMBERS_MAX = 256;

type RecordBody = MemberRecord extends infer R
  ? R extends MemberRecord
    ? Omit<R, 'cluster' | 'sequence'>
    : never
  : never;

export interface InviteOptions {
  readonly role: MemberRole;
  readonly uses: number;
  readonly ttlMs: number;
  /** Where joiners reach this machine. */
  readonly addresses: readonly string[];
  readonly boundTo?: PeerId;
}

export interface Departed {
  readonly peer: PeerId;
  readonly name: string;
}

export class Admission {
  readonly #membership: Membership;
  readonly #attempts: AttemptLimit;
  readonly #version: string;

  /** @param version of quantd, which joiners must have too */
  constructor(membership: Membership, version: string) {
    this.#version = version;
    this.#membership = membership;
    this.#attempts = new AttemptLimit(membership.ports.wallClock);
  }

  /** Whether strangers may knock. */
  get isOpen(): boolean {
    const { state, isFounder } = this.#membership;
    if (state === undefined || !isFounder) return false;
    const context = this.#membership.inviteContext();
    return state.invites.some((invite) => inviteState(invite, context) === 'open');
  }

  /** @throws FaultError `notCoordinator`, `badOption`, `invitesMax` */
  async invite(options: InviteOptions): Promise<{ token: string; invite: Invite }> {
    const { cryptography, wallClock } = this.#membership.ports;
    const { state } = this.#founders();
    if (options.uses < 1 || options.uses > INVITE_USES_MAX) {
      throw new FaultError(clusterFaults.badOption, {
        why: `--uses is not 1 to ${INVITE_USES_MAX}`,
      });
    }
    const id = cryptography.random(INVITE_ID_BYTES);
    const secret = cryptography.random(SECRET_BYTES);
    const { epoch, key } = newestKey(state);
    const nowMs = wallClock();
    const invite: Invite = {
      id: hex(id),
      role: options.role,
      createdMs: nowMs,
      expiresMs: nowMs + options.ttlMs,
      uses: options.uses,
      verifier: cryptography.deriveKey(secret, id, VERIFIER_PURPOSE),
      epoch,
      spentBy: [],
      ...(options.boundTo === undefined ? {} : { boundTo: options.boundTo }),
    };
    await this.#change((held) => {
      const context = this.#membership.inviteContext();
      const open = held.invites.filter((other) => inviteState(other, context) === 'open');
      if (open.length >= INVITES_MAX - 1) throw new FaultError(clusterFaults.invitesMax);
      return { ...held, invites: [...keptInvites(held.invites, context), invite] };
    });
    const token = encodeToken(
      {
        ...{ cluster: state.cluster, coordinator: this.#membership.self, epoch, networkKey: key },
        ...{ addresses: options.addresses, invite: id, secret },
        ...{ expiresMs: invite.expiresMs, uses: invite.uses, role: invite.role },
      },
      cryptography.sha256,
    );
    return { token, invite };
  }

  /**
   * The answer to a request to join, whose sender has proven to be `joiner`. Who cannot prove to
   * hold an invite learns nothing about it.
   */
  async answerJoin(joiner: PeerId, bytes: Uint8Array): Promise<Uint8Array> {
    try {
      if (!this.#attempts.admits(joiner)) throw new FaultError(joinFaults.tooManyAttempts);
      return await this.#admit(joiner, decodeJoinRequest(bytes));
    } catch (error) {
      if (!(error instanceof FaultError)) throw error;
      const { code, why = '' } = error.toMessage();
      return encodeJoinAnswer({ kind: 'refused', code, why });
    }
  }

  async #admit(joiner: PeerId, request: JoinRequest): Promise<Uint8Array> {
    await this.#change((state, roster) => {
      const invite = this.#provenInvite(state, joiner, request);
      // Before a use is spent on a machine that cannot work with this one.
      if (request.version !== this.#version) {
        const why = `${request.version} there, ${this.#version} on the coordinator`;
        throw new FaultError(joinFaults.otherRelease, { why });
      }
      const spent = spendInvite(invite, joiner, this.#membership.inviteContext());
      // A member that asks again is told what it is; nothing changes.
      if (spent === invite && roster.member(joiner)?.invite === invite.id) return state;
      if (roster.members().length >= MEMBERS_MAX) throw new FaultError(clusterFaults.membersMax);
      const record = this.#sealed(roster, {
        ...{ kind: 'admit', peer: joiner, name: request.name },
        ...{ role: invite.role, invite: invite.id },
      });
      roster.merge(record);
      const invites = state.invites.map((other) => (other === invite ? spent : other));
      return { ...state, invites, records: roster.records() };
    });
    const { state, roster } = this.#membership.require();
    // The other records follow between members.
    const records = [joiner, this.#membership.self].flatMap((peer) => roster.recordOf(peer) ?? []);
    return encodeJoinAnswer({ kind: 'admitted', records, networkKey: newestKey(state) });
  }

  #provenInvite(state: ClusterState, joiner: PeerId, request: JoinRequest): Invite {
    const { cryptography } = this.#membership.ports;
    const invite = state.invites.find(({ id }) => id === request.invite);
    const message = proofMessage(state.cluster, joiner, this.#membership.self, request.nonce);
    // An unknown invite takes as long as a wrong proof.
    const key = invite?.verifier ?? new Uint8Array(NETWORK_KEY_BYTES);
    const isProven = cryptography.isSame(cryptography.mac(key, message), request.proof);
    if (invite === undefined || !isProven) throw new FaultError(joinFaults.unknownInvite);
    return invite;
  }

  /**
   * Puts a member out and changes the network key, which also ends every invite that tells the
   * old one.
   * @throws FaultError `revokesItself`
   */
  async revokeMember(peer: PeerId): Promise<void> {
    const { cryptography } = this.#membership.ports;
    if (peer === this.#membership.self) throw new FaultError(clusterFaults.revokesItself);
    await this.#change((state, roster) => {
      if (roster.member(peer) === undefined) throw new FaultError(clusterFaults.nothingFound);
      roster.merge(this.#sealed(roster, { kind: 'revoke', peer }));
      const epoch = newestKey(state).epoch + 1;
      const key = cryptography.random(NETWORK_KEY_BYTES);
      return withKey({ ...without(state, peer), records: roster.records() }, { epoch, key });
    });
  }

  async revokeInvite(invite: string): Promise<void> {
    await this.#change((state, roster) => {
      roster.merge(this.#sealed(roster, { kind: 'revoke-invite', invite }));
      return { ...state, records: roster.records() };
    });
  }

  /** A member went of its own will and has forgotten the network key. */
  async release(peer: PeerId): Promise<void> {
    if (peer === this.#membership.self) return;
    await this.#change((state, roster) => {
      if (roster.member(peer) === undefined) return state;
      roster.merge(this.#sealed(roster, { kind: 'revoke', peer }));
      return { ...without(state, peer), records: roster.records() };
    });
  }

  /**
   * The member or invite that a person means: by name, fingerprint, peer id, or the beginning of
   * an invite's id.
   * @throws FaultError `nothingFound`, `ambiguousName`
   */
  find(text: string): { member: Departed } | { invite: Invite } {
    const { state, roster } = this.#founders();
    const { sha256 } = this.#membership.ports.cryptography;
    const members = roster
      .members()
      .filter(
        ({ peer, name }) => [peer, name].includes(text) || fingerprintOf(peer, sha256) === text,
      );
    const isId = /^[0-9a-f]{4,16}$/.test(text);
    const invites = state.invites.filter(({ id }) => isId && id.startsWith(text));
    if (members.length + invites.length > 1) {
      throw new FaultError(clusterFaults.ambiguousName, { why: text });
    }
    const [member] = members;
    const [invite] = invites;
    if (member !== undefined) return { member };
    if (invite !== undefined) return { invite };
    throw new FaultError(clusterFaults.nothingFound, { why: text });
  }

  #founders(): { state: ClusterState; roster: Roster } {
    const held = this.#membership.require();
    if (this.#membership.isFounder) return held;
    throw new FaultError(clusterFaults.notCoordinator);
  }

  /** `decide` may add to its roster: it is a copy. */
  #change(decide: (state: ClusterState, roster: Roster) => ClusterState): Promise<void> {
    return this.#membership.update(() => {
      const { state, roster } = this.#founders();
      return decide(state, roster.copy());
    });
  }

  #sealed(roster: Roster, body: RecordBody): Uint8Array {
    const numbered = { cluster: roster.cluster, sequence: roster.nextSequence() };
    const { identity } = this.#membership.ports;
    return sealRecord({ ...body, ...numbered }, (message) => identity.sign(message));
  }
}

function without(state: ClusterState, peer: PeerId): ClusterState {
  const { [peer]: _, ...addresses } = state.addresses;
  return { ...state, addresses };
}

/** The faults that a coordinator may answer with, by code. */
export const answerFaults: ReadonlyMap<string, FaultKind> = new Map(
  [...Object.values(joinFaults), clusterFaults.membersMax].map((kind) => [kind.code, kind]),
);
