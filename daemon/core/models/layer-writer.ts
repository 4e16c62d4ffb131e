/**
 * Layer writer: writes one layer's list of operations and keeps its registers, weights and sums.
 *
 *   a family's calls, in order ──▶ LayerWriter ──▶ Layer  (read next: forward.ts, gemma4-forward.ts)
 *
 * Widths follow from the weights' shapes and are compared on the way, so that a list that is
 * written at all fits together.
 */

import { assert } from '../../../proto/assert.ts';
import type {
  Activation,
  Layer,
  Operation,
  Register,
  StateRegister,
  Statistic,
  TensorName,
  Weight,
} from './forward.ts';

/** A norm without a weight only divides by the size. */
export interface NormOptions {
  readonly epsilon: number;
  /** All of the register unless told. */
  readonly width?: number;
  readonly weight?: TensorName;
}

export interface AttentionOptions {
  readonly into: Register;
  readonly queries: Register;
  readonly keys: Register;
  readonly values: Register;
  /** Numbers a head. */
  readonly width: number;
  /** 0 is none. */
  readonly window: number;
  readonly scale: number;
}

export interface ExpertsOptions {
  readonly into: Register;
  readonly from: Register;
  readonly routing: Register;
  readonly used: number;
  readonly gateUp: TensorName;
  readonly down: TensorName;
  readonly activation: Activation;
}

export interface LossOptions {
  readonly into: Register;
  readonly from: Register;
  readonly weight: TensorName;
  readonly targets: Register;
  readonly softcap: number;
}

/** The largest logit, the sum of exp over all of them, the target's logit. */
const LOSS_NUMBERS = 3;

export class LayerWriter {
  readonly #weights: ReadonlyMap<TensorName, Weight>;
  readonly #prefix: string;
  readonly #operations: Operation[] = [];
  readonly #used = new Map<TensorName, Weight>();
  readonly #statistics: Statistic[] = [];
  readonly #widths = new Map<Register, number>();
  readonly #reads: StateRegister[] = [];
  readonly #leaves: StateRegister[] = [];
  readonly #inputs: StateRegister[] = [];
  #multiplications = 0;

  /** @param prefix stands before every tensor name that a method is given, such as `blk.3.` */
  constructor(weights: ReadonlyMap<TensorName, Weight>, prefix: string) {
    this.#weights = weights;
    this.#prefix = prefix;
  }

  /** A register that the layers before this one have left. */
  read(register: Register, width: number): void {
    this.#reads.push({ register, width });
    this.#widths.set(register, width);
  }

  /** A register that comes from the tokens alone. */
  input(register: Register, width: number): void {
    this.#inputs.push({ register, width });
    this.#widths.set(register, width);
  }

  /** Says that layers after this one read the register, as it is at the end. */
  leave(register: Register): void {
    this.#leaves.push({ register, width: this.#width(register) });
  }

  norm(into: Register, from: Register, { epsilon, weight, width: some }: NormOptions): void {
    const all = this.#width(from);
    const width = some ?? all;
    assert(all % width === 0, `${from} is no whole number of runs of ${width}`);
    this.#holds(into, all);
    this.#operations.push({
      kind: 'norm',
      into,
      from,
      width,
      ...(weight !== undefined && { weight: this.#weight(weight, [width]).tensor }),
      epsilon: Math.fround(epsilon),
    });
  }

  scale(into: Register, factor: number): void {
    this.#width(into);
    this.#operations.push({ kind: 'scale', into, factor: Math.fround(factor) });
  }

  multiply(into: Register, name: TensorName): void {
    const weight = this.#weight(name);
    const [numbers] = weight.shape;
    assert(numbers === 1 || numbers === this.#width(into), `${weight.tensor} does not fit ${into}`);
    this.#operations.push({ kind: 'multiply', into, weight: weight.tensor });
  }

  product(into: Register, from: Register, name: TensorName): void {
    const weight = this.#weight(name);
    const [columns = 0, rows = 1] = weight.shape;
    assert(columns === this.#width(from), `${weight.tensor} does not fit ${from}`);
    assert(into !== from, `${weight.tensor} would overwrite what it reads`);
    this.#holds(into, rows);
    this.#multiplications += columns * rows;
    this.#operations.push({ kind: 'product', into, from, weight: weight.tensor });
  }

  /** Says that `from` is about to be multiplied by these tensors. */
  collect(from: Register, names: readonly TensorName[]): void {
    const statistic = this.#statistic(names);
    assert(this.#width(from) === this.#statistics.at(-1)?.columns, `${names} do not fit ${from}`);
    this.#operations.push({ kind: 'collect', from, statistic });
  }

  rotate(into: Register, width: number, table: number): void {
    assert(this.#width(into) % width === 0, `${into} is no whole number of heads of ${width}`);
    this.#operations.push({ kind: 'rotate', into, width, table });
  }

  attention(options: AttentionOptions): void {
    const { into, queries, keys, values, width } = options;
    const heads = this.#width(queries) / width;
    const keyHeads = this.#width(keys) / width;
    assert(Number.isInteger(heads / keyHeads), `${queries} does not divide among ${keys}`);
    assert(this.#width(values) === this.#width(keys), `${values} does not fit ${keys}`);
    this.#holds(into, heads * width);
    this.#operations.push({ kind: 'attention', ...options, heads, keyHeads });
  }

  gate(into: Register, gate: Register, up: Register, activation: Activation): void {
    assert(this.#width(gate) === this.#width(up), `${gate} does not fit ${up}`);
    this.#holds(into, this.#width(gate));
    this.#operations.push({ kind: 'gate', into, gate, up, activation });
  }

  route(into: Register, logits: Register, used: number, scales: TensorName): void {
    const { tensor } = this.#weight(scales, [this.#width(logits)]);
    this.#holds(into, 2 * used);
    this.#operations.push({ kind: 'route', into, logits, used, scales: tensor });
  }

  /** Products of the chosen experts, with what they collect. */
  experts(options: ExpertsOptions): void {
    const { into, from, used } = options;
    const gateUp = this.#weight(options.gateUp);
    const down = this.#weight(options.down);
    const [columns = 0, bothRows = 0, experts = 1] = gateUp.shape;
    const [middle = 0, rows = 0] = down.shape;
    assert(columns === this.#width(from) && bothRows === 2 * middle, `${gateUp.tensor} is no pair`);
    assert((down.shape[2] ?? 1) === experts, `${down.tensor} has other experts`);
    this.#holds(into, rows);
    this.#multiplications += used * (columns * bothRows + middle * rows);
    this.#operations.push({
      kind: 'experts',
      ...options,
      gateUp: gateUp.tensor,
      down: down.tensor,
      statistics: [this.#statistic([options.gateUp]), this.#statistic([options.down])],
    });
  }

  add(into: Register, left: Register, right: Register): void {
    assert(this.#width(left) === this.#width(right), `${left} does not fit ${right}`);
    this.#holds(into, this.#width(left));
    this.#operations.push({ kind: 'add', into, left, right });
  }

  loss(options: LossOptions): void {
    const weight = this.#weight(options.weight);
    const [columns = 0, rows = 1] = weight.shape;
    assert(columns === this.#width(options.from), `${weight.tensor} does not fit ${options.from}`);
    assert(this.#width(options.targets) === 1, 'a token has one target');
    this.#holds(options.into, LOSS_NUMBERS);
    this.#multiplications += columns * rows;
    const softcap = Math.fround(options.softcap);
    this.#operations.push({ kind: 'loss', ...options, weight: weight.tensor, softcap });
  }

  finish(): Layer {
    const registers = new Map(this.#widths);
    for (const { register } of [...this.#reads, ...this.#leaves, ...this.#inputs]) {
      registers.delete(register);
    }
    return {
      operations: this.#operations,
      weights: [...this.#used.values()],
      statistics: this.#statistics,
      registers,
      reads: this.#reads,
      leaves: this.#leaves,
      inputs: this.#inputs,
      multiplications: this.#multiplications,
    };
  }

  #weight(name: TensorName, shape?: readonly number[]): Weight {
    const tensor = `${this.#prefix}${name}`;
    const weight = this.#weights.get(tensor);
    assert(weight !== undefined, `the model has no ${tensor}`);
    if (shape !== undefined) {
      const fits = weight.shape.join() === shape.join();
      assert(fits, `${tensor} is ${weight.shape}, not ${shape}`);
    }
    this.#used.set(tensor, weight);
    return weight;
  }

  #statistic(names: readonly TensorName[]): number {
    const tensors = names.map((name) => this.#weight(name));
    const [first] = tensors;
    assert(first !== undefined, 'a statistic belongs to no tensor');
    const [columns = 0, , matrices = 1] = first.shape;
    return (
      this.#statistics.push({ names: tensors.map(({ tensor }) => tensor), matrices, columns }) - 1
    );
  }

  #width(register: Register): number {
    const width = this.#widths.get(register);
    assert(width !== undefined, `nothing has been put into ${register}`);
    return width;
  }

  /** A register has one width throughout. */
  #holds(register: Register, width: number): void {
    const held = this.#widths.get(register);
    assert(held === undefined || held === width, `${register} holds ${held}, not ${width}`);
    this.#widths.set(register, width);
  }
}
