/**
 * Schedule: decides which peer runs which task and when an output is sealed, without IO.
 *
 *   event + time ──▶ step ──▶ effects
 *
 * It decides and never does: roles/coordinator.ts feeds it events and performs its effects. A task
 * is finished when every placement of its block runs is stored; how often it was made, by whom and
 * in which order does not matter. Read next: placement.ts (who is to make what).
 */

import { assert } from '../../../proto/assert.ts';
import type { Plan, Task } from '../plan/plan.ts';
import { layerOf, placeTasks } from './placement.ts';

export type PeerId = string;

/** What a peer offers to a run. */
export interface PeerOffer {
  readonly peer: PeerId;
  /** Leases it may hold at a time, and the memory they may take together. */
  readonly leasesMax: number;
  readonly memoryBytes: number;
  /** Work per time, to compare peers with; 0 takes only tasks that read no source. */
  readonly speed: number;
  /** Source bytes it has room for; a peer that reads SOURCE itself needs none. */
  readonly diskBytes: number;
  /** Whether it reads SOURCE itself: only such a peer can make tensors that have no source. */
  readonly isLocal: boolean;
}

export type ScheduleEvent =
  /** Told together where they come together, so that each gets its share at once. */
  | { readonly kind: 'peers-joined'; readonly peers: readonly PeerOffer[] }
  | { readonly kind: 'peer-left'; readonly peer: PeerId }
  /** These of the task's runs (by index in the task) are written; the peer's lease is over. */
  | {
      readonly kind: 'task-answered';
      readonly peer: PeerId;
      readonly task: number;
      readonly runs: readonly number[];
    }
  /** The peer cannot make the task; it gets no other for a while, or until it joins again. */
  | { readonly kind: 'task-declined'; readonly peer: PeerId; readonly task: number }
  /** The peer has the source of these layers, from measuring them; told at any time. */
  | { readonly kind: 'layers-held'; readonly peer: PeerId; readonly layers: readonly number[] }
  /** Runs of an output are durable. Also told at the start for what an earlier run left. */
  | { readonly kind: 'runs-stored'; readonly output: number; readonly runs: readonly number[] }
  /** Runs of an output turned out not to be what their digests say. */
  | { readonly kind: 'runs-lost'; readonly output: number; readonly runs: readonly number[] }
  | { readonly kind: 'sealed'; readonly output: number }
  /** Time has passed: what is slow may be overtaken. */
  | { readonly kind: 'tick' }
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
  /** The lease is over without the peer's answer: another has answered. */
  | { readonly kind: 'release'; readonly peer: PeerId; readonly task: number }
  | { readonly kind: 'seal'; readonly output: number }
  | { readonly kind: 'finished' }
  | { readonly kind: 'drained' };

interface Peer extends PeerOffer {
  /** When each lease was given. */
  readonly leased: Map<number, number>;
  /** Waiting tasks that the placement gives it, in the order of the plan. */
  queue: number[];
  memoryUsed: number;
  /** It could not make a task: nothing more for it until then; 0 while it is open. */
  closedUntilMs: number;
  readonly joinedMs: number;
  bytesAnswered: number;
  answeredMs: number;
}

// A lease that is older than this, and than a few leases of the peer that would repeat it, is
// given to an idle peer as well. Below it, what looks slow is the machine's other work.
const OVERTAKE_MS = 10_000;
const OVERTAKE_LEASES = 4;
// An idle peer takes waiting tasks of one that would need longer than this for those it has.
const TAKE_OVER_MS = 20_000;
// What a peer declines for, such as a full disk or a broken link, may have passed by then.
const CLOSED_MS = 30_000;
// A third copy of a task gains nothing that the second does not.
const HOLDERS_MAX = 2;

export class Schedule {
  readonly #plan: Plan;
  /** For each output, for each run: 1 once it is stored. */
  readonly #stored: readonly Uint8Array[];
  /** For each output: runs not yet stored. */
  readonly #missing: number[];
  readonly #outputState: ('open' | 'sealing' | 'sealed')[];
  readonly #peers = new Map<PeerId, Peer>();
  /** Tasks whose source peers were said to hold. */
  readonly #held = new Map<PeerId, ReadonlySet<number>>();
  /** Source bytes of each peer that has been here, by task: what it was given it still has. */
  readonly #given = new Map<PeerId, Set<number>>();
  /** Leases of each task, over all peers. */
  readonly #holders: Uint8Array;
  /** Runs of each task that are written; they are stored soon, or lost and made again. */
  readonly #written = new Map<number, Set<number>>();
  /** Tasks that no peer has in its queue: nobody had room for them, or is here. */
  #homeless: number[] = [];
  readonly #largestBytes: number;
  #leases = 0;
  #draining = false;
  #ended = false;
  #nowMs = 0;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#stored = plan.outputs.map((output) => new Uint8Array(output.runs.length));
    this.#missing = plan.outputs.map((output) => output.runs.length);
    this.#outputState = plan.outputs.map(() => 'open');
    this.#holders = new Uint8Array(plan.tasks.length);
    this.#homeless = plan.tasks.map((_, task) => task);
    this.#largestBytes = plan.tasks.reduce((max, { group }) => Math.max(max, group.sourceBytes), 0);
  }

  /** @param nowMs milliseconds of a clock that never jumps */
  step(event: ScheduleEvent, nowMs: number): ScheduleEffect[] {
    this.#nowMs = nowMs;
    const released = this.#take(event);
    return this.#ended
      ? released
      : [...released, ...this.#assign(), ...this.#sealFull(), ...this.#end()];
  }

  /** The tasks in the queue of each peer that is here, as the placement has it now. */
  shares(): ReadonlyMap<PeerId, readonly number[]> {
    return new Map(
      [...this.#peers].map(([id, { leased, queue }]) => [id, [...leased.keys(), ...queue]]),
    );
  }

  /** Leases that are out, over all peers. */
  get leases(): number {
    return this.#leases;
  }

  /** The runs of a task that somebody still has to make, by index in the task. */
  wanted(task: number): readonly number[] {
    return this.#wanted(task);
  }

  /** Tasks that wait for a peer to come, or for one with more room. */
  get waiting(): number {
    return this.#draining ? 0 : this.#homeless.length;
  }

  #take(event: ScheduleEvent): ScheduleEffect[] {
    switch (event.kind) {
      case 'peers-joined':
        for (const offer of event.peers) this.#addPeer(offer);
        this.#place();
        return [];
      case 'peer-left':
        this.#dropPeer(event.peer);
        return [];
      case 'task-answered':
        return this.#answered(event.peer, event.task, event.runs);
      case 'task-declined':
        this.#declined(event.peer, event.task);
        return [];
      case 'layers-held':
        this.#hold(event.peer, new Set(event.layers));
        return [];
      case 'runs-stored':
        for (const run of event.runs) this.#mark(event.output, run, 1);
        return [];
      case 'runs-lost':
        this.#reopen(event.output, event.runs);
        return [];
      case 'sealed':
        this.#outputState[event.output] = 'sealed';
        return [];
      case 'tick':
        this.#openAgain();
        return [];
      case 'drain':
        this.#draining = true;
        return [];
    }
  }

  #addPeer(offer: PeerOffer): void {
    // A peer that comes again without having left has forgotten what it was doing.
    this.#dropPeer(offer.peer);
    this.#peers.set(offer.peer, {
      ...offer,
      leased: new Map(),
      queue: [],
      memoryUsed: 0,
      closedUntilMs: 0,
      joinedMs: this.#nowMs,
      bytesAnswered: 0,
      answeredMs: this.#nowMs,
    });
  }

  #dropPeer(id: PeerId): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    for (const task of peer.leased.keys()) this.#unlease(peer, task);
    this.#peers.delete(id);
    this.#place();
  }

  /** Ends a lease without regard to its task. */
  #unlease(peer: Peer, task: number): void {
    peer.leased.delete(task);
    peer.memoryUsed -= this.#task(task).memoryBytes;
    this.#holders[task] = (this.#holders[task] ?? 1) - 1;
    this.#leases--;
  }

  /** Also a late answer of a peer that was given up for lost: what is written is written. */
  #answered(id: PeerId, task: number, runs: readonly number[]): ScheduleEffect[] {
    const written = this.#written.get(task) ?? new Set();
    for (const run of runs) written.add(run);
    this.#written.set(task, written);
    const isMade = this.#wanted(task).length === 0;
    const effects: ScheduleEffect[] = [];
    for (const peer of this.#peers.values()) {
      if (!peer.leased.has(task)) continue;
      if (peer.peer === id) {
        peer.bytesAnswered += this.#task(task).group.sourceBytes;
        peer.answeredMs = this.#nowMs;
      } else if (isMade) effects.push({ kind: 'release', peer: peer.peer, task });
      else continue;
      this.#unlease(peer, task);
    }
    // A run was lost after the lease had been given: it is to be made again.
    if (!isMade) this.#place();
    return effects;
  }

  #declined(id: PeerId, task: number): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    peer.closedUntilMs = this.#nowMs + CLOSED_MS;
    if (peer.leased.has(task)) this.#unlease(peer, task);
    this.#place();
  }

  #openAgain(): void {
    let isOpened = false;
    for (const peer of this.#peers.values()) {
      if (peer.closedUntilMs === 0 || this.#nowMs < peer.closedUntilMs) continue;
      peer.closedUntilMs = 0;
      isOpened = true;
    }
    if (isOpened) this.#place();
  }

  #hold(peer: PeerId, layers: ReadonlySet<number>): void {
    const given = this.#given.get(peer) ?? new Set();
    this.#given.set(peer, given);
    const held = new Set<number>();
    this.#held.set(peer, held);
    this.#plan.tasks.forEach(({ tensor }, task) => {
      const layer = layerOf(tensor.name);
      if (layer === undefined || !layers.has(layer)) return;
      given.add(task);
      held.add(task);
    });
    this.#place();
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
      this.#task(task).runs.forEach(({ placements }, index) => {
        const isIt = placements.some((place) => place.output === output && place.run === run);
        if (isIt) this.#written.get(task)?.delete(index);
      });
    }
    this.#place();
  }

  /** Gives every task that waits to a peer: to one that has its source, else by placement.ts. */
  #place(): void {
    const open = [...this.#peers.values()].filter(({ closedUntilMs }) => closedUntilMs === 0);
    for (const peer of this.#peers.values()) peer.queue = [];
    this.#homeless = [];
    const homes = new Map<number, Peer>();
    const loads = new Map<Peer, number>();
    const free: number[] = [];
    const waiting = this.#plan.tasks.flatMap((_, task) => (this.#waits(task) ? [task] : []));
    for (const task of waiting) {
      const home = this.#naturalHome(task, open, loads);
      if (home !== undefined) homes.set(task, home);
      else if (this.#task(task).group.ranges.length > 0) free.push(task);
    }
    const placed = placeTasks(
      this.#plan.tasks,
      free,
      open.map((peer) => ({ peer: peer.peer, speed: peer.speed, roomBytes: this.#room(peer) })),
    );
    for (const task of waiting) {
      const home = homes.get(task) ?? this.#peers.get(placed.get(task) ?? '');
      (home?.queue ?? this.#homeless).push(task);
    }
  }

  #waits(task: number): boolean {
    return this.#holders[task] === 0 && this.#wanted(task).length > 0;
  }

  /**
   * Of a task without a source a peer that reads SOURCE; else one that was given its bytes, of
   * several that which comes first to its end with what `loads` has of it already.
   */
  #naturalHome(task: number, open: readonly Peer[], loads: Map<Peer, number>): Peer | undefined {
    const { ranges, sourceBytes } = this.#task(task).group;
    if (ranges.length === 0) return open.find(({ isLocal }) => isLocal);
    const timeWith = (peer: Peer): number => ((loads.get(peer) ?? 0) + sourceBytes) / peer.speed;
    const [home] = open
      .filter(
        // Who reads SOURCE has all of it at hand, unless it is told to hold layers as others do.
        ({ peer, isLocal, speed }) =>
          speed > 0 && (isLocal ? this.#held : this.#given).get(peer)?.has(task) === true,
      )
      .sort((a, b) => timeWith(a) - timeWith(b));
    if (home !== undefined) loads.set(home, (loads.get(home) ?? 0) + sourceBytes);
    return home;
  }

  /** Source bytes that the peer may still be given. */
  #room({ peer, isLocal, diskBytes }: PeerOffer): number {
    if (isLocal) return Number.MAX_SAFE_INTEGER;
    let room = diskBytes;
    for (const task of this.#given.get(peer) ?? []) room -= this.#task(task).group.sourceBytes;
    return Math.max(0, room);
  }

  #assign(): ScheduleEffect[] {
    if (this.#draining) return [];
    const effects: ScheduleEffect[] = [];
    for (const peer of this.#peers.values()) {
      if (peer.closedUntilMs > 0) continue;
      for (let task = this.#next(peer); task !== undefined; task = this.#next(peer)) {
        effects.push(this.#lease(peer, task));
      }
    }
    return effects;
  }

  #lease(peer: Peer, task: number): ScheduleEffect {
    peer.leased.set(task, this.#nowMs);
    peer.memoryUsed += this.#task(task).memoryBytes;
    this.#holders[task] = (this.#holders[task] ?? 0) + 1;
    this.#leases++;
    const given = this.#given.get(peer.peer) ?? new Set();
    this.#given.set(peer.peer, given.add(task));
    return { kind: 'lease', peer: peer.peer, task, runs: this.#wanted(task) };
  }

  /** What `peer` is to begin now, out of its queue; undefined where nothing or no room. */
  #next(peer: Peer): number | undefined {
    while (peer.queue.length > 0 && !this.#waits(peer.queue[0] ?? 0)) peer.queue.shift();
    const [task] = peer.queue;
    if (task !== undefined) {
      if (!this.#hasRoomFor(peer, task)) return undefined;
      peer.queue.shift();
      return task;
    }
    if (peer.speed === 0) return undefined;
    return this.#takeOver(peer) ?? this.#overtake(peer);
  }

  /** A peer that holds nothing has room for any task. */
  #hasRoomFor(peer: Peer, task: number): boolean {
    if (peer.leased.size === 0) return true;
    return (
      peer.leased.size < peer.leasesMax &&
      peer.memoryUsed + this.#task(task).memoryBytes <= peer.memoryBytes
    );
  }

  /** The last task that waits for a peer which is too slow for all that waits for it. */
  #takeOver(idle: Peer): number | undefined {
    for (const peer of this.#peers.values()) {
      const task = peer.queue.at(-1);
      if (peer === idle || task === undefined || !this.#isBehind(peer)) continue;
      if (!this.#waits(task) || !this.#canBeGiven(idle, task)) continue;
      peer.queue.pop();
      return task;
    }
    return undefined;
  }

  #isBehind({ queue, joinedMs, bytesAnswered }: Peer): boolean {
    const elapsedMs = this.#nowMs - joinedMs;
    if (elapsedMs < OVERTAKE_MS) return false;
    const bytes = queue.reduce((sum, task) => sum + this.#task(task).group.sourceBytes, 0);
    return bytes * elapsedMs > TAKE_OVER_MS * bytesAnswered;
  }

  /** The oldest lease of another peer, once it is old for what `idle` itself takes for one. */
  #overtake(idle: Peer): number | undefined {
    if (idle.leased.size >= idle.leasesMax) return undefined;
    let oldest: number | undefined;
    let sinceMs = this.#nowMs - OVERTAKE_MS;
    for (const peer of this.#peers.values()) {
      if (peer === idle) continue;
      for (const [task, givenMs] of peer.leased) {
        const isFree = (this.#holders[task] ?? 0) < HOLDERS_MAX && !idle.leased.has(task);
        if (givenMs >= sinceMs || !isFree || !this.#canBeGiven(idle, task)) continue;
        if (this.#nowMs - givenMs < OVERTAKE_LEASES * this.#leaseMs(idle)) continue;
        oldest = task;
        sinceMs = givenMs;
      }
    }
    return oldest;
  }

  /** What a lease of the largest row group takes this peer, as far as it has shown. */
  #leaseMs({ joinedMs, answeredMs, bytesAnswered, leasesMax }: Peer): number {
    if (bytesAnswered === 0) return Number.POSITIVE_INFINITY;
    return (leasesMax * this.#largestBytes * (answeredMs - joinedMs)) / bytesAnswered;
  }

  #canBeGiven(peer: Peer, task: number): boolean {
    const { ranges, sourceBytes } = this.#task(task).group;
    if (ranges.length === 0) return peer.isLocal;
    const has = this.#given.get(peer.peer)?.has(task) === true;
    return (has || sourceBytes <= this.#room(peer)) && this.#hasRoomFor(peer, task);
  }

  /** The task's runs, by index, that some output still lacks and nobody has written. */
  #wanted(task: number): number[] {
    const written = this.#written.get(task);
    return this.#task(task).runs.flatMap(({ placements }, index) =>
      written?.has(index) !== true &&
      placements.some(({ output, run }) => this.#stored[output]?.[run] !== 1)
        ? [index]
        : [],
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
