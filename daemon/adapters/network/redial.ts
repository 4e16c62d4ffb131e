/**
 * Redial: keeps dialling the members that are not connected, for as long as they are kept.
 *
 * libp2p tries again a few times and then never; it also forgets what mDNS says of a peer it has
 * seen before. Both are done here: a timer a peer, with growing and jittered pauses.
 */

import type { Libp2p } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import type { PeerId } from '../../../proto/peer-messages.ts';
import { ADDRESSES_MAX, dialable } from './addresses.ts';

/** libp2p keeps connections with this tag where it must choose. */
const KEEP_TAG = 'keep-alive-quantd';
const KEEP_VALUE = 50;

/** Addresses are tried one after the other, each for some seconds. */
const DIAL_MS_MAX = 20_000;
/** The first pause doubles until the longest, which a peer that comes back waits at most. */
const PAUSE_MS_MIN = 300;
const PAUSE_MS_MAX = 10_000;
/** A peer that was refused has to be changed by somebody first. */
const REFUSED_PAUSE_MS = 30_000;
/** How often a connected peer is looked at, in case its end went unnoticed. */
const LOOK_MS = 2000;

/** Anyone near can announce addresses: they never take the places of those that were given. */
const HEARD_MAX = 8;

interface Kept {
  /** As text, the newest first: those that were given, and those that mDNS told. */
  given: string[];
  heard: string[];
  failures: number;
  timer: NodeJS.Timeout | undefined;
  dialling: boolean;
  refusedUntil: number;
}

export class Redial {
  readonly #libp2p: Libp2p;
  readonly #kept = new Map<PeerId, Kept>();
  #stopped = false;

  constructor(libp2p: Libp2p) {
    this.#libp2p = libp2p;
    libp2p.addEventListener('peer:disconnect', (event) => {
      const kept = this.#kept.get(event.detail.toString());
      if (kept !== undefined) this.#soon(event.detail.toString(), kept);
    });
  }

  /** @throws FaultError for an address that cannot be read; nothing is kept then */
  keep(peer: PeerId, addresses: readonly string[]): void {
    const found = dialable(peer, addresses.slice(0, ADDRESSES_MAX));
    const former = this.#kept.get(peer);
    const kept = former ?? {
      given: [],
      heard: [],
      failures: 0,
      timer: undefined,
      dialling: false,
      refusedUntil: 0,
    };
    this.#kept.set(peer, kept);
    kept.given = newestFirst(found.map(String), kept.given, ADDRESSES_MAX);
    const tags = { [KEEP_TAG]: { value: KEEP_VALUE } };
    void this.#libp2p.peerStore
      .merge(peerIdFromString(peer), { multiaddrs: found, tags })
      .catch(() => undefined);
    this.#schedule(peer, kept, this.#turn(peer));
  }

  forget(peer: PeerId): void {
    clearTimeout(this.#kept.get(peer)?.timer);
    this.#kept.delete(peer);
    const id = peerIdFromString(peer);
    void this.#libp2p.peerStore.delete(id).catch(() => undefined);
    for (const connection of this.#libp2p.getConnections(id)) {
      connection.abort(new Error('the peer is forgotten'));
    }
  }

  /** What mDNS says of a peer: tried at once where it is wanted. */
  discovered(peer: PeerId, addresses: readonly string[]): void {
    const kept = this.#kept.get(peer);
    if (kept === undefined) return;
    const news = addresses.some((address) => !kept.heard.includes(address));
    kept.heard = newestFirst(addresses, kept.heard, HEARD_MAX);
    if (news) this.#soon(peer, kept);
  }

  refused(peer: PeerId): void {
    const kept = this.#kept.get(peer);
    if (kept !== undefined) kept.refusedUntil = performance.now() + REFUSED_PAUSE_MS;
  }

  stop(): void {
    this.#stopped = true;
    for (const { timer } of this.#kept.values()) clearTimeout(timer);
  }

  #soon(peer: PeerId, kept: Kept): void {
    kept.failures = 0;
    this.#schedule(peer, kept, this.#turn(peer) + jittered(PAUSE_MS_MIN));
  }

  /** The lower id goes first: two that find each other at once need not connect twice. */
  #turn(peer: PeerId): number {
    return this.#libp2p.peerId.toString() < peer ? 0 : 2 * PAUSE_MS_MIN;
  }

  #schedule(peer: PeerId, kept: Kept, milliseconds: number): void {
    clearTimeout(kept.timer);
    if (this.#stopped || this.#kept.get(peer) !== kept) return;
    kept.timer = setTimeout(() => void this.#look(peer, kept), milliseconds);
    kept.timer.unref();
  }

  async #look(peer: PeerId, kept: Kept): Promise<void> {
    const refused = performance.now() < kept.refusedUntil;
    const connected = this.#libp2p.getConnections(peerIdFromString(peer)).length > 0;
    if (kept.dialling) return;
    // In turns, so that false announcements cannot hide the addresses that were given.
    const lists = [kept.heard, kept.given].filter(({ length }) => length > 0);
    const addresses = lists[kept.failures % lists.length] ?? [];
    if (connected || refused || addresses.length === 0) {
      this.#schedule(peer, kept, LOOK_MS);
      return;
    }
    kept.dialling = true;
    try {
      const signal = AbortSignal.timeout(DIAL_MS_MAX);
      await this.#libp2p.dial(dialable(peer, addresses), { signal });
      kept.failures = 0;
    } catch {
      kept.failures += 1;
    }
    kept.dialling = false;
    const pause = Math.min(PAUSE_MS_MIN * 2 ** kept.failures, PAUSE_MS_MAX);
    this.#schedule(peer, kept, kept.failures === 0 ? LOOK_MS : jittered(pause));
  }
}

/** A machine that moved is looked for first where it is now. */
function newestFirst(news: readonly string[], olds: readonly string[], most: number): string[] {
  return [...new Set([...news, ...olds])].slice(0, most);
}

/** Between one and two times as long, so that two nodes do not dial each other for ever. */
function jittered(milliseconds: number): number {
  return milliseconds * (1 + Math.random());
}
