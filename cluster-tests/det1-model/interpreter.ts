/**
 * Interpreter: carries out a model's lists of operations, slowly and by the letter of DET-1.md.
 *
 *   Model + token ids of a chunk ──▶ runChunk ──▶ hidden states, statistics, routing, logits
 *   a layer + the registers it reads ──▶ runLayer ──▶ the registers it leaves
 *
 * It proves the lists and the page against llama.cpp, and the native executor is compared with it.
 * Read next: steps.ts; sums.ts, which makes the bytes of a group of chunks.
 */

import type {
  Forward,
  Layer,
  Operation,
  Register,
  StateRegister,
  TensorName,
  Weight,
} from '../../daemon/core/models/forward.ts';
import { type Rotations, rotationsOf } from '../../daemon/core/models/rotation.ts';
import { assert } from '../../proto/assert.ts';
import {
  activate,
  at,
  attend,
  capped,
  flush,
  fma,
  logSum,
  multiplyRows,
  norm,
  type Rows,
  rotate,
  route,
} from './steps.ts';
import type { Model } from './weights.ts';

const { fround } = Math;

/** Numbers by register, (tokens, width). */
export type Registers = ReadonlyMap<Register, Float32Array>;

/** What a layer made of a chunk. */
export interface LayerRun {
  readonly registers: Registers;
  /** For each of the layer's statistics. */
  readonly statistics: readonly ChunkSums[];
  /** Inputs of products by the first name of their statistic; those of experts are not kept. */
  readonly inputs: ReadonlyMap<TensorName, Float32Array>;
  /** (tokens, slots): the experts of each token, ascending; empty where there are none. */
  readonly experts: readonly number[];
  /** (tokens, vocabulary), after the cap: of the head alone. */
  readonly logits: Float32Array;
}

export interface ChunkSums {
  /** (matrices, columns) */
  readonly squares: Float64Array;
  /** (matrices) */
  readonly counts: Float64Array;
}

export interface ChunkRun {
  /** What goes into layer 0. */
  readonly front: LayerRun;
  readonly layers: readonly LayerRun[];
  readonly head: LayerRun;
}

/** @param ids one chunk; the target of its last token is token 0 */
export function runChunk(model: Model, ids: Int32Array): ChunkRun {
  const { layers, head } = model.forward;
  const front = runFront(model, ids);
  const { runs, leaves } = runStage(model, { first: 0, end: layers.length }, front.registers);
  const targets = Float32Array.from(ids, (_, token) => ids[token + 1] ?? 0);
  const last = runLayer(model, head, new Map([...leaves, ['targets', targets]]));
  return { front, layers: runs, head: last };
}

/** The layers from `first` to before `end`. */
export interface Range {
  readonly first: number;
  readonly end: number;
}

/**
 * @param given what crosses the cut in front of the stage; more is not looked at
 * @returns beside the runs, what crosses the cut behind it
 */
export function runStage(
  model: Model,
  stage: Range,
  given: Registers,
): { readonly runs: readonly LayerRun[]; readonly leaves: Registers } {
  const { cuts, layers, front } = model.forward;
  const state = new Map(pick(given, must(cuts, stage.first)));
  const slices = front.slices && {
    ...front.slices,
    numbers: must(state, front.slices.from),
    held: { first: stage.first, end: layers.length },
  };
  const runs = layers.slice(stage.first, stage.end).map((layer, index) => {
    const first = stage.first + index;
    if (slices) state.set(slices.into, cutSlices(slices, { first, end: first + 1 }));
    const run = runLayer(model, layer, state);
    for (const [register, numbers] of pick(run.registers, layer.leaves)) {
      state.set(register, numbers);
    }
    return run;
  });
  const rest = { first: stage.end, end: layers.length };
  if (slices) state.set(slices.from, cutSlices(slices, rest));
  return { runs, leaves: new Map(pick(state, must(cuts, stage.end))) };
}

function pick(from: Registers, wanted: readonly StateRegister[] | undefined) {
  return (wanted ?? []).map(({ register }) => [register, must(from, register)] as const);
}

interface Slices {
  /** (tokens, layers of `held`, width) */
  readonly numbers: Float32Array;
  readonly held: Range;
  readonly width: number;
}

/** Per-layer inputs of some of the layers. */
export function cutSlices({ numbers, held, width }: Slices, { first, end }: Range): Float32Array {
  const stride = (held.end - held.first) * width;
  const count = (end - first) * width;
  const start = (first - held.first) * width;
  const cut = new Float32Array((numbers.length / stride) * count);
  for (let token = 0; token < numbers.length / stride; token++) {
    const row = numbers.subarray(token * stride + start, token * stride + start + count);
    cut.set(row, token * count);
  }
  return cut;
}

/** Embeddings, and what is made of them before the first layer. */
export function runFront(model: Model, ids: Int32Array): LayerRun {
  const { lookups, layer } = model.forward.front;
  const given = new Map<Register, Float32Array>();
  for (const { into, table, factor } of lookups) {
    const [width = 0] = table.shape;
    const values = must(model.values, table.tensor);
    const rows = new Float32Array(ids.length * width);
    for (const [token, id] of ids.entries()) {
      const row = values.subarray(id * width, (id + 1) * width);
      rows.set(
        row.map((value) => value * factor),
        token * width,
      );
    }
    given.set(into, rows);
  }
  return runLayer(model, layer, given);
}

/** @param given every register of the layer's `reads` and `inputs` */
export function runLayer(model: Model, layer: Layer, given: Registers): LayerRun {
  const run = new Run(model, layer, given);
  for (const operation of layer.operations) run.do(operation);
  return run;
}

class Run implements LayerRun {
  readonly registers = new Map<Register, Float32Array>();
  readonly statistics: readonly ChunkSums[];
  readonly inputs = new Map<TensorName, Float32Array>();
  readonly experts: number[] = [];
  logits = new Float32Array();
  readonly #model: Model;
  readonly #layer: Layer;

  constructor(model: Model, layer: Layer, given: Registers) {
    this.#model = model;
    this.#layer = layer;
    for (const { register, width } of [...layer.reads, ...layer.inputs]) {
      const numbers = must(given, register);
      assert(numbers.length % width === 0, `${register} has ${width} numbers a token`);
      // A copy: operations work in place.
      this.registers.set(register, numbers.slice());
    }
    this.statistics = layer.statistics.map(({ matrices, columns }) => ({
      squares: new Float64Array(matrices * columns),
      counts: new Float64Array(matrices),
    }));
  }

  do(operation: Operation): void {
    if (operation.kind === 'collect') this.#collect(operation.from, operation.statistic);
    else this.registers.set(operation.into, this.#resultOf(operation));
  }

  #resultOf(operation: Exclude<Operation, { kind: 'collect' }>): Float32Array {
    switch (operation.kind) {
      case 'norm': {
        const { from, width, weight, epsilon } = operation;
        const factors = weight === undefined ? undefined : this.#values(weight);
        return norm(this.#numbers(from), width, factors, epsilon);
      }
      case 'scale':
        return this.#numbers(operation.into).map((x) => x * operation.factor);
      case 'multiply': {
        const weight = this.#values(operation.weight);
        return this.#numbers(operation.into).map(
          (x, place) => x * at(weight, place % weight.length),
        );
      }
      case 'product': {
        const rows = this.#rows(operation.weight);
        const count = rows.values.length / rows.columns;
        return multiplyRows(this.#numbers(operation.from), rows, 0, count);
      }
      case 'rotate':
        return this.#rotated(operation);
      case 'attention': {
        const queries = this.#numbers(operation.queries);
        const keys = this.#numbers(operation.keys);
        return attend({ ...operation, queries, keys, values: this.#numbers(operation.values) });
      }
      case 'gate':
        return gate(
          operation.activation,
          this.#numbers(operation.gate),
          this.#numbers(operation.up),
        );
      case 'route':
        return this.#route(operation);
      case 'experts':
        return this.#mixed(operation);
      case 'add': {
        const right = this.#numbers(operation.right);
        return this.#numbers(operation.left).map((x, place) => x + at(right, place));
      }
      case 'loss':
        return this.#loss(operation);
    }
  }

  #collect(from: Register, statistic: number): void {
    const numbers = this.#numbers(from);
    const { columns, names } = must(this.#layer.statistics, statistic);
    for (let start = 0; start < numbers.length; start += columns) {
      this.#addSquares(statistic, 0, numbers.subarray(start, start + columns));
    }
    const [name] = names;
    assert(name !== undefined, 'a statistic has a name');
    this.inputs.set(name, numbers.slice());
  }

  /** §12 */
  #addSquares(statistic: number, matrix: number, row: Float32Array): void {
    const { squares, counts } = must(this.statistics, statistic);
    const start = matrix * row.length;
    for (const [column, x] of row.entries()) {
      squares[start + column] = (squares[start + column] as number) + x * x;
    }
    counts[matrix] = (counts[matrix] ?? 0) + 1;
  }

  #rotated({ into, width, table }: Extract<Operation, { kind: 'rotate' }>): Float32Array {
    const numbers = this.#numbers(into).slice();
    const tokens = this.#tokens();
    const { cosine, sine } = rotationsFor(this.#model.forward, table, tokens);
    const stride = numbers.length / tokens;
    const pairs = width / 2;
    for (let token = 0; token < tokens; token++) {
      const row = numbers.subarray(token * stride, (token + 1) * stride);
      const [from, to] = [token * pairs, (token + 1) * pairs];
      rotate(row, width, cosine.subarray(from, to), sine.subarray(from, to));
    }
    return numbers;
  }

  #route({ logits, used, scales }: Extract<Operation, { kind: 'route' }>): Float32Array {
    const numbers = this.#numbers(logits);
    const tokens = this.#tokens();
    const experts = numbers.length / tokens;
    const factors = scales === undefined ? undefined : this.#values(scales);
    const routing: number[] = [];
    for (let token = 0; token < tokens; token++) {
      const row = numbers.subarray(token * experts, (token + 1) * experts);
      for (const { expert, weight } of route(row, used, factors)) {
        this.experts.push(expert);
        routing.push(expert, weight);
      }
    }
    return Float32Array.from(routing);
  }

  #mixed(operation: Extract<Operation, { kind: 'experts' }>): Float32Array {
    const { used, activation, statistics } = operation;
    const gateUp = this.#rows(operation.gateUp);
    const down = this.#rows(operation.down);
    const routing = this.#numbers(operation.routing);
    const from = this.#numbers(operation.from);
    const width = this.#weight(operation.down).shape[1] ?? 1;
    const middle = down.columns;
    const into = new Float32Array(this.#tokens() * width);
    for (let token = 0; token < this.#tokens(); token++) {
      const row = from.subarray(token * gateUp.columns, (token + 1) * gateUp.columns);
      const sum = into.subarray(token * width, (token + 1) * width);
      for (let slot = 0; slot < used; slot++) {
        const place = 2 * (token * used + slot);
        const [expert, weight] = [at(routing, place), at(routing, place + 1)];
        this.#addSquares(statistics[0], expert, row);
        const both = multiplyRows(row, gateUp, 2 * middle * expert, 2 * middle);
        const gated = gate(activation, both.subarray(0, middle), both.subarray(middle));
        this.#addSquares(statistics[1], expert, gated);
        const y = multiplyRows(gated, down, width * expert, width);
        for (const [c, value] of y.entries()) sum[c] = fma(weight, value, at(sum, c));
      }
    }
    return into;
  }

  #loss({ from, weight, targets, softcap }: Extract<Operation, { kind: 'loss' }>): Float32Array {
    const rows = this.#rows(weight);
    const vocabulary = rows.values.length / rows.columns;
    const logits = multiplyRows(this.#numbers(from), rows, 0, vocabulary);
    this.logits = logits.map((z) => capped(z, softcap));
    const losses: number[] = [];
    for (const [token, target] of this.#numbers(targets).entries()) {
      const row = this.logits.subarray(token * vocabulary, (token + 1) * vocabulary);
      const { largest, sum } = logSum(row);
      losses.push(largest, sum, at(row, target));
    }
    return Float32Array.from(losses);
  }

  #tokens(): number {
    const [hidden] = this.#layer.reads;
    assert(hidden !== undefined, 'a layer reads the hidden state');
    return this.#numbers(hidden.register).length / hidden.width;
  }

  #numbers(register: Register): Float32Array {
    return must(this.registers, register);
  }

  #values(tensor: TensorName): Float32Array {
    return must(this.#model.values, tensor);
  }

  #weight(tensor: TensorName): Weight {
    const weight = this.#layer.weights.find((candidate) => candidate.tensor === tensor);
    assert(weight !== undefined, `the layer does not list ${tensor}`);
    return weight;
  }

  #rows(tensor: TensorName): Rows {
    const { type, isKeptF32, shape } = this.#weight(tensor);
    const [columns = 1] = shape;
    const values = this.#values(tensor);
    if (type !== 'BF16' || isKeptF32) return { mode: 'A', columns, values };
    return { mode: 'B', columns, values: values.map(flush) };
  }
}

function gate(
  activation: 'gelu' | 'silu',
  from: Float32Array,
  up: Float32Array,
): Float32Array<ArrayBuffer> {
  return Float32Array.from(from, (g, place) => fround(activate(activation, g)) * at(up, place));
}

const tables = new WeakMap<object, Rotations>();

function rotationsFor({ tables: all }: Forward, table: number, positions: number): Rotations {
  const of = must(all, table);
  const known = tables.get(of);
  if (known !== undefined && known.cosine.length >= (positions * of.width) / 2) return known;
  const made = rotationsOf(of, positions);
  tables.set(of, made);
  return made;
}

function must<Key, Value>(all: ReadonlyMap<Key, Value>, key: Key): Value;
function must<Value>(all: readonly Value[], key: number): Value;
function must<Value>(all: ReadonlyMap<unknown, Value> | readonly Value[], key: unknown): Value {
  const value = 'get' in all ? all.get(key) : all[Number(key)];
  assert(value !== undefined, `there is no ${key}`);
  return value;
}
