/**
 * World model: a small checkpoint in memory, its calibration, and what must come out of it.
 *
 *   CheckpointSpec ──▶ loadModel ──▶ WorldModel      chunks, bad chunks ──▶ expectedMatrix
 *
 * The expectation is made chunk by chunk and layer by layer in a plain loop: it knows of no groups,
 * waves, stages or machines.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { vocabularyOf } from '../../daemon/core/calibration/vocabulary.ts';
import type { Checkpoint } from '../../daemon/core/checkpoint/checkpoint.ts';
import type { MatrixEntry } from '../../daemon/core/importance/importance-matrix.ts';
import { measuredEntries } from '../../daemon/core/importance/measured.ts';
import { sumsBytes } from '../../daemon/core/importance/statistics.ts';
import { describeModel, forwardOf } from '../../daemon/core/models/families.ts';
import type { Model } from '../../daemon/core/models/family.ts';
import type { Forward } from '../../daemon/core/models/forward.ts';
import { measuredModel } from '../../daemon/core/models/measured-model.ts';
import { weightSources } from '../../daemon/core/plan/layer-source.ts';
import type { Layer, Source, Weight } from '../../daemon/ports.ts';
import { openCheckpoint } from '../../daemon/roles/open-checkpoint.ts';
import { assert } from '../../proto/assert.ts';
import { writeCheckpoint } from '../checkpoints/generate.ts';
import type { CheckpointSpec } from '../checkpoints/spec.ts';
import { makeScratch } from '../quantd.ts';
import { sha256Hex } from '../simulator/sha256.ts';
import { embedRows, mixAll, NUMBER_TOKEN, passLayer } from './false-forward.ts';

/** Tokens of a chunk: what is simulated is the way of the states, not their size. */
export const CHUNK_TOKENS = 4;

// Seven layers of both kinds, with per-layer embeddings and keys and values that later layers share:
// the hardest cuts there are.
const spec: CheckpointSpec = {
  name: 'world',
  seed: 1,
  dtype: 'BF16',
  shards: 2,
  vocabulary: 320,
  hidden: 32,
  layers: 'SFSSFSF',
  heads: 2,
  kvHeads: 1,
  globalKvHeads: null,
  headDim: 32,
  globalHeadDim: 64,
  keysAreValues: false,
  dense: 32,
  perLayer: { width: 32, sharedLayers: 2, doubleWide: false },
};

export interface WorldModel {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly fileDigests: ReadonlyMap<string, string>;
  readonly checkpoint: Checkpoint;
  readonly model: Model;
  readonly forward: Forward;
  /** What weights are mixed to, by the first of them: they are the same in every seed. */
  readonly mixed: Map<string, number>;
}

/** Generates the checkpoint and reads it into memory. */
export async function loadModel(): Promise<WorldModel> {
  const scratch = await makeScratch('measure-world');
  try {
    await writeCheckpoint(scratch.path, spec);
    const files = new Map(
      readdirSync(scratch.path).map((file) => {
        return [file, new Uint8Array(readFileSync(join(scratch.path, file)))];
      }),
    );
    const { checkpoint } = await openCheckpoint(sourceOf(files));
    const fileDigests = new Map([...files].map(([file, bytes]) => [file, sha256Hex(bytes)]));
    const model = describeModel(checkpoint, 'world');
    return {
      files,
      fileDigests,
      checkpoint,
      model,
      forward: forwardOf(checkpoint),
      mixed: new Map(),
    };
  } finally {
    await scratch.remove();
  }
}

function sourceOf(files: ReadonlyMap<string, Uint8Array>): Source {
  return {
    list: async () => [...files].map(([file, { length }]) => ({ file, bytes: length })),
    read: async (file, offset, into) => {
      into.set(files.get(file)?.subarray(offset, offset + into.length) ?? []);
    },
    digest: async () => '',
    checkUnchanged: async () => undefined,
    close: async () => undefined,
  };
}

/** Ids of all chunks, one after the other: each carries its number. */
export function calibrationIds(chunks: number): Int32Array {
  return Int32Array.from({ length: chunks * CHUNK_TOKENS }, (_, at) => {
    const chunk = Math.floor(at / CHUNK_TOKENS);
    return at % CHUNK_TOKENS === NUMBER_TOKEN ? chunk : (7 * at + 3) % spec.vocabulary;
  });
}

/** Which layer of the model a layer is, by the names of its weights; −1 in front of them all. */
export function layerNumber({ weights }: Layer): number {
  for (const { tensor } of weights) {
    const number = /^blk\.(\d+)\./.exec(tensor)?.[1];
    if (number !== undefined) return Number(number);
  }
  return -1;
}

/** The matrix of these chunks without those that are left out. */
export function expectedMatrix(
  world: WorldModel,
  chunks: number,
  leftOut: ReadonlySet<number>,
): string {
  return spell(expectedEntries(world, chunks, leftOut), chunks - leftOut.size);
}

export function expectedEntries(
  world: WorldModel,
  chunks: number,
  leftOut: ReadonlySet<number>,
): MatrixEntry[] {
  const { forward, model } = world;
  const { bos } = vocabularyOf(model);
  const { layers } = measuredModel(forward, CHUNK_TOKENS, { perplexity: false, output: false });
  const sums = layers.map(({ statistics }) => new Uint8Array(sumsBytes(statistics)));
  const prepared = layers.map((layer) => ({ layer, weights: weightsOf(world, layer.weights) }));
  const ids = calibrationIds(chunks);
  for (let chunk = 0; chunk < chunks; chunk++) {
    if (leftOut.has(chunk)) continue;
    const tokens = ids.slice(chunk * CHUNK_TOKENS, (chunk + 1) * CHUNK_TOKENS);
    if (bos !== undefined) tokens[0] = bos;
    const state = frontOf(world, tokens);
    for (const [index, each] of prepared.entries()) {
      takeInputs(world, each.layer, index, state);
      passLayer(each, state, CHUNK_TOKENS, sums[index]);
    }
  }
  const measured = layers.map(({ statistics }, index) => ({
    statistics,
    bytes: sums[index] ?? new Uint8Array(0),
  }));
  return measuredEntries(measured);
}

/** A matrix as text, to compare. */
export function spell(entries: ReturnType<typeof measuredEntries>, chunks: number): string {
  const numbers = entries.map(({ name, sums, counts }) => {
    const { buffer, byteOffset, byteLength } = sums;
    return `${name} ${sha256Hex(new Uint8Array(buffer, byteOffset, byteLength))} ${counts}`;
  });
  return [`${chunks} chunks`, ...numbers].join('\n');
}

function frontOf(world: WorldModel, tokens: Int32Array): Map<string, Float32Array> {
  const { lookups, layer } = world.forward.front;
  const state = new Map<string, Float32Array>();
  const room = (register: string, width: number): Float32Array => {
    const numbers = state.get(register) ?? new Float32Array(tokens.length * width);
    state.set(register, numbers);
    return numbers;
  };
  for (const { register, width } of [...layer.reads, ...layer.leaves]) room(register, width);
  for (const { into, table } of lookups) {
    embedRows(weightsOf(world, [table]), tokens, state.get(into) ?? new Float32Array(0));
  }
  const front = { layer, weights: weightsOf(world, layer.weights) };
  if (layer.operations.length > 0) passLayer(front, state, tokens.length, undefined);
  for (const { register, width } of world.forward.layers.flatMap((each) => each.leaves)) {
    room(register, width);
  }
  return state;
}

/** The layer's slice of the per-layer inputs, under the name that the layer has for it. */
function takeInputs(
  { forward }: WorldModel,
  layer: Layer,
  index: number,
  state: Map<string, Float32Array>,
): void {
  const { slices } = forward.front;
  if (slices === undefined || layer.inputs.length === 0) return;
  const whole = state.get(slices.from);
  assert(whole !== undefined, 'the front leaves the per-layer inputs');
  const stride = whole.length / CHUNK_TOKENS;
  const slice = new Float32Array(CHUNK_TOKENS * slices.width);
  for (let token = 0; token < CHUNK_TOKENS; token++) {
    const start = token * stride + index * slices.width;
    slice.set(whole.subarray(start, start + slices.width), token * slices.width);
  }
  state.set(slices.into, slice);
}

/** The bytes of these weights in the source, mixed in their order. */
function weightsOf(
  { files, model, fileDigests, mixed }: WorldModel,
  weights: readonly Weight[],
): number {
  const known = mixed.get(weights[0]?.tensor ?? '');
  if (known !== undefined) return known;
  const tensors = new Map(model.tensors.map((tensor) => [tensor.name, tensor]));
  const pieces = weightSources(weights, tensors, fileDigests).flatMap((each) => each.pieces);
  const found = mixAll(
    pieces.map(({ file, offset, bytes }) => {
      const content = files.get(file);
      assert(content !== undefined, `the checkpoint has ${file}`);
      return content.subarray(offset, offset + bytes);
    }),
  );
  mixed.set(weights[0]?.tensor ?? '', found);
  return found;
}
