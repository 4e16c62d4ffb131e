/**
 * Local cluster: what a daemon can be asked about its cluster, over the local API.
 *
 * Read next: cluster.ts, the paths and what they answer.
 */

import type {
  Approved,
  ClusterView,
  InviteMade,
  InviteView,
  Joined,
  Left,
  Revoked,
} from './cluster.ts';
import type { InviteRequest } from './cluster-requests.ts';

/** The cluster, as the local API offers it. Every method may throw a FaultError. */
export interface LocalCluster {
  view(): ClusterView;
  invites(): InviteView[];
  invite(request: InviteRequest): Promise<InviteMade>;
  /** A member or an invite. */
  revoke(which: string): Promise<Revoked>;
  join(token: string): Promise<Joined>;
  /** As the member that this machine is already. */
  resume(): Promise<Joined>;
  waitNearby(): Promise<void>;
  approve(which: string): Approved;
  /** `end`: a founder goes although it leaves members behind. */
  leave(end: boolean): Promise<Left>;
}
