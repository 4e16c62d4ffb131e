/**
 * Cluster node: keeps the peer node in accord with what membership says.
 *
 *   membership ──▶ settle ──▶ start, stop, or restart under a new key; keep and forget members
 *
 * Changes are settled one after the other; the network that the roles see stays the same object.
 */

import type { AskTarget, NodeOptions, PeerNode } from '../adapters/network/peer-node.ts';
import type { ClusterState, NetworkKey } from '../core/membership/cluster-state.ts';
import type { Admission } from '../roles/admission.ts';
import { type Membership, newestKey } from '../roles/membership.ts';
import type { StableNetwork } from '../roles/stable-network.ts';

export const JOIN_PROTOCOL = '/quantd/join/1';
export const LEAVE_PROTOCOL = '/quantd/leave/1';

// What was just said to members leaves before the connection does. Who misses it hears it when
// it connects again.
const LAST_WORDS_MS = 250;

export type StartNode = (options: NodeOptions) => Promise<PeerNode>;
/** Begins to listen, at the port of last time or another where that is taken. */
export type OpenPort = (
  start: (listen: readonly string[]) => Promise<PeerNode>,
) => Promise<PeerNode>;
/** What is the same for every node of this machine. */
export type NodeBasis = Pick<NodeOptions, 'identity' | 'hello' | 'sha256'>;

export interface ClusterNodeOptions {
  readonly membership: Membership;
  readonly admission: Admission;
  readonly network: StableNetwork;
  readonly startNode: StartNode;
  readonly basis: NodeBasis;
  readonly mdns: boolean;
  /** Opens the port of last time, or another where that is taken. */
  readonly openPort: OpenPort;
  readonly onRefused: (peer: string, why: string) => void;
  readonly onTrouble: (error: unknown) => void;
}

export class ClusterNode {
  readonly #options: ClusterNodeOptions;
  #node: PeerNode | undefined;
  #cluster = '';
  #epoch = 0;
  #kept = new Set<string>();
  #isPaused = true;
  #lastSettling: Promise<void> = Promise.resolve();
  readonly #stopFollowing: () => void;

  constructor(options: ClusterNodeOptions) {
    this.#options = options;
    this.#stopFollowing = options.membership.onChange(() => {
      // A failure is told by the one who begins; here it is told to the log.
      if (!this.#isPaused) this.#settle(LAST_WORDS_MS).catch(options.onTrouble);
    });
  }

  get node(): PeerNode | undefined {
    return this.#node;
  }

  /** Starts the node where this machine belongs to a cluster; resolves when it listens. */
  begin(): Promise<void> {
    this.#isPaused = false;
    return this.#settle(0);
  }

  /** Stops the node, whatever membership says, until `begin`. */
  pause(): Promise<void> {
    this.#isPaused = true;
    return this.#settle(0);
  }

  async close(): Promise<void> {
    this.#stopFollowing();
    await this.pause();
  }

  /** Tells the founder that this machine goes; false where it cannot be reached. */
  async sayGoodbye(signal: AbortSignal): Promise<boolean> {
    const { state } = this.#options.membership;
    if (this.#node === undefined || state === undefined) return false;
    const target: AskTarget = {
      peer: state.cluster,
      addresses: state.addresses[state.cluster] ?? [],
    };
    try {
      await this.#node.ask(target, LEAVE_PROTOCOL, new Uint8Array(), signal);
      return true;
    } catch {
      return false;
    }
  }

  #settle(delayMs: number): Promise<void> {
    const settling = this.#lastSettling.then(() => this.#settleOnce(delayMs));
    this.#lastSettling = settling.catch(() => undefined);
    return settling;
  }

  async #settleOnce(delayMs: number): Promise<void> {
    const { membership } = this.#options;
    const { state } = membership;
    const isIn = state !== undefined && membership.roleOf(membership.self) !== undefined;
    const isSame =
      isIn && this.#cluster === state.cluster && this.#epoch === newestKey(state).epoch;
    if (this.#node !== undefined) await new Promise((resolve) => setTimeout(resolve, delayMs));
    if (this.#node !== undefined && (this.#isPaused || !isSame)) await this.#stop();
    if (!isIn || this.#isPaused) return;
    if (this.#node === undefined) await this.#start(state);
    this.#keepMembers();
  }

  async #start(state: ClusterState): Promise<void> {
    const { membership, admission, network, basis, startNode, mdns } = this.#options;
    const node = await this.#options.openPort((listen) =>
      startNode({
        ...basis,
        networkKeys: keysToOpen(membership, state),
        listen,
        mdns,
        serviceTag: serviceTag(membership, state.cluster),
        roleOf: (peer) => membership.roleOf(peer),
        admitsStrangers: () => admission.isOpen,
        onRefused: this.#options.onRefused,
      }),
    );
    this.#node = node;
    this.#cluster = state.cluster;
    this.#epoch = newestKey(state).epoch;
    this.#kept = new Set();
    node.answer(JOIN_PROTOCOL, 'strangers', (from, request) => admission.answerJoin(from, request));
    node.answer(LEAVE_PROTOCOL, 'members', async (from) => {
      if (membership.isFounder) await admission.release(from);
      return new Uint8Array();
    });
    network.use(node.network);
  }

  async #stop(): Promise<void> {
    const node = this.#node;
    this.#node = undefined;
    this.#options.network.use(undefined);
    await node?.stop();
  }

  #keepMembers(): void {
    const { membership } = this.#options;
    const { state, roster } = membership.require();
    const members = new Set([state.cluster, ...roster.members().map(({ peer }) => peer)]);
    members.delete(membership.self);
    for (const peer of this.#kept) if (!members.has(peer)) this.#node?.forget(peer);
    for (const peer of members) {
      if (!this.#kept.has(peer)) this.#node?.keep(peer, state.addresses[peer] ?? []);
    }
    this.#kept = members;
  }
}

/** Old keys are for members that were away, and only the founder may let those in. */
function keysToOpen(membership: Membership, state: ClusterState): readonly NetworkKey[] {
  return membership.isFounder ? state.networkKeys : [newestKey(state)];
}

/** What mDNS calls the cluster: tells strangers nothing, and is the same after a new key. */
export function serviceTag(membership: Membership, cluster: string): string {
  const digest = membership.ports.cryptography.sha256(new TextEncoder().encode(cluster));
  return `_quantd-${Buffer.from(digest.subarray(0, 4)).toString('hex')}._udp.local`;
}
