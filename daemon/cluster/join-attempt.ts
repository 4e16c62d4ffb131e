/**
 * Join attempt: asks the coordinator of a token to let this machine in.
 *
 *   InviteToken ──▶ a node without a port ──▶ /quantd/join/1 ──▶ this machine is a member
 *
 * The node knows nobody but the coordinator and ends with the attempt.
 */

import { FaultError } from '../../proto/fault.ts';
import type { PeerNode } from '../adapters/network/peer-node.ts';
import { joinFaults } from '../core/membership/faults.ts';
import type { AdmitRecord } from '../core/membership/records.ts';
import type { InviteToken } from '../core/membership/token.ts';
import { adoptAnswer, joinRequest } from '../roles/joining.ts';
import type { Membership } from '../roles/membership.ts';
import { JOIN_PROTOCOL, type NodeBasis, type StartNode, serviceTag } from './cluster-node.ts';

const ATTEMPTS_MAX = 3;
const ATTEMPT_MS_MAX = 6000;
const PAUSE_MS = 500;

export interface JoinOptions {
  readonly membership: Membership;
  readonly startNode: StartNode;
  readonly basis: NodeBasis;
  readonly mdns: boolean;
  readonly name: string;
  /** Of quantd; the coordinator's must be the same. */
  readonly version: string;
}

/** @throws FaultError of joinFaults */
export async function attemptJoin(options: JoinOptions, token: InviteToken): Promise<AdmitRecord> {
  const { membership, startNode, basis, name, version } = options;
  const node = await startNode({
    ...basis,
    networkKeys: [{ epoch: token.epoch, key: token.networkKey }],
    listen: [],
    // A token without addresses is of a coordinator on the local network.
    mdns: options.mdns || token.addresses.length === 0,
    serviceTag: serviceTag(membership, token.cluster),
    roleOf: () => undefined,
    admitsStrangers: () => false,
  });
  try {
    const answer = await askRepeatedly(
      node,
      token,
      joinRequest(membership, token, { name, version }),
    );
    return await adoptAnswer(membership, token, answer);
  } finally {
    await node.stop();
  }
}

/** The same request again is harmless: the coordinator spends an invite once for each peer. */
async function askRepeatedly(
  node: PeerNode,
  token: InviteToken,
  request: Uint8Array,
): Promise<Uint8Array> {
  const target = { peer: token.coordinator, addresses: token.addresses };
  let why = '';
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    if (attempt > 0) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    try {
      const signal = AbortSignal.timeout(ATTEMPT_MS_MAX);
      return await node.ask(target, JOIN_PROTOCOL, request, signal);
    } catch (error) {
      why = error instanceof Error ? error.message : String(error);
    }
  }
  const where = token.addresses.join(', ') || 'the local network';
  throw new FaultError(joinFaults.unreachable, { why: `${where}: ${why}` });
}
