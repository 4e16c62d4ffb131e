/**
 * Paces: how fast peers are found to run layers, beside what they have offered.
 *
 *   leases that are through, with the time they were computed for ──▶ Paces ──▶ who is slow, and how much
 *
 * Offers are measured on one product, in a quiet moment. A peer that is many times slower than its offer
 * lets expect beside the others' would hold all of them up: measurement.ts gives it fewer layers.
 */

import type { Lease } from './group-progress.ts';
import type { LayerCost } from './stages.ts';

/** What a peer has offered: see MeasuringPeer. */
export interface OfferedPace {
  readonly peer: string;
  readonly speed: number;
}

interface Ran {
  readonly work: number;
  readonly computeMs: number;
}

interface Pace {
  /** The last of its leases. */
  ran: readonly Ran[];
  factor: number;
}

// What is a few times slower is placed well enough, and moving weights has its price.
const SLOW_TIMES = 4;
// Who was slow for a while gets layers back, whose weights it still has.
const FAST_AGAIN_TIMES = 2;
// Below it, what looks slow is the machine's other work.
const SLOW_MS_MIN = 10_000;
// A pause in one of them makes no peer slow, and what it was long ago is no matter.
const LEASES_OBSERVED = 4;

export class Paces {
  readonly #layers: readonly LayerCost[];
  readonly #peers = new Map<string, Pace>();

  constructor(layers: readonly LayerCost[]) {
    this.#layers = layers;
  }

  /** What of its offered speed the peer has, as it was last judged: 1, less where it is slow. */
  factor(peer: string): number {
    return this.#peers.get(peer)?.factor ?? 1;
  }

  isSlow(peer: string): boolean {
    return this.factor(peer) < 1;
  }

  /** @param computeMs in the peer's own words, without the time it waited */
  ran({ peer, from, to }: Lease, chunks: number, computeMs: number): void {
    if (computeMs <= 0) return;
    const layers = this.#layers.slice(from, to);
    const work = chunks * layers.reduce((sum, { multiplications }) => sum + multiplications, 0);
    const pace = this.#peers.get(peer) ?? { ran: [], factor: 1 };
    pace.ran = [...pace.ran, { work, computeMs }].slice(-LEASES_OBSERVED);
    this.#peers.set(peer, pace);
  }

  /** It is gone, or has begun anew. */
  forget(peer: string): void {
    this.#peers.delete(peer);
  }

  /** Compares peers with the fastest by its offer. @returns those that have another factor now */
  judge(peers: Iterable<OfferedPace>): string[] {
    const known = [...peers].flatMap(({ peer, speed }) => {
      const pace = this.#peers.get(peer);
      if (pace === undefined || speed === 0) return [];
      const { work, ms } = sumOf(pace.ran);
      return [{ peer, pace, ms, share: work / ms / speed }];
    });
    const best = Math.max(0, ...known.map(({ share }) => share));
    const judged: string[] = [];
    for (const { peer, pace, ms, share } of known) {
      const isSlow = pace.factor === 1 && ms >= SLOW_MS_MIN && share * SLOW_TIMES <= best;
      const isFast = pace.factor < 1 && share * FAST_AGAIN_TIMES >= best;
      if (!isSlow && !isFast) continue;
      pace.factor = isSlow ? share / best : 1;
      judged.push(peer);
    }
    return judged;
  }
}

function sumOf(ran: readonly Ran[]): { readonly work: number; readonly ms: number } {
  const work = ran.reduce((sum, each) => sum + each.work, 0);
  return { work, ms: ran.reduce((sum, { computeMs }) => sum + computeMs, 0) };
}
