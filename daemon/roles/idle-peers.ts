/**
 * Idle peers: of the machines that are here those that may be given work beside a measurement.
 *
 *   offers, who is idle ──▶ IdlePeers ──▶ peers-joined, peer-left of a schedule
 *
 * A machine that has layers to run again is taken out of the schedule first, with all its leases.
 */

import type { PeerId } from '../../proto/peer-messages.ts';
import type { PeerOffer, ScheduleEvent } from '../core/schedule/schedule.ts';

export interface IdlePeersParts {
  readonly isIdle: (peer: PeerId) => boolean;
  readonly feed: (event: ScheduleEvent) => void;
  /** Ends whatever the peer was given, before the schedule hears of it. */
  readonly withdraw: (peer: PeerId) => void;
}

export class IdlePeers {
  readonly #parts: IdlePeersParts;
  readonly #here = new Map<PeerId, PeerOffer>();
  readonly #joined = new Set<PeerId>();

  constructor(parts: IdlePeersParts) {
    this.#parts = parts;
  }

  came(offers: readonly PeerOffer[]): void {
    for (const offer of offers) {
      this.#joined.delete(offer.peer);
      // Its disk is for the weights that it measures with: it is given only what it has of those.
      this.#here.set(offer.peer, offer.isLocal ? offer : { ...offer, diskBytes: 0 });
    }
    this.changed();
  }

  left(peer: PeerId): void {
    this.#here.delete(peer);
    if (this.#joined.delete(peer)) this.#parts.feed({ kind: 'peer-left', peer });
  }

  /** Somebody has become idle, or is it no more. */
  changed(): void {
    const { isIdle, feed, withdraw } = this.#parts;
    for (const peer of [...this.#joined].filter((each) => !isIdle(each))) {
      this.#joined.delete(peer);
      withdraw(peer);
      feed({ kind: 'peer-left', peer });
    }
    const peers = [...this.#here.values()].filter(
      ({ peer }) => isIdle(peer) && !this.#joined.has(peer),
    );
    for (const { peer } of peers) this.#joined.add(peer);
    if (peers.length > 0) feed({ kind: 'peers-joined', peers });
  }
}
