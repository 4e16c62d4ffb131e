/**
 * Measuring peer: what a measurement keeps of a peer that is here.
 *
 *   MeasuringPeer, as it joins ──▶ freshPeer ──▶ Peer, until it leaves  (read next: measurement.ts)
 */

import type { Lease } from './group-progress.ts';
import type { MeasuringPeer } from './measurement-events.ts';

export interface Peer extends MeasuringPeer {
  readonly leasesMax: number;
  readonly running: Set<Lease>;
  /** It could not run a lease: nothing more for it until then; 0 while it is open. */
  closedUntilMs: number;
  /** Leases that it has declined since the last that it ran. */
  declines: number;
}

// One lease is computed while the input of the next comes.
const LEASES_MAX = 2;
// Declining so often in a row costs a peer its stage: moving weights is dearer than waiting once.
const DECLINES_MAX = 2;

export function freshPeer(offer: MeasuringPeer): Peer {
  const leasesMax = Math.max(1, offer.leasesMax ?? LEASES_MAX);
  return { ...offer, leasesMax, running: new Set(), closedUntilMs: 0, declines: 0 };
}

/** Whether it may have a stage. */
export function isUsable({ speed, closedUntilMs, declines }: Peer): boolean {
  return speed > 0 && (closedUntilMs === 0 || declines < DECLINES_MAX);
}
