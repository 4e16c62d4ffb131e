/**
 * Control links: which members are connected, and every message to and from them.
 *
 *   connections ──▶ a control link a peer ──▶ connected, message, disconnected ──▶ listeners
 *
 * The lower peer id opens the stream, so that there is one. A link that ends while its connection
 * lives is opened anew by the same side; a silent one takes its connection with it.
 */

import type { Connection, Libp2p, Stream } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import type { Hello, PeerId, PeerMessage } from '../../../proto/peer-messages.ts';
import type { ConnectedPeer, NetworkListener } from '../../ports.ts';
import { ControlLink } from './control-link.ts';
import type { Gate } from './gate.ts';

export const CONTROL_PROTOCOL = '/quantd/control/1';

/** How often each side shows that it lives, and how often dead things are looked for. */
const BEAT_MS = 1000;

/** Four beats lost. Bytes of any kind count as life, so that a full link is not a dead one. */
const SILENCE_MS_MAX = 4500;

/** A new connection that has not said hello by then never will. */
const HELLO_MS_MAX = 10_000;

/** Time for a stranger to ask what it came for. */
const STRANGER_MS_MAX = 60_000;

/** A refused peer is told why: our hello needs this long to reach it. */
const REFUSAL_MS = 500;

const OPEN_MS_MAX = 5000;

interface LinksOptions {
  readonly libp2p: Libp2p;
  readonly gate: Gate;
  readonly hello: Hello;
  readonly refused: (peer: PeerId, why: string) => void;
}

export class ControlLinks {
  readonly #options: LinksOptions;
  readonly #self: PeerId;
  readonly #links = new Map<PeerId, ControlLink>();
  readonly #connected = new Map<PeerId, ConnectedPeer>();
  readonly #listeners = new Set<NetworkListener>();
  readonly #opening = new Set<PeerId>();
  /** When anything last came from a peer. */
  readonly #heard = new Map<PeerId, number>();
  readonly #waiting = new Map<PeerId, Set<() => void>>();
  readonly #timer: NodeJS.Timeout;
  #beatAt = performance.now();

  constructor(options: LinksOptions) {
    this.#options = options;
    this.#self = options.libp2p.peerId.toString();
    options.libp2p.addEventListener('connection:open', (event) => this.#tryOpen(event.detail));
    this.#timer = setInterval(() => this.#beat(), BEAT_MS);
    this.#timer.unref();
  }

  peers(): readonly ConnectedPeer[] {
    return [...this.#connected.values()];
  }

  get(peer: PeerId): ConnectedPeer | undefined {
    return this.#connected.get(peer);
  }

  /** The connection that the link to the peer runs on. */
  connectionTo(peer: PeerId): Connection | undefined {
    return this.#connected.has(peer) ? this.#links.get(peer)?.connection : undefined;
  }

  listen(listener: NetworkListener): () => void {
    // A copy: the same object may listen twice.
    const own = { ...bound(listener) };
    this.#listeners.add(own);
    for (const peer of this.peers()) own.connected?.(peer);
    return () => this.#listeners.delete(own);
  }

  send(to: PeerId, message: PeerMessage): void {
    if (this.#connected.has(to)) this.#links.get(to)?.send(message);
  }

  /** Any byte from the peer shows that its connection lives. */
  heard(peer: PeerId): void {
    this.#heard.set(peer, performance.now());
  }

  /** The peer once it is connected; undefined when it is not within the time, or on abort. */
  async whenConnected(
    peer: PeerId,
    milliseconds: number,
    signal?: AbortSignal,
  ): Promise<ConnectedPeer | undefined> {
    if (this.#connected.has(peer) || signal?.aborted) return this.#connected.get(peer);
    const waiting = this.#waiting.get(peer) ?? new Set();
    this.#waiting.set(peer, waiting);
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      signal?.addEventListener('abort', done);
      waiting.add(done);
    });
    if (waiting.size === 0) this.#waiting.delete(peer);
    return this.#connected.get(peer);
  }

  /** Handles the stream that a peer of lower id opened. */
  accept(stream: Stream, connection: Connection): void {
    const peer = connection.remotePeer.toString();
    if (this.#options.gate.roleOf(peer) === undefined || peer > this.#self) {
      stream.abort(new Error('this stream is not for that peer to open'));
      return;
    }
    this.#start(stream, connection);
  }

  /** Opens links to members that are connected; called when somebody became a member. */
  refresh(): void {
    for (const connection of this.#options.libp2p.getConnections()) this.#tryOpen(connection);
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const link of this.#links.values()) link.close();
  }

  #tryOpen(connection: Connection): void {
    const peer = connection.remotePeer.toString();
    const idle = !this.#links.has(peer) && !this.#opening.has(peer);
    if (idle && this.#self < peer && this.#options.gate.roleOf(peer) !== undefined) {
      void this.#open(peer, connection);
    }
  }

  async #open(peer: PeerId, connection: Connection): Promise<void> {
    this.#opening.add(peer);
    try {
      const signal = AbortSignal.timeout(OPEN_MS_MAX);
      const stream = await connection.newStream(CONTROL_PROTOCOL, { signal });
      this.#start(stream, connection);
    } catch {
      // The far end does not know us yet, or is gone: the next beat tries again.
    } finally {
      this.#opening.delete(peer);
    }
  }

  #start(stream: Stream, connection: Connection): void {
    const link = new ControlLink(stream, connection, this.#options.hello, {
      hello: (from, hello) => this.#hello(from, hello),
      message: (from, message) => this.#message(from, message),
      heard: ({ peer }) => this.heard(peer),
      ended: (from, why) => this.#ended(from, why),
    });
    // The side that opens streams knows which one it uses.
    const former = this.#links.get(link.peer);
    this.#links.set(link.peer, link);
    this.heard(link.peer);
    if (former !== undefined) {
      this.#disconnect(link.peer);
      former.close();
    }
  }

  #hello(link: ControlLink, hello: Hello): boolean {
    const role = this.#options.gate.roleOf(link.peer);
    const why = whyNot(this.#options.hello, hello);
    if (role === undefined || why !== undefined) {
      if (why !== undefined) this.#options.refused(link.peer, why);
      setTimeout(() => link.connection.abort(new Error('refused')), REFUSAL_MS).unref();
      return false;
    }
    if (this.#links.get(link.peer) !== link) return false;
    const peer: ConnectedPeer = { peer: link.peer, role, hello };
    this.#connected.set(link.peer, peer);
    this.#tell((listener) => listener.connected?.(peer));
    for (const done of this.#waiting.get(link.peer) ?? []) done();
    return true;
  }

  #message(link: ControlLink, message: PeerMessage): void {
    const peer = this.#connected.get(link.peer);
    if (peer === undefined || this.#links.get(link.peer) !== link) return;
    const role = this.#options.gate.roleOf(link.peer);
    if (role === undefined) {
      link.connection.abort(new Error('it is no member any more'));
      return;
    }
    this.#tell((listener) => listener.message?.({ ...peer, role }, message));
  }

  #ended(link: ControlLink, why: string | undefined): void {
    if (why !== undefined) {
      this.#options.refused(link.peer, why);
      link.connection.abort(new Error(why));
    }
    if (this.#links.get(link.peer) !== link) return;
    this.#links.delete(link.peer);
    this.#heard.delete(link.peer);
    this.#disconnect(link.peer);
  }

  #disconnect(peer: PeerId): void {
    if (!this.#connected.delete(peer)) return;
    this.#tell((listener) => listener.disconnected?.(peer));
  }

  /** What a listener throws is a bug of ours and must not look like a fault of the peer. */
  #tell(tell: (listener: NetworkListener) => void): void {
    for (const listener of [...this.#listeners]) {
      try {
        tell(listener);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  #beat(): void {
    const now = performance.now();
    // This process slept, not the peers: what they sent is yet to be read.
    const slept = now - this.#beatAt > 2 * BEAT_MS;
    this.#beatAt = now;
    for (const link of this.#links.values()) {
      if (slept) this.heard(link.peer);
      link.beat();
      if (now - (this.#heard.get(link.peer) ?? now) > SILENCE_MS_MAX) {
        link.connection.abort(new Error('the peer is silent'));
      }
    }
    for (const connection of this.#options.libp2p.getConnections()) this.#look(connection);
  }

  /** Ends what nobody wants, and opens what is missing. */
  #look(connection: Connection): void {
    const { gate } = this.#options;
    const peer = connection.remotePeer.toString();
    const age = Date.now() - connection.timeline.open;
    const member = gate.roleOf(peer) !== undefined;
    const tooOld = member ? !this.#links.has(peer) && age > HELLO_MS_MAX : age > STRANGER_MS_MAX;
    if (!gate.admits(peer) || tooOld) connection.abort(new Error('the peer has no business here'));
    else this.#tryOpen(connection);
  }
}

function bound(listener: NetworkListener): NetworkListener {
  return {
    connected: (peer) => listener.connected?.(peer),
    disconnected: (peer) => listener.disconnected?.(peer),
    message: (from, message) => listener.message?.(from, message),
  };
}

/** Why two nodes cannot work together. */
function whyNot(own: Hello, other: Hello): string | undefined {
  if (own.version !== other.version) {
    return `it runs quantd ${other.version}, this is ${own.version}`;
  }
  if (own.contract !== other.contract) {
    return `its numbers follow ${other.contract}, ours ${own.contract}`;
  }
  return undefined;
}

/** Connections of a peer, newest last. */
export function connectionsTo(libp2p: Libp2p, peer: PeerId): Connection[] {
  return libp2p.getConnections(peerIdFromString(peer));
}
