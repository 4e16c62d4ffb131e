/**
 * Peer node: this machine's place in the cluster, over libp2p.
 *
 *   identity, network keys, who is a member ──▶ PeerNode ──▶ the port Network, questions, gossip
 *
 * Read next: proto/PROTOCOL.md (what passes over the wire), libp2p-node.ts (what is allowed),
 * control-links.ts (messages), blob-pull.ts (blobs).
 */

import type { Stream } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { assert } from '../../../proto/assert.ts';
import type { BlobName } from '../../../proto/blob-names.ts';
import { decodePeerMessage, encodePeerMessage } from '../../../proto/peer-codec.ts';
import type { PeerId, PeerMessage, SumsHeld } from '../../../proto/peer-messages.ts';
import { LEAF_BYTES } from '../../../proto/peer-messages.ts';
import type { BlobProvider, ConnectedPeer, Network, NetworkListener } from '../../ports.ts';
import { ADDRESSES_MAX } from './addresses.ts';
import { pullBlob } from './blob-pull.ts';
import { BlobServer } from './blob-server.ts';
import { BLOCK_PROTOCOL, BLOCK_STREAMS_MAX } from './block-limits.ts';
import { BlockStreamPool } from './block-stream-pool.ts';
import { CONTROL_PROTOCOL, ControlLinks, connectionsTo } from './control-links.ts';
import { Gate } from './gate.ts';
import { Gossip, type GossipHandler } from './gossip.ts';
import { guardLateStreamErrors } from './late-stream-errors.ts';
import { type MadeNode, makeLibp2p, startLibp2p } from './libp2p-node.ts';
import type { Access, AskTarget, NodeCounters, NodeOptions } from './node-options.ts';
import { type Answerer, Questions } from './questions.ts';
import { Redial } from './redial.ts';
import { Tally } from './tally.ts';

export type {
  Access,
  AskTarget,
  NetworkKey,
  NodeCounters,
  NodeOptions,
} from './node-options.ts';

const HINT_TOPIC = 'quantd/sums/1';

type DiscoveryHandler = (peer: PeerId, addresses: readonly string[]) => void;

export class PeerNode {
  readonly self: PeerId;
  readonly network: Network;
  readonly #node: MadeNode;
  readonly #links: ControlLinks;
  readonly #redial: Redial;
  readonly #questions: Questions;
  readonly #gossip: Gossip;
  readonly #pool: BlockStreamPool;
  readonly #server: BlobServer;
  readonly #sent = new Tally();
  readonly #received = new Tally();
  readonly #refused = new Tally();
  readonly #discovered: Set<DiscoveryHandler>;
  readonly #unguard: () => void;

  /** @throws FaultError when the identity is none or nothing can be listened on */
  static async start(options: NodeOptions): Promise<PeerNode> {
    assert(options.networkKeys.length > 0, 'a node has a network key');
    const gate = new Gate(options);
    const discovered = new Set<DiscoveryHandler>();
    const unguard = guardLateStreamErrors();
    try {
      const made = await makeLibp2p(options, gate, (peer, addresses) => {
        for (const handler of discovered) handler(peer, addresses);
      });
      const node = new PeerNode(options, gate, made, discovered, unguard);
      try {
        await startLibp2p(made.libp2p, options.listen);
      } catch (error) {
        await node.stop();
        throw error;
      }
      return node;
    } catch (error) {
      unguard();
      throw error;
    }
  }

  private constructor(
    options: NodeOptions,
    gate: Gate,
    node: MadeNode,
    discovered: Set<DiscoveryHandler>,
    unguard: () => void,
  ) {
    const { libp2p } = node;
    const { sha256 } = options;
    this.self = libp2p.peerId.toString();
    this.#node = node;
    this.#discovered = discovered;
    this.#unguard = unguard;
    this.#redial = new Redial(libp2p);
    this.#links = new ControlLinks({
      libp2p,
      gate,
      hello: options.hello,
      refused: (peer, why) => {
        this.#redial.refused(peer);
        options.onRefused?.(peer, why);
      },
    });
    this.#questions = new Questions(libp2p, gate);
    this.#gossip = new Gossip(libp2p.services.gossip, gate);
    this.#pool = new BlockStreamPool(this.#links, this.#received);
    this.#server = new BlobServer({ links: this.#links, sha256, sent: this.#sent });
    discovered.add((peer, addresses) => this.#redial.discovered(peer, addresses));
    const once = { maxInboundStreams: 2, maxOutboundStreams: 2 };
    void libp2p.handle(
      CONTROL_PROTOCOL,
      (stream, connection) => this.#links.accept(stream, connection),
      once,
    );
    const bulk = { maxInboundStreams: BLOCK_STREAMS_MAX, maxOutboundStreams: BLOCK_STREAMS_MAX };
    void libp2p.handle(
      BLOCK_PROTOCOL,
      (stream, connection) => {
        if (gate.roleOf(connection.remotePeer.toString()) !== undefined) {
          void this.#server.accept(stream, connection);
        } else refuse(stream);
      },
      bulk,
    );
    this.network = this.#port(sha256);
  }

  /** Multiaddrs to dial this node at, with /p2p/. */
  addresses(): string[] {
    return this.#node.libp2p.getMultiaddrs().map(String);
  }

  /**
   * Keeps dialling this member until `forget`; addresses may be empty where mDNS finds them.
   * @throws FaultError for an address that cannot be read
   */
  keep(peer: PeerId, addresses: readonly string[]): void {
    if (peer === this.self) return;
    this.#redial.keep(peer, addresses);
    this.#links.refresh();
  }

  /** Stops dialling, and disconnects. */
  forget(peer: PeerId): void {
    this.#redial.forget(peer);
  }

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
  ): Promise<Uint8Array> {
    return this.#questions.ask(target, protocol, request, signal);
  }

  /** Answers such requests; who asks has proven to be `from`. A rejection is no answer. */
  answer(protocol: string, access: Access, handler: Answerer): void {
    this.#questions.answer(protocol, access, handler);
  }

  /** Every time mDNS hears of a peer, known or not. */
  onDiscovered(handler: DiscoveryHandler): void {
    this.#discovered.add(handler);
  }

  /** A hint to all members, at most 64 KiB; may be lost. */
  gossip(topic: string, bytes: Uint8Array): void {
    this.#gossip.say(topic, bytes);
  }

  onGossip(topic: string, handler: GossipHandler): () => void {
    return this.#gossip.on(topic, handler);
  }

  /** Epoch of the key that the connection to the peer was made with. */
  epochOf(peer: PeerId): number | undefined {
    const [connection] = connectionsTo(this.#node.libp2p, peer);
    const name = (this.#links.connectionTo(peer) ?? connection)?.encryption;
    return name === undefined ? undefined : this.#node.epochs.get(name);
  }

  /** Where the connection to the peer leads. */
  addressOf(peer: PeerId): string | undefined {
    const [connection] = connectionsTo(this.#node.libp2p, peer);
    return (this.#links.connectionTo(peer) ?? connection)?.remoteAddr.toString();
  }

  counters(): NodeCounters {
    return {
      sentBytes: this.#sent.sums,
      receivedBytes: this.#received.sums,
      blocksRefused: this.#refused.sums,
    };
  }

  async stop(): Promise<void> {
    this.#redial.stop();
    this.#links.stop();
    this.#pool.stop();
    await this.#node.libp2p.stop();
    this.#unguard();
  }

  /** Loopback is of use to those alone whom the peer itself reaches by loopback. */
  async #listenAddresses(peer: PeerId): Promise<readonly string[]> {
    const { peerStore } = this.#node.libp2p;
    const isNear = isLoopback(this.addressOf(peer) ?? '');
    try {
      const { addresses } = await peerStore.get(peerIdFromString(peer));
      const listed = addresses.map(({ multiaddr }) => multiaddr.toString());
      return listed.filter((address) => isNear || !isLoopback(address)).slice(0, ADDRESSES_MAX);
    } catch {
      return [];
    }
  }

  #listen(listener: NetworkListener): () => void {
    const stop = this.#links.listen(listener);
    const { hint } = listener;
    if (hint === undefined) return stop;
    const stopHints = this.#gossip.on(HINT_TOPIC, (from, bytes) => {
      const message = decodeHint(bytes);
      if (message !== undefined) hint.call(listener, from, message);
    });
    return () => {
      stop();
      stopHints();
    };
  }

  #port(sha256: NodeOptions['sha256']): Network {
    return {
      self: this.self,
      peers: (): readonly ConnectedPeer[] => this.#links.peers(),
      listen: (listener: NetworkListener) => this.#listen(listener),
      send: (to: PeerId, message: PeerMessage) => this.#links.send(to, message),
      addressesOf: (peer: PeerId) => this.#listenAddresses(peer),
      meet: (peer: PeerId, addresses: readonly string[]) =>
        this.#redial.discovered(peer, addresses),
      hint: (message: SumsHeld) => this.#gossip.say(HINT_TOPIC, encodePeerMessage(message)),
      serve: (provider: BlobProvider) => this.#server.serve(provider),
      pull: async (
        sources: readonly PeerId[],
        blob: BlobName,
        into: Uint8Array,
        { digests, signal }: { digests?: readonly Uint8Array[]; signal: AbortSignal },
      ) => {
        assert(into.length === blob.bytes, 'the memory has the length of the blob');
        const blocks = Math.ceil(blob.bytes / LEAF_BYTES);
        assert(digests === undefined || digests.length === blocks, 'each block has its digest');
        await pullBlob({
          pool: this.#pool,
          sha256,
          refused: this.#refused,
          sources: sources.filter((peer) => peer !== this.self),
          blob,
          into,
          digests,
          signal,
        });
      },
    };
  }
}

function isLoopback(address: string): boolean {
  return /^\/ip4\/127\.|^\/ip6\/::1\//.test(address);
}

/** A hint is a message of the control stream; whatever else is said on the topic is not heard. */
function decodeHint(bytes: Uint8Array): SumsHeld | undefined {
  try {
    const message = decodePeerMessage(bytes);
    return message.kind === 'sums-held' ? message : undefined;
  } catch {
    return undefined;
  }
}

function refuse(stream: Stream): void {
  stream.abort(new Error('not a protocol for that peer'));
}
