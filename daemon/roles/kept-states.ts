/**
 * Kept states: what chunks are in front of a layer, until those who need it have it.
 *
 *   keep(boundary, chunk) ──▶ the store ──▶ read, by block, also by who came before it was there
 *
 * Read next: stage-holder.ts.
 */

import type { RunId } from '../../proto/peer-messages.ts';
import { hex, type Sha256 } from '../core/plan/unit-id.ts';
import type { Clock, LeafStore } from '../ports.ts';
import { Turns } from './turns.ts';

// The next stage asks while the chunk is still on its way through this one.
const WAIT_MS = 4000;

interface Kept {
  readonly bytes: number;
  /** Leases that have left it: made twice, it is wanted until both are released. */
  readonly leases: Set<number>;
}

export class KeptStates {
  readonly #run: RunId;
  readonly #store: LeafStore;
  readonly #clock: Clock;
  readonly #sha256: Sha256;
  readonly #kept = new Map<string, Kept>();
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #turns = new Turns();

  constructor(run: RunId, ports: { store: LeafStore; clock: Clock; sha256: Sha256 }) {
    this.#run = run;
    this.#store = ports.store;
    this.#clock = ports.clock;
    this.#sha256 = ports.sha256;
  }

  /** Leases of which states are kept. */
  get leases(): ReadonlySet<number> {
    return new Set([...this.#kept.values()].flatMap(({ leases }) => [...leases]));
  }

  keep(lease: number, boundary: number, chunk: number, bytes: Uint8Array): Promise<void> {
    const name = nameOf(boundary, chunk);
    return this.#turns.take(name, async () => {
      // Made again it is the same.
      const known = this.#kept.get(name);
      if (known !== undefined) {
        known.leases.add(lease);
        return;
      }
      await this.#store.put(this.#run, this.#key(name), bytes);
      this.#kept.set(name, { bytes: bytes.length, leases: new Set([lease]) });
      for (const wake of this.#waiting.get(name) ?? []) wake();
    });
  }

  /** A part of what is kept, or will be in a moment; undefined where it is not. */
  async read(
    boundary: number,
    chunk: number,
    place: { readonly total: number; readonly offset: number; readonly bytes: number },
  ): Promise<Uint8Array | undefined> {
    const name = nameOf(boundary, chunk);
    if (!this.#kept.has(name)) await this.#wait(name);
    if (this.#kept.get(name)?.bytes !== place.total) return undefined;
    const into = new Uint8Array(place.bytes);
    const key = this.#key(name);
    return (await this.#store.readPart(this.#run, key, place.offset, into)) ? into : undefined;
  }

  /** Nobody needs what this lease has left. */
  async release(lease: number): Promise<void> {
    const names = [...this.#kept].filter(([, { leases }]) => leases.has(lease));
    for (const [name] of names) await this.#drop(name, (each) => each === lease);
  }

  async releaseAll(): Promise<void> {
    for (const name of [...this.#kept.keys()]) await this.#drop(name, () => true);
  }

  #drop(name: string, isOver: (lease: number) => boolean): Promise<void> {
    return this.#turns.take(name, async () => {
      const kept = this.#kept.get(name);
      if (kept === undefined) return;
      for (const lease of [...kept.leases].filter(isOver)) kept.leases.delete(lease);
      if (kept.leases.size > 0) return;
      this.#kept.delete(name);
      await this.#store.remove(this.#run, this.#key(name));
    });
  }

  #wait(name: string): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(name) ?? new Set();
      this.#waiting.set(name, waiting);
      const wake = (): void => {
        cancel();
        waiting.delete(wake);
        if (waiting.size === 0) this.#waiting.delete(name);
        resolve();
      };
      const cancel = this.#clock.after(WAIT_MS, wake);
      waiting.add(wake);
    });
  }

  #key(name: string): string {
    return hex(this.#sha256(new TextEncoder().encode(`state/${name}`)));
  }
}

function nameOf(boundary: number, chunk: number): string {
  return `${boundary}/${chunk}`;
}
