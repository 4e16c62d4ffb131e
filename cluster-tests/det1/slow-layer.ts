/**
 * Slow layer: a layer's list of operations over a wave, number by number.
 *
 *   Layer + weights as numbers ──▶ runSlowly ──▶ state, sums, bad chunks: what kernels/executor.cpp gives
 *
 * It knows no threads, no panels, no places and no batches; every register has memory of its own.
 * Read next: operations.ts.
 */

import type {
  Activation,
  Layer,
  Operation,
  Register,
  TensorName,
} from '../../daemon/core/models/forward.ts';
import { add, fma, multiply, round, subtract } from './binary32.ts';
import * as det1 from './operations.ts';

export interface SlowWave {
  readonly chunks: number;
  readonly positions: number;
  /** (tokens × width) by register, in place. */
  readonly state: ReadonlyMap<Register, Float32Array>;
  readonly sums?: Uint8Array;
}

export interface SlowModel {
  readonly layer: Layer;
  /** Numbers of a weight, as stored. */
  readonly numbers: ReadonlyMap<TensorName, Float32Array>;
  readonly tables: readonly { readonly cosine: Float32Array; readonly sine: Float32Array }[];
}

type Of<Kind extends Operation['kind']> = Extract<Operation, { kind: Kind }>;
type OfOneToken = Exclude<Operation, Of<'collect' | 'attention' | 'experts'>>;

const at = (numbers: ArrayLike<number>, index: number): number => numbers[index] ?? Number.NaN;

/** Runs the wave; returns its bad chunks, ascending. */
export function runSlowly(model: SlowModel, wave: SlowWave): number[] {
  const run = new SlowLayer(model, wave);
  for (const operation of model.layer.operations) run.step(operation);
  return run.badChunks();
}

/** `work` on a copy of each run of `width` numbers. */
function inRuns(
  numbers: Float32Array,
  width: number,
  work: (run: Float32Array) => Float32Array,
): Float32Array {
  const made = numbers.slice();
  for (let start = 0; start < made.length; start += width) {
    made.set(work(made.slice(start, start + width)), start);
  }
  return made;
}

function gated(activation: Activation, gate: Float32Array, up: Float32Array): Float32Array {
  const curve = activation === 'gelu' ? det1.gelu : det1.silu;
  return gate.map((g, i) => multiply(curve(g), at(up, i)));
}

class SlowLayer {
  readonly #model: SlowModel;
  readonly #wave: SlowWave;
  readonly #tokens: number;
  readonly #registers = new Map<Register, Float32Array>();
  readonly #bad = new Set<number>();

  constructor(model: SlowModel, wave: SlowWave) {
    this.#model = model;
    this.#wave = wave;
    this.#tokens = wave.chunks * wave.positions;
    for (const [register, width] of model.layer.registers) {
      this.#registers.set(register, new Float32Array(this.#tokens * width));
    }
    for (const [register, numbers] of wave.state) this.#registers.set(register, numbers);
  }

  badChunks(): number[] {
    const { chunks, positions } = this.#wave;
    for (const { register } of this.#model.layer.leaves) {
      for (let token = 0; token < this.#tokens; token++) {
        const isSound = this.#row(register, token).every(Number.isFinite);
        if (!isSound) this.#bad.add(Math.floor(token / positions));
      }
    }
    return Array.from({ length: chunks }, (_, chunk) => chunk).filter((c) => this.#bad.has(c));
  }

  step(operation: Operation): void {
    if (operation.kind === 'collect') this.#collect(operation);
    else if (operation.kind === 'attention') this.#attend(operation);
    else if (operation.kind === 'experts') this.#experts(operation);
    else {
      this.#each((token) => {
        const made = this.#rowOf(operation, token);
        this.#row(operation.into, token).set(made);
      });
    }
  }

  #each(work: (token: number) => void): void {
    for (let token = 0; token < this.#tokens; token++) work(token);
  }

  /** What an operation that looks at one token alone makes of it. */
  #rowOf(operation: OfOneToken, token: number): ArrayLike<number> {
    const into = this.#row(operation.into, token);
    switch (operation.kind) {
      case 'norm': {
        const { width, weight, epsilon } = operation;
        const numbers = weight === undefined ? undefined : this.#numbers(weight);
        return inRuns(this.#row(operation.from, token), width, (run) =>
          det1.norm(run, numbers, epsilon),
        );
      }
      case 'scale':
        return into.map((x) => multiply(x, round(operation.factor)));
      case 'multiply': {
        const weight = this.#numbers(operation.weight);
        return into.map((x, i) => multiply(x, at(weight, Math.min(i, weight.length - 1))));
      }
      case 'product':
        return this.#product(operation.weight, 0, this.#row(operation.from, token));
      case 'rotate':
        return this.#rotated(operation, token);
      case 'gate':
        return gated(
          operation.activation,
          this.#row(operation.gate, token),
          this.#row(operation.up, token),
        );
      case 'route': {
        const scales = operation.scales === undefined ? undefined : this.#numbers(operation.scales);
        const logits = this.#row(operation.logits, token);
        const { chosen, weights } = det1.route(logits, operation.used, scales);
        return chosen.flatMap((expert, i) => [expert, at(weights, i)]);
      }
      case 'add': {
        const right = this.#row(operation.right, token);
        return this.#row(operation.left, token).map((x, i) => add(x, at(right, i)));
      }
      case 'loss':
        return this.#loss(operation, token);
    }
  }

  #rotated({ into, width, table }: Of<'rotate'>, token: number): ArrayLike<number> {
    const start = (token % this.#wave.positions) * (width / 2);
    const angles = this.#model.tables[table];
    const of = (all: Float32Array = new Float32Array(0)) => all.subarray(start, start + width / 2);
    return inRuns(this.#row(into, token), width, (run) => {
      det1.rotate(run, of(angles?.cosine), of(angles?.sine));
      return run;
    });
  }

  #attend(operation: Of<'attention'>): void {
    const { heads, keyHeads, width, window, scale } = operation;
    const { chunks, positions } = this.#wave;
    for (let chunk = 0; chunk < chunks; chunk++) {
      const headOf = (register: Register, head: number): Float32Array[] =>
        Array.from({ length: positions }, (_, position) =>
          this.#row(register, chunk * positions + position).slice(head * width, (head + 1) * width),
        );
      for (let head = 0; head < heads; head++) {
        const keyHead = Math.floor(head / (heads / keyHeads));
        const task: det1.Head = {
          queries: headOf(operation.queries, head),
          keys: headOf(operation.keys, keyHead),
          values: headOf(operation.values, keyHead),
          window,
          scale: round(scale),
        };
        for (let position = 0; position < positions; position++) {
          const into = this.#row(operation.into, chunk * positions + position);
          into.set(det1.attention(task, position), head * width);
        }
      }
    }
  }

  #experts(operation: Of<'experts'>): void {
    const { routing, used, gateUp, down, activation, statistics } = operation;
    const inner = this.#weight(down).shape[0] ?? 0;
    const inputs = new Map<string, Float32Array[]>();
    const between = new Map<string, Float32Array[]>();
    this.#each((token) => {
      const chunk = Math.floor(token / this.#wave.positions);
      const from = this.#row(operation.from, token);
      const sum = new Float32Array(from.length);
      const pairs = this.#row(routing, token);
      for (let place = 0; place < used; place++) {
        const expert = at(pairs, 2 * place);
        const weight = at(pairs, 2 * place + 1);
        const both = this.#product(gateUp, expert, from);
        const x = gated(activation, both.subarray(0, inner), both.subarray(inner));
        const y = this.#product(down, expert, x);
        sum.set(sum.map((part, i) => fma(weight, at(y, i), part)));
        const key = `${expert} ${chunk}`;
        inputs.set(key, [...(inputs.get(key) ?? []), from]);
        between.set(key, [...(between.get(key) ?? []), x]);
      }
      this.#row(operation.into, token).set(sum);
    });
    for (const [statistic, rowsOf] of [
      [statistics[0], inputs],
      [statistics[1], between],
    ] as const) {
      for (const [key, rows] of rowsOf) {
        const [expert = 0, chunk = 0] = key.split(' ').map(Number);
        this.#addSquares(statistic, expert, chunk, rows);
      }
    }
  }

  #loss(operation: Of<'loss'>, token: number): ArrayLike<number> {
    const from = this.#row(operation.from, token);
    const target = this.#row(operation.targets, token)[0] ?? 0;
    const { softcap } = operation;
    const logits = this.#product(operation.weight, 0, from).map((z) =>
      softcap === 0 ? z : det1.softcap(z, round(softcap)),
    );
    let [most, sum] = [0, 0];
    for (let row = 0; row < logits.length; row += 256) {
      const block = det1.logSum(logits.subarray(row, row + 256));
      const together = row === 0 || block.largest > most ? block.largest : most;
      const rest = multiply(block.sum, det1.exp(subtract(block.largest, together)));
      sum = row === 0 ? block.sum : fma(sum, det1.exp(subtract(most, together)), rest);
      most = together;
    }
    return [most, sum, logits[target] ?? 0];
  }

  #collect({ from, statistic }: Of<'collect'>): void {
    const { chunks, positions } = this.#wave;
    for (let chunk = 0; chunk < chunks; chunk++) {
      const rows = Array.from({ length: positions }, (_, position) =>
        this.#row(from, chunk * positions + position),
      );
      this.#addSquares(statistic, 0, chunk, rows);
    }
  }

  /** DET-1.md §12, at the place that a layer's group sums have for it. */
  #addSquares(statistic: number, matrix: number, chunk: number, rows: Float32Array[]): void {
    const { sums } = this.#wave;
    if (sums === undefined) return;
    const view = new DataView(sums.buffer, sums.byteOffset, sums.byteLength);
    const { statistics } = this.#model.layer;
    const size = (list: typeof statistics): number =>
      list.reduce((total, { matrices, columns }) => total + matrices * columns, 0);
    const before = statistics.slice(0, statistic);
    const columns = statistics[statistic]?.columns ?? 0;
    det1.squares(rows, columns).forEach((q, column) => {
      const fixed = det1.fixedPoint(q);
      if (fixed === undefined) {
        this.#bad.add(chunk);
        return;
      }
      const place = 16 * (size(before) + matrix * columns + column);
      const low = view.getBigUint64(place, true);
      const total = (view.getBigInt64(place + 8, true) << 64n) + low + fixed;
      view.setBigUint64(place, BigInt.asUintN(64, total), true);
      view.setBigInt64(place + 8, total >> 64n, true);
    });
    const counts = before.reduce((total, { matrices }) => total + matrices, matrix);
    const place = 16 * size(statistics) + 8 * counts;
    view.setBigUint64(place, view.getBigUint64(place, true) + BigInt(rows.length), true);
  }

  #product(tensor: TensorName, matrix: number, x: Float32Array): Float32Array {
    const { type, isKeptF32, shape } = this.#weight(tensor);
    const [columns = 0, rows = 0] = shape;
    const chain = type === 'BF16' && !isKeptF32 ? det1.productB : det1.productA;
    const start = matrix * rows * columns;
    const numbers = this.#numbers(tensor);
    return Float32Array.from({ length: rows }, (_, row) =>
      chain(numbers.subarray(start + row * columns, start + (row + 1) * columns), x),
    );
  }

  #row(register: Register, token: number): Float32Array {
    const numbers = this.#registers.get(register) ?? new Float32Array(0);
    const width = numbers.length / this.#tokens;
    return numbers.subarray(token * width, (token + 1) * width);
  }

  #weight(tensor: TensorName): Layer['weights'][number] {
    const weight = this.#model.layer.weights.find((other) => other.tensor === tensor);
    if (weight === undefined) throw new Error(`no weight ${tensor}`);
    return weight;
  }

  #numbers(tensor: TensorName): Float32Array {
    return this.#model.numbers.get(tensor) ?? new Float32Array(0);
  }
}
