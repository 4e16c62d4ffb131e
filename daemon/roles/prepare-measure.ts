/**
 * Prepare measure: what stands before a measurement begins.
 *
 *   checkpoint + calibration ──▶ model, description, where its weights lie ──▶ fetched as a whole, or by parts
 *
 * Read next: measure.ts, measure-origin.ts.
 */

import type { RunEvent } from '../../proto/api.ts';
import { assert } from '../../proto/assert.ts';
import { FaultError } from '../../proto/fault.ts';
import type { CalibrationRequest } from '../../proto/requests.ts';
import type { Calibration } from '../core/calibration/chunks.ts';
import type { Checkpoint } from '../core/checkpoint/checkpoint.ts';
import { encodeDescription } from '../core/models/description.ts';
import { forwardOf } from '../core/models/families.ts';
import type { Forward } from '../core/models/forward.ts';
import { type MeasuredModel, measuredModel } from '../core/models/measured-model.ts';
import { tensorPieces } from '../core/plan/file-segments.ts';
import { type WeightSource, weightSources } from '../core/plan/layer-source.ts';
import { CONTRACT, type Field, runId, type Sha256 } from '../core/plan/unit-id.ts';
import type {
  Clock,
  ForwardKernels,
  Kernels,
  LeafStore,
  MeasurementFiles,
  Network,
  Source,
} from '../ports.ts';
import type { AheadWork } from './ahead.ts';
import type { DescribedSource } from './describe-source.ts';
import { fetchSource } from './fetch-source.ts';
import type { FileChains } from './file-chains.ts';
import { measureFaults } from './measure-faults.ts';
import { isRunOn, openMeasuredChains, settleSums } from './measure-origin.ts';
import type { Offer } from './offers.ts';
import type { CalibrationPorts } from './open-calibration.ts';
import type { PieceHasher } from './origin-pieces.ts';
import type { Progress } from './progress.ts';
import { readHeaders } from './read-headers.ts';
import { SumsStore } from './sums-store.ts';

/** What a daemon has for measuring, its own runs and those of others. */
export interface MeasureTools {
  /** Threads of its own for each call; the caller closes it. */
  readonly openForward: (threads?: number) => ForwardKernels;
  /** As Hello.multiplicationsPerSecond, of all threads that runs of this machine may take. */
  readonly multiplicationsPerSecond: () => Promise<number>;
  readonly openMeasurement: (id: string) => Promise<MeasurementFiles>;
  /** Where states are kept for other machines; undefined where there is no network. */
  readonly store: LeafStore | undefined;
  /** Source bytes of weights that memory holds beside what is offered to tasks. */
  readonly cacheBytes: number;
  /** A number below 2^31, another one each time: see MeasurePoolParts.firstLease. */
  readonly drawFirstLease: () => number;
}

export interface MeasurePorts extends CalibrationPorts, MeasureTools {
  readonly kernels: Kernels & PieceHasher;
  readonly clock: Clock;
  readonly sha256: Sha256;
  readonly offer: Offer;
  readonly network: Network | undefined;
}

export interface MeasureRequest {
  readonly calibration: CalibrationRequest;
  readonly source: Source;
  readonly checkpoint: Checkpoint;
  readonly described: Pick<DescribedSource, 'model' | 'files'>;
  readonly fileDigests: ReadonlyMap<string, string>;
  /** What comes from a hub is to stay on this machine. */
  readonly keepSource: boolean;
  /** Other inputs of the run that follows: a part of its name among machines. */
  readonly purpose: string;
  /** What is to be quantized, where machines that have measured their part may begin with it. */
  readonly ahead?: AheadWork | undefined;
}

export interface MeasureTelling {
  readonly report: (event: RunEvent) => void;
  readonly progress: Progress;
  readonly drain: AbortSignal;
  /** Quantizing with the same weights follows: other machines keep them. */
  readonly goesOn: boolean;
}

export interface Prepared {
  readonly forward: Forward;
  readonly model: MeasuredModel;
  readonly description: Uint8Array;
  readonly weights: readonly (readonly WeightSource[])[];
  /** Of weights by name, those of the front too. */
  readonly sourceOf: (tensor: string) => WeightSource;
  readonly front: readonly WeightSource[];
  /** The name under which sums are stored. */
  readonly id: string;
  /** What the run is named by. */
  readonly fields: readonly Field[];
  readonly files: MeasurementFiles;
}

/** Where the weights come from. */
export interface Fetching {
  /** The name of the run among machines. */
  readonly run: string;
  /** Where machines fetch them by themselves. */
  readonly chains: FileChains | undefined;
  /** What has been measured of it. */
  readonly store: SumsStore;
  /** Whether anything was run on weights that were fetched so. */
  readonly isRunOn: () => boolean;
}

/** @throws FaultError QD-5305 where the source is no checkpoint */
export async function prepare(
  request: MeasureRequest,
  calibration: Calibration,
  ports: MeasurePorts,
): Promise<Prepared> {
  const { source, checkpoint, described, fileDigests, purpose } = request;
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
  const byName = new Map(described.model.tensors.map((tensor) => [tensor.name, tensor]));
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
    front: fronts,
    id,
    fields: [...fields, purpose],
    files: await ports.openMeasurement(id),
  };
}

/** Brings the source here as a whole, or prepares to have each machine fetch its own part. */
export async function openFetching(
  request: MeasureRequest,
  { id, fields, files, weights, front, model }: Prepared,
  ports: MeasurePorts,
  { progress, drain, goesOn }: MeasureTelling,
): Promise<Fetching> {
  const { source, described, fileDigests, keepSource } = request;
  const store = await SumsStore.open(files, model.statistics, ports.sha256);
  const wanted = {
    ...{ id, fields, source, fileDigests, keepSource },
    files: described.files,
    layers: weights.map((layer) => layer.flatMap(({ pieces }) => pieces)),
    front: front.flatMap(({ pieces }) => pieces),
    all: goesOn ? tensorPieces(described.model.tensors, fileDigests) : [],
    store,
  };
  const chains = await openMeasuredChains(wanted, ports);
  if (chains !== undefined) {
    return { run: chains.run, chains, store, isRunOn: () => isRunOn(chains, wanted) };
  }
  await fetchSource(source, described, progress, drain);
  await settleSums(wanted, ports);
  return { run: runId(ports.sha256, fields), chains, store, isRunOn: () => false };
}
