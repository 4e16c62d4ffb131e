/** Tally: a sum for each peer. */

import type { PeerId } from '../../../proto/peer-messages.ts';

export class Tally {
  readonly #sums = new Map<PeerId, number>();

  get sums(): ReadonlyMap<PeerId, number> {
    return this.#sums;
  }

  add(peer: PeerId, amount: number): void {
    this.#sums.set(peer, (this.#sums.get(peer) ?? 0) + amount);
  }
}
