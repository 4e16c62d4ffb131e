/**
 * The cluster as the local API tells of it.
 *
 *   GET  /v1/cluster           ClusterView
 *   GET  /v1/cluster/invites   InviteView[]
 *   POST /v1/cluster/invites   InviteRequest ──▶ InviteMade
 *   POST /v1/cluster/revoke    WhichRequest ──▶ Revoked
 *   POST /v1/cluster/join      JoinRequest ──▶ Joined
 *   POST /v1/cluster/resume    ──▶ Joined, where this machine is a member already
 *   POST /v1/cluster/nearby    ──▶ ClusterView: waits for a coordinator that offers
 *   POST /v1/cluster/approve   WhichRequest ──▶ Approved
 *   POST /v1/cluster/leave     LeaveRequest ──▶ Left
 *
 * Read next: cluster-requests.ts.
 */

import type { FaultMessage } from './fault.ts';
import type { MemberRole, PeerId } from './peer-messages.ts';

export interface MemberView {
  readonly peer: PeerId;
  /** `ab12-cd34`: the same on every machine. */
  readonly fingerprint: string;
  readonly name: string;
  readonly role: MemberRole;
  readonly isSelf: boolean;
  readonly isConnected: boolean;
  /** Where it was reached, or may be. */
  readonly addresses: readonly string[];
  /** What it said of itself; of members that are not connected nothing is known. */
  readonly version?: string;
  readonly isa?: string;
  readonly threads?: number;
  readonly ramBytes?: number;
  readonly diskBytes?: number;
  /** Source bytes a second. */
  readonly bytesPerSecond?: number;
}

/** A machine that waits for a coordinator, or a coordinator that offers a place. */
export interface NearbyView {
  readonly name: string;
  readonly fingerprint: string;
  /** Approved here; the other side has yet to. */
  readonly isApproved: boolean;
}

export interface ClusterView {
  /** none: no cluster; nearby: waits for an offer; revoked: its coordinator put it out. */
  readonly state: 'none' | 'nearby' | 'coordinator' | 'member' | 'revoked';
  readonly name: string;
  readonly fingerprint: string;
  /** Fingerprint of the founder, which is what the cluster is called. */
  readonly cluster?: string;
  /** Of the network key: it counts the revocations. */
  readonly epoch?: number;
  readonly listens: readonly string[];
  readonly mdns: boolean;
  readonly members: readonly MemberView[];
  /** Machines that wait for this coordinator. */
  readonly nearby: readonly NearbyView[];
  /** Coordinators that offer this machine a place. */
  readonly offers: readonly NearbyView[];
  /** Why the last attempt to join, or a member that came, failed. */
  readonly trouble?: FaultMessage;
}

export interface InviteView {
  readonly id: string;
  readonly role: MemberRole;
  readonly uses: number;
  readonly usesLeft: number;
  /** ISO 8601. */
  readonly created: string;
  readonly expires: string;
  /** outdated: the network key has changed since. */
  readonly state: 'open' | 'spent' | 'expired' | 'revoked' | 'outdated';
}

export interface InviteMade extends InviteView {
  readonly token: string;
}

export interface Revoked {
  readonly kind: 'member' | 'invite';
  /** The member's name or the invite's id. */
  readonly which: string;
  /** Open invites that ended with the network key. */
  readonly invitesEnded: number;
}

export interface Joined {
  readonly coordinator: string;
  readonly fingerprint: string;
  readonly role: MemberRole;
  readonly seconds: number;
}

export interface Approved {
  readonly name: string;
  readonly fingerprint: string;
  /** Whether the owner over there has yet to agree; else an invite comes by itself. */
  readonly isOneSided: boolean;
}

export interface Left {
  /** Whether the coordinator was told; else it shows this machine as away. */
  readonly wasTold: boolean;
}
