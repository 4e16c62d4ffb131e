/**
 * Doorbell: this machine waits nearby for a coordinator that it was never told of.
 *
 *   offer from a peer ──▶ shown to the owner ──▶ approve ──▶ the peer's token ──▶ join
 *
 * Anyone on the local network may ring; only the coordinator that the owner approved may hand in
 * a token. Read next: nearby.ts, the other side.
 */

import { FaultError } from '../../proto/fault.ts';
import type { PeerId } from '../../proto/peer-messages.ts';
import { clusterFaults } from '../core/membership/faults.ts';
import { decodeOfferRequest, encodeOfferAnswer } from '../core/membership/offer-messages.ts';
import { fingerprintOf } from '../core/membership/peer-id.ts';
import type { Sha256 } from '../core/plan/unit-id.ts';

/** The protocol, and the service name that is announced while this machine waits. */
export const OFFER_PROTOCOL = '/quantd/offer/1';
export const DOORBELL_SERVICE = '_quantd._udp.local';
/** Everyone's key: what is behind it is open to everyone, and is only the bell. */
export const DOORBELL_PHRASE = 'quantd doorbell 1';

// A list that a person reads; more coordinators than a local network has.
const OFFERS_MAX = 32;
// A coordinator that offers says so every second.
const SILENCE_MS_MAX = 15_000;

export interface Offer {
  readonly peer: PeerId;
  /** What it calls itself, and no more. */
  readonly name: string;
  readonly fingerprint: string;
  readonly agreed: boolean;
}

export interface DoorbellPorts {
  readonly name: string;
  readonly sha256: Sha256;
  readonly now: () => number;
  /** Called once with the token of the coordinator that was approved. */
  join(token: string, coordinator: PeerId): void;
}

export class Doorbell {
  readonly #ports: DoorbellPorts;
  readonly #offers = new Map<PeerId, Offer & { readonly heardMs: number }>();

  constructor(ports: DoorbellPorts) {
    this.#ports = ports;
  }

  /** Those that were heard of lately, oldest first. */
  offers(): Offer[] {
    const nowMs = this.#ports.now();
    for (const [peer, { heardMs, agreed }] of this.#offers) {
      // Who was approved may be away for a while; who was not is only in the way.
      if (!agreed && nowMs - heardMs > SILENCE_MS_MAX) this.#offers.delete(peer);
    }
    return [...this.#offers.values()].map(({ heardMs: _, ...offer }) => offer);
  }

  /** @throws FaultError `nobodyWaits`, `ambiguousName` */
  approve(text: string): Offer {
    const offer = chooseByName(this.offers(), text);
    this.#offers.set(offer.peer, { ...offer, agreed: true, heardMs: this.#ports.now() });
    return { ...offer, agreed: true };
  }

  /** Answers whoever rings, who has proven to be `from`. @throws FaultError on no request */
  answer(from: PeerId, bytes: Uint8Array): Uint8Array {
    const request = decodeOfferRequest(bytes);
    if (request.kind === 'who') return encodeOfferAnswer({ kind: 'waits', name: this.#ports.name });
    if (request.kind === 'offer') this.#note(from, request.name);
    const isAgreed = this.#offers.get(from)?.agreed === true;
    if (!isAgreed) return encodeOfferAnswer({ kind: 'undecided' });
    if (request.kind === 'offer') return encodeOfferAnswer({ kind: 'agreed' });
    this.#ports.join(request.token, from);
    return encodeOfferAnswer({ kind: 'taken' });
  }

  #note(peer: PeerId, name: string): void {
    const before = this.#offers.get(peer);
    if (before === undefined && this.offers().length >= OFFERS_MAX) return;
    const heardMs = this.#ports.now();
    const fingerprint = fingerprintOf(peer, this.#ports.sha256);
    // The name that the owner approved stays what was shown.
    const shown = before?.agreed === true ? before.name : name;
    this.#offers.set(peer, {
      ...{ peer, name: shown, fingerprint, heardMs },
      agreed: before?.agreed ?? false,
    });
  }
}

/**
 * The one that a person means, by name or fingerprint.
 * @throws FaultError `nobodyWaits`, `ambiguousName`
 */
export function chooseByName<T extends { readonly name: string; readonly fingerprint: string }>(
  machines: readonly T[],
  text: string,
): T {
  const meant = machines.filter(({ name, fingerprint }) => text === name || text === fingerprint);
  const [first] = meant;
  if (first === undefined) throw new FaultError(clusterFaults.nobodyWaits, { why: text });
  if (meant.length === 1) return first;
  const why = meant.map(({ name, fingerprint }) => `${name} (${fingerprint})`).join(', ');
  throw new FaultError(clusterFaults.ambiguousName, { why });
}
