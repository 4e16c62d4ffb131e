/** Cluster view: what membership and the network know, as the local API tells it. */

import type { ClusterView, InviteView, MemberView, NearbyView } from '../../proto/cluster.ts';
import type { PeerId } from '../../proto/peer-messages.ts';
import {
  type Invite,
  type InviteContext,
  inviteState,
  usesLeft,
} from '../core/membership/ledger.ts';
import { cleanName } from '../core/membership/names.ts';
import { fingerprintOf } from '../core/membership/peer-id.ts';
import type { AdmitRecord } from '../core/membership/records.ts';
import type { ConnectedPeer } from '../ports.ts';
import { type Membership, newestKey } from '../roles/membership.ts';

export function viewInvite(invite: Invite, context: InviteContext): InviteView {
  return {
    id: invite.id,
    role: invite.role,
    uses: invite.uses,
    usesLeft: usesLeft(invite),
    created: new Date(invite.createdMs).toISOString(),
    expires: new Date(invite.expiresMs).toISOString(),
    state: inviteState(invite, context),
  };
}

export function viewMembers(
  membership: Membership,
  connected: readonly ConnectedPeer[],
  own: Omit<ConnectedPeer, 'role'>,
  addressesOf: (peer: PeerId) => readonly string[],
): MemberView[] {
  const { state } = membership;
  if (state === undefined) return [];
  const { roster } = membership.require();
  const hellos = new Map([own, ...connected].map(({ peer, hello }) => [peer, hello]));
  return roster.members().map((record): MemberView => {
    const hello = hellos.get(record.peer);
    return {
      ...viewRecord(membership, record),
      isConnected: hello !== undefined,
      addresses: addressesOf(record.peer),
      ...(hello === undefined
        ? {}
        : {
            version: cleanName(hello.version),
            isa: cleanName(hello.isa),
            threads: hello.threads,
            ramBytes: hello.ramBytes,
            diskBytes: hello.diskBytes,
            bytesPerSecond: hello.bytesPerSecond,
          }),
    };
  });
}

function viewRecord(
  membership: Membership,
  { peer, name, role }: AdmitRecord,
): Pick<MemberView, 'peer' | 'fingerprint' | 'name' | 'role' | 'isSelf'> {
  const fingerprint = fingerprintOf(peer, membership.ports.cryptography.sha256);
  return { peer, fingerprint, name, role, isSelf: peer === membership.self };
}

/** What this machine is to its cluster, and the cluster's own figures. */
export function viewCluster(
  membership: Membership,
  isWaiting: boolean,
): Pick<ClusterView, 'state' | 'cluster' | 'epoch'> {
  const { state } = membership;
  if (state === undefined) return { state: isWaiting ? 'nearby' : 'none' };
  const isIn = membership.roleOf(membership.self) !== undefined;
  return {
    state: membership.isFounder ? 'coordinator' : isIn ? 'member' : 'revoked',
    cluster: fingerprintOf(state.cluster, membership.ports.cryptography.sha256),
    epoch: newestKey(state).epoch,
  };
}

export function viewNearby(machine: {
  readonly peer: PeerId;
  readonly name: string;
  readonly fingerprint: string;
  readonly offered?: boolean;
  readonly agreed?: boolean;
}): NearbyView {
  const { name, fingerprint, offered = false, agreed = false } = machine;
  return { name, fingerprint, isApproved: offered || agreed };
}
