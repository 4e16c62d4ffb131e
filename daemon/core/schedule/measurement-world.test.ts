import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Measurement, type MeasurementPlan } from './measurement.ts';
import type { MeasurementEffect, MeasurementEvent, MeasuringPeer } from './measurement-events.ts';

type LeaseEffect = Extract<MeasurementEffect, { kind: 'lease' }>;

/** A peer as it is in the world, whatever the measurement believes. */
interface FalsePeer {
  readonly offer: MeasuringPeer;
  readonly running: Map<number, LeaseEffect>;
  /** What its leases left: group, chunks taken out and boundary, as a text. */
  readonly states: Map<number, string>;
  /** Leases that met a bad chunk and wait for what becomes of the group. */
  readonly halted: Set<number>;
}

/** Something under way that may happen at any time; with `peer`, it may be lost with that peer. */
interface Fate {
  readonly peer?: string;
  readonly event: MeasurementEvent;
}

interface Luck {
  readonly choose: (count: number) => number;
  readonly deaths: number;
  readonly joins: number;
  /** `group/chunk` to the layer that has no finite value of it. */
  readonly bad: ReadonlyMap<string, number>;
  readonly declines: number;
  readonly moreGroups: readonly number[];
  /** Whether messages may come more than once, and cancels too late. */
  readonly isUnruly: boolean;
  /** Whether peers take very different times for the same. */
  readonly isUneven: boolean;
}

const stateText = (group: number, excluded: readonly number[], boundary: number): string =>
  `group ${group} without ${excluded.join(' ')} at ${boundary}`;

/** Runs a measurement over peers that answer in any order, die, and come back with nothing. */
class World {
  readonly plan: MeasurementPlan;
  readonly measurement: Measurement;
  readonly luck: Luck;
  readonly peers = new Map<string, FalsePeer>();
  /** Sums on the coordinator's disk, by `layer/group`: the chunks that are left out of them. */
  readonly disk = new Map<string, string>();
  /** How often each `layer/group` was run to its end, and by whom. */
  readonly runs = new Map<string, string[]>();
  /** What the measurement believes to be out: by lease. */
  readonly out = new Map<number, LeaseEffect>();
  readonly inputsOf = new Map<number, readonly { peer: string; lease: number }[]>();
  readonly complete = new Set<number>();
  groups: number;
  underWay: Fate[] = [];
  isFinished = false;
  isDraining = false;
  isDrained = false;
  nowMs = 0;
  deaths: number;
  joins: number;
  declines: number;
  moreGroups: readonly number[];

  constructor(plan: MeasurementPlan, luck: Luck) {
    this.plan = plan;
    this.luck = luck;
    this.measurement = new Measurement(plan);
    this.groups = plan.groups.length;
    this.deaths = luck.deaths;
    this.joins = luck.joins;
    this.declines = luck.declines;
    this.moreGroups = luck.moreGroups;
  }

  join(...offers: readonly MeasuringPeer[]): void {
    for (const offer of offers) {
      this.peers.set(offer.peer, {
        offer,
        running: new Map(),
        states: new Map(),
        halted: new Set(),
      });
      for (const [lease, { peer }] of this.out) if (peer === offer.peer) this.out.delete(lease);
    }
    this.feed({ kind: 'peers-joined', peers: offers });
  }

  feed(event: MeasurementEvent): void {
    this.nowMs += 1 + this.luck.choose(3) * 500;
    if (event.kind === 'stage-done' || event.kind === 'declined') this.out.delete(event.lease);
    if (event.kind === 'peer-left') {
      for (const [lease, { peer }] of this.out) if (peer === event.peer) this.out.delete(lease);
    }
    if (event.kind === 'sums-stored') {
      // What is stored for other chunks than are wanted now would be written over.
      const isWanted =
        event.excluded.join(' ') === this.measurement.excluded(event.group).join(' ');
      if (!isWanted) return;
      this.disk.set(`${event.layer}/${event.group}`, event.excluded.join(' '));
    }
    for (const effect of this.measurement.step(event, this.nowMs)) this.react(effect);
    this.checkLeases();
  }

  react(effect: MeasurementEffect): void {
    switch (effect.kind) {
      case 'lease':
        expect(effect.from === 0 || this.plan.mayCut(effect.from)).toBe(true);
        expect(!effect.leavesState || this.plan.mayCut(effect.to)).toBe(true);
        expect(effect.inputs.length > 0).toBe(effect.from > 0);
        expect(this.isDraining).toBe(false);
        this.out.set(effect.lease, effect);
        this.inputsOf.set(effect.lease, effect.inputs);
        this.peers.get(effect.peer)?.running.set(effect.lease, effect);
        return;
      case 'inputs':
        this.inputsOf.set(effect.lease, effect.inputs);
        return;
      case 'cancel':
        this.out.delete(effect.lease);
        if (this.luck.isUnruly && this.luck.choose(2) === 0) return;
        this.peers.get(effect.peer)?.running.delete(effect.lease);
        return;
      case 'release':
        this.peers.get(effect.peer)?.states.delete(effect.lease);
        return;
      case 'layer-complete':
        for (let group = 0; group < this.groups; group++) {
          const isEmpty = this.measurement.excluded(group).length === this.chunksOf(group);
          if (!isEmpty) expect(this.disk.has(`${effect.layer}/${group}`)).toBe(true);
        }
        expect(this.complete.has(effect.layer)).toBe(false);
        this.complete.add(effect.layer);
        return;
      case 'layer-reopened':
        expect(this.complete.delete(effect.layer)).toBe(true);
        this.isFinished = false;
        return;
      case 'finished':
        this.isFinished = true;
        return;
      case 'drained':
        this.isDrained = true;
        return;
      default:
        return;
    }
  }

  chunksOf(group: number): number | undefined {
    return [...this.plan.groups, ...this.luck.moreGroups][group];
  }

  /** No peer has more than it takes, and whatever a lease is told to read is there or being made. */
  checkLeases(): void {
    for (const { offer } of this.peers.values()) {
      const mine = [...this.out.values()].filter(({ peer }) => peer === offer.peer);
      expect(mine.length).toBeLessThanOrEqual(offer.leasesMax ?? 2);
    }
    for (const idle of this.measurement.idle) {
      expect([...this.out.values()].filter(({ peer }) => peer === idle)).toEqual([]);
      const own = this.measurement.stages.filter(({ peers }) => peers.includes(idle));
      for (const { from, to } of own) expect(this.lacks(from, to)).toBe(false);
    }
    for (const [lease, { from, group }] of this.out) {
      for (const input of this.inputsOf.get(lease) ?? []) {
        expect(from).toBeGreaterThan(0);
        const holder = this.peers.get(input.peer);
        // It died, and nobody has heard of it yet.
        if (holder === undefined || !this.knows(input.peer)) continue;
        expect({ lease, input, group, has: this.isThere(holder, input.lease) }).toMatchObject({
          has: true,
        });
      }
    }
  }

  lacks(from: number, to: number): boolean {
    for (let layer = from; layer < to; layer++) if (!this.complete.has(layer)) return true;
    return false;
  }

  isThere({ running, states }: FalsePeer, lease: number): boolean {
    const isDeclined = this.underWay.some(
      ({ event }) => event.kind === 'declined' && event.lease === lease,
    );
    return running.has(lease) || states.has(lease) || isDeclined;
  }

  /** Whether no death of the peer is still to be heard of. */
  knows(peer: string): boolean {
    return !this.underWay.some(({ event }) => event.kind === 'peer-left' && event.peer === peer);
  }

  /** The leases that could come to their end now. */
  ready(): [FalsePeer, LeaseEffect][] {
    return [...this.peers.values()].flatMap((peer) =>
      [...peer.running.values()]
        .filter((lease) => !peer.halted.has(lease.lease))
        .filter((lease) => lease.from === 0 || this.input(lease) !== undefined)
        .map((lease): [FalsePeer, LeaseEffect] => [peer, lease]),
    );
  }

  input({ lease }: LeaseEffect): string | undefined {
    for (const input of this.inputsOf.get(lease) ?? []) {
      const state = this.peers.get(input.peer)?.states.get(input.lease);
      if (state !== undefined) return state;
    }
    return undefined;
  }

  run(peer: FalsePeer, lease: LeaseEffect): void {
    const { from, to, group, excluded, collect } = lease;
    const { peer: id } = peer.offer;
    peer.running.delete(lease.lease);
    if (this.declines > 0 && this.luck.choose(4) === 0) {
      this.declines--;
      this.say({ peer: id, event: { kind: 'declined', peer: id, lease: lease.lease } });
      return;
    }
    if (from > 0) expect(this.input(lease)).toBe(stateText(group, excluded, from));
    for (let layer = from; layer < to; layer++) {
      const chunks = [...this.luck.bad]
        .filter(([key, where]) => key.startsWith(`${group}/`) && where === layer)
        .map(([key]) => Number(key.split('/')[1]))
        .filter((chunk) => !excluded.includes(chunk));
      if (chunks.length > 0) {
        this.say({ event: { kind: 'bad-chunks', group, chunks } });
        peer.running.set(lease.lease, lease);
        peer.halted.add(lease.lease);
        return;
      }
      const key = `${layer}/${group}`;
      this.runs.set(key, [...(this.runs.get(key) ?? []), id]);
      if (collect.includes(layer)) {
        this.say({ peer: id, event: { kind: 'sums-stored', layer, group, excluded } });
      }
    }
    if (lease.leavesState) peer.states.set(lease.lease, stateText(group, excluded, to));
    const took = this.luck.isUneven ? { computeMs: 9000 * 4 ** this.luck.choose(4) } : {};
    this.say({ peer: id, event: { kind: 'stage-done', peer: id, lease: lease.lease, ...took } });
  }

  /** It comes at some time, perhaps more than once. */
  say(fate: Fate): void {
    this.underWay.push(fate);
    if (this.luck.isUnruly && this.luck.choose(4) === 0) this.underWay.push(fate);
  }

  hearWhatIsDone(): void {
    const done = this.underWay.filter(({ event }) => event.kind === 'stage-done');
    this.underWay = this.underWay.filter(({ event }) => event.kind !== 'stage-done');
    for (const { event } of done) this.feed(event);
  }

  die(peer: string, isHeardAtOnce = this.luck.choose(2) === 0): void {
    this.peers.delete(peer);
    // Its messages die with it, or arrive after it was given up for lost.
    if (this.luck.choose(3) > 0) this.underWay = this.underWay.filter((fate) => fate.peer !== peer);
    if (isHeardAtOnce) this.feed({ kind: 'peer-left', peer });
    else this.underWay.push({ event: { kind: 'peer-left', peer } });
  }

  play(stepsMax: number): void {
    for (let step = 0; step < stepsMax && !this.isOver(); step++) {
      const ready = this.ready();
      const choice = this.luck.choose(ready.length + this.underWay.length + 1);
      const run = ready[choice];
      if (run !== undefined) this.run(...run);
      else if (choice - ready.length < this.underWay.length) {
        const [fate] = this.underWay.splice(choice - ready.length, 1);
        if (fate !== undefined) this.feed(fate.event);
      } else this.misfortune(ready.length + this.underWay.length === 0);
    }
  }

  isOver(): boolean {
    if (this.isDraining) return this.isDrained;
    if (!this.isFinished) return false;
    if (this.moreGroups.length === 0) return true;
    const groups = this.moreGroups;
    this.moreGroups = [];
    this.groups += groups.length;
    this.isFinished = false;
    this.feed({ kind: 'more-groups', groups });
    return false;
  }

  misfortune(isIdle: boolean): void {
    const ids = [...this.peers.keys()];
    const id = ids[this.luck.choose(Math.max(1, ids.length))];
    const fresh = (name: string): MeasuringPeer => ({
      peer: name,
      speed: 1 + this.luck.choose(3),
      roomBytes: this.luck.choose(40),
      isLocal: this.luck.choose(4) === 0,
      leasesMax: 1 + this.luck.choose(3),
    });
    if (this.deaths > 0 && id !== undefined && this.luck.choose(2) === 0) {
      this.deaths--;
      this.die(id);
    } else if (this.joins > 0) {
      this.joins--;
      // A new one, one that has died before, or one that lives and has lost its memory.
      this.join(fresh(`p${this.luck.choose(8)}`));
    } else if (isIdle) {
      this.nowMs += 10_000;
      this.feed({ kind: 'tick' });
      if (this.ready().length > 0 || this.isFinished) return;
      // Whatever has gone wrong, one peer that can hold everything is enough.
      this.join({ ...fresh('last'), isLocal: true });
    }
  }
}

const anyPlan: fc.Arbitrary<MeasurementPlan> = fc
  .record({
    layers: fc.integer({ min: 1, max: 8 }),
    cuts: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 8, maxLength: 8 }),
    groups: fc.array(fc.integer({ min: 1, max: 2 }), { minLength: 1, maxLength: 7 }),
    replicas: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ layers, cuts, groups, replicas }) => ({
    layers: Array.from({ length: layers }, () => ({ sourceBytes: 4, multiplications: 4 })),
    mayCut: (boundary) => cuts[boundary] !== 0,
    groups,
    replicas,
  }));

/** Numbers that follow from a seed. */
function diceOf(seed: number): Luck['choose'] {
  let state = seed;
  return (count) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % count;
  };
}
const calm: Omit<Luck, 'choose'> = {
  deaths: 0,
  joins: 0,
  bad: new Map(),
  declines: 0,
  moreGroups: [],
  isUnruly: false,
  isUneven: false,
};
const peer = (name: string, offer: Partial<MeasuringPeer> = {}): MeasuringPeer => ({
  peer: name,
  speed: 1,
  roomBytes: 1e9,
  isLocal: false,
  ...offer,
});

// Goal: whoever dies, joins, declines or repeats itself, every sum is stored for the chunks that are
// good, computed from the tokens on, and nobody is given more than it takes or reads what is gone.
test('a measurement ends with all sums of the right chunks, whatever happens', () => {
  fc.assert(
    fc.property(
      anyPlan,
      fc.record({
        deaths: fc.nat({ max: 6 }),
        joins: fc.nat({ max: 6 }),
        declines: fc.nat({ max: 4 }),
        moreGroups: fc.array(fc.integer({ min: 1, max: 2 }), { maxLength: 2 }),
        isUnruly: fc.boolean(),
        isUneven: fc.boolean(),
        bad: fc.dictionary(
          fc.tuple(fc.nat({ max: 8 }), fc.nat({ max: 1 })).map((pair) => pair.join('/')),
          fc.nat({ max: 7 }),
          { maxKeys: 4 },
        ),
      }),
      fc.nat({ max: 4 }),
      fc.integer(),
      (plan, { bad, ...luck }, peers, seed) => {
        const groups = [...plan.groups, ...luck.moreGroups];
        const real = Object.entries(bad).filter(([key, layer]) => {
          const [group, chunk] = key.split('/').map(Number);
          return layer < plan.layers.length && (chunk ?? 0) < (groups[group ?? 0] ?? 0);
        });
        const world = new World(plan, { ...luck, bad: new Map(real), choose: diceOf(seed) });
        world.join(...Array.from({ length: peers }, (_, index) => peer(`p${index}`)));
        world.play(4000);
        expect(world.isFinished).toBe(true);
        expect(world.measurement.missing).toBe(0);
        expect(world.complete.size).toBe(plan.layers.length);
        groups.forEach((chunks, group) => {
          const excluded = real
            .filter(([key]) => key.startsWith(`${group}/`))
            .map(([key]) => Number(key.split('/')[1]))
            .sort((a, b) => a - b);
          expect(world.measurement.excluded(group)).toEqual(excluded);
          if (excluded.length === chunks) return;
          plan.layers.forEach((_, layer) => {
            expect(world.disk.get(`${layer}/${group}`)).toBe(excluded.join(' '));
          });
        });
        // Nobody is left with a lease or a state.
        expect(world.out.size).toBe(0);
      },
    ),
    { numRuns: 500 },
  );
});

// Goal: work is repeated only where it was lost. Method: the false world notes who runs what.
test('without a loss nothing is run twice, whoever joins and whatever comes late', () => {
  fc.assert(
    fc.property(anyPlan, fc.nat({ max: 4 }), fc.integer(), (plan, peers, seed) => {
      const world = new World(plan, { ...calm, isUnruly: true, choose: diceOf(seed) });
      world.join(...Array.from({ length: peers + 1 }, (_, index) => peer(`p${index}`)));
      for (let step = 0; step < 40; step++) {
        world.play(20);
        if (step < 4) world.join(peer(`late ${step}`));
      }
      expect(world.isFinished).toBe(true);
      expect(world.runs.size).toBe(plan.layers.length * plan.groups.length);
      for (const ids of world.runs.values()) expect(ids).toHaveLength(1);
    }),
    { numRuns: 200 },
  );
});

test('the loss of a peer costs what it had run and nothing that another had', () => {
  let replays = 0;
  fc.assert(
    fc.property(
      anyPlan,
      fc.integer({ min: 2, max: 5 }),
      fc.nat({ max: 60 }),
      fc.integer(),
      (plan, peers, before, seed) => {
        const world = new World(plan, { ...calm, choose: diceOf(seed) });
        world.join(...Array.from({ length: peers }, (_, index) => peer(`p${index}`)));
        world.play(before);
        const lost = `p${world.luck.choose(peers)}`;
        // Else what has just ended would look as if it still waited for the lost one.
        world.hearWhatIsDone();
        world.die(lost, true);
        world.play(2000);
        expect(world.isFinished).toBe(true);
        for (const ids of world.runs.values()) {
          replays += ids.length - 1;
          const others = ids.filter((id) => id !== lost);
          expect(others.length).toBeLessThanOrEqual(1);
        }
      },
    ),
    { numRuns: 300 },
  );
  expect(replays).toBeGreaterThan(100);
});

test('a drained measurement gives no lease, and ends when nothing is out', () => {
  fc.assert(
    fc.property(anyPlan, fc.nat({ max: 80 }), fc.integer(), (plan, before, seed) => {
      const world = new World(plan, { ...calm, deaths: 3, joins: 3, choose: diceOf(seed) });
      world.join(peer('p0'), peer('p1'), peer('p2'));
      world.play(before);
      world.isDraining = true;
      world.feed({ kind: 'drain' });
      world.play(1000);
      expect(world.isDrained).toBe(true);
      expect(world.out.size).toBe(0);
    }),
    { numRuns: 200 },
  );
});
