/**
 * World: a clock that only events move, and the processes that events happen to.
 *
 *   World.at(ms, process, work) ──▶ queue ──▶ run: the next event, then all that follows of it
 *
 * Roles wait for promises, so after each event everything that can go on goes on until it waits
 * again; nothing but an event of the queue ends such a wait. One seed is therefore one course of
 * events. A process that has died gets no event any more: what it awaited never comes. One that
 * stands still gets its events later, in their order. Read next: false-network.ts, simulate.ts.
 */

import type { Clock } from '../../daemon/ports.ts';
import type { Dice } from './dice.ts';

interface Entry {
  atMs: number;
  readonly order: number;
  readonly process: Process | undefined;
  readonly what: string;
  /** Undefined once it is called off. */
  work: (() => void) | undefined;
}

export class World {
  readonly dice: Dice;
  nowMs = 0;
  /** How many events have happened. */
  events = 0;
  /** What happened, where somebody wants to read it. */
  readonly trace: string[] | undefined;
  readonly #queue: Entry[] = [];
  #order = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(dice: Dice, traced: boolean) {
    this.dice = dice;
    this.trace = traced ? [] : undefined;
  }

  tell(text: () => string): void {
    if (this.trace === undefined) return;
    // What fills peer ids up to their length says nothing, and the beginning of a digest enough.
    const short = text()
      .replaceAll(/x{8,}/g, '')
      .replaceAll(/([0-9a-f]{8})[0-9a-f]{24,}/g, '$1');
    this.trace.push(`${(this.nowMs / 1000).toFixed(3).padStart(9)} ${short}`);
  }

  /** The run is over: something happened that must not. The first one counts. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  /** `work` happens in `afterMs`, to `process` if that lives; the result calls it off. */
  at(afterMs: number, process: Process | undefined, what: string, work: () => void): () => void {
    const atMs = this.nowMs + Math.max(0, afterMs);
    const entry: Entry = { atMs, order: this.#order++, process, what, work };
    this.#push(entry);
    return () => {
      entry.work = undefined;
    };
  }

  /** Lets events happen until `isOver`; says why it ended. */
  async run(isOver: () => boolean): Promise<'over' | 'nothing happens any more'> {
    while (!isOver()) {
      const entry = this.#pop();
      if (entry === undefined) return 'nothing happens any more';
      this.nowMs = Math.max(this.nowMs, entry.atMs);
      const { process, work } = entry;
      if (work === undefined || process?.isAlive === false) continue;
      if (process !== undefined && process.stalledUntilMs > this.nowMs) {
        entry.atMs = process.stalledUntilMs;
        this.#push(entry);
        continue;
      }
      this.events++;
      entry.work = undefined;
      work();
      // Every promise that can be settled is, before the next turn of Node's own loop.
      await new Promise(setImmediate);
      if (this.#failure !== undefined) throw this.#failure.error;
    }
    return 'over';
  }

  #push(entry: Entry): void {
    const queue = this.#queue;
    let at = queue.push(entry) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const other = queue[above];
      if (other === undefined || !isBefore(entry, other)) break;
      queue[at] = other;
      at = above;
    }
    queue[at] = entry;
  }

  #pop(): Entry | undefined {
    const queue = this.#queue;
    const first = queue[0];
    const last = queue.pop();
    if (first === undefined || last === undefined || queue.length === 0) return first;
    let at = 0;
    for (;;) {
      const left = queue[2 * at + 1];
      const right = queue[2 * at + 2];
      const isRight = left !== undefined && right !== undefined && isBefore(right, left);
      const next = isRight ? right : left;
      if (next === undefined || !isBefore(next, last)) break;
      queue[at] = next;
      at = 2 * at + (isRight ? 2 : 1);
    }
    queue[at] = last;
    return first;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** Thrown out of an operation in which the process has died. */
export class Died extends Error {
  override readonly name = 'Died';
}

/** One life of one daemon: from its start to its death. */
export class Process {
  readonly world: World;
  readonly name: string;
  isAlive = true;
  /** Until then it stands still, as after SIGSTOP. */
  stalledUntilMs = 0;
  readonly clock: Clock;

  constructor(world: World, name: string) {
    this.world = world;
    this.name = name;
    // Each machine counts from a moment of its own.
    const zeroMs = world.dice.between(0, 1_000_000_000);
    this.clock = {
      now: () => world.nowMs + zeroMs,
      after: (milliseconds, work) => world.at(milliseconds, this, 'timer', work),
    };
  }

  get isStalled(): boolean {
    return this.stalledUntilMs > this.world.nowMs;
  }

  /** What an operation of the system gives this process, `afterMs` later; its faults reject. */
  later<T>(afterMs: number, what: string, work: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.world.at(afterMs, this, what, () => {
        try {
          const result = work();
          // What it was waiting for may have been its end.
          if (this.isAlive) resolve(result);
        } catch (error) {
          if (error instanceof Died) return;
          reject(error);
        }
      });
    });
  }

  end(): void {
    this.isAlive = false;
  }
}
