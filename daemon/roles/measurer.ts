/**
 * Measurer: carries out one measurement, by feeding Measurement events and doing what it says.
 *
 *   model + chunks ──▶ Measurement.step ──▶ leases ──▶ LocalStage here, MeasurePool elsewhere
 *                                                    ──▶ sums ──▶ SumsStore ──▶ sums of all layers
 *
 * Who runs what is core/schedule/measurement.ts. Hints and messages tell of the same sums: whatever
 * comes first is pulled, and what is stored is not pulled again.
 */

import { FaultError } from '../../proto/fault.ts';
import type { PeerId, StageAnswer } from '../../proto/peer-messages.ts';
import { GROUP_CHUNKS, groupSizes } from '../core/calibration/chunks.ts';
import { groupSet } from '../core/importance/group-set.ts';
import type { MeasuredModel } from '../core/models/measured-model.ts';
import type { Sha256 } from '../core/plan/unit-id.ts';
import { Measurement } from '../core/schedule/measurement.ts';
import type {
  MeasurementEffect,
  MeasurementEvent,
  MeasuringPeer,
} from '../core/schedule/measurement-events.ts';
import type { LayerCost, Stage } from '../core/schedule/stages.ts';
import type { Clock, ConnectedPeer, Kernels } from '../ports.ts';
import type { Ahead } from './ahead.ts';
import { faultOf, runFaults } from './faults.ts';
import type { KeptStates } from './kept-states.ts';
import { type LocalLease, LocalStage, type LocalStageParts } from './local-stage.ts';
import { measureFaults } from './measure-faults.ts';
import { MeasurePool, type MeasurePoolParts, type MeasureShare } from './measure-pool.ts';
import { LOCAL_PEER } from './offers.ts';
import { stateBytes } from './stage-io.ts';
import { SumsIntake } from './sums-intake.ts';
import { isSame, type SumsStore } from './sums-store.ts';

export interface MeasurerParts {
  readonly model: MeasuredModel;
  readonly costs: readonly LayerCost[];
  readonly replicas: number;
  /** At most so many chunks a wave; 0 leaves it to each machine. */
  readonly waveChunks: number;
  /** Chunks that are measured; more may follow, see `addGroups`. */
  readonly chunks: number;
  readonly store: SumsStore;
  readonly states: KeptStates | undefined;
  readonly local: Omit<LocalStageParts, 'keepSums' | 'passed' | 'self' | 'states' | 'network'>;
  /** 0 leaves all layers to other machines. */
  readonly localSpeed: number;
  readonly wire:
    | Omit<
        MeasurePoolParts,
        | 'onJoined'
        | 'onLeft'
        | 'onAnswer'
        | 'onSums'
        | 'onPassed'
        | 'onFailure'
        | 'states'
        | 'clock'
      >
    | undefined;
  readonly clock: Clock;
  readonly kernels: Pick<Kernels, 'sha256'>;
  readonly sha256: Sha256;
  readonly onNotice: (text: string) => void;
  readonly onPassed: (steps: number) => void;
  readonly onStages: (stages: readonly { from: number; to: number; names: string[] }[]) => void;
  /** What is made of layers while others are measured. */
  readonly ahead?: Pick<Ahead, 'layerComplete' | 'layerReopened' | 'idle'> | undefined;
}

const TICK_MS = 1000;

interface GivenLease {
  readonly peer: PeerId;
  readonly group: number;
}

export class Measurer {
  readonly #parts: MeasurerParts;
  readonly #measurement: Measurement;
  readonly #pool: MeasurePool | undefined;
  readonly #local: LocalStage;
  readonly #busy = new Set<Promise<void>>();
  readonly #given = new Map<number, GivenLease>();
  readonly #intake: SumsIntake;
  readonly #declines = new Map<PeerId, string>();
  /** Who has said that it cannot fetch its weights by itself. */
  readonly #detours = new Set<PeerId>();
  #isClosed = false;
  readonly #groups: number[];
  /** Peers that are here when it begins, until they have been told of together. */
  #opening: MeasuringPeer[] | undefined = [];
  #isFinished = false;
  #isDrained = false;
  #isStuck = false;
  #failure: unknown;
  #end: () => void = () => undefined;
  /** Chunks that were taken out, by number. */
  readonly leftOut = new Set<number>();
  /** What leases took of the states that another machine had left. */
  stateBytes = 0;

  constructor(parts: MeasurerParts) {
    this.#parts = parts;
    this.#groups = groupSizes(parts.chunks);
    this.#measurement = new Measurement({
      layers: parts.costs,
      mayCut: (boundary) => parts.model.cuts[boundary] !== undefined,
      replicas: parts.replicas,
      groups: this.#groups,
    });
    this.#pool = this.#makePool();
    const { wire } = parts;
    this.#intake = new SumsIntake({
      ...parts,
      network: wire?.network,
      run: parts.local.run,
      leftOutOf: (group) => (group < this.#groups.length ? this.#leftOutOf(group) : undefined),
      onStored: (layer, group, leftOut, bytes) => this.#storeSums(layer, group, leftOut, bytes),
      onKept: (peer, digest) => this.#pool?.keptSums(peer, [digest]),
      onPulled: (peer, bytes) => {
        const share = this.#pool?.share(peer);
        if (share !== undefined) share.sumsBytes += bytes;
      },
    });
    this.#local = new LocalStage({
      ...parts.local,
      network: wire?.network,
      states: parts.states,
      self: wire?.network.self ?? LOCAL_PEER,
      passed: (chunks) => parts.onPassed(chunks),
      keepSums: ({ group, leftOut }, layer, bytes) => {
        return this.#storeSums(layer, group, leftOut, bytes);
      },
    });
  }

  /** Peers, and how much each has done. */
  shares(): MeasureShare[] {
    return this.#pool?.shares() ?? [];
  }

  /** The layers whose weights each peer was given. */
  get holds(): ReadonlyMap<PeerId, ReadonlySet<number>> {
    return this.#measurement.holds;
  }

  /** Resolves when the sums of every layer and group are stored. */
  async run(drain: AbortSignal): Promise<void> {
    await this.#measureAll(drain, async () => {
      const { store } = this.#parts;
      // What an earlier process found bad is bad: sums that still hold it count no more.
      for (const { group, leftOut } of store.list()) await this.#void(group, leftOut);
      for (const { layer, group, leftOut } of store.list()) {
        const excluded = leftOut.map((chunk) => chunk % GROUP_CHUNKS);
        this.#feed({ kind: 'sums-stored', layer, group, excluded });
        this.#parts.onPassed(this.#groups[group] ?? 0);
      }
      this.#pool?.start();
      this.#join();
    });
  }

  /** Measures more groups behind the last, as `run` does. */
  async addGroups(chunks: number, drain: AbortSignal): Promise<void> {
    await this.#measureAll(drain, async () => {
      const groups = groupSizes(chunks);
      this.#groups.push(...groups);
      this.#isFinished = false;
      this.#feed({ kind: 'more-groups', groups });
    });
  }

  /** Resolves when what `begin` begins is finished. */
  async #measureAll(drain: AbortSignal, begin: () => Promise<void>): Promise<void> {
    const onDrain = (): void => this.#feed({ kind: 'drain' });
    drain.addEventListener('abort', onDrain, { once: true });
    const stopTicking = this.#keepTicking();
    try {
      await begin();
      // An abort that came before the listener did.
      if (drain.aborted) onDrain();
      await this.#untilOver();
    } finally {
      stopTicking();
      drain.removeEventListener('abort', onDrain);
    }
  }

  /** What is measured is worth nothing. */
  fail(error: unknown): void {
    this.#fail(error);
  }

  /** Other machines are told meanwhile that what they have is still wanted. */
  async during<Result>(work: Promise<Result>): Promise<Result> {
    const stopTicking = this.#keepTicking();
    try {
      return await work;
    } finally {
      stopTicking();
    }
  }

  /** The sums of every layer, from the first, one at a time: together they are large. */
  async *sums(): AsyncGenerator<Uint8Array> {
    for (const layer of this.#parts.model.layers.keys()) yield await this.sumsOf(layer);
  }

  /** Those of a layer that is complete. */
  sumsOf(layer: number): Promise<Uint8Array> {
    // A group of which every chunk was taken out has no sums.
    const measured = this.#groups.flatMap((chunks, group) =>
      this.#leftOutOf(group).length < chunks ? [group] : [],
    );
    return this.#parts.store.sums(layer, groupSet(measured));
  }

  /** @param ended as MeasurePool.stop */
  async close(ended: { readonly sealed: boolean } | undefined): Promise<void> {
    this.#isClosed = true;
    this.#intake.close();
    this.#local.cancelAll();
    this.#pool?.stop(ended);
    while (this.#busy.size > 0) await Promise.race(this.#busy);
    await this.#parts.states?.releaseAll();
  }

  async #untilOver(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#end = resolve;
      if (this.#isFinished || this.#isDrained || this.#failure !== undefined) resolve();
    });
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isFinished) return;
    throw new FaultError(runFaults.interrupted, { why: 'not all layers were measured' });
  }

  #makePool(): MeasurePool | undefined {
    const { wire, states, clock, onPassed } = this.#parts;
    if (wire === undefined) return undefined;
    return new MeasurePool({
      ...wire,
      states,
      clock,
      onPassed,
      onJoined: (peer) => {
        const offered = offerOf(peer);
        if (this.#opening !== undefined) this.#opening.push(offered);
        else this.#feed({ kind: 'peers-joined', peers: [offered] });
      },
      onLeft: (peer) => this.#feed({ kind: 'peer-left', peer }),
      onFailure: (error) => this.#fail(error),
      onAnswer: (from, answer) => this.#answered(from, answer),
      onSums: (from, sums) => {
        for (const held of sums) this.#track(this.#intake.take(from, held));
      },
    });
  }

  #join(): void {
    const others = this.#opening ?? [];
    this.#opening = undefined;
    const local: MeasuringPeer = {
      peer: LOCAL_PEER,
      speed: this.#parts.localSpeed,
      roomBytes: Number.MAX_SAFE_INTEGER,
      isLocal: true,
    };
    this.#feed({ kind: 'peers-joined', peers: [local, ...others] });
  }

  #keepTicking(): () => void {
    const { clock } = this.#parts;
    let cancel: () => void = () => undefined;
    const tick = (): void => {
      this.#pool?.tick();
      this.#feed({ kind: 'tick' });
      cancel = clock.after(TICK_MS, tick);
    };
    cancel = clock.after(TICK_MS, tick);
    return () => cancel();
  }

  #feed(event: MeasurementEvent): void {
    if (this.#failure !== undefined) return;
    const { clock, ahead } = this.#parts;
    const effects = this.#measurement.step(event, clock.now());
    // Before leases go out: who gets one lets go of everything else first.
    ahead?.idle(this.#measurement.idle);
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: MeasurementEffect): void {
    switch (effect.kind) {
      case 'placed':
        this.#parts.onStages(effect.stages.map((stage) => this.#named(stage)));
        break;
      case 'stuck':
        this.#tellStuck(effect);
        break;
      case 'slow':
        this.#noticeSlow(effect.peer, effect.times);
        break;
      case 'lease':
        this.#lease(effect);
        break;
      case 'inputs': {
        const inputs = this.#names(effect.inputs.map(({ peer }) => peer));
        if (effect.peer === LOCAL_PEER) this.#local.inputs(effect.lease, inputs);
        else this.#pool?.inputs(effect.peer, effect.lease, inputs);
        break;
      }
      case 'cancel':
        if (effect.peer === LOCAL_PEER) this.#local.cancel(effect.lease);
        else this.#pool?.end(effect.peer, effect.lease);
        break;
      case 'release':
        if (effect.peer !== LOCAL_PEER) this.#pool?.release(effect.peer, effect.lease);
        else this.#track(this.#parts.states?.release(effect.lease) ?? Promise.resolve());
        break;
      case 'finished':
        this.#isFinished = true;
        this.#end();
        break;
      case 'drained':
        this.#isDrained = true;
        this.#end();
        break;
      case 'layer-complete':
        this.#parts.ahead?.layerComplete(effect.layer);
        break;
      case 'layer-reopened':
        this.#parts.ahead?.layerReopened(effect.layer);
        break;
    }
  }

  #named({ from, to, peers }: Stage): { from: number; to: number; names: string[] } {
    const names = peers.map((peer) => this.#pool?.share(peer)?.name ?? LOCAL_PEER);
    return { from, to, names };
  }

  #tellStuck({ from, to, sourceBytes }: { from: number; to: number; sourceBytes: number }): void {
    const why = `layers ${from} to ${to - 1} have ${sourceBytes} bytes of weights`;
    // A machine that comes later may have the room; without any nothing will ever end.
    if (!this.#isStuck) this.#parts.onNotice(`${measureFaults.noStage.what}: ${why}`);
    this.#isStuck = true;
  }

  /** As other machines call them: this one by its own id. */
  #names(peers: readonly PeerId[]): PeerId[] {
    const self = this.#parts.wire?.network.self ?? LOCAL_PEER;
    return peers.map((peer) => (peer === LOCAL_PEER ? self : peer));
  }

  #lease(effect: Extract<MeasurementEffect, { kind: 'lease' }>): void {
    const { lease, peer, group, from, to, collect, leavesState, excluded } = effect;
    this.#given.set(lease, { peer, group });
    const first = group * GROUP_CHUNKS;
    const leftOut = excluded.map((at) => first + at);
    const all = Array.from({ length: this.#groups[group] ?? 0 }, (_, at) => first + at);
    const chunks = all.filter((chunk) => !leftOut.includes(chunk));
    const named = this.#names(effect.inputs.map((input) => input.peer));
    const { cuts, positions } = this.#parts.model;
    const crosses = effect.inputs.some((input) => input.peer !== peer);
    if (crosses) this.stateBytes += chunks.length * stateBytes(cuts[from] ?? [], positions);
    if (peer === LOCAL_PEER) {
      const { waveChunks } = this.#parts;
      const range = { lease, group, leftOut, from, to, chunks };
      const task = { ...range, leavesState, waveChunks, inputs: named };
      this.#track(this.#runLocal({ ...task, collect: new Set(collect) }));
      return;
    }
    const { wire } = this.#parts;
    if (wire === undefined) return;
    this.#pool?.lease(peer, {
      ...{ kind: 'stage-lease', run: wire.run, lease, from, to, group, chunks, leftOut, collect },
      inputs: from === 0 ? [wire.network.self] : named,
      leavesState,
      waveChunks: this.#parts.waveChunks,
      description: wire.descriptionDigest,
      descriptionBytes: wire.description.length,
    });
  }

  async #runLocal(lease: LocalLease): Promise<void> {
    const result = await this.#local.run(lease);
    if (result === undefined) return;
    const { bad, computeMs } = result;
    if (bad.length > 0) await this.#void(lease.group, bad);
    else this.#feed({ kind: 'stage-done', peer: LOCAL_PEER, lease: lease.lease, computeMs });
  }

  #leftOutOf(group: number): number[] {
    return this.#measurement.excluded(group).map((at) => group * GROUP_CHUNKS + at);
  }

  async #storeSums(
    layer: number,
    group: number,
    leftOut: readonly number[],
    bytes: Uint8Array,
  ): Promise<void> {
    const { store } = this.#parts;
    if (!isSame(leftOut, this.#leftOutOf(group))) return;
    await store.put(layer, [group], leftOut, bytes);
    // Meanwhile a chunk of the group may have gone bad in another layer.
    if (!isSame(leftOut, this.#leftOutOf(group))) {
      await store.drop(group, this.#leftOutOf(group));
      return;
    }
    const excluded = leftOut.map((chunk) => chunk % GROUP_CHUNKS);
    this.#feed({ kind: 'sums-stored', layer, group, excluded });
    await store.join(layer, (each) => this.#isComplete(each));
  }

  #isComplete(group: number): boolean {
    return [...this.#parts.model.layers.keys()].every((layer) =>
      this.#parts.store.has(layer, group),
    );
  }

  #answered(from: PeerId, answer: StageAnswer): void {
    const given = this.#given.get(answer.lease);
    this.#pool?.end(from, answer.lease);
    if (given === undefined || given.peer !== from) return;
    if (answer.detour !== undefined) this.#noticeDetour(from, answer.detour);
    if (answer.fault !== undefined) {
      this.#fail(faultOf(answer.fault));
    } else if (answer.declined !== undefined) {
      this.#noticeDeclined(from, answer.declined);
      this.#feed({ kind: 'declined', peer: from, lease: answer.lease });
    } else if (answer.bad.length > 0) {
      this.#track(this.#void(given.group, answer.bad));
    } else {
      const { lease, computeMs } = answer;
      this.#feed({ kind: 'stage-done', peer: from, lease, computeMs });
    }
  }

  #noticeDeclined(peer: PeerId, why: string): void {
    if (this.#declines.get(peer) === why) return;
    this.#declines.set(peer, why);
    const name = this.#pool?.share(peer)?.name ?? peer;
    this.#parts.onNotice(`${name} runs no layers for now: ${why}`);
  }

  #noticeSlow(peer: PeerId, times: number): void {
    const name = this.#pool?.share(peer)?.name ?? peer;
    const much = `${times.toFixed(0)} times slower than it said`;
    this.#parts.onNotice(`${name} runs layers ${much}: it gets fewer of them`);
  }

  #noticeDetour(peer: PeerId, why: string): void {
    if (this.#detours.has(peer)) return;
    this.#detours.add(peer);
    const name = this.#pool?.share(peer)?.name ?? peer;
    this.#parts.onNotice(`${name} gets its part of the source through this machine: ${why}`);
  }

  /** Takes chunks out of every layer: their group is measured again without them. */
  async #void(group: number, bad: readonly number[]): Promise<void> {
    const first = group * GROUP_CHUNKS;
    const chunks = bad.map((chunk) => chunk - first).filter((at) => at >= 0 && at < GROUP_CHUNKS);
    const news = chunks.filter((at) => !this.#measurement.excluded(group).includes(at));
    if (news.length === 0) return;
    for (const at of news) this.leftOut.add(first + at);
    const names = news.map((at) => first + at).join(', ');
    this.#parts.onNotice(`a number is not finite in chunk ${names}: taken out of every layer`);
    if (this.leftOut.size >= this.#groups.reduce((sum, size) => sum + size, 0)) {
      throw new FaultError(measureFaults.nothingLeft);
    }
    this.#feed({ kind: 'bad-chunks', group, chunks: news });
    await this.#parts.store.drop(group, this.#leftOutOf(group));
  }

  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.#fail(error))
      .finally(() => this.#busy.delete(tracked));
    this.#busy.add(tracked);
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined || this.#isClosed) return;
    this.#failure = error;
    this.#local.cancelAll();
    this.#end();
  }
}

function offerOf({ peer, hello }: ConnectedPeer): MeasuringPeer {
  const { multiplicationsPerSecond: speed, diskBytes: roomBytes } = hello;
  return { peer, speed, roomBytes, isLocal: false };
}
