/**
 * Schedule: decides which peer runs which task and when an output is sealed, without IO.
 *
 *   event ──▶ step ──▶ effects
 *
 * It decides and never does: roles/coordinator.ts feeds it events and performs its effects. A task
 * is finished when every placement of its block runs is stored; how often it was made, by whom and
 * in which order does not matter.
 */

import { assert } from '../../../proto/assert.ts';
import type { Plan, Task } from '../plan/plan.ts';

export type PeerId = string;

export type ScheduleEvent =
  /** A peer offers to hold up to `memoryBytes` of tasks, at most `leasesMax` at a time. */
  | {
      readonly kind: 'peer-joined';
      readonly peer: PeerId;
      readonly leasesMax: number;
      readonly memoryBytes: number;
    }
  | { readonly kind: 'peer-left'; readonly peer: PeerId }
  /** The task's results are written: the peer holds nothing of it any more. */
  | { readonly kind: 'task-answered'; readonly peer: PeerId; readonly task: number }
  /** Runs of an output are durable. Also told at the start for what an earlier run left. */
  | { readonly kind: 'runs-stored'; readonly output: number; readonly runs: readonly number[] }
  /** Runs of an output turned out not to be what their digests say. */
  | { readonly kind: 'runs-lost'; readonly output: number; readonly runs: readonly number[] }
  | { readonly kind: 'sealed'; readonly output: number }
  /** Hand out nothing more; what runs may finish. */
  | { readonly kind: 'drain' };

export type ScheduleEffect =
  /** `peer` runs the task for those of its runs (by index in the task) that are not stored. */
  | {
      readonly kind: 'lease';
      readonly peer: PeerId;
      readonly task: number;
      readonly runs: readonly number[];
    }
  | { readonly kind: 'seal'; readonly output: number }
  | { readonly kind: 'finished' }
  | { readonly kind: 'drained' };

interface Peer {
  readonly leasesMax: number;
  readonly memoryBytes: number;
  readonly leased: Set<number>;
  memoryUsed: number;
}

export class Schedule {
  readonly #plan: Plan;
  /** For each output, for each run: 1 once it is stored. */
  readonly #stored: readonly Uint8Array[];
  /** For each output: runs not yet stored. */
  readonly #missing: number[];
  readonly #outputState: ('open' | 'sealing' | 'sealed')[];
  readonly #peers = new Map<PeerId, Peer>();
  /** Tasks that no peer holds, lowest first; may name tasks that have been stored meanwhile. */
  readonly #waiting: number[];
  #waitingFrom = 0;
  /** Leased tasks that lost a stored run meanwhile: they wait again after their lease. */
  readonly #again = new Set<number>();
  #leases = 0;
  #draining = false;
  #ended = false;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#stored = plan.outputs.map((output) => new Uint8Array(output.runs.length));
    this.#missing = plan.outputs.map((output) => output.runs.length);
    this.#outputState = plan.outputs.map(() => 'open');
    this.#waiting = plan.tasks.map((_, task) => task);
  }

  step(event: ScheduleEvent): ScheduleEffect[] {
    this.#take(event);
    return this.#ended ? [] : [...this.#assign(), ...this.#sealFull(), ...this.#end()];
  }

  #take(event: ScheduleEvent): void {
    switch (event.kind) {
      case 'peer-joined':
        this.#peers.set(event.peer, { ...event, leased: new Set(), memoryUsed: 0 });
        break;
      case 'peer-left':
        this.#dropPeer(event.peer);
        break;
      case 'task-answered':
        this.#release(event.peer, event.task);
        break;
      case 'runs-stored':
        for (const run of event.runs) this.#mark(event.output, run, 1);
        break;
      case 'runs-lost':
        this.#reopen(event.output, event.runs);
        break;
      case 'sealed':
        this.#outputState[event.output] = 'sealed';
        break;
      case 'drain':
        this.#draining = true;
        break;
    }
  }

  #dropPeer(id: PeerId): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    for (const task of peer.leased) this.#requeue(task);
    this.#leases -= peer.leased.size;
    this.#peers.delete(id);
  }

  /** A late answer of a peer that was given up for lost frees nothing: its lease is gone. */
  #release(id: PeerId, task: number): void {
    const peer = this.#peers.get(id);
    if (peer?.leased.delete(task) !== true) return;
    peer.memoryUsed -= this.#task(task).memoryBytes;
    this.#leases--;
    if (this.#again.delete(task)) this.#requeue(task);
  }

  #mark(output: number, run: number, value: 0 | 1): void {
    const stored = this.#stored[output];
    assert(stored !== undefined && run < stored.length, `output ${output} has no run ${run}`);
    if (stored[run] === value) return;
    stored[run] = value;
    this.#missing[output] = (this.#missing[output] ?? 0) + (value === 1 ? -1 : 1);
  }

  #reopen(output: number, runs: readonly number[]): void {
    this.#outputState[output] = 'open';
    for (const run of runs) {
      this.#mark(output, run, 0);
      const task = this.#plan.outputs[output]?.runs[run]?.task;
      assert(task !== undefined, `run ${run} of output ${output} belongs to no task`);
      this.#requeue(task);
    }
  }

  #requeue(task: number): void {
    if (this.#waitingFrom > 0) this.#waiting[--this.#waitingFrom] = task;
    else this.#waiting.unshift(task);
  }

  #assign(): ScheduleEffect[] {
    const effects: ScheduleEffect[] = [];
    for (const [id, peer] of this.#peers) {
      for (let lease = this.#next(id, peer); lease !== undefined; lease = this.#next(id, peer)) {
        effects.push(lease);
      }
    }
    return effects;
  }

  /** The next lease that `peer` has room for; a peer that holds nothing has room for any task. */
  #next(id: PeerId, peer: Peer): ScheduleEffect | undefined {
    while (!this.#draining && this.#waitingFrom < this.#waiting.length) {
      const task = this.#waiting[this.#waitingFrom] ?? 0;
      const runs = this.#wanted(task);
      const leased = this.#isLeased(task);
      if (leased && runs.length > 0) this.#again.add(task);
      if (leased || runs.length === 0) {
        this.#waitingFrom++;
        continue;
      }
      const { memoryBytes } = this.#task(task);
      const idle = peer.leased.size === 0;
      const fits =
        peer.leased.size < peer.leasesMax && peer.memoryUsed + memoryBytes <= peer.memoryBytes;
      if (!idle && !fits) return undefined;
      this.#waitingFrom++;
      peer.leased.add(task);
      peer.memoryUsed += memoryBytes;
      this.#leases++;
      return { kind: 'lease', peer: id, task, runs };
    }
    return undefined;
  }

  #isLeased(task: number): boolean {
    for (const peer of this.#peers.values()) if (peer.leased.has(task)) return true;
    return false;
  }

  /** The task's runs, by index, that some output still lacks. */
  #wanted(task: number): number[] {
    return this.#task(task).runs.flatMap(({ placements }, index) =>
      placements.some(({ output, run }) => this.#stored[output]?.[run] !== 1) ? [index] : [],
    );
  }

  #task(index: number): Task {
    const task = this.#plan.tasks[index];
    assert(task !== undefined, `the plan has no task ${index}`);
    return task;
  }

  #sealFull(): ScheduleEffect[] {
    const effects: ScheduleEffect[] = [];
    this.#outputState.forEach((state, output) => {
      if (state !== 'open' || this.#missing[output] !== 0 || this.#draining) return;
      this.#outputState[output] = 'sealing';
      effects.push({ kind: 'seal', output });
    });
    return effects;
  }

  #end(): ScheduleEffect[] {
    if (this.#outputState.every((state) => state === 'sealed')) {
      this.#ended = true;
      return [{ kind: 'finished' }];
    }
    const sealing = this.#outputState.includes('sealing');
    if (this.#draining && this.#leases === 0 && !sealing) {
      this.#ended = true;
      return [{ kind: 'drained' }];
    }
    return [];
  }
}
