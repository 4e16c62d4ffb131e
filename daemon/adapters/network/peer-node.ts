/**
 * Peer node: this machine's place in the cluster, over libp2p.
 *
 *   identity, network keys, who is a member ──▶ PeerNode ──▶ the port Network, questions, gossip
 *
 * Read next: proto/PROTOCOL.md (what passes over the wire).
 */

import type { Hello, MemberRole, PeerId } from '../../../proto/peer-messages.ts';
import type { Network } from '../../ports.ts';

/** Networks whose key changed: an older key still lets members in, who are then told the new one. */
export interface NetworkKey {
  readonly epoch: number;
  readonly key: Uint8Array;
}

export interface NodeOptions {
  /** Ed25519 private key in libp2p's protobuf encoding. */
  readonly identity: Uint8Array;
  /** Newest first. All are accepted, the first is offered. */
  readonly networkKeys: readonly NetworkKey[];
  /** Multiaddrs; none listens on nothing. */
  readonly listen: readonly string[];
  readonly mdns: boolean;
  readonly serviceTag: string;
  /** What this node says of itself. */
  readonly hello: Hello;
  /** The role of a member, undefined for anyone else: asked on every connection and every stream. */
  readonly roleOf: (peer: PeerId) => MemberRole | undefined;
  /** While true, unknown peers may connect and use the protocols that are open to strangers. */
  readonly admitsStrangers: () => boolean;
  /** SHA-256, if possible on other threads; the bytes stay as they are until it resolves. */
  readonly sha256: (bytes: Uint8Array) => Promise<Uint8Array>;
  /** A member that does not get in, and why: another version, another contract. */
  readonly onRefused?: (peer: PeerId, why: string) => void;
}

/** Who may use a protocol. */
export type Access = 'members' | 'strangers';

export interface AskTarget {
  readonly peer: PeerId;
  readonly addresses: readonly string[];
}

export interface NodeCounters {
  /** Bytes of blobs, by peer. */
  readonly sentBytes: ReadonlyMap<PeerId, number>;
  readonly receivedBytes: ReadonlyMap<PeerId, number>;
  /** Blocks that a peer gave and that were wrong. */
  readonly blocksRefused: ReadonlyMap<PeerId, number>;
}

export interface PeerNode {
  readonly self: PeerId;
  readonly network: Network;
  /** Multiaddrs to dial this node at, with /p2p/. */
  addresses(): string[];
  /** Keeps dialling this member until `forget`; addresses may be empty where mDNS finds them. */
  keep(peer: PeerId, addresses: readonly string[]): void;
  /** Stops dialling, and disconnects. */
  forget(peer: PeerId): void;
  /**
   * One request and one answer, at most 64 KiB each; dials where not connected. Who answers has
   * proven to be `target.peer`.
   * @throws FaultError when there is no way to the peer, or it gives no answer
   */
  ask(
    target: AskTarget,
    protocol: string,
    request: Uint8Array,
    signal: AbortSignal,
  ): Promise<Uint8Array>;
  /** Answers such requests; who asks has proven to be `from`. */
  answer(
    protocol: string,
    access: Access,
    handler: (from: PeerId, request: Uint8Array) => Promise<Uint8Array>,
  ): void;
  onDiscovered(handler: (peer: PeerId, addresses: readonly string[]) => void): void;
  /** A hint to all members, at most 64 KiB; may be lost. */
  gossip(topic: string, bytes: Uint8Array): void;
  onGossip(topic: string, handler: (from: PeerId, bytes: Uint8Array) => void): () => void;
  /** Epoch of the key that the connection to the peer was made with. */
  epochOf(peer: PeerId): number | undefined;
  counters(): NodeCounters;
  stop(): Promise<void>;
}
