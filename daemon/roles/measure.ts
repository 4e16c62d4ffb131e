/**
 * Measure: an importance matrix from a checkpoint and a calibration, over whoever is there.
 *
 *   texts ──▶ chunks ──▶ Measurer (this machine and others) ──▶ sums ──▶ ImportanceMatrix
 *
 * The matrix is a function of checkpoint, chunks and wishes; who measured it, and how often it had to
 * begin again, is not in it. Read next: measurer.ts.
 */

import type { RunEvent } from '../../proto/api.ts';
import { assert } from '../../proto/assert.ts';
import { FaultError } from '../../proto/fault.ts';
import type { PeerId } from '../../proto/peer-messages.ts';
import type { CalibrationRequest } from '../../proto/requests.ts';
import { type Calibration, GROUP_CHUNKS } from '../core/calibration/chunks.ts';
import type { Checkpoint } from '../core/checkpoint/checkpoint.ts';
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
import { encodeDescription } from '../core/models/description.ts';
import { forwardOf } from '../core/models/families.ts';
import type { ModelTensor } from '../core/models/family.ts';
import type { Forward } from '../core/models/forward.ts';
import { type MeasuredModel, measuredModel } from '../core/models/measured-model.ts';
import { rotationsOf } from '../core/models/rotation.ts';
import { sourceBytesOf, type WeightSource, weightSources } from '../core/plan/layer-source.ts';
import { CONTRACT, runId, type Sha256 } from '../core/plan/unit-id.ts';
import type {
  Clock,
  ForwardKernels,
  Kernels,
  LeafStore,
  MeasurementFiles,
  Network,
  PlacedWeight,
  Source,
  WeightPiece,
} from '../ports.ts';
import { Ahead, type AheadWork, type MadeAhead } from './ahead.ts';
import { KeptStates } from './kept-states.ts';
import { LeafDigests } from './leaf-digests.ts';
import { measureFaults } from './measure-faults.ts';
import type { MeasureShare } from './measure-pool.ts';
import { Measurer } from './measurer.ts';
import { ModelFront } from './model-front.ts';
import type { Offer } from './offers.ts';
import { type CalibrationPorts, openCalibration, tellCalibration } from './open-calibration.ts';
import { perplexityOf } from './perplexity.ts';
import type { Progress } from './progress.ts';
import { readHeaders } from './read-headers.ts';
import { StageRunner } from './stage-runner.ts';
import { StageWeights } from './stage-weights.ts';
import { SumsStore } from './sums-store.ts';

/** What a daemon has for measuring, its own runs and those of others. */
export interface MeasureTools {
  /** Threads of its own for each call; the caller closes it. */
  readonly openForward: (threads?: number) => ForwardKernels;
  readonly openMeasurement: (id: string) => Promise<MeasurementFiles>;
  /** Where states are kept for other machines; undefined where there is no network. */
  readonly store: LeafStore | undefined;
  /** Source bytes of weights that memory holds beside what is offered to tasks. */
  readonly cacheBytes: number;
  /** A number below 2^31, another one each time: see MeasurePoolParts.firstLease. */
  readonly drawFirstLease: () => number;
}

export interface MeasurePorts extends CalibrationPorts, MeasureTools {
  readonly kernels: Kernels;
  readonly clock: Clock;
  readonly sha256: Sha256;
  readonly offer: Offer;
  readonly network: Network | undefined;
}

export interface MeasureRequest {
  readonly calibration: CalibrationRequest;
  readonly source: Source;
  readonly checkpoint: Checkpoint;
  readonly model: Parameters<typeof openCalibration>[1];
  readonly tensors: readonly ModelTensor[];
  readonly fileDigests: ReadonlyMap<string, string>;
  /** Other inputs of the run that follows: a part of its name among machines. */
  readonly purpose: string;
  /** What is to be quantized, where machines that have measured their part may begin with it. */
  readonly ahead?: AheadWork | undefined;
}

export interface Measured {
  readonly matrix: ImportanceMatrix;
  /** The name of the run among machines, which hold its weights under it. */
  readonly run: string;
  readonly shares: readonly MeasureShare[];
  /** Layers whose weights each machine has now. */
  readonly holds: ReadonlyMap<PeerId, ReadonlySet<number>>;
  readonly leaves: LeafDigests;
  readonly ahead: MadeAhead | undefined;
  /** Removes what a measurement keeps for the case that it is begun again. */
  readonly forget: () => Promise<void>;
}

interface Telling {
  readonly report: (event: RunEvent) => void;
  readonly progress: Progress;
  readonly drain: AbortSignal;
  /** Quantizing with the same weights follows: other machines keep them. */
  readonly goesOn: boolean;
}

// Experts with fewer tokens than this are named, where no other floor is asked for.
const FLOOR_TOKENS = 32;
// What stands in front of the layers is a small part of the work.
const FRONT_THREADS = 1;

/** @throws FaultError whatever stopped it; what was measured is kept and gone on with */
export async function measure(
  request: MeasureRequest,
  ports: MeasurePorts,
  telling: Telling,
): Promise<Measured> {
  const { report, drain } = telling;
  const opened = await openCalibration(request.calibration, request.model, ports, drain);
  const { calibration } = opened;
  tellCalibration(opened, report);
  const prepared = await prepare(request, calibration, ports);
  const session = new Session(request, calibration, prepared, ports, telling);
  return await session.run();
}

interface Prepared {
  readonly forward: Forward;
  readonly model: MeasuredModel;
  readonly description: Uint8Array;
  readonly weights: readonly (readonly WeightSource[])[];
  /** Of weights by name, those of the front too. */
  readonly sourceOf: (tensor: string) => WeightSource;
  readonly run: string;
  readonly files: MeasurementFiles;
}

async function prepare(
  request: MeasureRequest,
  calibration: Calibration,
  ports: MeasurePorts,
): Promise<Prepared> {
  const { source, checkpoint, tensors, fileDigests, purpose } = request;
  if (source.path === undefined || source.named !== undefined)
    throw new FaultError(measureFaults.gguf);
  const { chunkTokens, digest } = calibration;
  const { ppl, processOutput } = request.calibration;
  const head = { perplexity: ppl, output: processOutput };
  const forward = forwardOf(checkpoint);
  const model = measuredModel(forward, chunkTokens, head);
  // The others have no tensor of the model: nobody asks for a byte of them.
  const used = checkpoint.files.flatMap(({ file, bytes }) => {
    const fileDigest = fileDigests.get(file);
    return fileDigest === undefined ? [] : [{ file, bytes, digest: fileDigest }];
  });
  const { config, headers } = await readHeaders(source, used);
  const files = used.map((file, index) => {
    return { ...file, header: headers[index] ?? new Uint8Array(0) };
  });
  const description = encodeDescription({ config, files, positions: chunkTokens, head });
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const sources = (weights: Parameters<typeof weightSources>[0]): WeightSource[] =>
    weightSources(weights, byName, fileDigests);
  const { front } = forward;
  const fronts = sources([...front.lookups.map(({ table }) => table), ...front.layer.weights]);
  const named = new Map(fronts.map((each) => [each.weight.tensor, each]));
  const fields = [CONTRACT, 'measure', ports.sha256(description), digest];
  const id = runId(ports.sha256, fields);
  return {
    forward,
    model,
    description,
    weights: model.layers.map((layer) => sources(layer.weights)),
    sourceOf: (tensor) => {
      const found = named.get(tensor);
      assert(found !== undefined, `the front has a weight ${tensor}`);
      return found;
    },
    run: runId(ports.sha256, [...fields, purpose]),
    files: await ports.openMeasurement(id),
  };
}

/** One measurement on this machine, with all that has to be closed. */
class Session {
  readonly #request: MeasureRequest;
  readonly #calibration: Calibration;
  readonly #prepared: Prepared;
  readonly #ports: MeasurePorts;
  readonly #telling: Telling;
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
    prepared: Prepared,
    ports: MeasurePorts,
    telling: Telling,
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
      place: (tensor) => this.#place(sourceOf(tensor)),
    });
    this.#weights = new StageWeights({
      layers: model.layers,
      tensors: new Map(request.tensors.map((tensor) => [tensor.name, tensor])),
      fileDigests: request.fileDigests,
      angles: forward.tables.map((table) => rotationsOf(table, model.positions)),
      kernels: this.#kernels,
      locate: async (_, sources) => sources.map((each) => [...this.#place(each).pieces]),
    });
  }

  async run(): Promise<Measured> {
    const { files, run, model } = this.#prepared;
    const { progress, report, drain, goesOn } = this.#telling;
    const store = await SumsStore.open(files, model.statistics, this.#ports.sha256);
    const ahead = this.#ahead(() => measurer);
    const measurer = this.#measurer(store, ahead);
    let ended: { sealed: boolean } | undefined = { sealed: false };
    try {
      progress.begin('measure', this.#chunks * model.layers.length);
      await measurer.run(drain);
      const made = await ahead?.finish();
      await this.#cover(measurer);
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
      const kept = { shares: measurer.shares(), holds, leaves: this.#leaves, ahead: made };
      return { matrix, run, ...kept, forget: () => files.drop() };
    } catch (error) {
      await ahead?.abandon();
      throw error;
    } finally {
      await measurer.close(ended);
      this.#front.close();
      this.#weights.close();
      this.#kernels.close();
      this.#frontKernels.close();
    }
  }

  /** Chunks that are added for experts change what every layer has: then nothing is settled early. */
  #ahead(measurer: () => Measurer): Ahead | undefined {
    const { ahead, calibration } = this.#request;
    const { network } = this.#ports;
    if (ahead === undefined || network === undefined) return undefined;
    if (calibration.minExpertTokens !== undefined) return undefined;
    const { run, model } = this.#prepared;
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

  #measurer(store: SumsStore, ahead: Ahead | undefined): Measurer {
    const { model, run, weights, description } = this.#prepared;
    const { network, clock, kernels, sha256, offer, cacheBytes } = this.#ports;
    const { report, progress } = this.#telling;
    const { source } = this.#request;
    const { replicas, waveChunks } = this.#request.calibration;
    const sizes = weights.map(sourceBytesOf);
    const leafStore = network === undefined ? undefined : this.#ports.store;
    const states = leafStore && new KeptStates(run, { store: leafStore, clock, sha256 });
    const runner = new StageRunner({
      model,
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
      localSpeed: offer.bytesPerSecond,
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

  /** Where a weight lies in the source, neighbouring pieces as one. */
  #place({ weight, pieces }: WeightSource): PlacedWeight {
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
    return { weight, pieces: placed };
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
