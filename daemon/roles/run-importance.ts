/**
 * Run importance: the importance that a run's outputs are made with, from a file or measured for it.
 *
 *   QuantizeRequest ──▶ openImatrix, or measureSource + writeImatrix ──▶ Weighed  (read next: run.ts)
 */

import type { RunEvent } from '../../proto/api.ts';
import { FaultError } from '../../proto/fault.ts';
import type { ModelRequest, QuantizeRequest } from '../../proto/requests.ts';
import { importanceFaults } from '../core/importance/faults.ts';
import type { Importance, TensorImportance } from '../core/importance/importance.ts';
import {
  baseNameOf,
  type ImportanceMatrix,
  type MatrixEntry,
  sortedByName,
} from '../core/importance/importance-matrix.ts';
import type { Statistic } from '../core/models/forward.ts';
import { type OutputOptions, planOutputs } from '../core/plan/outputs.ts';
import type { Recipe } from '../core/recipe/recipe.ts';
import type { Source } from '../ports.ts';
import type { AheadWork, Measuring } from './ahead.ts';
import type { CoordinatorParts } from './coordinator.ts';
import type { DescribedSource } from './describe-source.ts';
import type { EstimatedRun } from './estimate.ts';
import { measureSource, unmeasuredMatrix } from './make-imatrix.ts';
import type { Measured } from './measure.ts';
import { openCalibration, tellCalibration } from './open-calibration.ts';
import { openImatrix, useMatrix } from './open-imatrix.ts';
import type { Progress } from './progress.ts';
import type { RunPorts } from './run.ts';
import { writeImatrix } from './write-imatrix.ts';

/** The importance that the outputs are made with, and what is left of having measured it. */
export interface Weighed {
  readonly importance: Importance | undefined;
  readonly measured?: Measured;
  /** Of a dry run: what would be measured. */
  readonly calibration?: EstimatedRun['calibration'];
}

/** The outputs of a quantization, as far as they are known before it is weighed. */
export interface Wanted {
  readonly recipe: Recipe;
  readonly options: Omit<OutputOptions, 'importance'>;
  readonly onAttested: CoordinatorParts['onAttested'];
}

interface Telling {
  readonly report: (event: RunEvent) => void;
  readonly progress: Progress;
  readonly drain: AbortSignal;
}

type Calibrated = QuantizeRequest & {
  readonly calibration: NonNullable<QuantizeRequest['calibration']>;
};

interface Place {
  readonly described: DescribedSource;
  /** Of the source; asked for where something is measured. */
  readonly digests: () => Promise<ReadonlyMap<string, string>>;
  readonly source: Source;
}

/** @throws FaultError whatever is wrong with the file or stopped the measurement */
export async function importanceOf(
  request: ModelRequest,
  wanted: Wanted | undefined,
  place: Place,
  ports: RunPorts,
  telling: Telling,
): Promise<Weighed> {
  if (request.kind !== 'quantize') return { importance: undefined };
  const { described, source } = place;
  const { model } = described;
  const { calibration, imatrix, dryRun } = request;
  if (imatrix !== undefined) {
    const file = { ...imatrix, filters: filtersOf(request) };
    return { importance: await openImatrix(file, model.tensors, ports) };
  }
  if (calibration === undefined) return { importance: undefined };
  if (dryRun) {
    const opened = await openCalibration(calibration, model, ports, telling.drain);
    const chunks = tellCalibration(opened, telling.report);
    const matrix = unmeasuredMatrix(described, calibration, opened.calibration);
    // What it says of experts that no token has reached is true of all of them.
    const importance = { ...(await use(matrix, request, described, ports)), notices: [] };
    return { importance, calibration: { request: calibration, chunks } };
  }
  const calibrated = { ...request, calibration };
  const goesOn = { ...telling, goesOn: true };
  const fileDigests = await place.digests();
  const ahead = wanted && aheadOf(calibrated, wanted, { ...place, fileDigests }, ports);
  const measured = await measureSource(calibrated, described, fileDigests, source, {
    ...{ ports, telling: goesOn, ahead },
  });
  const { matrix } = measured;
  const { overwrite, out } = request;
  const file = matrixFile(described);
  const into = { directory: out, file, format: 'gguf', overwrite } as const;
  try {
    telling.report(await writeImatrix(matrix, into, ports));
    return { importance: await use(matrix, request, described, ports), measured };
  } catch (error) {
    await measured.chains?.end(false);
    throw error;
  }
}

function filtersOf({ includeWeights, excludeWeights }: QuantizeRequest) {
  return { include: includeWeights, exclude: excludeWeights };
}

function matrixFile({ name }: DescribedSource): string {
  return `${name}-imatrix.gguf`;
}

function use(
  matrix: ImportanceMatrix,
  request: QuantizeRequest,
  described: DescribedSource,
  ports: RunPorts,
): Promise<Importance> {
  const file = matrixFile(described);
  const wanted = { file, given: file, filters: filtersOf(request) };
  return useMatrix(matrix, wanted, described.model.tensors, ports);
}

/** What may be quantized while it is measured: outputs that grow on this machine's disk. */
function aheadOf(
  request: Calibrated,
  { recipe, options, onAttested }: Wanted,
  { described, fileDigests, source }: Omit<Place, 'digests'> & Pick<AheadWork, 'fileDigests'>,
  ports: RunPorts,
): AheadWork | undefined {
  if (request.assembly !== undefined) return undefined;
  const { model, name } = described;
  const { kernels, clock, sha256, offer, isSigned } = ports;
  return {
    ...{ tensors: model.tensors, fileDigests, source, kernels, clock, sha256, offer, isSigned },
    onAttested,
    openDirectory: () => ports.openOutputs(request.out),
    outputs: async (measuring) => {
      const importance = await unmeasured(measuring, request, described, ports);
      return planOutputs(model, name, recipe.outputs, { ...options, importance });
    },
    weigh: async (entries) => {
      return (await useSome(entries, request, described, ports))?.tensors ?? new Map();
    },
  };
}

/** Of entries of some layers; undefined where the filters leave none of these. */
async function useSome(
  entries: readonly MatrixEntry[],
  request: QuantizeRequest,
  described: DescribedSource,
  ports: RunPorts,
): Promise<Importance | undefined> {
  const matrix = { entries: sortedByName(entries), datasets: [], chunkCount: 0, chunkSize: 0 };
  try {
    return await use(matrix, request, described, ports);
  } catch (error) {
    const { code } = importanceFaults.nothingLeft;
    if (error instanceof FaultError && error.kind.code === code) return undefined;
    throw error;
  }
}

/**
 * The importance as it will be, but for its numbers: of the same names and sizes, and so of the same
 * types and places. Layer by layer, so that other work gets its turn.
 */
async function unmeasured(
  { calibration, statistics }: Measuring,
  request: QuantizeRequest,
  described: DescribedSource,
  ports: RunPorts,
): Promise<Importance> {
  const tensors = new Map<string, TensorImportance>();
  const misfits = new Map<string, { values: number; wanted: number }>();
  let entries = 0;
  for (const layer of statistics) {
    const some = await useSome(layer.flatMap(emptyEntries), request, described, ports);
    entries += some?.entries ?? 0;
    for (const tensor of some?.tensors.keys() ?? []) tensors.set(tensor, NO_NUMBERS);
    for (const [tensor, sizes] of some?.misfits ?? []) misfits.set(tensor, sizes);
  }
  const file = matrixFile(described);
  const { datasets, chunks } = calibration;
  const dataset = datasets.map(baseNameOf)[0];
  return {
    ...{ file, given: file, entries, dataset, chunks: chunks.length },
    ...{ tensors, misfits, notices: [] },
  };
}

const NO_NUMBERS: TensorImportance = { weights: new Float32Array(0), digests: [] };

function emptyEntries({ names, columns, matrices }: Statistic): MatrixEntry[] {
  const sums = new Float32Array(columns * matrices);
  const counts = Array.from({ length: matrices }, () => 0);
  return names.map((name) => ({ name, columns, matrices, sums, counts }));
}
