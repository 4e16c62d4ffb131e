/**
 * Cluster state: everything a machine keeps of its cluster, and its file.
 *
 *   ClusterState ──▶ stateToFile ──▶ JSON ──▶ stateFromFile ──▶ ClusterState
 */

import {
  CLUSTER_FILE_VERSION,
  type ClusterFile,
  clusterFile,
} from '../../../proto/cluster-file.ts';
import { FaultError } from '../../../proto/fault.ts';
import type { PeerId } from '../../../proto/peer-messages.ts';
import { hex } from '../plan/unit-id.ts';
import { unhex } from './byte-cursor.ts';
import { recordFaults } from './faults.ts';
import type { Invite } from './ledger.ts';
import { publicKeyOf } from './peer-id.ts';

export interface NetworkKey {
  readonly epoch: number;
  readonly key: Uint8Array;
}

export interface ClusterState {
  /** Peer id of the founder. */
  readonly cluster: PeerId;
  /** Newest first; never empty. */
  readonly networkKeys: readonly NetworkKey[];
  /** As they were signed. */
  readonly records: readonly Uint8Array[];
  /** The founder's. */
  readonly invites: readonly Invite[];
  readonly addresses: Readonly<Record<PeerId, readonly string[]>>;
}

export function stateToFile(state: ClusterState): ClusterFile {
  return {
    version: CLUSTER_FILE_VERSION,
    cluster: state.cluster,
    networkKeys: state.networkKeys.map(({ epoch, key }) => ({ epoch, key: hex(key) })),
    records: state.records.map(hex),
    invites: state.invites.map((invite) => ({
      ...invite,
      verifier: hex(invite.verifier),
      spentBy: [...invite.spentBy],
    })),
    addresses: Object.fromEntries(
      Object.entries(state.addresses).map(([peer, addresses]) => [peer, [...addresses]]),
    ),
  };
}

/** @throws FaultError `badClusterFile` */
export function stateFromFile(value: unknown): ClusterState {
  const parsed = clusterFile.safeParse(value);
  if (!parsed.success) throw damaged(parsed.error.message.slice(0, 500));
  const { cluster, networkKeys, records, invites, addresses } = parsed.data;
  if (publicKeyOf(cluster) === undefined) throw damaged('the name of the cluster is no peer id');
  return {
    cluster,
    networkKeys: networkKeys.map(({ epoch, key }) => ({ epoch, key: unhex(key) })),
    records: records.map(unhex),
    invites: invites.map(({ boundTo, ...invite }) => ({
      ...invite,
      verifier: unhex(invite.verifier),
      ...(boundTo === undefined ? {} : { boundTo }),
    })),
    addresses,
  };
}

function damaged(why: string): FaultError {
  return new FaultError(recordFaults.badClusterFile, { why });
}
