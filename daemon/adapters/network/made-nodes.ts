/** Made nodes: peers in this process on 127.0.0.1 that know each other, for tests. */

import { createHash } from 'node:crypto';
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys';
import type { Libp2p } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { createLibp2p, type Libp2pOptions } from 'libp2p';
import type { Hello, MemberRole, PeerId } from '../../../proto/peer-messages.ts';
import type { BlobProvider, Network } from '../../ports.ts';
import { streamWindow } from './libp2p-node.ts';
import { keyedHandshakes } from './network-keys.ts';
import type { NodeOptions } from './node-options.ts';
import { PeerNode } from './peer-node.ts';

export interface Identity {
  readonly peer: PeerId;
  readonly identity: Uint8Array;
}

/** Several, the lowest peer id first: that is the one which opens the streams. */
export async function madeIdentities(count: number): Promise<Identity[]> {
  const keys = await Promise.all(
    Array.from({ length: count }, async () => generateKeyPair('Ed25519')),
  );
  return keys
    .map((key) => ({
      peer: peerIdFromPrivateKey(key).toString(),
      identity: privateKeyToProtobuf(key),
    }))
    .sort((one, other) => (one.peer < other.peer ? -1 : 1));
}

export const madeKey = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);

export const madeHello: Hello = {
  kind: 'hello',
  version: '0.1.0',
  contract: 'det-1',
  name: 'here',
  isa: 'scalar',
  threads: 2,
  ramBytes: 1e9,
  diskBytes: 1e9,
  bytesPerSecond: 1e8,
  multiplicationsPerSecond: 1e10,
};

export async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return createHash('sha256').update(bytes).digest();
}

/** Everyone of `members` is a worker; `changes` replaces what a test is about. */
export async function madeNode(
  identity: Identity,
  members: readonly Identity[],
  changes: Partial<NodeOptions> = {},
): Promise<PeerNode> {
  const roles = new Map<PeerId, MemberRole>(members.map(({ peer }) => [peer, 'worker']));
  return PeerNode.start({
    identity: identity.identity,
    networkKeys: [{ epoch: 1, key: madeKey(1) }],
    listen: ['/ip4/127.0.0.1/tcp/0'],
    mdns: false,
    serviceTag: '_quantd-test._udp.local',
    hello: madeHello,
    roleOf: (peer) => roles.get(peer),
    admitsStrangers: () => false,
    sha256,
    ...changes,
  });
}

/** Resolves when the node has said hello with `peer`; rejects after `milliseconds`. */
export async function connected(
  { network }: { readonly network: Network },
  peer: PeerId,
  milliseconds = 10_000,
): Promise<void> {
  await until(() => network.peers().some((each) => each.peer === peer), milliseconds);
}

/** Waits for a claim to hold. */
export async function until(claim: () => boolean, milliseconds = 10_000): Promise<void> {
  const end = performance.now() + milliseconds;
  while (!claim()) {
    if (performance.now() > end) throw new Error(`it did not hold within ${milliseconds} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Serves one array as every blob that is asked for. */
export function serving(blob: Uint8Array): BlobProvider {
  return {
    read: async (_to, name, offset, bytes) =>
      name.bytes === blob.length ? blob.subarray(offset, offset + bytes) : undefined,
  };
}

/** A libp2p node that has the network key and no manners: tests say what it does. */
export async function rawPeer(
  { identity }: Identity,
  changes: Partial<Libp2pOptions> = {},
): Promise<Libp2p> {
  return createLibp2p({
    privateKey: privateKeyFromProtobuf(identity),
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: keyedHandshakes([{ epoch: 1, key: madeKey(1) }]).encrypters,
    streamMuxers: [yamux({ streamOptions: streamWindow })],
    connectionGater: { denyDialMultiaddr: () => false },
    connectionMonitor: { enabled: false },
    ...changes,
  });
}

/** The addresses of a node in the shape that a raw peer dials. */
export const dialableOf = (node: PeerNode): Multiaddr[] =>
  node.addresses().map((a) => multiaddr(a));
