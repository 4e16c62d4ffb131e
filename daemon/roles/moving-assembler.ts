/**
 * Moving assembler: an output that goes to another machine when the one that has it is lost.
 *
 *   RemoteAssembler ── away, or declines ──▶ move ──▶ another machine's, or this one's assembler
 *
 * What the lost machine held is made again: whether its disk still has it cannot be known. Whoever
 * places a run meanwhile waits. Read next: open-assemblers.ts, which finds the next machine.
 */

import { FaultError } from '../../proto/fault.ts';
import type { PeerId } from '../../proto/peer-messages.ts';
import { assemblyFaults } from './assembly-faults.ts';
import type {
  AssembledOutput,
  AssemblyEvents,
  MadeBlocks,
  OutputAssembler,
} from './output-assembler.ts';

// What another machine may do better.
const movable: readonly string[] = [assemblyFaults.away.code, assemblyFaults.declined.code];

export class MovingAssembler implements OutputAssembler {
  readonly output: AssembledOutput;
  readonly #move: (why: FaultError) => Promise<OutputAssembler>;
  #current: OutputAssembler;
  /** While there is no machine for it. */
  #moving: Promise<void> | undefined;
  #events: AssemblyEvents | undefined;
  #isDraining = false;

  constructor(first: OutputAssembler, move: (why: FaultError) => Promise<OutputAssembler>) {
    this.output = first.output;
    this.#current = first;
    this.#move = move;
  }

  /** Where it grows now. */
  get current(): OutputAssembler {
    return this.#current;
  }

  get isLocal(): boolean {
    return this.#current.isLocal;
  }

  get peer(): PeerId | undefined {
    return this.#current.peer;
  }

  get isSealed(): boolean {
    return this.#moving === undefined && this.#current.isSealed;
  }

  get bytesPending(): number {
    return this.#moving === undefined ? this.#current.bytesPending : 0;
  }

  hasRun(run: number): boolean {
    return this.#moving === undefined && this.#current.hasRun(run);
  }

  holds(run: number): boolean {
    return this.#moving === undefined && this.#current.holds(run);
  }

  storedRuns(): number[] {
    return this.#moving === undefined ? this.#current.storedRuns() : [];
  }

  forget(runs: readonly number[]): void {
    if (this.#moving === undefined) this.#current.forget(runs);
  }

  follow(events: AssemblyEvents): void {
    this.#events = events;
    this.#followCurrent();
  }

  async place(run: number, made: MadeBlocks, signal: AbortSignal): Promise<boolean> {
    await this.#settled(signal);
    return await this.#current.place(run, made, signal);
  }

  commit(): Promise<number[]> {
    return this.#moving === undefined ? this.#current.commit() : Promise.resolve([]);
  }

  async verify(onBytes: (bytes: number) => void, signal: AbortSignal): Promise<number[]> {
    await this.#settled(signal);
    try {
      return await this.#current.verify(onBytes, signal);
    } catch (error) {
      if (this.#moving === undefined) throw error;
      await this.#settled(signal);
      return [...this.output.runs.keys()].filter((run) => !this.hasRun(run));
    }
  }

  seal(): Promise<string> {
    return this.#current.seal();
  }

  drain(): void {
    this.#isDraining = true;
    this.#current.drain?.();
  }

  #followCurrent(): void {
    const current = this.#current;
    // What a machine tells that has been given up is not heard.
    const isCurrent = (): boolean => current === this.#current && this.#moving === undefined;
    current.follow?.({
      stored: (runs) => isCurrent() && this.#events?.stored(runs),
      lost: (runs) => isCurrent() && this.#events?.lost(runs),
      failed: (error) => isCurrent() && this.#onFailed(error),
    });
  }

  #onFailed(error: unknown): void {
    const isMovable = error instanceof FaultError && movable.includes(error.kind.code);
    if (!isMovable || this.#isDraining) {
      this.#events?.failed(error);
      return;
    }
    const lost = [...this.output.runs.keys()].filter((run) => this.holds(run));
    this.#moving = this.#move(error).then(
      (next) => {
        this.#current = next;
        this.#moving = undefined;
        this.#followCurrent();
        const stored = next.storedRuns();
        if (stored.length > 0) this.#events?.stored(stored);
      },
      // It stays in between: whoever waits is ended by the end of the run.
      (why: unknown) => this.#events?.failed(why),
    );
    if (lost.length > 0) this.#events?.lost(lost);
  }

  /** Resolves when there is a machine for it. */
  async #settled(signal: AbortSignal): Promise<void> {
    while (this.#moving !== undefined) {
      signal.throwIfAborted();
      const ended = new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
      await Promise.race([this.#moving, ended]);
      // It has failed: the run is over, and its signal is about to say so.
      if (this.#moving !== undefined) await ended;
    }
  }
}
