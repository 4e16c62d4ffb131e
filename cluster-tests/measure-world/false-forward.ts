/**
 * False forward: a layer that depends on every bit of its weights and of what a chunk brings.
 *
 *   weights + state of a chunk ──▶ passLayer ──▶ the state behind the layer, its sums
 *
 * Chunk by chunk, as the real kernels: how chunks are cut into waves must not change a byte. The
 * first number of each token stays the token's id through all layers, so that a layer knows its
 * chunk: the second token of a chunk is its number.
 */

import type {
  ForwardKernels,
  Layer,
  LayerJob,
  PlacedWeight,
  Weight,
  WeightPiece,
} from '../../daemon/ports.ts';
import { assert } from '../../proto/assert.ts';
import type { Process } from '../simulator/world.ts';

/** The token whose id is the number of its chunk; the first may be the vocabulary's bos. */
export const NUMBER_TOKEN = 1;

const SUM_BYTES = 16;
const COUNT_BYTES = 8;
const ELEMENT_BYTES = { BF16: 2, F16: 2, F32: 4 } as const;

/** A layer with its weights. */
export interface FalseLayer {
  readonly layer: Layer;
  readonly weights: number;
}

export interface FalseForwardParts {
  readonly process: Process;
  /** Of one chunk in one layer. */
  readonly chunkMs: number;
  /** The bytes of a file, as they are on this machine's disk now. */
  readonly fileOf: (path: string) => Uint8Array | undefined;
  /** Whether a chunk leaves a number that is not finite in this layer. */
  readonly isBad: (layer: Layer, chunk: number) => boolean;
}

export function falseForward({
  process,
  chunkMs,
  fileOf,
  isBad,
}: FalseForwardParts): ForwardKernels {
  const bytesOf = (placed: readonly PlacedWeight[]): Uint8Array[] =>
    placed.flatMap(({ weight, pieces }) =>
      pieces.map((piece) => pieceBytes(weight, piece, fileOf)),
    );
  return {
    isa: 'scalar',
    threads: 1,
    prepareLayer: (layer, weights, _, signal) =>
      process.later(chunkMs, 'prepare layer', () => {
        signal?.throwIfAborted();
        const prepared = { layer, weights: mixAll(bytesOf(weights)) };
        return {
          scratchBytes: (chunks, positions) => 64 * chunks * positions,
          run: (job) =>
            process.later(chunkMs * job.chunks, 'run layer', () => ({
              bad: runLayer(prepared, job, isBad),
            })),
          close: () => undefined,
        };
      }),
    embed: (table, tokens, _, into) =>
      process.later(1, 'embed', () => embedRows(mixAll(bytesOf([table])), tokens, into)),
    close: () => undefined,
  };
}

function pieceBytes(
  { type, shape }: Weight,
  { path, offset, rows }: WeightPiece,
  fileOf: (path: string) => Uint8Array | undefined,
): Uint8Array {
  const file = fileOf(path);
  const [columns = 0] = shape;
  const end = offset + rows * columns * ELEMENT_BYTES[type];
  assert(file !== undefined && end <= file.length, `${path} holds the weight`);
  return file.subarray(offset, end);
}

function runLayer(
  prepared: FalseLayer,
  job: LayerJob,
  isBad: FalseForwardParts['isBad'],
): number[] {
  const bad: number[] = [];
  for (let at = 0; at < job.chunks; at++) {
    const state = new Map(
      [...job.state].map(([register, numbers]) => {
        const length = numbers.length / job.chunks;
        return [register, numbers.subarray(at * length, (at + 1) * length)];
      }),
    );
    if (isBad(prepared.layer, chunkOf(prepared.layer, state, job.positions))) bad.push(at);
    passLayer(prepared, state, job.positions, job.sums);
  }
  return bad;
}

/** The number that the chunk has carried with it. */
function chunkOf(
  { reads, leaves }: Layer,
  state: ReadonlyMap<string, Float32Array>,
  positions: number,
): number {
  const [first] = [...reads, ...leaves];
  const numbers = state.get(first?.register ?? '');
  assert(numbers !== undefined, 'the hidden state is there');
  return numbers[NUMBER_TOKEN * (numbers.length / positions)] ?? -1;
}

/** One chunk through one layer: `state` is rewritten, what it is measured by is added to `sums`. */
export function passLayer(
  { layer, weights }: FalseLayer,
  state: ReadonlyMap<string, Float32Array>,
  positions: number,
  sums: Uint8Array | undefined,
): void {
  let mixed = weights;
  for (const { register } of [...layer.reads, ...layer.inputs]) {
    const numbers = state.get(register);
    assert(numbers !== undefined, `the chunk brings ${register}`);
    mixed = mixFloats(numbers, mixed);
  }
  for (const [index, { register, width }] of layer.leaves.entries()) {
    const numbers = state.get(register);
    assert(numbers?.length === positions * width, `${register} is as long as its tokens`);
    const kept = Array.from({ length: positions }, (_, token) => numbers[token * width] ?? 0);
    fill(numbers, mixed ^ (index + 1));
    if (index > 0) continue;
    for (const [token, id] of kept.entries()) numbers[token * width] = id;
  }
  if (sums !== undefined) addTo(sums, layer, mixed, positions);
}

/** The rows of these tokens. */
export function embedRows(table: number, tokens: Int32Array, into: Float32Array): void {
  const width = into.length / tokens.length;
  tokens.forEach((id, token) => {
    const row = into.subarray(token * width, (token + 1) * width);
    fill(row, table ^ Math.imul(id + 1, 0x9e37_79b1));
    row[0] = id;
  });
}

/** Some columns of each matrix, and its count. */
function addTo(sums: Uint8Array, layer: Layer, mixed: number, positions: number): void {
  const view = new DataView(sums.buffer, sums.byteOffset, sums.byteLength);
  const columnsAll = layer.statistics.reduce((all, each) => all + each.matrices * each.columns, 0);
  let sumAt = 0;
  let countAt = columnsAll * SUM_BYTES;
  let random = mixed;
  for (const { matrices, columns } of layer.statistics) {
    for (let matrix = 0; matrix < matrices; matrix++) {
      for (const column of [0, columns >> 1, columns - 1]) {
        random = next(random);
        const at = sumAt + column * SUM_BYTES;
        view.setBigUint64(at + 8, view.getBigUint64(at + 8, true) + BigInt(random >>> 8), true);
      }
      sumAt += columns * SUM_BYTES;
      view.setBigUint64(countAt, view.getBigUint64(countAt, true) + BigInt(positions), true);
      countAt += COUNT_BYTES;
    }
  }
}

function fill(into: Float32Array, start: number): void {
  let state = start | 0 || 1;
  for (let at = 0; at < into.length; at++) {
    state = next(state);
    into[at] = state >>> 8;
  }
}

function next(state: number): number {
  let random = state | 0 || 1;
  random ^= random << 13;
  random ^= random >>> 17;
  return random ^ (random << 5);
}

export function mixAll(parts: readonly Uint8Array[]): number {
  return parts.reduce((mixed, part) => mix(part, mixed), 0x811c_9dc5);
}

function mix(bytes: Uint8Array, start: number): number {
  let state = start;
  for (const byte of bytes) state = Math.imul(state ^ byte, 0x0100_0193);
  return state;
}

/** The same of numbers, all of whose bits count. */
function mixFloats({ buffer, byteOffset, length }: Float32Array, start: number): number {
  let state = start;
  for (const word of new Int32Array(buffer, byteOffset, length)) {
    state = Math.imul(state ^ word, 0x0100_0193) ^ (state >>> 15);
  }
  return state;
}
