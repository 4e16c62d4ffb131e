/**
 * Ahead: quantizes layers whose importance is settled while others are still measured.
 *
 *   layers complete, machines idle ──▶ Ahead ──▶ Coordinator of their tensors ──▶ drafts of the outputs
 *   finish ──▶ MadeAhead ──▶ open-assemblers.ts, where the plan asks for the same units
 *
 * Nothing depends on it: whatever goes wrong here is made again afterwards, and told of then. Read
 * next: core/schedule/ahead.ts (what is settled), idle-peers.ts (who may be asked).
 */

import type { PeerId } from '../../proto/peer-messages.ts';
import type { Calibration } from '../core/calibration/chunks.ts';
import type { TensorImportance } from '../core/importance/importance.ts';
import type { MatrixEntry } from '../core/importance/importance-matrix.ts';
import { layerEntries } from '../core/importance/measured.ts';
import type { ModelTensor } from '../core/models/family.ts';
import type { Statistic } from '../core/models/forward.ts';
import { type OutputRequest, type Plan, planRun } from '../core/plan/plan.ts';
import type { Sha256 } from '../core/plan/unit-id.ts';
import { type AheadRun, settledTensors } from '../core/schedule/ahead.ts';
import type { Clock, Kernels, OutputDirectory, Source } from '../ports.ts';
import { Coordinator, type CoordinatorParts } from './coordinator.ts';
import { DraftOutput, type OpenDrafts, openDrafts } from './draft-output.ts';
import type { LeafDigests } from './leaf-digests.ts';
import { LOCAL_PEER, type Offer } from './offers.ts';
import type { PeerShare } from './pool.ts';
import { Progress } from './progress.ts';
import type { ResultsCluster } from './results.ts';
import { placesIn, Worker } from './worker.ts';

/** What is measured, as far as outputs tell of it. */
export interface Measuring {
  readonly calibration: Pick<Calibration, 'datasets' | 'chunks'>;
  /** Of every layer. */
  readonly statistics: readonly (readonly Statistic[])[];
}

/** What a run knows of the outputs that its measurement is for. */
export interface AheadWork {
  readonly tensors: readonly ModelTensor[];
  readonly fileDigests: ReadonlyMap<string, string>;
  /** The outputs as they will be: nothing of them but metadata depends on what is measured. */
  readonly outputs: (measuring: Measuring) => Promise<readonly OutputRequest[]>;
  /** The weights of the tensors that the entries of some layers are for. */
  readonly weigh: (
    entries: readonly MatrixEntry[],
  ) => Promise<ReadonlyMap<string, TensorImportance>>;
  readonly openDirectory: () => Promise<OutputDirectory>;
  readonly kernels: Kernels;
  readonly clock: Clock;
  readonly sha256: Sha256;
  readonly source: Pick<Source, 'read'>;
  readonly offer: Offer;
  readonly isSigned: ResultsCluster['isSigned'];
  readonly onAttested: CoordinatorParts['onAttested'];
}

/** What the measurement adds to it. */
export interface AheadParts extends AheadWork, Measuring {
  readonly cluster: Pick<ResultsCluster, 'network' | 'run'>;
  readonly leaves: LeafDigests;
  /** The sums of a layer that is complete. */
  readonly sums: (layer: number) => Promise<Uint8Array>;
  /** The layers whose weights each machine has. */
  readonly holds: () => ReadonlyMap<PeerId, ReadonlySet<number>>;
}

export interface MadeAhead {
  /** By the name of the output in whose part they lie. */
  readonly runs: ReadonlyMap<string, readonly AheadRun[]>;
  readonly shares: readonly PeerShare[];
  /** Units that were made, those among them that are of no use. */
  readonly units: number;
  /** Those of them that were made before the last layer was complete. */
  readonly unitsMeanwhile: number;
}

// What is under way when all is measured is mostly through by then; else it is made again.
const FINISH_MS = 3000;

export class Ahead {
  readonly #parts: AheadParts;
  /** Layers whose sums are all there, each with a mark of its own: it may be reopened. */
  readonly #complete = new Map<number, symbol>();
  /** Layers of which nothing is left to be made. */
  readonly #through = new Set<number>();
  /** Those of which something is being made. */
  #current: ReadonlyMap<number, symbol> = new Map();
  readonly #weights = new Map<number, ReadonlyMap<string, TensorImportance>>();
  readonly #drafts: OpenDrafts = new Map();
  #shares: readonly PeerShare[] = [];
  #directory: OutputDirectory | undefined;
  #outputs: readonly OutputRequest[] | undefined;
  #idle: ReadonlySet<PeerId> = new Set();
  #coordinator: Coordinator | undefined;
  #change = new AbortController();
  #working: Promise<void> | undefined;
  #isOver = false;
  #units = 0;

  constructor(parts: AheadParts) {
    this.#parts = parts;
  }

  /** Units that are made so far. */
  get units(): number {
    return this.#units + (this.#coordinator?.unitsMade ?? 0);
  }

  /** All sums of the layer are there, as far as is known now. */
  layerComplete(layer: number): void {
    this.#complete.set(layer, Symbol(String(layer)));
    this.#look();
  }

  layerReopened(layer: number): void {
    this.#complete.delete(layer);
    this.#through.delete(layer);
    this.#weights.delete(layer);
    if (this.#current.has(layer)) this.#change.abort();
  }

  /** These machines have nothing to measure any more; told whenever it may have changed. */
  idle(peers: ReadonlySet<PeerId>): void {
    this.#idle = peers;
    this.#coordinator?.idleChanged();
    this.#look();
  }

  /** Ends the making. What is under way may come to its end, unless that takes long. */
  async finish(): Promise<MadeAhead> {
    const unitsMeanwhile = this.units;
    this.#isOver = true;
    this.#change.abort();
    const giveUp = this.#parts.clock.after(FINISH_MS, () => this.idle(new Set()));
    await this.#working;
    giveUp();
    for (const { file } of this.#drafts.values()) await file.close().catch(() => undefined);
    await this.#close();
    const runs = [...this.#drafts].map(([file, { made }]) => [file, [...made.values()]] as const);
    return { runs: new Map(runs), shares: this.#shares, units: this.#units, unitsMeanwhile };
  }

  /** Ends it with nothing kept. */
  async abandon(): Promise<void> {
    this.#isOver = true;
    this.#change.abort();
    this.idle(new Set());
    await this.#working;
    for (const { file } of this.#drafts.values()) await file.discard().catch(() => undefined);
    this.#drafts.clear();
    await this.#close();
  }

  async #close(): Promise<void> {
    await this.#directory?.close().catch(() => undefined);
    this.#directory = undefined;
  }

  /** Begins where somebody could do something; what is under way makes room for more. */
  #look(): void {
    if (this.#isOver || !this.#isWorth()) return;
    if (this.#working !== undefined) {
      this.#change.abort();
      return;
    }
    this.#change = new AbortController();
    this.#current = new Map([...this.#complete].filter(([layer]) => !this.#through.has(layer)));
    this.#working = this.#work(this.#current, this.#change.signal)
      // Whatever it was, the run meets it again where it counts.
      .catch(() => {
        this.#isOver = true;
      })
      .finally(() => {
        this.#working = undefined;
        this.#current = new Map();
        this.#look();
      });
  }

  /** Whether an idle machine has a layer of which nothing is made and nothing under way. */
  #isWorth(): boolean {
    const held = this.#parts.holds();
    const isLocalIdle = this.#idle.has(LOCAL_PEER) && this.#parts.offer.bytesPerSecond > 0;
    return [...this.#complete].some(([layer, mark]) => {
      const isHeld = [...this.#idle].some((peer) => held.get(peer)?.has(layer) === true);
      const isNew = !this.#through.has(layer) && this.#current.get(layer) !== mark;
      return isNew && (isLocalIdle || isHeld);
    });
  }

  /** One plan of these layers; a change ends it before all is made. */
  async #work(layers: ReadonlyMap<number, symbol>, signal: AbortSignal): Promise<void> {
    if (!(await this.#weighAll(layers, signal))) return;
    const { tensors, statistics, fileDigests, sha256 } = this.#parts;
    this.#outputs ??= await this.#parts.outputs(this.#parts);
    const plan = planRun({
      tensors: settledTensors(tensors, statistics, new Set(layers.keys())),
      outputs: this.#outputs,
      fileDigests,
      sha256,
      importance: new Map([...this.#weights.values()].flatMap((weights) => [...weights])),
    });
    if (this.#directory === undefined) {
      this.#directory = await this.#parts.openDirectory();
      await openDrafts(this.#directory, this.#outputs, this.#drafts);
    }
    if (signal.aborted || this.#drafts.size === 0) {
      this.#isOver ||= this.#drafts.size === 0;
      return;
    }
    await this.#make(plan, signal);
    if (signal.aborted) return;
    for (const layer of layers.keys()) {
      this.#through.add(layer);
      this.#weights.delete(layer);
    }
  }

  /** @returns false where it was ended, or a layer was reopened meanwhile */
  async #weighAll(layers: ReadonlyMap<number, symbol>, signal: AbortSignal): Promise<boolean> {
    const { sums, statistics, weigh } = this.#parts;
    for (const [layer, mark] of layers) {
      if (this.#weights.has(layer)) continue;
      const isSame = (): boolean => this.#complete.get(layer) === mark;
      try {
        const bytes = await sums(layer);
        const weights = await weigh(layerEntries({ statistics: statistics[layer] ?? [], bytes }));
        if (isSame()) this.#weights.set(layer, weights);
      } catch (error) {
        if (isSame()) throw error;
      }
      if (signal.aborted || !isSame()) return false;
    }
    return true;
  }

  async #make(plan: Plan, signal: AbortSignal): Promise<void> {
    const { kernels, clock, source, leaves, cluster, isSigned, onAttested, offer } = this.#parts;
    const coordinator = new Coordinator({
      ...{ plan, source, kernels, clock, leaves, holds: this.#parts.holds() },
      worker: new Worker(kernels, placesIn(plan)),
      assemblers: plan.outputs.map(
        (output) => new DraftOutput(output, this.#drafts.get(output.file)),
      ),
      // The bar is the measurement's, and so is whatever a user should know.
      progress: new Progress(clock, () => undefined),
      onNotice: () => undefined,
      cluster: { ...cluster, isSigned },
      ...(onAttested === undefined ? {} : { onAttested }),
      isIdle: (peer) => this.#idle.has(peer),
      checkSource: async () => undefined,
      onSealed: () => undefined,
    });
    this.#coordinator = coordinator;
    try {
      await coordinator.run(offer, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#coordinator = undefined;
      this.#units += coordinator.unitsMade;
      this.#shares = addShares(coordinator.shares(), this.#shares);
    }
  }
}

/** What each peer has done in two parts of a run; this machine first, where it did something. */
export function addShares(
  first: readonly PeerShare[],
  second: readonly PeerShare[],
): readonly PeerShare[] {
  const sums = new Map(first.map((share) => [share.peer, { ...share }]));
  for (const share of second) {
    const sum = sums.get(share.peer);
    if (sum === undefined) sums.set(share.peer, { ...share });
    else for (const count of COUNTS) sum[count] += share[count];
  }
  return [...sums.values()].sort(
    (a, b) => Number(a.peer !== LOCAL_PEER) - Number(b.peer !== LOCAL_PEER),
  );
}

const COUNTS = ['leases', 'tasks', 'units', 'sourceBytes', 'resultBytes'] as const;
