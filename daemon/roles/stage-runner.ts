/**
 * Stage runner: carries the chunks of one lease through the layers of a stage, wave by wave.
 *
 *   states in front of `from` ──▶ layer after layer ──▶ states in front of `to`, sums of each layer
 *
 * The next wave is fetched, and the one before kept, while one is computed. How chunks are cut into waves and slices changes
 * nothing but the time. Read next: wave-plan.ts; what a layer computes is kernels/DET-1.md.
 */

import { assert } from '../../proto/assert.ts';
import { sumsBytes } from '../core/importance/statistics.ts';
import type { Layer, Register, StateRegister, Statistic } from '../core/models/forward.ts';
import type { MeasuredModel } from '../core/models/measured-model.ts';
import type { Clock, LayerJob, PreparedLayer } from '../ports.ts';
import { Credit } from './credit.ts';
import { LossSums } from './loss-sums.ts';
import { LEASES_AT_A_TIME, planWaves, WAVES_IN_MEMORY, type WavePlan } from './wave-plan.ts';

export interface StageTask {
  /** Layers [from, to). */
  readonly from: number;
  readonly to: number;
  /** Numbers of the chunks, ascending. */
  readonly chunks: readonly number[];
  /** Layers whose sums are wanted. */
  readonly collect: ReadonlySet<number>;
  /** At most so many chunks a wave; 0 is no limit. */
  readonly waveChunks: number;
}

export interface StageResult {
  /**
   * Chunks, ascending, that left a number that is not finite, as far as it went: where there is one, no
   * sums are kept that contain it.
   */
  readonly bad: readonly number[];
  /** So long layers were computed, one at a time: neither states nor weights were waited for. */
  readonly computeMs: number;
}

/** Where states come from and go to. Registers are those of the cut, in its order. */
export interface StageIo {
  readState(
    boundary: number,
    chunk: number,
    into: readonly Float32Array[],
    signal: AbortSignal,
  ): Promise<void>;
  /** What a layer takes of the tokens themselves. */
  readInputs(
    layer: number,
    chunk: number,
    into: readonly Float32Array[],
    signal: AbortSignal,
  ): Promise<void>;
  /** The numbers are gone when it has resolved. */
  keepState(boundary: number, chunk: number, from: readonly Float32Array[]): Promise<void>;
  /** So many chunks have passed one more layer. */
  passed(chunks: number): void;
  /** A layer's sums over all chunks of the task. */
  keepSums(layer: number, sums: Uint8Array): Promise<void>;
}

export interface StageRunnerParts {
  readonly model: MeasuredModel;
  readonly layer: (index: number) => Promise<PreparedLayer>;
  /** For waves, scratch memory and sums. */
  readonly memoryBytes: number;
  /** Source bytes of weights that memory holds beside that. */
  readonly cacheBytes: number;
  readonly sourceBytes: (layer: number) => number;
  readonly clock: Pick<Clock, 'now'>;
}

interface Stage extends StageTask {
  readonly prepared: readonly PreparedLayer[];
  readonly registers: readonly StateRegister[];
  readonly plan: WavePlan;
  readonly io: StageIo;
  readonly signal: AbortSignal;
  readonly sums: Map<number, LayerAccount>;
  readonly bad: Set<number>;
  /** In memory. */
  waves: number;
  computeMs: number;
}

/** What is summed of one layer so far. */
interface LayerAccount {
  /** Of the layer's own statistics. */
  readonly own: Uint8Array;
  readonly statistics: readonly Statistic[];
  readonly losses: LossSums | undefined;
}

interface Wave {
  readonly chunks: readonly number[];
  /** (chunks × positions × width) of each register. */
  readonly state: ReadonlyMap<Register, Float32Array>;
}

export class StageRunner {
  readonly #parts: StageRunnerParts;
  readonly #computing = new Credit(1);
  /** Waves in memory beyond the first of each lease. */
  #secondWaves = 0;
  /** Leases that wait for room. */
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #scratch = new Uint8Array(0);
  /** Numbers of waves that are over, by their count: the next wave's. */
  readonly #spare = new Map<number, Float32Array[]>();

  constructor(parts: StageRunnerParts) {
    this.#parts = parts;
  }

  async run(task: StageTask, io: StageIo, signal: AbortSignal): Promise<StageResult> {
    this.#running++;
    try {
      return await this.#run(task, io, signal);
    } finally {
      this.#running--;
      // Between leases the memory is of use to others, such as the quantizing that follows.
      if (this.#running === 0) {
        this.#scratch = new Uint8Array(0);
        this.#spare.clear();
      }
    }
  }

  async #run(task: StageTask, io: StageIo, signal: AbortSignal): Promise<StageResult> {
    const failed = new AbortController();
    const both = AbortSignal.any([signal, failed.signal]);
    let computed: Promise<void> = Promise.resolve();
    let kept: Promise<void> = Promise.resolve();
    const stage = await this.#prepare(task, io, both);
    try {
      for (let at = 0; at < task.chunks.length; at += stage.plan.waveChunks) {
        const chunks = task.chunks.slice(at, at + stage.plan.waveChunks);
        await this.#enter(stage);
        if (stage.bad.size > 0) {
          this.#leave(stage);
          break;
        }
        const fetched = this.#fetch(stage, chunks);
        computed = Promise.all([fetched, computed]).then(([wave]) => this.#compute(stage, wave));
        kept = Promise.all([fetched, computed, kept])
          .then(([wave]) => this.#keep(stage, wave))
          .finally(() => this.#leave(stage));
        kept.catch((error: unknown) => failed.abort(error));
        await fetched;
      }
    } catch (error) {
      failed.abort(error);
      throw error;
    } finally {
      await kept.catch(() => undefined);
    }
    await kept;
    if (stage.bad.size === 0) await keepAll(stage);
    return { bad: [...stage.bad].sort((a, b) => a - b), computeMs: Math.round(stage.computeMs) };
  }

  /** Every lease may have one wave in memory, whatever the others wait for; one of them a second. */
  async #enter(stage: Stage): Promise<void> {
    while (stage.waves > 0 && this.#secondWaves >= WAVES_IN_MEMORY - LEASES_AT_A_TIME) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    if (stage.waves > 0) this.#secondWaves++;
    stage.waves++;
  }

  #leave(stage: Stage): void {
    stage.waves--;
    if (stage.waves > 0) this.#secondWaves--;
    for (const look of this.#waiting.splice(0)) look();
  }

  async #prepare(task: StageTask, io: StageIo, signal: AbortSignal): Promise<Stage> {
    const { model, layer } = this.#parts;
    const indexes = Array.from({ length: task.to - task.from }, (_, at) => task.from + at);
    const prepared: PreparedLayer[] = [];
    for (const index of indexes) {
      signal.throwIfAborted();
      prepared.push(await layer(index));
    }
    const registers = stageRegisters(model, indexes);
    const plan = this.#plan(task, prepared, registers);
    if (this.#scratch.length < plan.scratchBytes) this.#scratch = new Uint8Array(plan.scratchBytes);
    const empty = { sums: new Map(), bad: new Set<number>(), waves: 0, computeMs: 0 };
    return { ...task, prepared, registers, plan, io, signal, ...empty };
  }

  #plan(
    task: StageTask,
    prepared: readonly PreparedLayer[],
    registers: readonly StateRegister[],
  ): WavePlan {
    const { model, memoryBytes, cacheBytes, sourceBytes } = this.#parts;
    const { positions } = model;
    const widths = registers.reduce((sum, { width }) => sum + width, 0);
    const sums = [...task.collect].map((index) => sumsBytes(model.statistics[index] ?? []));
    let weights = 0;
    for (let index = task.from; index < task.to; index++) weights += sourceBytes(index);
    return planWaves({
      chunks: task.chunks.length,
      positions,
      stateBytes: positions * widths * Float32Array.BYTES_PER_ELEMENT,
      scratchBytes: (chunks) =>
        Math.max(...prepared.map((each) => each.scratchBytes(chunks, positions))),
      sumsBytesLargest: Math.max(0, ...sums),
      sumsBytes: sums.reduce((sum, bytes) => sum + bytes, 0),
      memoryBytes,
      isStreamed: weights > cacheBytes,
      waveChunksMax: task.waveChunks === 0 ? task.chunks.length : task.waveChunks,
    });
  }

  async #fetch(stage: Stage, chunks: readonly number[]): Promise<Wave> {
    const { model } = this.#parts;
    const { io, from, to, signal } = stage;
    const state = new Map(
      stage.registers.map(({ register, width }) => [
        register,
        this.#numbers(chunks.length * model.positions * width),
      ]),
    );
    const wave = { chunks, state };
    const cut = model.cuts[from] ?? [];
    for (const [at, chunk] of chunks.entries()) {
      await io.readState(from, chunk, this.#views(wave, cut, at), signal);
      for (let index = from; index < to; index++) {
        const inputs = inputsOf(model, index);
        if (inputs.length === 0) continue;
        await io.readInputs(index, chunk, this.#views(wave, inputs, at), signal);
      }
    }
    return wave;
  }

  /** With whatever stood there: a register is read where it was written. */
  #numbers(count: number): Float32Array {
    const spare = this.#spare.get(count)?.pop();
    if (spare !== undefined) return spare;
    // Waves of another size do not come again soon.
    this.#spare.clear();
    return new Float32Array(count);
  }

  #reuse({ state }: Wave): void {
    for (const numbers of state.values()) {
      const spare = this.#spare.get(numbers.length) ?? [];
      spare.push(numbers);
      this.#spare.set(numbers.length, spare);
    }
  }

  /** The numbers of one chunk of a wave (by its place in it), register by register. */
  #views(wave: Wave, registers: readonly StateRegister[], at: number, count = 1): Float32Array[] {
    const { positions } = this.#parts.model;
    return registers.map(({ register, width }) => {
      const whole = wave.state.get(register);
      assert(whole !== undefined, `the wave has a register ${register}`);
      const numbers = positions * width;
      return whole.subarray(at * numbers, (at + count) * numbers);
    });
  }

  async #compute(stage: Stage, wave: Wave): Promise<void> {
    const { from, to, signal } = stage;
    const stopComputing = await this.#computing.take(1);
    try {
      for (let index = from; index < to && stage.bad.size === 0; index++) {
        signal.throwIfAborted();
        await this.#runLayer(stage, wave, index);
        // All chunks have passed it: its sums need no memory any more.
        if (stage.bad.size === 0 && wave.chunks.length === stage.chunks.length) {
          await keepLayer(stage, index);
        }
      }
    } finally {
      stopComputing();
    }
  }

  /** Keeps what the wave leaves; its numbers are free for another. */
  async #keep({ bad, to, io }: Stage, wave: Wave): Promise<void> {
    const cut = this.#parts.model.cuts[to] ?? [];
    if (bad.size === 0 && cut.length > 0) {
      for (const [at, chunk] of wave.chunks.entries()) {
        await io.keepState(to, chunk, this.#views(wave, cut, at));
      }
    }
    this.#reuse(wave);
  }

  async #runLayer(stage: Stage, wave: Wave, index: number): Promise<void> {
    const { model, clock } = this.#parts;
    const layer = model.layers[index];
    const prepared = stage.prepared[index - stage.from];
    assert(layer !== undefined && prepared !== undefined, `layer ${index} is prepared`);
    const account = stage.collect.has(index) ? this.#account(stage, layer, index) : undefined;
    const { sliceChunks } = stage.plan;
    for (let at = 0; at < wave.chunks.length; at += sliceChunks) {
      const chunks = Math.min(sliceChunks, wave.chunks.length - at);
      const job = this.#job(layer, index, wave, at, chunks);
      const sums = account === undefined ? {} : { sums: account.own };
      const startMs = clock.now();
      const { bad } = await prepared.run({ ...job, ...sums }, stage.signal);
      stage.computeMs += clock.now() - startMs;
      for (const slot of bad) stage.bad.add(wave.chunks[at + slot] ?? 0);
      if (bad.length > 0) return;
      account?.losses?.add(job.state.get(model.loss?.register ?? ''));
      stage.io.passed(chunks);
    }
  }

  #account(stage: Stage, layer: Layer, index: number): LayerAccount {
    const known = stage.sums.get(index);
    if (known !== undefined) return known;
    const { model } = this.#parts;
    const own = new Uint8Array(sumsBytes(layer.statistics));
    const losses = model.loss?.layer === index ? new LossSums(model.positions) : undefined;
    const account = { own, statistics: layer.statistics, losses };
    stage.sums.set(index, account);
    return account;
  }

  #job(layer: Layer, index: number, wave: Wave, at: number, chunks: number): LayerJob {
    const state = new Map<Register, Float32Array>();
    for (const register of [...layer.reads, ...layer.leaves]) {
      const [view] = this.#views(wave, [register], at, chunks);
      if (view !== undefined) state.set(register.register, view);
    }
    for (const { register, width } of layer.inputs) {
      const named = { register: inputName(index, register), width };
      const [view] = this.#views(wave, [named], at, chunks);
      if (view !== undefined) state.set(register, view);
    }
    return { chunks, positions: this.#parts.model.positions, state, scratch: this.#scratch };
  }
}

async function keepLayer(stage: Stage, index: number): Promise<void> {
  const account = stage.sums.get(index);
  if (account === undefined) return;
  stage.sums.delete(index);
  const { own, statistics, losses } = account;
  await stage.io.keepSums(index, losses === undefined ? own : losses.join(statistics, own));
}

async function keepAll(stage: Stage): Promise<void> {
  for (const index of [...stage.sums.keys()].sort((a, b) => a - b)) await keepLayer(stage, index);
}

/** Each layer has numbers of its own under the same name. */
function inputName(layer: number, register: Register): Register {
  return `${layer}/${register}`;
}

/** The inputs of a layer under the names that they have in a wave. */
function inputsOf({ layers }: MeasuredModel, index: number): StateRegister[] {
  const inputs = layers[index]?.inputs ?? [];
  return inputs.map(({ register, width }) => ({ register: inputName(index, register), width }));
}

/** Everything that a wave holds on its way through these layers. */
export function stageRegisters(model: MeasuredModel, indexes: readonly number[]): StateRegister[] {
  const widths = new Map<Register, number>();
  // What only passes by, on its way to a later stage, is read at one cut and left at the other.
  const [from = 0] = indexes;
  const to = (indexes.at(-1) ?? 0) + 1;
  for (const { register, width } of [...(model.cuts[from] ?? []), ...(model.cuts[to] ?? [])]) {
    widths.set(register, width);
  }
  for (const index of indexes) {
    const { reads = [], leaves = [] } = model.layers[index] ?? {};
    for (const { register, width } of [...reads, ...leaves, ...inputsOf(model, index)]) {
      widths.set(register, width);
    }
  }
  return [...widths].map(([register, width]) => ({ register, width }));
}
