/**
 * Offers: what machines offer to a run, and what the placement would give to each.
 *
 *   Hello, settings ──▶ PeerOffer ──▶ schedule.ts      Plan + offers ──▶ PlannedShare, for people
 */

import type { Plan } from '../core/plan/plan.ts';
import type { PeerOffer, Schedule } from '../core/schedule/schedule.ts';
import type { ConnectedPeer } from '../ports.ts';

/** What this machine offers to its own run. */
export interface Offer {
  readonly leasesMax: number;
  readonly memoryBytes: number;
  /** As Hello.bytesPerSecond; 0 leaves all work that has a source to other peers. */
  readonly bytesPerSecond: number;
  /** As Hello.multiplicationsPerSecond; 0 leaves all layers to other peers. */
  readonly multiplicationsPerSecond: number;
}

export interface PlannedShare {
  readonly name: string;
  readonly tasks: number;
  readonly sourceBytes: number;
}

/** How the machine that coordinates is called in its own reports. */
export const LOCAL_PEER = 'local';
// Peers get as many leases as their kernels run side by side, and these to pull and to answer.
const LEASES_BEYOND_THREADS = 2;

export function localOffer({ leasesMax, memoryBytes, bytesPerSecond }: Offer): PeerOffer {
  return {
    peer: LOCAL_PEER,
    leasesMax,
    memoryBytes,
    speed: bytesPerSecond,
    diskBytes: Number.MAX_SAFE_INTEGER,
    isLocal: true,
  };
}

/** @param outputBytes of its disk, that outputs take which grow there */
export function offerOf({ peer, hello }: ConnectedPeer, outputBytes = 0): PeerOffer {
  return {
    peer,
    leasesMax: hello.threads + LEASES_BEYOND_THREADS,
    memoryBytes: hello.ramBytes,
    speed: hello.bytesPerSecond,
    diskBytes: Math.max(0, hello.diskBytes - outputBytes),
    isLocal: false,
  };
}

/** Whether it takes leases at all. */
export function isWorking({ hello }: ConnectedPeer): boolean {
  return hello.threads > 0;
}

/** What each peer of a schedule is to make, under the name that it has for people. */
export function plannedShares(
  plan: Plan,
  schedule: Schedule,
  nameOf: (peer: string) => string | undefined,
): PlannedShare[] {
  return [...schedule.shares()].map(([peer, tasks]) => ({
    name: nameOf(peer) ?? LOCAL_PEER,
    tasks: tasks.length,
    sourceBytes: tasks.reduce((sum, task) => sum + (plan.tasks[task]?.group.sourceBytes ?? 0), 0),
  }));
}
