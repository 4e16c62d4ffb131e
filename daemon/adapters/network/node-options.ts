/** Node options: what a node is started with, and the words its parts share. */

import type { Hello, MemberRole, PeerId } from '../../../proto/peer-messages.ts';

/** A network's key changes when a member is revoked; members that were away know the old one. */
export interface NetworkKey {
  readonly epoch: number;
  readonly key: Uint8Array;
}

export interface NodeOptions {
  /** Ed25519 private key in libp2p's protobuf encoding. */
  readonly identity: Uint8Array;
  /** Newest first. All are accepted; two nodes meet with the newest that both have. */
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
  /** A member that does not get in, and why: another version, another contract, broken words. */
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
