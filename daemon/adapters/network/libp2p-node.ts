/**
 * libp2p node: libp2p with what quantd allows of it and nothing else.
 *
 *   TCP ──▶ Noise with the network key ──▶ yamux ──▶ identify, gossip, and the protocols of quantd
 *
 * Read next: peer-node.ts, which puts the protocols on it.
 */

import { privateKeyFromProtobuf } from '@libp2p/crypto/keys';
import { type GossipSub, gossipsub } from '@libp2p/gossipsub';
import { type Identify, identify } from '@libp2p/identify';
import type { Libp2p, PeerInfo, PrivateKey } from '@libp2p/interface';
import { mdns } from '@libp2p/mdns';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { createLibp2p, type Libp2pOptions } from 'libp2p';
import { FaultError } from '../../../proto/fault.ts';
import { FRAME_BYTES_MAX } from '../../../proto/peer-limits.ts';
import type { PeerId } from '../../../proto/peer-messages.ts';
import { networkFaults } from './faults.ts';
import { guardFrames } from './frame-guard.ts';
import type { Gate } from './gate.ts';
import { membersOnly } from './member-registrar.ts';
import { keyedHandshakes } from './network-keys.ts';
import type { NodeOptions } from './node-options.ts';

/** More than the machines of a home or an office; each costs buffers of some MiB. */
const CONNECTIONS_MAX = 64;

/** Handshakes under way: each holds an unproven peer's bytes. */
const PENDING_CONNECTIONS_MAX = 10;

/** New connections a second of one address, above what a restart with all its peers makes. */
const CONNECTIONS_PER_SECOND_MAX = 5;

/** Strangers at a time, so that they never take the places of members. */
const STRANGERS_MAX = 8;

const STREAMS_IN_MAX = 32;
const STREAMS_OUT_MAX = 64;

/** What one stream may have on its way: four blocks. */
const WINDOW_BYTES_MAX: number = 4 * 1024 * 1024;

/** A backstop: senders wait long before it, and a stream that passes it is reset. */
const UNSENT_BYTES_MAX: number = 16 * 1024 * 1024;

/** A connection without any bytes for so long is dead; heartbeats come each second. */
const SOCKET_SILENCE_MS_MAX = 20_000;

const UPGRADE_MS_MAX = 5000;

/** One of a peer's addresses, with the handshake: the next may be the one that answers. */
const ADDRESS_MS_MAX = 4000;

type Services = { identify: Identify; gossip: GossipSub };
export type QuantdLibp2p = Libp2p<Services>;

export interface MadeNode {
  readonly libp2p: QuantdLibp2p;
  /** Epoch of a key, by the name of the protocol a connection was encrypted with. */
  readonly epochs: ReadonlyMap<string, number>;
}

/** Not yet started: protocols are put on it before the first connection can come. */
export async function makeLibp2p(
  options: NodeOptions,
  gate: Gate,
  discovered: (peer: PeerId, addresses: readonly string[]) => void,
): Promise<MadeNode> {
  const { encrypters, epochs } = keyedHandshakes(options.networkKeys);
  const admitsInbound = (peer: PeerId): boolean => {
    if (gate.roleOf(peer) !== undefined) return true;
    const known = (id: { toString(): string }): boolean => gate.roleOf(id.toString()) !== undefined;
    const strangers = libp2p.getConnections().filter(({ remotePeer }) => !known(remotePeer));
    return gate.admitsInbound(peer) && strangers.length < STRANGERS_MAX;
  };
  const libp2p: QuantdLibp2p = await createLibp2p<Services>({
    ...limits,
    start: false,
    privateKey: identityOf(options.identity),
    addresses: { listen: [...options.listen] },
    transports: [
      tcp({
        inboundSocketInactivityTimeout: SOCKET_SILENCE_MS_MAX,
        outboundSocketInactivityTimeout: SOCKET_SILENCE_MS_MAX,
      }),
    ],
    connectionEncrypters: encrypters,
    streamMuxers: [() => guardFrames(yamux(muxing)(), WINDOW_BYTES_MAX)],
    connectionGater: {
      // By default libp2p for browsers refuses private addresses; here they are the usual ones.
      denyDialMultiaddr: () => false,
      denyDialPeer: (peer) => !gate.admitsOutbound(peer.toString()),
      denyInboundEncryptedConnection: (peer) => !admitsInbound(peer.toString()),
      denyOutboundEncryptedConnection: (peer) => !gate.admitsOutbound(peer.toString()),
    },
    peerDiscovery: options.mdns ? [discovery(options.serviceTag, discovered)] : [],
    services: servicesFor(gate),
  });
  return { libp2p, epochs };
}

/** @throws FaultError when nothing can be listened on */
export async function startLibp2p(libp2p: Libp2p, listen: readonly string[]): Promise<void> {
  try {
    await libp2p.start();
  } catch (cause) {
    await libp2p.stop();
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new FaultError(networkFaults.cannotListen, { key: listen.join(' '), why }, { cause });
  }
}

/** Each service gets the components it uses; the registrar is one that knows members alone. */
function servicesFor(gate: Gate): NonNullable<Libp2pOptions<Services>['services']> {
  return {
    identify: (components) =>
      identify()({
        peerId: components.peerId,
        privateKey: components.privateKey,
        peerStore: components.peerStore,
        addressManager: components.addressManager,
        events: components.events,
        logger: components.logger,
        nodeInfo: components.nodeInfo,
        registrar: membersOnly(components.registrar, gate),
      }),
    gossip: (components) =>
      gossipsub(gossiping)({
        peerId: components.peerId,
        privateKey: components.privateKey,
        peerStore: components.peerStore,
        connectionManager: components.connectionManager,
        logger: components.logger,
        registrar: membersOnly(components.registrar, gate),
      }),
  };
}

/** The same on both ends, which yamux does not negotiate; it would grow only where pings measure. */
export const streamWindow = {
  initialStreamWindowSize: WINDOW_BYTES_MAX,
  maxStreamWindowSize: WINDOW_BYTES_MAX,
};

const muxing = {
  enableKeepAlive: false,
  maxInboundStreams: STREAMS_IN_MAX,
  maxOutboundStreams: STREAMS_OUT_MAX,
  streamOptions: {
    ...streamWindow,
    maxWriteBufferLength: UNSENT_BYTES_MAX,
  },
};

const limits: Pick<Libp2pOptions, 'connectionManager' | 'connectionMonitor'> = {
  connectionManager: {
    maxConnections: CONNECTIONS_MAX,
    maxIncomingPendingConnections: PENDING_CONNECTIONS_MAX,
    inboundConnectionThreshold: CONNECTIONS_PER_SECOND_MAX,
    inboundUpgradeTimeout: UPGRADE_MS_MAX,
    addressDialTimeout: ADDRESS_MS_MAX,
  },
  // The control links have heartbeats, which do not take a full link for a dead one.
  connectionMonitor: { enabled: false },
};

const gossiping = {
  allowPublishToZeroTopicPeers: true,
  ignoreDuplicatePublishError: true,
  fallbackToFloodsub: false,
  doPX: false,
  // A frame and its signature.
  maxInboundDataLength: 2 * FRAME_BYTES_MAX,
  maxOutboundBufferSize: 4 * 1024 * 1024,
  // The library's own would let one frame stand for thousands of objects.
  decodeRpcLimits: {
    maxSubscriptions: 64,
    maxMessages: 64,
    maxIhaveMessageIDs: 1000,
    maxIwantMessageIDs: 1000,
    maxIdontwantMessageIDs: 100,
    maxControlMessages: 64,
    maxPeerInfos: 0,
  },
};

function identityOf(identity: Uint8Array): PrivateKey {
  try {
    const key = privateKeyFromProtobuf(identity);
    if (key.type === 'Ed25519') return key;
  } catch (cause) {
    throw new FaultError(networkFaults.badIdentity, {}, { cause });
  }
  throw new FaultError(networkFaults.badIdentity, { why: 'it is no Ed25519 key' });
}

/** mDNS tells of a peer each time it is heard; libp2p itself passes on only the first time. */
function discovery(
  serviceTag: string,
  discovered: (peer: PeerId, addresses: readonly string[]) => void,
): ReturnType<typeof mdns> {
  return (components) => {
    const found = mdns({ serviceTag })(components);
    found.addEventListener('peer', ({ detail }: CustomEvent<PeerInfo>) =>
      discovered(detail.id.toString(), detail.multiaddrs.map(String)),
    );
    return found;
  };
}
