/**
 * Measurement: decides which peer runs which layers over which group of chunks, without IO.
 *
 *   event + time ──▶ step ──▶ effects
 *
 * A lease is a run of layers of one stage over one group. It is given as soon as the state that it
 * begins with exists or is being made: a group's chunks pass from peer to peer one by one. What is
 * run is derived anew after every event from the sums that are stored and the states that exist, so
 * that any order of losses ends in the same sums. Read next: group-progress.ts (what is still to be
 * run), stages.ts (at whom), paces.ts (who is slower than it said), measurement-events.ts.
 */

import { assert } from '../../../proto/assert.ts';
import { GroupProgress, type Lease, type Run, told } from './group-progress.ts';
import type {
  MeasurementEffect,
  MeasurementEvent,
  MeasuringPeer,
  PeerId,
} from './measurement-events.ts';
import { freshPeer, isUsable, type Peer } from './measuring-peer.ts';
import { Paces } from './paces.ts';
import {
  isSamePlacement,
  placeStages,
  type Stage,
  type StageRequest,
  type UnplacedLayers,
} from './stages.ts';

export interface MeasurementPlan extends Pick<StageRequest, 'layers' | 'mayCut' | 'replicas'> {
  /** Chunks of each group. */
  readonly groups: readonly number[];
}

// A group whose sums are on their way to the coordinator keeps nobody from beginning another.
const GROUPS_BEYOND_LEASES = 1;
// What a peer declines for, such as a broken link to the stage before it, may have passed by then.
const CLOSED_MS = 10_000;
// A link that breaks is mostly there again by then, and the peer still has its weights.
const AWAY_MS = 5000;
// With fewer groups to go for each peer, other stages would cost more weights than they save time.
const GROUPS_WORTH_MOVING = 2;

export class Measurement {
  readonly #plan: MeasurementPlan;
  readonly #groups: GroupProgress[] = [];
  /** Groups that lack a layer's sums, by layer. */
  readonly #lacking: number[];
  readonly #complete: boolean[];
  readonly #peers = new Map<PeerId, Peer>();
  /** Peers that have left, and may be back before their stages are given to others. */
  readonly #away = new Map<PeerId, { readonly peer: Peer; readonly untilMs: number }>();
  /** Layers that each peer was leased, and so has the weights of, whether it is here or not. */
  readonly #held = new Map<PeerId, Set<number>>();
  /** Every lease that was ever given, by number: answers may come late. */
  readonly #leases: Lease[] = [];
  readonly #touched = new Set<number>();
  readonly #paces: Paces;
  #stages: readonly Stage[] = [];
  #unplaced: UnplacedLayers | undefined;
  #effects: MeasurementEffect[] = [];
  #nowMs = 0;
  #hasBegun = false;
  #isFinished = false;
  #isDraining = false;
  #isDrained = false;

  constructor(plan: MeasurementPlan) {
    this.#plan = plan;
    this.#paces = new Paces(plan.layers);
    this.#lacking = plan.layers.map(() => 0);
    this.#complete = plan.layers.map(() => false);
    this.#addGroups(plan.groups);
  }

  /** @param nowMs milliseconds of a clock that never jumps */
  step(event: MeasurementEvent, nowMs: number): MeasurementEffect[] {
    this.#nowMs = nowMs;
    this.#effects = [];
    const before = this.#stages;
    this.#take(event);
    if (!isSamePlacement(before, this.#stages)) {
      this.#effects.push({ kind: 'placed', stages: this.#stages });
    }
    for (const group of this.#touched) this.#tidy(this.#group(group));
    if (this.#isDraining) this.#cancelStarved();
    else this.#assign();
    for (const group of this.#touched) this.#tellInputs(this.#group(group));
    this.#touched.clear();
    this.#end();
    return this.#effects;
  }

  /** Who runs which layers, as it is placed now. */
  get stages(): readonly Stage[] {
    return this.#stages;
  }

  /** The layers that each peer has the weights of, also of peers that have left. */
  get holds(): ReadonlyMap<PeerId, ReadonlySet<number>> {
    return this.#held;
  }

  /** Peers that run nothing, and to which no more will come unless something is lost. */
  get idle(): ReadonlySet<PeerId> {
    const waiting = this.#stages.flatMap(({ from, to, peers }) =>
      this.#complete.slice(from, to).every((isComplete) => isComplete) ? [] : peers,
    );
    const idle = [...this.#peers.values()].filter(
      ({ peer, running }) => running.size === 0 && !waiting.includes(peer),
    );
    return new Set(idle.map(({ peer }) => peer));
  }

  /** Chunks that are taken out of a group, by index in it, ascending. */
  excluded(group: number): readonly number[] {
    return this.#group(group).excluded;
  }

  /** Pairs of layer and group whose sums are not stored. */
  get missing(): number {
    return this.#lacking.reduce((sum, groups) => sum + groups, 0);
  }

  #take(event: MeasurementEvent): void {
    switch (event.kind) {
      case 'peers-joined':
        for (const peer of event.peers) this.#addPeer(peer);
        this.#placeIfWorth();
        break;
      case 'peer-left':
        this.#leave(event.peer);
        break;
      case 'sums-stored':
        this.#store(event.layer, event.group, event.excluded);
        break;
      case 'stage-done':
        this.#done(event.peer, event.lease, event.computeMs ?? 0);
        break;
      case 'declined':
        this.#declined(event.peer, event.lease);
        break;
      case 'bad-chunks':
        this.#exclude(event.group, event.chunks);
        break;
      case 'more-groups':
        this.#addGroups(event.groups);
        this.#placeIfWorth();
        break;
      case 'tick':
        this.#openAgain();
        this.#giveUpAway();
        break;
      case 'drain':
        this.#isDraining = true;
    }
  }

  #addGroups(groups: readonly number[]): void {
    for (const chunks of groups) {
      assert(chunks > 0, 'a group has no chunks');
      this.#groups.push(new GroupProgress(chunks, this.#lacking.length));
      this.#lacking.forEach((_, layer) => {
        this.#reopen(layer);
      });
    }
  }

  #addPeer(offer: MeasuringPeer): void {
    // A peer that comes again without having left has forgotten what it was doing.
    this.#dropPeer(offer.peer);
    this.#away.delete(offer.peer);
    this.#unstage(offer.peer);
    this.#peers.set(offer.peer, freshPeer(offer));
    const held = this.#held.get(offer.peer) ?? new Set();
    for (const layer of offer.holds ?? []) held.add(layer);
    this.#held.set(offer.peer, held);
  }

  #dropPeer(id: PeerId): void {
    for (const lease of this.#leases) {
      if (lease.peer === id && lease.phase !== 'lost') this.#close(lease, 'lost');
    }
    this.#peers.delete(id);
    this.#paces.forget(id);
  }

  /** Its work is lost at once, its stage only when it stays away: weights are dear to move. */
  #leave(id: PeerId): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    this.#dropPeer(id);
    this.#away.set(id, { peer, untilMs: this.#nowMs + AWAY_MS });
  }

  #giveUpAway(): void {
    const gone = [...this.#away].filter(([, { untilMs }]) => this.#nowMs >= untilMs);
    for (const [id] of gone) {
      this.#away.delete(id);
      this.#unstage(id);
    }
    if (gone.length > 0) this.#placeIfWorth();
  }

  #unstage(id: PeerId): void {
    this.#stages = this.#stages.map(({ from, to, peers }) => ({
      from,
      to,
      peers: peers.filter((peer) => peer !== id),
    }));
  }

  /** Ends a lease; with a loss goes what it had made. */
  #close(lease: Lease, phase: 'done' | 'over' | 'lost'): void {
    const group = this.#group(lease.group);
    this.#peers.get(lease.peer)?.running.delete(lease);
    lease.phase = phase;
    lease.hasState = phase === 'done' && lease.leavesState;
    if (phase !== 'done') group.leases = group.leases.filter((other) => other !== lease);
    this.#touched.add(lease.group);
  }

  #store(layer: number, index: number, excluded: readonly number[]): void {
    const group = this.#group(index);
    assert(layer >= 0 && layer < this.#lacking.length, `there is no layer ${layer}`);
    const isCurrent =
      excluded.length === group.excluded.length &&
      excluded.every((chunk, place) => chunk === group.excluded[place]);
    if (!isCurrent || !group.store(layer)) return;
    this.#lacking[layer] = (this.#lacking[layer] ?? 0) - 1;
    this.#touched.add(index);
  }

  #done(id: PeerId, number: number, computeMs: number): void {
    const lease = this.#leases[number];
    if (lease?.peer !== id || lease.phase === 'done') return;
    const group = this.#group(lease.group);
    // Of other chunks, or of a peer that has been away since and may have lost it.
    if (lease.phase === 'lost' || lease.excluded !== group.excluded.length) {
      this.#release(lease);
      return;
    }
    if (lease.phase === 'over') group.leases.push(lease);
    this.#close(lease, 'done');
    this.#hasBegun = true;
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    // It may have declined another lease meanwhile, and lost its stage by that.
    const hasReturned = !isUsable(peer);
    peer.declines = 0;
    if (hasReturned && isUsable(peer)) this.#placeIfWorth();
    this.#paces.ran(lease, group.chunks, computeMs);
    const judged = this.#isDraining ? [] : this.#paces.judge(this.#peers.values());
    const slowest = Math.min(1, ...judged.map((each) => this.#paces.factor(each)));
    if (judged.length > 0) this.#placeIfWorth(slowest);
    for (const each of judged) this.#relieve(each);
  }

  /** What a slow peer has begun goes to others, where they have its layers by now. */
  #relieve(id: PeerId): void {
    if (!this.#paces.isSlow(id)) return;
    this.#effects.push({ kind: 'slow', peer: id, times: 1 / this.#paces.factor(id) });
    for (const lease of this.#peers.get(id)?.running ?? []) {
      const stages = this.#stages.filter(({ from, to }) => from < lease.to && to > lease.from);
      const takers = stages
        .flatMap(({ peers }) => peers)
        .filter((peer) => !this.#paces.isSlow(peer));
      if (takers.length > 0) this.#cancel(lease);
    }
  }

  #declined(id: PeerId, number: number): void {
    const lease = this.#leases[number];
    const peer = this.#peers.get(id);
    if (lease?.peer !== id || peer === undefined || lease.phase !== 'running') return;
    this.#close(lease, 'over');
    peer.closedUntilMs = this.#nowMs + CLOSED_MS;
    peer.declines++;
    if (!isUsable(peer)) this.#placeIfWorth();
  }

  #openAgain(): void {
    let hasReturned = false;
    for (const peer of this.#peers.values()) {
      if (peer.closedUntilMs === 0 || this.#nowMs < peer.closedUntilMs) continue;
      hasReturned ||= !isUsable(peer);
      peer.closedUntilMs = 0;
    }
    if (hasReturned) this.#placeIfWorth();
  }

  #exclude(index: number, chunks: readonly number[]): void {
    const group = this.#group(index);
    const stored = this.#lacking.flatMap((_, layer) => (group.hasStored(layer) ? [layer] : []));
    if (!group.exclude(chunks)) return;
    for (const layer of stored) this.#reopen(layer);
    for (const lease of group.leases) {
      if (lease.phase === 'running') this.#cancel(lease);
      else if (lease.hasState) this.#release(lease);
    }
    group.leases = [];
    if (group.isEmpty) {
      this.#lacking.forEach((_, layer) => {
        this.#store(layer, index, group.excluded);
      });
    }
    this.#placeIfWorth();
  }

  /** A layer lacks the sums of one more group. */
  #reopen(layer: number): void {
    this.#lacking[layer] = (this.#lacking[layer] ?? 0) + 1;
    this.#isFinished = false;
    if (this.#complete[layer] !== true) return;
    this.#complete[layer] = false;
    this.#effects.push({ kind: 'layer-reopened', layer });
  }

  /** Where somebody lacks, or enough is to be done for what the slowest has of its offer, places anew. */
  #placeIfWorth(slowest = 1): void {
    const open = this.#groups.filter(({ isComplete }) => !isComplete).length;
    if (open === 0) return;
    const away = [...this.#away.values()].map(({ peer }) => peer);
    const usable = [...this.#peers.values(), ...away].filter(isUsable);
    const ids = new Set(usable.map(({ peer }) => peer));
    const isServed =
      this.#stages.at(-1)?.to === this.#lacking.length &&
      this.#stages.every(({ peers }) => peers.some((peer) => ids.has(peer)));
    if (isServed && this.#hasBegun && open < slowest * GROUPS_WORTH_MOVING * usable.length) return;
    const { stages, unplaced } = placeStages({
      ...this.#plan,
      peers: usable.map((peer) => ({
        ...peer,
        speed: peer.speed * this.#paces.factor(peer.peer),
        holds: (layer) => this.#held.get(peer.peer)?.has(layer) === true,
      })),
    });
    this.#stages = stages;
    if (unplaced?.from !== this.#unplaced?.from && unplaced !== undefined) {
      this.#effects.push({ kind: 'stuck', ...unplaced });
    }
    this.#unplaced = unplaced;
  }

  /** Ends what nothing needs any more, and lets go of its state. */
  #tidy(group: GroupProgress): void {
    for (let lease = group.useless(); lease !== undefined; lease = group.useless()) {
      this.#cancel(lease);
    }
    for (const lease of group.unneeded()) this.#release(lease);
    group.prune();
  }

  #cancel(lease: Lease): void {
    this.#effects.push({ kind: 'cancel', peer: lease.peer, lease: lease.lease });
    this.#close(lease, 'over');
  }

  #release(lease: Lease): void {
    lease.hasState = false;
    if (!lease.leavesState || !this.#peers.has(lease.peer)) return;
    const { peer, lease: number, group, to: boundary } = lease;
    this.#effects.push({ kind: 'release', peer, lease: number, group, boundary });
  }

  /** In ascending order of the groups, so that the first leave the pipe before the last enter. */
  #assign(): void {
    const staged = new Set(this.#stages.flatMap(({ peers }) => peers));
    let begun = this.#groups.filter(({ leases }) => leases.length > 0).length;
    let begunMax = 0;
    for (const id of staged) {
      begunMax += (this.#peers.get(id)?.leasesMax ?? 0) + GROUPS_BEYOND_LEASES;
    }
    let isFull = false;
    this.#groups.forEach((group, index) => {
      const isFresh = group.leases.length === 0;
      if (group.isComplete || (isFresh && (isFull || begun >= begunMax))) return;
      for (const run of group.runs(this.#stages)) this.#give(index, group, run);
      if (!isFresh) return;
      // All that are fresh begin at the same stage: where one finds no peer, none does.
      if (group.leases.length > 0) begun++;
      else isFull = true;
    });
  }

  #give(index: number, group: GroupProgress, run: Run): void {
    if (!group.isLive(run.from)) return;
    const inputs = run.from === 0 ? [] : group.sources(run.from);
    const peer = this.#choose(index, run, inputs);
    if (peer === undefined) return;
    const { from, to } = run;
    const lease: Lease = {
      lease: this.#leases.length,
      peer: peer.peer,
      group: index,
      from,
      to,
      collect: group.uncollected(from, to),
      leavesState: to < this.#lacking.length && this.#plan.mayCut(to),
      excluded: group.excluded.length,
      phase: 'running',
      hasState: false,
      inputs,
    };
    this.#leases.push(lease);
    group.leases.push(lease);
    peer.running.add(lease);
    this.#touched.add(index);
    const held = this.#held.get(peer.peer);
    for (let layer = from; layer < to; layer++) held?.add(layer);
    const { lease: number, collect, leavesState } = lease;
    this.#effects.push({
      kind: 'lease',
      peer: peer.peer,
      lease: number,
      group: index,
      from,
      to,
      excluded: group.excluded,
      collect,
      leavesState,
      inputs: told(inputs),
    });
  }

  /** Of the stage's peers the one with the fewest leases, then one that has the input itself. */
  #choose(group: number, { from, stage }: Run, inputs: readonly Lease[]): Peer | undefined {
    const open = stage.peers.flatMap((id) => {
      const peer = this.#peers.get(id);
      return peer === undefined || peer.closedUntilMs > 0 ? [] : [peer];
    });
    // A slow one would still have its lease when the others have run all the rest.
    const prompt = open.filter(({ peer }) => !this.#paces.isSlow(peer));
    const free = (prompt.length > 0 ? prompt : open).filter(
      ({ running, leasesMax }) => running.size < leasesMax,
    );
    const hasInput = ({ peer }: Peer): boolean => inputs.some((input) => input.peer === peer);
    const [best] = free.sort(
      (a, b) => a.running.size - b.running.size || Number(hasInput(b)) - Number(hasInput(a)),
    );
    if (best !== undefined) return best;
    // A lease that waits for what nobody makes gives its place to one before it, or neither comes.
    const starved = open
      .flatMap(({ running }) => [...running])
      .filter((lease) => lease.group > group || (lease.group === group && lease.from > from))
      .filter((lease) => this.#group(lease.group).isStarved(lease))
      .sort((a, b) => b.group - a.group || b.from - a.from)[0];
    if (starved === undefined) return undefined;
    this.#cancel(starved);
    return this.#peers.get(starved.peer);
  }

  #cancelStarved(): void {
    for (const { running } of this.#peers.values()) {
      for (const lease of running) {
        if (this.#group(lease.group).isStarved(lease)) this.#cancel(lease);
      }
    }
  }

  #tellInputs(group: GroupProgress): void {
    for (const lease of group.leases) {
      if (lease.phase !== 'running' || lease.from === 0) continue;
      const inputs = group.sources(lease.from);
      const isSame =
        inputs.length === lease.inputs.length &&
        inputs.every((input) => lease.inputs.includes(input));
      if (isSame) continue;
      lease.inputs = inputs;
      const { peer, lease: number } = lease;
      this.#effects.push({ kind: 'inputs', peer, lease: number, inputs: told(inputs) });
    }
  }

  #end(): void {
    this.#lacking.forEach((groups, layer) => {
      if (groups > 0 || this.#complete[layer] === true) return;
      this.#complete[layer] = true;
      this.#effects.push({ kind: 'layer-complete', layer });
    });
    if (!this.#isFinished && this.#lacking.every((groups) => groups === 0)) {
      this.#isFinished = true;
      this.#effects.push({ kind: 'finished' });
    }
    if (!this.#isDraining || this.#isDrained) return;
    const isIdle = [...this.#peers.values()].every(({ running }) => running.size === 0);
    const isOwed = this.#groups.some((group) => group.isOwed);
    if (!isIdle || isOwed) return;
    this.#isDrained = true;
    this.#effects.push({ kind: 'drained' });
  }

  #group(index: number): GroupProgress {
    const group = this.#groups[index];
    assert(group !== undefined, `there is no group ${index}`);
    return group;
  }
}
