/**
 * Measure: an importance matrix from a checkpoint and a calibration, over whoever is there.
 *
 *   texts ──▶ chunks ──▶ Measurer (this machine and others) ──▶ sums ──▶ ImportanceMatrix
 *
 * The matrix is a function of checkpoint, chunks and wishes; who measured it, and how often it had to
 * begin again, is not in it. Read next: measurer.ts.
 */

import { assert } from '../../proto/assert.ts';
import { FaultError } from '../../proto/fault.ts';
import type { PeerId } from '../../proto/peer-messages.ts';
import { type Calibration, GROUP_CHUNKS } from '../core/calibration/chunks.ts';
import {
  coverageOf,
  decideCoverage,
  type ExpertCounts,
  expertCounts,
} from '../core/importance/coverage.ts';
import {
  type ImportanceMatrix,
  type MatrixEntry,
  sortedByName,
} from '../core/importance/importance-matrix.ts';
import { layerEntries, type MeasuredLayer } from '../core/importance/measured.ts';
import type { MeasuredModel } from '../core/models/measured-model.ts';
import { rotationsOf } from '../core/models/rotation.ts';
import { sourceBytesOf, type WeightSource } from '../core/plan/layer-source.ts';
import type { ForwardKernels, WeightPiece } from '../ports.ts';
import { Ahead, type MadeAhead } from './ahead.ts';
import { runFaults } from './faults.ts';
import type { FileChains } from './file-chains.ts';
import { KeptStates } from './kept-states.ts';
import { LeafDigests } from './leaf-digests.ts';
import type { MeasureShare } from './measure-pool.ts';
import { Measurer } from './measurer.ts';
import { ModelFront } from './model-front.ts';
import { openCalibration, tellCalibration } from './open-calibration.ts';
import { perplexityOf } from './perplexity.ts';
import {
  type Fetching,
  type MeasurePorts,
  type MeasureRequest,
  type MeasureTelling,
  openFetching,
  type Prepared,
  prepare,
} from './prepare-measure.ts';
import { StageRunner } from './stage-runner.ts';
import { StageWeights } from './stage-weights.ts';
import type { SumsStore } from './sums-store.ts';

export interface Measured {
  readonly matrix: ImportanceMatrix;
  /** The name of the run among machines, which hold its weights under it. */
  readonly run: string;
  readonly shares: readonly MeasureShare[];
  /** Layers whose weights each machine has now. */
  readonly holds: ReadonlyMap<PeerId, ReadonlySet<number>>;
  readonly leaves: LeafDigests;
  readonly ahead: MadeAhead | undefined;
  /** Where machines fetched the weights by themselves, and outputs are to be made of them: closed. */
  readonly chains: FileChains | undefined;
  /** Removes what a measurement keeps for the case that it is begun again. */
  readonly forget: () => Promise<void>;
}

// Experts with fewer tokens than this are named, where no other floor is asked for.
const FLOOR_TOKENS = 32;
// What stands in front of the layers is a small part of the work.
const FRONT_THREADS = 1;

/** @throws FaultError whatever stopped it; what was measured is kept and gone on with */
export async function measure(
  request: MeasureRequest,
  ports: MeasurePorts,
  telling: MeasureTelling,
): Promise<Measured> {
  const { report, drain } = telling;
  const { model } = request.described;
  const opened = await openCalibration(request.calibration, model, ports, drain);
  const { calibration } = opened;
  tellCalibration(opened, report);
  const prepared = await prepare(request, calibration, ports);
  const fetching = await openFetching(request, prepared, ports, telling);
  const session = new Session(request, calibration, { ...prepared, ...fetching }, ports, telling);
  return await session.run();
}

/** One measurement on this machine, with all that has to be closed. */
class Session {
  readonly #request: MeasureRequest;
  readonly #calibration: Calibration;
  readonly #prepared: Prepared & Fetching;
  readonly #ports: MeasurePorts;
  readonly #telling: MeasureTelling;
  readonly #kernels: ForwardKernels;
  readonly #frontKernels: ForwardKernels;
  readonly #front: ModelFront;
  readonly #weights: StageWeights;
  readonly #leaves: LeafDigests;
  /** Chunks that are measured so far, of those and of the reserve. */
  #chunks: number;

  constructor(
    request: MeasureRequest,
    calibration: Calibration,
    prepared: Prepared & Fetching,
    ports: MeasurePorts,
    telling: MeasureTelling,
  ) {
    this.#request = request;
    this.#calibration = calibration;
    this.#prepared = prepared;
    this.#ports = ports;
    this.#telling = telling;
    this.#chunks = calibration.chunks.length;
    this.#leaves = new LeafDigests(request.source, ports.kernels);
    const { forward, model, sourceOf } = prepared;
    this.#kernels = ports.openForward();
    this.#frontKernels = ports.openForward(FRONT_THREADS);
    const all = [...calibration.chunks, ...calibration.reserve];
    this.#front = new ModelFront({
      forward,
      model,
      kernels: this.#frontKernels,
      tokens: (chunk) => {
        const tokens = all[chunk];
        if (tokens === undefined) throw new Error(`the calibration has no chunk ${chunk}`);
        return tokens;
      },
      place: async (tensor) => {
        const source = sourceOf(tensor);
        const [pieces = []] = await this.#locate([source]);
        return { weight: source.weight, pieces };
      },
    });
    this.#weights = new StageWeights({
      layers: model.layers,
      tensors: new Map(request.described.model.tensors.map((tensor) => [tensor.name, tensor])),
      fileDigests: request.fileDigests,
      angles: forward.tables.map((table) => rotationsOf(table, model.positions)),
      kernels: this.#kernels,
      locate: (_, sources) => this.#locate(sources),
    });
  }

  async run(): Promise<Measured> {
    const { files, run, model, store } = this.#prepared;
    const { progress, report, drain, goesOn } = this.#telling;
    const ahead = this.#ahead(() => measurer);
    const measurer = this.#measurer(store, ahead);
    let ended: { sealed: boolean } | undefined = { sealed: false };
    try {
      progress.begin('measure', this.#chunks * model.layers.length);
      this.#beginChains(store, measurer);
      await measurer.run(drain);
      const made = await ahead?.finish();
      await this.#cover(measurer);
      const chains = await this.#prove(measurer);
      const { entries, experts, losses } = await finish(measurer, model);
      this.#tellCoverage(experts);
      const perplexity = losses && perplexityOf(losses);
      if (perplexity !== undefined) report({ type: 'perplexity', ...perplexity });
      ended = goesOn ? undefined : { sealed: true };
      const chunkCount = this.#chunks - measurer.leftOut.size;
      const { datasets, chunkTokens: chunkSize } = this.#calibration;
      const matrix = { entries: sortedByName(entries), datasets, chunkCount, chunkSize };
      const { holds } = measurer;
      this.#tellMeasured(measurer);
      const kept = { shares: measurer.shares(), holds, leaves: this.#leaves, ahead: made, chains };
      return { matrix, run, ...kept, forget: () => files.drop() };
    } catch (error) {
      await ahead?.abandon();
      throw error;
    } finally {
      await this.#close(measurer, ended);
      this.#front.close();
      this.#weights.close();
      this.#kernels.close();
      this.#frontKernels.close();
    }
  }

  /**
   * Chunks that are added for experts change what every layer has: then nothing is settled early. Nor
   * is anything made before it is proven where each machine fetches its part.
   */
  #ahead(measurer: () => Measurer): Ahead | undefined {
    const { ahead, calibration } = this.#request;
    const { network } = this.#ports;
    const { run, model, chains } = this.#prepared;
    if (ahead === undefined || network === undefined || chains !== undefined) return undefined;
    if (calibration.minExpertTokens !== undefined) return undefined;
    return new Ahead({
      ...ahead,
      calibration: this.#calibration,
      cluster: { network, run },
      leaves: this.#leaves,
      statistics: model.statistics,
      sums: (layer) => measurer().sumsOf(layer),
      holds: () => measurer().holds,
    });
  }

  async #close(measurer: Measurer, ended: { readonly sealed: boolean } | undefined): Promise<void> {
    const { chains } = this.#prepared;
    // What is worth nothing goes everywhere.
    await measurer.close(chains?.isWorthless === true ? { sealed: true } : ended);
    if (ended !== undefined) await chains?.end(ended.sealed);
  }

  /** Not where every sum was there before, of a source that was here as a whole. */
  #beginChains(store: SumsStore, measurer: Measurer): void {
    const { chains, model, isRunOn } = this.#prepared;
    const groups = Array.from({ length: Math.ceil(this.#chunks / GROUP_CHUNKS) }, (_, at) => at);
    const isThere = [...model.layers.keys()].every((layer) =>
      groups.every((group) => store.has(layer, group)),
    );
    if (!isThere || isRunOn()) chains?.start((error) => measurer.fail(error));
  }

  /**
   * Resolves when every weight that was used is what the repository says.
   * @returns what outputs can be made with
   */
  async #prove(measurer: Measurer): Promise<FileChains | undefined> {
    const { chains, isRunOn } = this.#prepared;
    if (chains === undefined) return undefined;
    if (!isRunOn()) {
      await chains.end(true);
      return undefined;
    }
    const { drain } = this.#telling;
    const stop = (): void => chains.stop(new FaultError(runFaults.interrupted));
    drain.addEventListener('abort', stop, { once: true });
    try {
      if (drain.aborted) stop();
      await measurer.during(chains.keepRest().then(() => chains.closed()));
    } finally {
      drain.removeEventListener('abort', stop);
    }
    return chains;
  }

  #measurer(store: SumsStore, ahead: Ahead | undefined): Measurer {
    const { model, run, weights, description, chains } = this.#prepared;
    const { network, clock, kernels, sha256, offer, cacheBytes } = this.#ports;
    const { report, progress } = this.#telling;
    const { source } = this.#request;
    const { replicas, waveChunks } = this.#request.calibration;
    const sizes = weights.map(sourceBytesOf);
    const leafStore = network === undefined ? undefined : this.#ports.store;
    const states = leafStore && new KeptStates(run, { store: leafStore, clock, sha256 });
    const runner = new StageRunner({
      model,
      clock,
      layer: (index) => this.#weights.layer(index),
      memoryBytes: offer.memoryBytes,
      cacheBytes,
      sourceBytes: (layer) => sizes[layer] ?? 0,
    });
    const front = this.#front;
    const wire = network && {
      ...{ network, run, source, model, front, description },
      firstLease: this.#ports.drawFirstLease(),
      descriptionDigest: sha256(description),
      leaves: this.#leaves,
      chains,
      weightsOf: (layer: number) => weights[layer] ?? [],
      chunkCount: () => this.#calibration.chunks.length + this.#calibration.reserve.length,
    };
    return new Measurer({
      model,
      ahead,
      costs: model.layers.map(({ multiplications }, layer) => ({
        multiplications,
        sourceBytes: sizes[layer] ?? 0,
      })),
      replicas,
      waveChunks: waveChunks ?? 0,
      chunks: this.#chunks,
      store,
      states,
      local: { run, model, runner, front, clock },
      localSpeed: offer.multiplicationsPerSecond,
      wire,
      clock,
      kernels,
      sha256,
      onNotice: (text) => report({ type: 'notice', text }),
      onPassed: (steps) => progress.add(steps),
      onStages: (stages) => {
        if (wire !== undefined) report({ type: 'layers', stages });
      },
    });
  }

  /** Adds groups of chunks until every expert has had enough, or none are left. */
  async #cover(measurer: Measurer): Promise<void> {
    const floor = this.#request.calibration.minExpertTokens;
    if (floor === undefined) return;
    const { model } = this.#prepared;
    const { chunks, reserve } = this.#calibration;
    const available = Math.ceil((chunks.length + reserve.length) / GROUP_CHUNKS);
    for (;;) {
      const { experts } = await finish(measurer, model);
      const groupsDone = Math.ceil(this.#chunks / GROUP_CHUNKS);
      const question = { floor, layers: experts, groupsDone, groupsAvailable: available };
      const decision = decideCoverage(question);
      if (decision.kind === 'enough') return;
      if (decision.kind === 'never') {
        const layers = decision.layers.map(
          ({ layer, experts }) => `${layer}: ${experts.join(' ')}`,
        );
        const text = `the text is used up, and some experts never get ${floor} tokens (layer: experts): ${layers.join('; ')}`;
        this.#telling.report({ type: 'notice', text });
        return;
      }
      const left = chunks.length + reserve.length - this.#chunks;
      const more = Math.min(GROUP_CHUNKS, left);
      this.#chunks += more;
      this.#telling.progress.begin('measure', more * model.layers.length);
      await measurer.addGroups(more, this.#telling.drain);
    }
  }

  #tellMeasured(measurer: Measurer): void {
    const peers = measurer.shares().map(({ peer: _, passed: steps, ...share }) => {
      return { ...share, steps };
    });
    if (peers.length === 0) return;
    const sumsBytes = peers.reduce((sum, share) => sum + share.sumsBytes, 0);
    const { stateBytes } = measurer;
    this.#telling.report({ type: 'measured', peers, stateBytes, sumsBytes });
  }

  #tellCoverage(experts: readonly ExpertCounts[]): void {
    if (experts.length === 0) return;
    const floor = this.#request.calibration.minExpertTokens ?? FLOOR_TOKENS;
    const covered = coverageOf(experts, floor).map(({ below, ...layer }) => ({
      ...layer,
      belowFloor: below.length,
      below: below.slice(0, EXPERTS_NAMED_MAX),
    }));
    this.#telling.report({ type: 'coverage', floor, layers: covered });
  }

  /** Where the pieces of each weight lie on this machine, once they do. */
  async #locate(sources: readonly WeightSource[]): Promise<WeightPiece[][]> {
    const { chains } = this.#prepared;
    if (chains === undefined) return sources.map((each) => this.#place(each));
    const located = await Promise.all(
      sources.map(({ pieces }) =>
        Promise.all(
          pieces.map(async (piece) => {
            return { path: await chains.keep(piece), offset: 0, rows: piece.rows };
          }),
        ),
      ),
    );
    // Nothing is run before it is written down on what.
    await chains.records.write();
    return located;
  }

  /** Where a weight lies in the source, neighbouring pieces as one. */
  #place({ pieces }: WeightSource): WeightPiece[] {
    const { source } = this.#request;
    const placed: WeightPiece[] = [];
    let end = -1;
    for (const { file, offset, bytes, rows } of pieces) {
      const path = source.path?.(file);
      assert(path !== undefined, 'a checkpoint lies in files');
      const last = placed.at(-1);
      if (last?.path === path && end === offset) {
        placed[placed.length - 1] = { ...last, rows: last.rows + rows };
      } else placed.push({ path, offset, rows });
      end = offset + bytes;
    }
    return placed;
  }
}

// A terminal shows no more of a layer's experts.
const EXPERTS_NAMED_MAX = 32;

/** What is left of the sums: numbers of 4 bytes in place of 16. */
async function finish(
  measurer: Measurer,
  { statistics, loss }: MeasuredModel,
): Promise<{
  readonly entries: readonly MatrixEntry[];
  readonly experts: readonly ExpertCounts[];
  /** Of the head, where it has losses. */
  readonly losses: MeasuredLayer | undefined;
}> {
  const entries: MatrixEntry[] = [];
  const experts: ExpertCounts[] = [];
  let losses: MeasuredLayer | undefined;
  let layer = 0;
  for await (const bytes of measurer.sums()) {
    const measured = { statistics: statistics[layer] ?? [], bytes };
    entries.push(...layerEntries(measured));
    for (const { counts } of expertCounts([measured])) experts.push({ layer, counts });
    if (loss?.layer === layer) losses = measured;
    layer++;
  }
  return { entries, experts, losses };
}
