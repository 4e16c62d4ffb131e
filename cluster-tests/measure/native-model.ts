/**
 * Native model: a small checkpoint that the kernels carry out, with a view of what is in between.
 *
 *   directories ──▶ openNative ──▶ NativeModel
 *   its layer + the registers it reads ──▶ runWave ──▶ what it leaves, group sums (as in a run)
 *                                     └──▶ observe ──▶ inputs of products, routing, logits too
 *
 * What is in between comes out of copies that are added to the list of operations, so that what is
 * observed is the list itself. Read next: native-run.ts, which runs whole models.
 */

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ForwardAddon, loadForward } from '../../daemon/adapters/forward.ts';
import { openSourceDirectory } from '../../daemon/adapters/source-directory.ts';
import { readCounts, sumsBytes, viewStatistics } from '../../daemon/core/importance/statistics.ts';
import { describeModel, forwardOf } from '../../daemon/core/models/families.ts';
import type {
  Forward,
  Layer,
  Operation,
  Register,
  RotationTable,
  StateRegister,
  Weight,
} from '../../daemon/core/models/forward.ts';
import { planRegisters } from '../../daemon/core/models/registers.ts';
import { rotationsOf } from '../../daemon/core/models/rotation.ts';
import { weightSources } from '../../daemon/core/plan/layer-source.ts';
import type { PlacedWeight, RotationAngles, WeightPiece } from '../../daemon/ports.ts';
import { openCheckpoint } from '../../daemon/roles/open-checkpoint.ts';
import { assert } from '../../proto/assert.ts';
import type { ChunkSums, LayerRun, Registers } from '../det1-model/interpreter.ts';

const addonPath = fileURLToPath(new URL('../../build/kernels/quantd.node', import.meta.url));

export interface KernelChoice {
  /** The best that this CPU runs unless told. */
  readonly isa?: string;
  readonly threads?: number;
}

/** A team of its own; the caller closes it. */
export function openKernels({ isa, threads = 1 }: KernelChoice = {}): ForwardAddon {
  return loadForward({
    addonPath,
    planRegisters,
    threads,
    ...(isa !== undefined && { isa }),
  });
}

export interface NativeModel {
  readonly forward: Forward;
  readonly kernels: ForwardAddon;
  /** Where each weight lies, in each form that it has; see `placeKey`. */
  readonly places: ReadonlyMap<string, readonly WeightPiece[]>;
}

/**
 * @param directory the checkpoint
 * @param others the same weights in other types, for lists that ask for those
 */
export async function openNative(
  kernels: ForwardAddon,
  directory: string,
  others: readonly string[] = [],
): Promise<NativeModel> {
  const { forward, places } = await placeWeights(directory);
  const all = new Map(places);
  for (const other of others) {
    for (const [key, pieces] of (await placeWeights(other)).places) all.set(key, pieces);
  }
  return { forward, kernels, places: all };
}

const placeKey = ({ tensor, type }: Pick<Weight, 'tensor' | 'type'>): string => `${tensor} ${type}`;

async function placeWeights(
  directory: string,
): Promise<{ readonly forward: Forward; readonly places: [string, WeightPiece[]][] }> {
  const hashFile = () => Promise.reject(new Error('nothing is hashed to place weights'));
  const source = await openSourceDirectory(directory, { hashFile });
  try {
    const { checkpoint } = await openCheckpoint(source);
    const tensors = describeModel(checkpoint, 'model').tensors;
    const forward = forwardOf(checkpoint);
    const { front, layers, head } = forward;
    const weights = [
      ...front.lookups.map(({ table }) => table),
      ...[front.layer, ...layers, head].flatMap((layer) => layer.weights),
    ];
    const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
    const digests = new Map(checkpoint.files.map(({ file }) => [file, '0'.repeat(64)]));
    const places = weightSources(weights, byName, digests).map(
      ({ weight, pieces }): [string, WeightPiece[]] => [
        placeKey(weight),
        pieces.map(({ file, offset, rows }) => ({ path: join(directory, file), offset, rows })),
      ],
    );
    return { forward, places };
  } finally {
    await source.close();
  }
}

function placed({ places }: NativeModel, weight: Weight): PlacedWeight {
  return { weight, pieces: must(places, placeKey(weight)) };
}

/** Chunks of equal length, one behind the other. */
export interface Wave {
  readonly chunks: number;
  /** Of each chunk. */
  readonly positions: number;
}

export interface WaveRun {
  /** What the layer leaves; what it read, as it is afterwards. */
  readonly registers: Registers;
  /** The layer's group sums. */
  readonly sums: Uint8Array;
}

/** Rows of the front's tables, in the registers that the front reads. */
export async function lookUp(
  model: NativeModel,
  ids: Int32Array,
): Promise<Map<Register, Float32Array>> {
  const given = new Map<Register, Float32Array>();
  for (const { into, table, factor } of model.forward.front.lookups) {
    const rows = new Float32Array(ids.length * (table.shape[0] ?? 0));
    await model.kernels.embed(placed(model, table), ids, factor, rows);
    given.set(into, rows);
  }
  return given;
}

/**
 * One wave through a layer, as in a measurement.
 *
 * @param given every register of the layer's `reads` and `inputs`, of the whole wave; left as they are
 * @param sums what the wave's are added to, in place; all zero unless told
 */
export async function runWave(
  model: NativeModel,
  layer: Layer,
  wave: Wave,
  given: Registers,
  sums: Uint8Array = new Uint8Array(sumsBytes(layer.statistics)),
): Promise<WaveRun> {
  const tokens = wave.chunks * wave.positions;
  const state = new Map<Register, Float32Array>();
  for (const { register, width } of layer.leaves) {
    // So that a number which nothing writes is seen.
    state.set(register, new Float32Array(tokens * width).fill(Number.NaN));
  }
  for (const { register } of [...layer.reads, ...layer.inputs]) {
    state.set(register, must(given, register).slice());
  }
  const prepared = await model.kernels.prepareLayer(
    layer,
    layer.weights.map((weight) => placed(model, weight)),
    model.forward.tables.map((table) => anglesOf(table, wave.positions)),
  );
  try {
    const scratch = new Uint8Array(prepared.scratchBytes(wave.chunks, wave.positions));
    const { bad } = await prepared.run({ ...wave, state, scratch, sums });
    assert(bad.length === 0, `chunks ${bad} have numbers that are not finite`);
    return { registers: state, sums };
  } finally {
    prepared.close();
  }
}

/** What the layer asks for to run each of the waves. */
export async function layerScratch(
  model: NativeModel,
  layer: Layer,
  waves: readonly Wave[],
): Promise<number[]> {
  const longest = Math.max(...waves.map(({ positions }) => positions));
  const prepared = await model.kernels.prepareLayer(
    layer,
    layer.weights.map((weight) => placed(model, weight)),
    model.forward.tables.map((table) => anglesOf(table, longest)),
  );
  const bytes = waves.map(({ chunks, positions }) => prepared.scratchBytes(chunks, positions));
  prepared.close();
  return bytes;
}

const angles = new WeakMap<RotationTable, RotationAngles>();

function anglesOf(table: RotationTable, positions: number): RotationAngles {
  const known = angles.get(table);
  const numbers = (positions * table.width) / 2;
  if (known !== undefined && known.cosine.length >= numbers) {
    return { cosine: known.cosine.subarray(0, numbers), sine: known.sine.subarray(0, numbers) };
  }
  const made = rotationsOf(table, positions);
  angles.set(table, made);
  return made;
}

/** A layer that leaves what a test wants to see, too. */
interface Observed {
  readonly layer: Layer;
  /** Registers of -0, the one number that any other can be added to without a change. */
  readonly zeros: readonly StateRegister[];
}

const inputRegister = (statistic: number): Register => `input ${statistic}`;
/** The logits of a router, before the kernel makes probabilities of them where they lie. */
const ROUTER: Register = 'router logits';
const LOGITS: Register = 'every logit';

/** The layer's list with a copy of each input behind its `collect`, and what is routed left behind. */
function observed(layer: Layer): Observed {
  const leaves = new Map<Register, number>();
  const zeros = new Map<Register, number>();
  const copyOf = (left: Register, into: Register, width: number): Operation => {
    const right = `zeros ${width}`;
    leaves.set(into, width);
    zeros.set(right, width);
    return { kind: 'add', into, left, right };
  };
  const watched = (operation: Operation): Operation[] => {
    switch (operation.kind) {
      case 'collect': {
        const { from, statistic } = operation;
        const columns = layer.statistics[statistic]?.columns ?? 0;
        return [operation, copyOf(from, inputRegister(statistic), columns)];
      }
      case 'route': {
        const { into, logits } = operation;
        leaves.set(into, must(layer.registers, into));
        return [copyOf(logits, ROUTER, must(layer.registers, logits)), operation];
      }
      case 'loss': {
        const { from, weight } = operation;
        const shape = layer.weights.find(({ tensor }) => tensor === weight)?.shape;
        leaves.set(LOGITS, shape?.[1] ?? 0);
        return [{ kind: 'product', into: LOGITS, from, weight }, operation];
      }
      default:
        return [operation];
    }
  };
  const operations = layer.operations.flatMap(watched);
  return {
    zeros: stateOf(zeros),
    layer: {
      ...layer,
      operations,
      registers: new Map([...layer.registers].filter(([register]) => !leaves.has(register))),
      leaves: [...layer.leaves, ...stateOf(leaves)],
      inputs: [...layer.inputs, ...stateOf(zeros)],
    },
  };
}

function stateOf(widths: ReadonlyMap<Register, number>): StateRegister[] {
  return [...widths].map(([register, width]) => ({ register, width }));
}

/** As `runWave`, with all that the interpreter keeps. */
export async function observe(
  model: NativeModel,
  layer: Layer,
  wave: Wave,
  given: Registers,
): Promise<LayerRun> {
  const { layer: watched, zeros } = observed(layer);
  const tokens = wave.chunks * wave.positions;
  const all = new Map(given);
  for (const { register, width } of zeros) {
    all.set(register, new Float32Array(tokens * width).fill(-0));
  }
  const { registers, sums } = await runWave(model, watched, wave, all);
  const inputs = layer.operations.flatMap((operation): [string, Float32Array][] => {
    if (operation.kind !== 'collect') return [];
    const [name = ''] = layer.statistics[operation.statistic]?.names ?? [];
    return [[name, must(registers, inputRegister(operation.statistic))]];
  });
  const route = layer.operations.find((operation) => operation.kind === 'route');
  const loss = layer.operations.find((operation) => operation.kind === 'loss');
  const routing = route === undefined ? [] : [...must(registers, route.into)];
  return {
    registers: route ? new Map([...registers, [route.logits, must(registers, ROUTER)]]) : registers,
    inputs: new Map(inputs),
    statistics: chunkSums(layer, sums),
    experts: routing.filter((_, place) => place % 2 === 0),
    logits: loss ? must(registers, LOGITS).map((z) => capped(z, loss.softcap)) : new Float32Array(),
  };
}

function capped(z: number, softcap: number): number {
  return softcap === 0 ? z : softcap * Math.tanh(z / softcap);
}

/** Group sums in binary64. */
function chunkSums({ statistics }: Layer, bytes: Uint8Array): ChunkSums[] {
  return viewStatistics(statistics, bytes).map(({ sums, counts }) => {
    const view = new DataView(sums.buffer, sums.byteOffset, sums.byteLength);
    const squares = Float64Array.from({ length: sums.length / 16 }, (_, index) => {
      const fraction = Number(view.getBigUint64(16 * index, true)) * 2 ** -64;
      return Number(view.getBigInt64(16 * index + 8, true)) + fraction;
    });
    return { squares, counts: Float64Array.from(readCounts(counts)) };
  });
}

function must<Value>(all: ReadonlyMap<string, Value>, key: string): Value {
  const value = all.get(key);
  assert(value !== undefined, `there is no ${key}`);
  return value;
}
