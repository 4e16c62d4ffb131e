/**
 * Ledger: the invites a coordinator gave, and whether one still opens the door.
 *
 *   Invite, who asks, the time ──▶ spendInvite ──▶ the invite with one use less, or why not
 *
 * Pure: the caller makes the result durable before it answers. A joiner whose answer was lost asks
 * again and spends nothing more.
 */

import { FaultError, type FaultKind } from '../../../proto/fault.ts';
import type { MemberRole, PeerId } from '../../../proto/peer-messages.ts';
import { joinFaults } from './faults.ts';
import type { Roster } from './roster.ts';

/** Invites that are kept, open and closed ones. */
export const INVITES_MAX = 256;

export interface Invite {
  /** Lower-case hex; public, unlike the secret of the token. */
  readonly id: string;
  readonly role: MemberRole;
  readonly createdMs: number;
  readonly expiresMs: number;
  readonly uses: number;
  /** Derived from the token's secret, which is not kept: enough to check a proof. */
  readonly verifier: Uint8Array;
  /** Of the network key in the token. */
  readonly epoch: number;
  /** Who used it, once each. */
  readonly spentBy: readonly PeerId[];
  /** Given to this peer alone, after approval. */
  readonly boundTo?: PeerId;
}

export type InviteState = 'open' | 'spent' | 'expired' | 'revoked' | 'outdated';

/** What else decides about an invite. */
export interface InviteContext {
  readonly nowMs: number;
  /** Of the newest network key. */
  readonly epoch: number;
  readonly roster: Roster;
}

export function inviteState(invite: Invite, context: InviteContext): InviteState {
  if (context.roster.isInviteRevoked(invite.id)) return 'revoked';
  if (invite.epoch !== context.epoch) return 'outdated';
  if (invite.expiresMs <= context.nowMs) return 'expired';
  return usesLeft(invite) > 0 ? 'open' : 'spent';
}

export function usesLeft({ uses, spentBy }: Invite): number {
  return Math.max(0, uses - spentBy.length);
}

const refusals: Readonly<Record<Exclude<InviteState, 'open'>, FaultKind>> = {
  spent: joinFaults.inviteSpent,
  expired: joinFaults.inviteExpired,
  revoked: joinFaults.inviteRevoked,
  outdated: joinFaults.inviteOutdated,
};

/**
 * The invite after `peer` has used it, who has proven to hold its secret: the same one if that
 * had happened before.
 * @throws FaultError of joinFaults
 */
export function spendInvite(invite: Invite, peer: PeerId, context: InviteContext): Invite {
  if (invite.boundTo !== undefined && invite.boundTo !== peer) {
    throw new FaultError(joinFaults.unknownInvite);
  }
  const state = inviteState(invite, context);
  const again = invite.spentBy.includes(peer);
  // A member that missed the answer is told it again even after the last use or hour.
  const isRepeated = again && context.roster.member(peer)?.invite === invite.id;
  const isForgiven = (again && state === 'spent') || (isRepeated && state === 'expired');
  if (state !== 'open' && !isForgiven) throw new FaultError(refusals[state]);
  return again ? invite : { ...invite, spentBy: [...invite.spentBy, peer] };
}

/** The invites to keep beside a new one: open ones first, then the youngest. */
export function keptInvites(invites: readonly Invite[], context: InviteContext): Invite[] {
  const isOpen = (invite: Invite): number => (inviteState(invite, context) === 'open' ? 1 : 0);
  return [...invites]
    .sort((a, b) => isOpen(b) - isOpen(a) || b.createdMs - a.createdMs)
    .slice(0, INVITES_MAX - 1)
    .sort((a, b) => a.createdMs - b.createdMs);
}
