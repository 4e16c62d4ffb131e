/**
 * Large layers: a checkpoint of two layers of the published mixture of experts, ready to be run.
 *
 *   directory ──▶ writeLargeLayers ──▶ checkpoint of 3.3 GB ──▶ openLayers ──▶ layers, placed weights
 *
 * For the benchmark of a measurement (scripts/bench-measure-layers.mjs): one sliding and one full
 * layer, a small vocabulary, random weights of the spread of real ones.
 */

import { join } from 'node:path';
import { openSourceDirectory } from '../../daemon/adapters/source-directory.ts';
import { describeModel, forwardOf } from '../../daemon/core/models/families.ts';
import type { ModelTensor } from '../../daemon/core/models/family.ts';
import type {
  Forward,
  Layer,
  Operation,
  StateRegister,
  Weight,
} from '../../daemon/core/models/forward.ts';
import { rotationsOf } from '../../daemon/core/models/rotation.ts';
import type { PlacedWeight, RotationAngles } from '../../daemon/ports.ts';
import { openCheckpoint } from '../../daemon/roles/open-checkpoint.ts';
import { assert } from '../../proto/assert.ts';
import { writeRepeatedCheckpoint } from '../checkpoints/generate.ts';
import type { CheckpointSpec } from '../checkpoints/spec.ts';

export { loadForward } from '../../daemon/adapters/forward.ts';
export { sumsBytes } from '../../daemon/core/importance/statistics.ts';
export { planRegisters } from '../../daemon/core/models/registers.ts';
export { drawChunks } from './checkpoints.ts';

const large = {
  name: 'large-layers',
  seed: 1,
  dtype: 'BF16',
  shards: 2,
  vocabulary: 2048,
  hidden: 2816,
  layers: 'SF',
  heads: 16,
  kvHeads: 8,
  globalKvHeads: 2,
  headDim: 256,
  globalHeadDim: 512,
  keysAreValues: true,
  dense: 2112,
  experts: { count: 128, used: 8, width: 704, form: 'stacked' },
  window: 1024,
} as const satisfies CheckpointSpec;

/** The same in small, for a look whether it all still runs. */
const small = {
  ...large,
  vocabulary: 320,
  hidden: 256,
  heads: 4,
  kvHeads: 2,
  globalKvHeads: 1,
  headDim: 32,
  globalHeadDim: 64,
  dense: 96,
  experts: { count: 8, used: 2, width: 64, form: 'stacked' },
} as const satisfies CheckpointSpec;

export async function writeLargeLayers(directory: string, isSmall: boolean): Promise<void> {
  await writeRepeatedCheckpoint(directory, isSmall ? small : large);
}

export interface OpenLayers {
  readonly forward: Forward;
  readonly angles: readonly RotationAngles[];
  placed(weight: Weight): PlacedWeight;
}

/** @param positions tokens of a chunk */
export async function openLayers(directory: string, positions: number): Promise<OpenLayers> {
  const hashFile = () => Promise.reject(new Error('nothing is hashed to run layers'));
  const source = await openSourceDirectory(directory, { hashFile });
  const { checkpoint } = await openCheckpoint(source);
  await source.close();
  const { tensors } = describeModel(checkpoint, directory);
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const forward = forwardOf(checkpoint);
  return {
    forward,
    angles: forward.tables.map((table) => rotationsOf(table, positions)),
    placed: (weight) => ({ weight, pieces: piecesOf(directory, weight, byName) }),
  };
}

const elementBytes = { BF16: 2, F16: 2, F32: 4 } as const;

function piecesOf(
  directory: string,
  { tensor, type, shape }: Weight,
  tensors: ReadonlyMap<string, ModelTensor>,
): PlacedWeight['pieces'] {
  const from = tensors.get(tensor)?.source;
  assert(from?.kind === 'checkpoint', `${tensor} lies in the checkpoint`);
  const rowBytes = (shape[0] ?? 1) * elementBytes[type];
  return from.parts.map(({ file, offset, bytes }) => ({
    path: join(directory, file),
    offset,
    rows: bytes / rowBytes,
  }));
}

/** Numbers a token of every register of a layer. */
export function registersOf(layer: Layer): Map<string, number> {
  const states = [...layer.reads, ...layer.leaves, ...layer.inputs];
  return new Map([
    ...layer.registers,
    ...states.map(({ register, width }) => [register, width] as const),
  ]);
}

/** One operation of a layer as a layer of its own, all of whose registers are state. */
export function layerOfOne(layer: Layer, operation: Operation): Layer {
  const widths = registersOf(layer);
  const texts = Object.values(operation).map(String);
  const state: StateRegister[] = [...widths]
    .filter(([register]) => texts.includes(register))
    .map(([register, width]) => ({ register, width }));
  const written = 'into' in operation ? operation.into : operation.from;
  return {
    operations: [operation],
    weights: layer.weights.filter(({ tensor }) => texts.includes(tensor)),
    statistics: layer.statistics,
    registers: new Map(),
    reads: state,
    leaves: state.filter(({ register }) => register === written),
    inputs: [],
    multiplications: 0,
  };
}
