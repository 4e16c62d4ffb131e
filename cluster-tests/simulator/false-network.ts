/**
 * False network: the machines of a cluster, the links between them and what can go wrong on those.
 *
 *   Endpoint.send ──▶ link: lost, late, twice, in any order ──▶ NetworkListener.message
 *   Endpoint.pull ──▶ block requests ──▶ BlobProvider.read ──▶ lost, wrong, or the bytes
 *
 * Every pair of machines has a link. Worse than a real network: messages overtake each other, get
 * lost while the connection lasts, and repeated ones may come after a reconnect.
 */

import type { ConnectedPeer } from '../../daemon/ports.ts';
import type { BlobName } from '../../proto/blob-names.ts';
import type { Hello, MemberRole, PeerId, PeerMessage } from '../../proto/peer-messages.ts';
import type { Dice } from './dice.ts';
import { Endpoint } from './endpoint.ts';
import type { Process, World } from './world.ts';

/** Shares of the messages or blocks that something happens to. */
export interface NetworkTrouble {
  lostMessages: number;
  repeatedMessages: number;
  lateMessages: number;
  lostBlocks: number;
  wrongBlocks: number;
  /** Of the slowest link that there may be. */
  bytesPerMsMin: number;
}

export const calmNetwork: NetworkTrouble = {
  lostMessages: 0,
  repeatedMessages: 0,
  lateMessages: 0,
  lostBlocks: 0,
  wrongBlocks: 0,
  bytesPerMsMin: 10_000,
};

export interface NetworkWitness {
  /** So many bytes of a blob have left for another machine. */
  readonly sent: (blob: BlobName, bytes: number) => void;
  /** A message was handed to the network, which may lose it. */
  readonly said: (from: PeerId, to: PeerId, message: PeerMessage) => void;
  /** `self` has seen the connection to `other` end. */
  readonly parted: (self: PeerId, other: PeerId) => void;
}

export interface Link {
  readonly ends: readonly [PeerId, PeerId];
  readonly latencyMs: number;
  readonly bytesPerMs: number;
  /** No packet gets through. */
  isBroken: boolean;
  /** Number of the connection over it; undefined while there is none. */
  connection: number | undefined;
}

// When a silent peer is given up: a few missed pings.
const SILENCE_MS_MAX = 15_000;
const REDIAL_MS_MAX = 5_000;

export class FalseNetwork {
  readonly world: World;
  readonly dice: Dice;
  readonly witness: NetworkWitness;
  trouble: NetworkTrouble = calmNetwork;
  readonly #endpoints = new Map<PeerId, Endpoint>();
  readonly #links = new Map<string, Link>();
  #connections = 0;

  constructor(world: World, witness: NetworkWitness) {
    this.world = world;
    this.dice = world.dice;
    this.witness = witness;
  }

  /** The network as one process has it, for as long as that lives. */
  join(process: Process, peer: ConnectedPeer): Endpoint {
    const endpoint = new Endpoint(this, process, peer);
    this.#endpoints.set(peer.peer, endpoint);
    for (const other of this.#endpoints.keys()) {
      if (other !== peer.peer) this.#dial(this.linkOf(peer.peer, other), this.dice.between(0, 200));
    }
    return endpoint;
  }

  /** The process that is there now, if any. */
  endpointOf(peer: PeerId): Endpoint | undefined {
    const endpoint = this.#endpoints.get(peer);
    return endpoint?.process.isAlive === true ? endpoint : undefined;
  }

  linkOf(a: PeerId, b: PeerId): Link {
    const ends = a < b ? ([a, b] as const) : ([b, a] as const);
    const name = ends.join(' ');
    const found = this.#links.get(name);
    if (found !== undefined) return found;
    const link: Link = {
      ends,
      latencyMs: this.dice.skewed(0, 80),
      bytesPerMs: this.dice.skewed(this.trouble.bytesPerMsMin, 100_000),
      isBroken: false,
      connection: undefined,
    };
    this.#links.set(name, link);
    return link;
  }

  linksOf(peer: PeerId): Link[] {
    return [...this.#links.values()].filter(({ ends }) => ends.includes(peer));
  }

  /** Ends the connection; `isSilent`: the ends find out only when nothing is heard any more. */
  disconnect(link: Link, isSilent: boolean): void {
    if (link.connection === undefined) return;
    const { connection } = link;
    link.connection = undefined;
    this.world.tell(() => `${link.ends.join(' – ')} disconnected${isSilent ? ' in silence' : ''}`);
    let lastMs = 0;
    for (const [end, other] of [link.ends, [link.ends[1], link.ends[0]]] as const) {
      const endpoint = this.endpointOf(end);
      const afterMs = isSilent
        ? this.dice.between(SILENCE_MS_MAX / 3, SILENCE_MS_MAX)
        : this.dice.between(0, 50);
      lastMs = Math.max(lastMs, afterMs);
      if (endpoint === undefined) continue;
      this.world.at(afterMs, endpoint.process, 'disconnected', () => {
        endpoint.lose(other, connection);
      });
    }
    this.#dial(link, lastMs + this.dice.between(0, REDIAL_MS_MAX));
  }

  /** No packet passes for a while; connections end in silence. */
  breakLink(link: Link, forMs: number): void {
    link.isBroken = true;
    this.disconnect(link, true);
    this.world.at(forMs, undefined, 'link mended', () => {
      link.isBroken = false;
    });
  }

  /** Everything gets through from now on. */
  calm(): void {
    this.trouble = calmNetwork;
    for (const link of this.#links.values()) link.isBroken = false;
  }

  /** The process of `peer` stands still: the others give it up when that lasts. */
  stall(peer: PeerId): void {
    const endpoint = this.endpointOf(peer);
    for (const link of this.linksOf(peer)) {
      const { connection } = link;
      const silenceMs = this.dice.between(SILENCE_MS_MAX / 3, SILENCE_MS_MAX);
      this.world.at(silenceMs, undefined, 'silence', () => {
        const isStill = endpoint?.process.isStalled === true;
        if (isStill && link.connection === connection) this.disconnect(link, false);
      });
    }
  }

  /** Tries until there is a connection or an end is gone; who comes back dials again. */
  #dial(link: Link, afterMs: number): void {
    this.world.at(afterMs, undefined, 'dial', () => {
      const [a, b] = link.ends.map((end) => this.endpointOf(end));
      if (a === undefined || b === undefined || link.connection !== undefined) return;
      if (link.isBroken || a.process.isStalled || b.process.isStalled) {
        this.#dial(link, this.dice.between(1, REDIAL_MS_MAX));
        return;
      }
      const connection = ++this.#connections;
      link.connection = connection;
      this.world.tell(() => `${link.ends.join(' – ')} connected`);
      for (const [endpoint, other] of [
        [a, b],
        [b, a],
      ] as const) {
        const helloMs = link.latencyMs + this.dice.between(0, 20);
        this.world.at(helloMs, endpoint.process, 'connected', () => {
          if (link.connection === connection) endpoint.join(other.as, connection);
        });
      }
    });
  }
}

/** An id as long as real ones, which begins with the name that traces show. */
export function peerIdOf(name: string): PeerId {
  return name.padEnd(40, 'x');
}

/** What a machine says of itself. */
export function peerOf(
  peer: PeerId,
  role: MemberRole,
  offer: Pick<Hello, 'threads' | 'ramBytes' | 'diskBytes' | 'bytesPerSecond'>,
): ConnectedPeer {
  const version = '0.0.0';
  const contract = 'det-1';
  return {
    peer,
    role,
    hello: {
      ...{ kind: 'hello', version, contract, name: peer, isa: 'scalar', ...offer },
      // Layers take as long as row groups do.
      multiplicationsPerSecond: offer.bytesPerSecond,
    },
  };
}
