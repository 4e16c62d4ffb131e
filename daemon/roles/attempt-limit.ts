/** Attempt limit: how often strangers may try, each one and all together. */

const INTERVAL_MS = 60_000;
// A person who mistypes, and a joiner that asks again for a lost answer, stay far below.
const ATTEMPTS_EACH_MAX = 20;
// Peer ids cost nothing, so all of them together are limited too.
const ATTEMPTS_ALL_MAX = 200;

export class AttemptLimit {
  readonly #now: () => number;
  readonly #counts = new Map<string, number>();
  #all = 0;
  #sinceMs = Number.NEGATIVE_INFINITY;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Counts an attempt; false where it is one too many. */
  admits(who: string): boolean {
    // A clock that was put back must not keep the door shut.
    if (Math.abs(this.#now() - this.#sinceMs) >= INTERVAL_MS) {
      this.#counts.clear();
      this.#all = 0;
      this.#sinceMs = this.#now();
    }
    this.#all++;
    if (this.#all > ATTEMPTS_ALL_MAX) return false;
    const count = (this.#counts.get(who) ?? 0) + 1;
    this.#counts.set(who, count);
    return count <= ATTEMPTS_EACH_MAX;
  }
}
