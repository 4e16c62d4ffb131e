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

const DIAL_MS_MAX = 5000;
/** The first pause doubles until the longest, which a peer that comes back waits at most. */
const PAUSE_MS_MIN = 300;
const PAUSE_MS_MAX = 10_000;
/** A peer that was refused has to be changed by somebody first. */
const REFUSED_PAUSE_MS = 30_000;
/** How often a connected peer is looked at, in case its end went unnoticed. */
const LOOK_MS = 2000;

interface Kept {
  addresses: string[];
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
    const found = dialable(peer, addresses);
    const former = this.#kept.get(peer);
    const kept = former ?? {
      addresses: [],
      failures: 0,
      timer: undefined,
      dialling: false,
      refusedUntil: 0,
    };
    this.#kept.set(peer, kept);
    this.#learn(kept, found.map(String));
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
    if (kept === undefined || !this.#learn(kept, addresses)) return;
    this.#soon(peer, kept);
  }

  refused(peer: PeerId): void {
    const kept = this.#kept.get(peer);
    if (kept !== undefined) kept.refusedUntil = performance.now() + REFUSED_PAUSE_MS;
  }

  stop(): void {
    this.#stopped = true;
    for (const { timer } of this.#kept.values()) clearTimeout(timer);
  }

  /** The newest first, so that a machine that moved is found where it is now. */
  #learn(kept: Kept, addresses: readonly string[]): boolean {
    const merged = [...new Set([...addresses, ...kept.addresses])].slice(0, ADDRESSES_MAX);
    const news = addresses.some((address) => !kept.addresses.includes(address));
    kept.addresses = merged;
    return news;
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
    if (connected || refused || kept.addresses.length === 0) {
      this.#schedule(peer, kept, LOOK_MS);
      return;
    }
    kept.dialling = true;
    try {
      const signal = AbortSignal.timeout(DIAL_MS_MAX);
      await this.#libp2p.dial(dialable(peer, kept.addresses), { signal });
      kept.failures = 0;
    } catch {
      kept.failures += 1;
    }
    kept.dialling = false;
    const pause = Math.min(PAUSE_MS_MIN * 2 ** kept.failures, PAUSE_MS_MAX);
    this.#schedule(peer, kept, kept.failures === 0 ? LOOK_MS : jittered(pause));
  }
}

/** Between one and two times as long, so that two nodes do not dial each other for ever. */
function jittered(milliseconds: number): number {
  return milliseconds * (1 + Math.random());
}
