/**
 * Coordinator: carries out one plan, by feeding the schedule events and doing what it says.
 *
 *   Plan ──▶ Schedule.step ──▶ leases ──▶ Worker here, Pool elsewhere ──▶ OutputAssembler ──▶ events …
 *
 * It holds no decision of its own: who runs what, and when an output is sealed, is schedule.ts.
 */

import { FaultError } from '../../proto/fault.ts';
import type { LeaseAnswer, MadeUnit, PeerId } from '../../proto/peer-messages.ts';
import type { Attestation } from '../core/plan/attestation.ts';
import type { Plan, Task } from '../core/plan/plan.ts';
import {
  type PeerOffer,
  Schedule,
  type ScheduleEffect,
  type ScheduleEvent,
} from '../core/schedule/schedule.ts';
import type { Clock, Kernels, Source } from '../ports.ts';
import { COMMIT_BYTES } from './assembler.ts';
import { outputFaults, runFaults } from './faults.ts';
import { IdlePeers } from './idle-peers.ts';
import { LeafDigests } from './leaf-digests.ts';
import {
  LOCAL_PEER,
  localOffer,
  type Offer,
  offerOf,
  type PlannedShare,
  plannedShares,
} from './offers.ts';
import type { OutputAssembler } from './output-assembler.ts';
import { type PeerShare, Pool } from './pool.ts';
import type { Progress } from './progress.ts';
import { Results, type ResultsCluster } from './results.ts';
import type { SourceProof } from './source-proof.ts';
import type { Worker } from './worker.ts';

/** Block runs that the coordinator's own machine made. */
export interface OwnWork {
  readonly made: readonly MadeUnit[];
}

export interface CoordinatorParts {
  readonly plan: Plan;
  readonly source: Pick<Source, 'read'>;
  readonly worker: Worker;
  readonly kernels: Pick<Kernels, 'sha256'>;
  /** One for each output of the plan, in its order. */
  readonly assemblers: readonly OutputAssembler[];
  readonly progress: Progress;
  readonly clock: Clock;
  /**
   * Who may be given work, where machines are measuring meanwhile: see `idleChanged`. For those the
   * run goes on when this part of it is over.
   */
  readonly isIdle?: (peer: PeerId) => boolean;
  /** Layers whose weights each peer has, from having measured them. */
  readonly holds?: ReadonlyMap<PeerId, ReadonlySet<number>>;
  /** What has been hashed of the source already. */
  readonly leaves?: LeafDigests;
  /** Bytes of each peer's disk that outputs take. */
  readonly outputBytes?: ReadonlyMap<PeerId, number>;
  /** Where each machine fetches its part of the source by itself. */
  readonly proof?: SourceProof | undefined;
  /** Undefined where it runs alone. */
  readonly cluster?: ResultsCluster;
  /** What was made and by whom, signed by others; of this machine's own without a signature. */
  readonly onAttested?: (attestation: Attestation | OwnWork) => void;
  /** Called before an output is sealed: throws when the source is not what was planned with. */
  readonly checkSource: () => Promise<void>;
  readonly onSealed: (output: number, sha256: string) => void;
  /** Something that the user should know and need not act on. */
  readonly onNotice: (text: string) => void;
  /** Called once the first leases are placed: the tasks of each peer, by its name. */
  readonly onPlaced?: (shares: readonly PlannedShare[]) => void;
}

// A run that is lost this often is not the fault of one crash.
const VERIFY_ATTEMPTS_MAX = 3;
const TICK_MS = 1000;
// Longer than peers need to come back after a short break of the link.
const WAITING_NOTICE_MS = 5000;

export class Coordinator {
  readonly #parts: CoordinatorParts;
  readonly #schedule: Schedule;
  readonly #pool: Pool | undefined;
  readonly #results: Results;
  readonly #idle: IdlePeers | undefined;
  readonly #busy = new Set<Promise<void>>();
  readonly #verifyAttempts = new Map<number, number>();
  /** Why each peer declined last. */
  readonly #declines = new Map<PeerId, string>();
  /** Who has said that it cannot fetch its part by itself. */
  readonly #detours = new Set<PeerId>();
  readonly #stop = new AbortController();
  /** Ends the reading of what is durable already. */
  readonly #stopReading = new AbortController();
  readonly #reading = new Set<OutputAssembler>();
  readonly #local: PeerShare = {
    peer: LOCAL_PEER,
    name: LOCAL_PEER,
    ...{ leases: 0, tasks: 0, units: 0, sourceBytes: 0, resultBytes: 0 },
  };
  #isCommitting = false;
  #isVerifying = false;
  /** Nothing that still comes is written. */
  #isOver = false;
  /** Peers that are here when the run begins, until they have been told of together. */
  #opening: PeerOffer[] | undefined = [];
  #waitingSinceMs: number | undefined;
  #failure: unknown;
  #end: () => void = () => undefined;
  readonly #ended = new Promise<void>((resolve) => {
    this.#end = resolve;
  });
  /** Units made in this run, whether or not an earlier one had made them. */
  unitsMade = 0;

  constructor(parts: CoordinatorParts) {
    this.#parts = parts;
    this.#schedule = new Schedule(parts.plan);
    this.#pool = this.#makePool();
    this.#results = this.#makeResults();
    const { isIdle } = parts;
    this.#idle =
      isIdle &&
      new IdlePeers({
        isIdle,
        feed: (event) => this.#feed(event),
        withdraw: (peer) => {
          this.#pool?.releaseAll(peer);
          this.#results.left(peer);
        },
      });
  }

  /** Somebody has become idle, or is it no more: that one's leases end at once. */
  idleChanged(): void {
    if (this.#opening === undefined && !this.#isOver) this.#idle?.changed();
  }

  /**
   * Resolves when every output is sealed. `drain` ends the run early: what is under way is finished
   * and kept, and the fault `interrupted` thrown.
   */
  async run(offer: Offer, drain: AbortSignal): Promise<void> {
    const { plan, assemblers, progress, proof } = this.#parts;
    const onDrain = (): void => {
      this.#feed({ kind: 'drain' });
      this.#stopReading.abort();
      for (const assembler of assemblers) assembler.drain?.();
    };
    drain.addEventListener('abort', onDrain, { once: true });
    let stopTicking: () => void = () => undefined;
    try {
      for (const [output, assembler] of assemblers.entries()) {
        const feedStored = (stored: readonly number[]): void => {
          const runs = proof?.vouched(assembler, output, stored) ?? stored;
          this.#feed({ kind: 'runs-stored', output, runs });
        };
        feedStored(assembler.storedRuns());
        assembler.follow?.({
          stored: feedStored,
          lost: (runs) => this.#feed({ kind: 'runs-lost', output, runs }),
          failed: (error) => this.#fail(error),
        });
      }
      progress.begin('quantize', this.#bytesToMake());
      proof?.start((error) => this.#fail(error));
      this.#join(offer);
      if (drain.aborted) onDrain();
      stopTicking = this.#keepTicking();
      await this.#ended;
      this.#isOver = true;
      proof?.stop(new FaultError(runFaults.interrupted));
      while (this.#busy.size > 0) await Promise.race(this.#busy);
      // A peer that left may have held the last lease; what others made then waits for a commit.
      await this.#commitWhereDue().catch((error: unknown) => this.#fail(error));
    } finally {
      stopTicking();
      drain.removeEventListener('abort', onDrain);
      const isSealed = assemblers.every((assembler) => assembler.isSealed);
      const isWorthless = proof?.isWorthless === true;
      this.#pool?.stop(this.#idle === undefined ? { sealed: isSealed || isWorthless } : undefined);
      await proof?.end(isSealed);
    }
    if (this.#failure !== undefined) throw this.#failure;
    if (assemblers.some((assembler) => !assembler.isSealed)) {
      throw new FaultError(runFaults.interrupted, { why: `${plan.outputs.length} outputs wanted` });
    }
  }

  /** Who did how much; this machine first, where it did something. */
  shares(): PeerShare[] {
    const others = this.#pool?.shares() ?? [];
    const local = { ...this.#local, sourceBytes: this.#parts.worker.sourceBytesRead };
    return local.tasks > 0 || others.length === 0 ? [local, ...others] : others;
  }

  #makePool(): Pool | undefined {
    const { cluster, proof, ...parts } = this.#parts;
    if (cluster === undefined) return undefined;
    return new Pool({
      ...parts,
      ...cluster,
      ...(proof && {
        origin: proof.origin,
        kept: (piece) => proof.kept(piece),
        source: { read: proof.relay.bind(proof) },
      }),
      leaves: parts.leaves ?? new LeafDigests(parts.source, parts.kernels),
      onJoined: (peer) => {
        const offer = offerOf(peer, this.#parts.outputBytes?.get(peer.peer));
        if (this.#opening !== undefined) this.#opening.push(offer);
        else this.#came([offer]);
      },
      onLeft: (peer) => {
        this.#results.left(peer);
        if (this.#idle === undefined) this.#feed({ kind: 'peer-left', peer });
        else this.#idle.left(peer);
      },
      onAnswer: (from, answer) => {
        if (this.#isOver || this.#failure !== undefined) return;
        if (!this.#isClaimed(from, answer)) return;
        this.#track(this.#results.take(from, answer).then(() => this.#commitWhereDue()));
      },
      onFailure: (error) => this.#fail(error),
    });
  }

  #makeResults(): Results {
    return new Results({
      ...this.#parts,
      wanted: (task) => this.#schedule.wanted(task),
      onUsed: (peer, task) => this.#parts.proof?.used(peer, task),
      onWritten: (peer, task, runs) => {
        this.#pool?.release(peer, task);
        this.#answered(peer, task, runs);
      },
      onDeclined: (peer, task, why) => this.#decline(peer, task, why),
      signal: this.#stop.signal,
    });
  }

  /** Said once for each reason: the peer is asked again after a while, and may say the same. */
  #noticeDeclined(peer: PeerId, why: string | undefined): void {
    const name = this.#pool?.share(peer)?.name ?? peer;
    const reason = why ?? 'its bytes were not those of its digests';
    if (this.#declines.get(peer) === reason) return;
    this.#declines.set(peer, reason);
    this.#parts.onNotice(`${name} takes nothing of this run for now: ${reason}`);
  }

  /** This machine and every peer that is connected, each with its share of the tasks at once. */
  #join(offer: Offer): void {
    this.#pool?.start();
    const others = this.#opening ?? [];
    this.#opening = undefined;
    for (const [peer, layers] of this.#parts.holds ?? []) {
      // This machine reads any layer where it has the source, and its own alone where each fetches.
      if (peer === LOCAL_PEER && this.#parts.proof === undefined) continue;
      this.#feed({ kind: 'layers-held', peer, layers: [...layers] });
    }
    this.#came([localOffer(offer), ...others]);
    const nameOf = (peer: PeerId): string | undefined => this.#pool?.share(peer)?.name;
    this.#parts.onPlaced?.(plannedShares(this.#parts.plan, this.#schedule, nameOf));
  }

  #came(peers: readonly PeerOffer[]): void {
    if (this.#idle === undefined) this.#feed({ kind: 'peers-joined', peers });
    else this.#idle.came(peers);
  }

  #keepTicking(): () => void {
    const { clock } = this.#parts;
    let cancel: () => void = () => undefined;
    const tick = (): void => {
      this.#pool?.tick();
      this.#feed({ kind: 'tick' });
      this.#noticeWaiting();
      cancel = clock.after(TICK_MS, tick);
    };
    cancel = clock.after(TICK_MS, tick);
    return () => cancel();
  }

  #noticeWaiting(): void {
    const now = this.#parts.clock.now();
    if (this.#schedule.waiting === 0) {
      this.#waitingSinceMs = undefined;
      return;
    }
    const sinceMs = this.#waitingSinceMs ?? now;
    this.#waitingSinceMs = sinceMs;
    // Said once each time that it happens.
    if (now - sinceMs < WAITING_NOTICE_MS) return;
    this.#waitingSinceMs = Number.POSITIVE_INFINITY;
    const text = `${this.#schedule.waiting} tasks wait for a worker: quantd invite, quantd peers`;
    this.#parts.onNotice(text);
  }

  /** Source bytes of the tasks of which a run is missing. */
  #bytesToMake(): number {
    return this.#parts.plan.tasks.reduce(
      (sum, { group }, task) =>
        sum + (this.#schedule.wanted(task).length > 0 ? group.sourceBytes : 0),
      0,
    );
  }

  #feed(event: ScheduleEvent): void {
    const effects = this.#schedule.step(event, this.#parts.clock.now());
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: ScheduleEffect): void {
    switch (effect.kind) {
      case 'lease':
        if (effect.peer === LOCAL_PEER) this.#track(this.#runLease(effect.task, effect.runs));
        else this.#pool?.lease(effect.peer, effect.task, effect.runs);
        break;
      case 'release':
        if (effect.peer !== LOCAL_PEER) this.#pool?.release(effect.peer, effect.task);
        break;
      case 'seal':
        this.#track(this.#seal(effect.output));
        break;
      case 'finished':
      case 'drained':
        this.#end();
        break;
    }
  }

  /** Whether it is known what the peer made its answer from, where it fetched that by itself. */
  #isClaimed(from: PeerId, { task, made, leaves = [], detour }: LeaseAnswer): boolean {
    const { proof, onNotice } = this.#parts;
    if (proof === undefined || made.length === 0) return true;
    if (detour !== undefined && !this.#detours.has(from)) {
      this.#detours.add(from);
      const name = this.#pool?.share(from)?.name ?? from;
      onNotice(`${name} gets its part of the source through this machine: ${detour}`);
    }
    if (proof.claim(from, task, leaves)) return true;
    this.#decline(from, task, 'it does not say what it fetched');
    return false;
  }

  #decline(peer: PeerId, task: number, why: string | undefined): void {
    this.#noticeDeclined(peer, why);
    this.#pool?.release(peer, task);
    this.#feed({ kind: 'task-declined', peer, task });
  }

  /** A failure stops the handing out; what is under way ends by itself, so that nothing is torn. */
  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.#fail(error))
      .finally(() => this.#busy.delete(tracked));
    this.#busy.add(tracked);
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#stop.abort(error);
    this.#stopReading.abort();
    this.#feed({ kind: 'drain' });
    this.#end();
    // Nothing that other machines still make will be asked for.
    for (const peer of this.#schedule.shares().keys()) {
      if (peer !== LOCAL_PEER) this.#feed({ kind: 'peer-left', peer });
    }
  }

  async #runLease(index: number, wanted: readonly number[]): Promise<void> {
    const { worker, source, proof } = this.#parts;
    const task = this.#task(index);
    this.#local.leases++;
    let written: readonly number[] = [];
    try {
      await worker.run(task, wanted, proof ?? source, this.#stop.signal, async (made) => {
        written = await this.#results.write(index, made);
        const units = made.flatMap(({ run, digest }) => {
          const unit = task.runs[run]?.unit;
          return unit === undefined ? [] : [{ unit, digest: digest.slice() }];
        });
        if (written.length > 0) this.#parts.onAttested?.({ made: units });
      });
    } finally {
      this.#answered(LOCAL_PEER, index, written);
    }
    await this.#commitWhereDue();
  }

  /** Tells of results that are written, and counts them. */
  #answered(peer: PeerId, index: number, runs: readonly number[]): void {
    const task = this.#task(index);
    const share = peer === LOCAL_PEER ? this.#local : this.#pool?.share(peer);
    if (share !== undefined && runs.length > 0) {
      share.tasks++;
      share.units += runs.length;
      for (const run of runs) share.resultBytes += task.runs[run]?.bytes ?? 0;
      this.unitsMade += runs.length;
      this.#parts.progress.add(task.group.sourceBytes);
    }
    this.#feed({ kind: 'task-answered', peer, task: index, runs });
  }

  /**
   * Commits when enough has been written, or when nothing more is under way. One commit at a time:
   * a disk that is slow to sync gets fewer and larger ones, and no write waits for any.
   */
  async #commitWhereDue(): Promise<void> {
    while (!this.#isCommitting) {
      const pending = [...this.#parts.assemblers.entries()].filter(
        ([, assembler]) => assembler.bytesPending > 0,
      );
      const bytes = pending.reduce((sum, [, assembler]) => sum + assembler.bytesPending, 0);
      const isDue = this.#schedule.leases === 0 || bytes >= COMMIT_BYTES;
      if (pending.length === 0 || !isDue) return;
      this.#isCommitting = true;
      try {
        await Promise.all(
          pending.map(async ([output, assembler]) => {
            const runs = await assembler.commit();
            this.#feed({ kind: 'runs-stored', output, runs });
            this.#readAhead(assembler);
          }),
        );
      } finally {
        this.#isCommitting = false;
      }
    }
  }

  /** Disks have time for it while the blocks are made, and none is left for it at the end. */
  #readAhead(assembler: OutputAssembler): void {
    const { signal } = this.#stopReading;
    if (assembler.readAhead === undefined || this.#reading.has(assembler)) return;
    if (signal.aborted) return;
    this.#reading.add(assembler);
    const reading = assembler.readAhead(signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
    this.#track(reading.finally(() => this.#reading.delete(assembler)));
  }

  #task(index: number): Task {
    const task = this.#parts.plan.tasks[index];
    if (task === undefined) throw new Error(`the plan has no task ${index}`);
    return task;
  }

  /** Outputs fill up together as a rule, so that one bar counts the reading back of them all. */
  #beginVerifying(): void {
    if (this.#isVerifying) return;
    this.#isVerifying = true;
    const { outputs } = this.#parts.plan;
    const bytes = outputs.reduce((sum, { layout }) => sum + layout.fileBytes, 0);
    this.#parts.progress.begin('verify', bytes);
  }

  async #seal(output: number): Promise<void> {
    const { assemblers, progress, proof, checkSource, onSealed } = this.#parts;
    const assembler = assemblers[output];
    if (assembler === undefined) throw new Error(`the plan has no output ${output}`);
    await checkSource();
    await proof?.closed();
    this.#beginVerifying();
    const lost = await assembler.verify((bytes) => progress.add(bytes), this.#stop.signal);
    if (lost.length > 0) {
      const attempts = (this.#verifyAttempts.get(output) ?? 0) + 1;
      this.#verifyAttempts.set(output, attempts);
      if (attempts >= VERIFY_ATTEMPTS_MAX) {
        throw new FaultError(outputFaults.keepsFailing, { file: assembler.output.file });
      }
      this.#feed({ kind: 'runs-lost', output, runs: lost });
      return;
    }
    onSealed(output, await assembler.seal());
    this.#feed({ kind: 'sealed', output });
  }
}
