/**
 * Native run: a native model from tokens to logits, by waves.
 *
 *   NativeModel + chunks of token ids ──▶ runNative ──▶ registers and group sums of every layer
 *                                     └──▶ observeNative ──▶ the same with all that is in between
 *   NativeModel ──▶ native ──▶ Runnable, for comparing with llama.cpp layer by layer
 */

import type { Forward, Layer, Register, StateRegister } from '../../daemon/core/models/forward.ts';
import { assert } from '../../proto/assert.ts';
import type { Runnable } from '../det1-model/against-llama.ts';
import { type ChunkRun, cutSlices, type Registers } from '../det1-model/interpreter.ts';
import {
  lookUp,
  type NativeModel,
  observe,
  runWave,
  type Wave,
  type WaveRun,
} from './native-model.ts';

/** The model, carried out by the kernels, one chunk at a time. */
export function native(model: NativeModel): Runnable {
  const { front } = model.forward;
  return {
    forward: model.forward,
    runFront: async (ids) => {
      const wave = { chunks: 1, positions: ids.length };
      return observe(model, front.layer, wave, await lookUp(model, ids));
    },
    runLayer: (layer, given) => {
      const [hidden] = layer.reads;
      assert(hidden !== undefined, 'a layer reads the hidden state');
      const positions = (given.get(hidden.register)?.length ?? 0) / hidden.width;
      return observe(model, layer, { chunks: 1, positions }, given);
    },
  };
}

/** All that a run needs to go through its layers. */
interface Pass<Run> {
  readonly front: Run;
  readonly layers: readonly Run[];
  readonly head: Run;
}

/**
 * All chunks as one wave, with all that is in between.
 *
 * @param chunks of one length; the target of the last token of each is token 0
 */
export async function observeNative(
  model: NativeModel,
  chunks: readonly Int32Array[],
): Promise<ChunkRun> {
  return pass(model, chunks, (layer, wave, given) => observe(model, layer, wave, given));
}

/** Group sums and registers of every layer, over waves of at most `waveChunks` chunks. */
export async function runNative(
  model: NativeModel,
  chunks: readonly Int32Array[],
  waveChunks: number,
): Promise<Pass<WaveRun>> {
  const sums = new Map<Layer, Uint8Array>();
  const waves: Pass<WaveRun>[] = [];
  for (let first = 0; first < chunks.length; first += waveChunks) {
    const some = chunks.slice(first, first + waveChunks);
    const done = await pass(model, some, async (layer, wave, given) => {
      const run = await runWave(model, layer, wave, given, sums.get(layer));
      sums.set(layer, run.sums);
      return run;
    });
    waves.push(done);
  }
  const joined = (of: (done: Pass<WaveRun>) => WaveRun | undefined, layer: Layer): WaveRun => {
    const runs = waves.map((done) => {
      const run = of(done);
      assert(run !== undefined, 'every wave passes every layer');
      return run;
    });
    return joinWaves(runs, layer);
  };
  const { front, layers, head } = model.forward;
  return {
    front: joined((done) => done.front, front.layer),
    layers: layers.map((layer, n) => joined((done) => done.layers[n], layer)),
    head: joined((done) => done.head, head),
  };
}

/** What the layer leaves of all waves, one behind the other; the last has the sums of all. */
function joinWaves(waves: readonly WaveRun[], layer: Layer): WaveRun {
  const last = waves.at(-1);
  assert(last !== undefined, 'there is a wave');
  const registers = layer.leaves.map(({ register }): [Register, Float32Array] => {
    const parts = waves.map((wave) => wave.registers.get(register) ?? new Float32Array());
    const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
    let start = 0;
    for (const part of parts) {
      whole.set(part, start);
      start += part.length;
    }
    return [register, whole];
  });
  return { registers: new Map(registers), sums: last.sums };
}

async function pass<Run extends { readonly registers: Registers }>(
  model: NativeModel,
  chunks: readonly Int32Array[],
  run: (layer: Layer, wave: Wave, given: Registers) => Promise<Run>,
): Promise<Pass<Run>> {
  const { front, layers, head } = model.forward;
  const positions = chunks[0]?.length ?? 0;
  assert(
    chunks.every(({ length }) => length === positions),
    'chunks of a wave have one length',
  );
  const wave = { chunks: chunks.length, positions };
  const ids = Int32Array.from(chunks.flatMap((chunk) => [...chunk]));
  const begun = await run(front.layer, wave, await lookUp(model, ids));
  const state = new Map(leavesOf(front.layer.leaves, begun.registers));
  const done: Run[] = [];
  for (const [n, layer] of layers.entries()) {
    giveSlices(model.forward, n, state);
    const next = await run(layer, wave, state);
    for (const [register, numbers] of leavesOf(layer.leaves, next.registers)) {
      state.set(register, numbers);
    }
    done.push(next);
  }
  const targets = chunks.flatMap((chunk) => Array.from(chunk, (_, at) => chunk[at + 1] ?? 0));
  state.set('targets', Float32Array.from(targets));
  return { front: begun, layers: done, head: await run(head, wave, state) };
}

/** Per-layer inputs of layer n, where there are any. */
function giveSlices(
  { front: { slices }, layers }: Forward,
  n: number,
  state: Map<Register, Float32Array>,
): void {
  if (slices === undefined) return;
  const numbers = state.get(slices.from);
  assert(numbers !== undefined, 'the front leaves the inputs of every layer');
  const held = { first: 0, end: layers.length };
  state.set(slices.into, cutSlices({ ...slices, numbers, held }, { first: n, end: n + 1 }));
}

function leavesOf(
  leaves: readonly StateRegister[],
  registers: Registers,
): [Register, Float32Array][] {
  return leaves.map(({ register }) => {
    const numbers = registers.get(register);
    assert(numbers !== undefined, `the layer leaves ${register}`);
    return [register, numbers];
  });
}
