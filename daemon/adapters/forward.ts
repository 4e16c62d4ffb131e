/**
 * Forward: the native executor behind the port `ForwardKernels`.
 *
 *   Layer + placed weights ──▶ prepareLayer ──▶ PreparedLayer ──▶ run(wave) ──▶ state, sums, bad chunks
 *
 * The addon knows no names: here registers, weights, statistics and tables become indexes. Read
 * next: kernels/addon-layer.h, which checks all of it.
 */

import { FaultError } from '../../proto/fault.ts';
import type {
  ForwardKernels,
  Layer,
  LayerJob,
  Operation,
  PlacedWeight,
  PlanRegisters,
  PreparedLayer,
  RotationAngles,
} from '../ports.ts';
import { kernelFaults } from './kernel-faults.ts';
import {
  cancellable,
  construct,
  type KernelOptions,
  systemError,
  type Ticketed,
} from './kernels.ts';

/** `isa` may also be avx512bf16 or amx, which avx512 becomes where the CPU has it. */
export interface ForwardOptions extends KernelOptions {
  readonly planRegisters: PlanRegisters;
}

/** What kernels/addon-forward.h defines. */
interface NativeForward {
  readonly info: { readonly isa: string; readonly isas: readonly string[]; threads: number };
  prepare(layer: object): Ticketed<number>;
  scratchBytes(layer: number, chunks: number, positions: number): number;
  run(job: object): Ticketed<number[]>;
  release(layer: number): void;
  embed(job: object): Promise<void>;
  cancel(ticket: number): void;
  /** The name of an operation that gives wrong bits. */
  selfTest(): string | undefined;
  close(): void;
}

/** With all that the addon knows of the forward pass beyond the port. */
export interface ForwardAddon extends ForwardKernels {
  /** Every instruction set that was built and that this CPU runs. */
  readonly isas: readonly string[];
}

/**
 * Starts a team of threads, which do not keep the process alive. Throws the environment faults of
 * kernel-faults.ts. After `close`, what is under way and what comes later rejects.
 */
export function loadForward({ planRegisters, ...options }: ForwardOptions): ForwardAddon {
  const native = construct<NativeForward>('ForwardKernels', options);
  const { isa, isas, threads } = native.info;
  const wrong = native.selfTest();
  if (wrong !== undefined) {
    native.close();
    throw new FaultError(kernelFaults.selfTestFailed, { why: `${isa} ${wrong}` });
  }
  return {
    isa,
    isas,
    threads,
    prepareLayer: async (layer, weights, tables, signal) => {
      const named = nameNumbers(layer, weights, planRegisters);
      const spec = specOf(layer, weights, tables, named);
      try {
        const number = await cancellable(native, signal, () => native.prepare(spec));
        return preparedLayer(native, number, layer, named.states);
      } catch (error) {
        throw loadFault(error, weights);
      }
    },
    embed: async (table, tokens, factor, into) => {
      try {
        await native.embed({ table: weightSpec(table), tokens, factor, into });
      } catch (error) {
        throw loadFault(error, [table]);
      }
    },
    close: () => native.close(),
  };
}

function preparedLayer(
  native: NativeForward,
  number: number,
  layer: Layer,
  states: readonly string[],
): PreparedLayer {
  return {
    scratchBytes: (chunks, positions) => native.scratchBytes(number, chunks, positions),
    run: async ({ state, ...job }: LayerJob, signal) => {
      const rows = states.map((register) => {
        const numbers = state.get(register);
        if (numbers === undefined) throw new TypeError(`no numbers for the register ${register}`);
        return numbers;
      });
      try {
        const wave = { ...job, layer: number, state: rows };
        return { bad: await cancellable(native, signal, () => native.run(wave)) };
      } catch (error) {
        if (!(error instanceof Error && 'shrunk' in error)) throw error;
        const file = layer.weights[0]?.tensor ?? '';
        throw new FaultError(kernelFaults.weightUnreadable, { tensor: file, why: error.message });
      }
    },
    close: () => native.release(number),
  };
}

/** The number by which the addon knows each name. */
interface Numbers {
  /** Registers that every wave brings, in order; they come before all others. */
  readonly states: readonly string[];
  readonly widths: readonly { readonly width: number; readonly at?: number }[];
  readonly scratchWidth: number;
  register(name: string): number;
  weight(name: string): number;
}

function nameNumbers(
  layer: Layer,
  weights: readonly PlacedWeight[],
  planRegisters: PlanRegisters,
): Numbers {
  const states = new Map<string, number>();
  for (const { register, width } of [...layer.reads, ...layer.leaves, ...layer.inputs]) {
    if ((states.get(register) ?? width) !== width) {
      throw new TypeError(`the register ${register} has two widths`);
    }
    states.set(register, width);
  }
  const plan = planRegisters(layer);
  const own = [...plan.places].filter(([register]) => !states.has(register));
  const registers = indexes([...states.keys(), ...own.map(([register]) => register)]);
  const tensors = indexes(weights.map(({ weight }) => weight.tensor));
  return {
    states: [...states.keys()],
    widths: [
      ...[...states.values()].map((width) => ({ width })),
      ...own.map(([register, at]) => ({ width: layer.registers.get(register) ?? 0, at })),
    ],
    scratchWidth: plan.width,
    register: (name) => indexOf(registers, name, 'register'),
    weight: (name) => indexOf(tensors, name, 'weight'),
  };
}

const indexes = (names: readonly string[]): Map<string, number> =>
  new Map(names.map((name, index) => [name, index]));

function indexOf(numbers: ReadonlyMap<string, number>, name: string, what: string): number {
  const index = numbers.get(name);
  if (index === undefined) throw new TypeError(`there is no ${what} ${name}`);
  return index;
}

function specOf(
  layer: Layer,
  weights: readonly PlacedWeight[],
  tables: readonly RotationAngles[],
  named: Numbers,
): object {
  return {
    registers: named.widths,
    scratchWidth: named.scratchWidth,
    leaves: layer.leaves.map(({ register }) => named.register(register)),
    weights: weights.map(weightSpec),
    statistics: layer.statistics.map(({ matrices, columns }) => ({ matrices, columns })),
    ...numberTables(layer.operations, tables, named),
  };
}

/**
 * Operations in numbers, and the tables that they use: a table has no width of its own, and of
 * those of a model a layer uses one.
 */
function numberTables(
  operations: readonly Operation[],
  angles: readonly RotationAngles[],
  named: Numbers,
): object {
  const tables: (RotationAngles & { readonly pairs: number })[] = [];
  const numbered = operations.map((operation) => {
    const fields = numberOperation(operation, named);
    if (operation.kind !== 'rotate') return fields;
    const table = angles[operation.table];
    if (table === undefined) throw new TypeError(`there is no table ${operation.table}`);
    const pairs = operation.width / 2;
    const known = tables.findIndex(
      (other) => other.cosine === table.cosine && other.pairs === pairs,
    );
    if (known >= 0) return { ...fields, table: known };
    return { ...fields, table: tables.push({ ...table, pairs }) - 1 };
  });
  return { operations: numbered, tables };
}

const registerFields = [
  ...['into', 'from', 'queries', 'keys', 'values', 'gate', 'up', 'logits', 'routing'],
  ...['left', 'right', 'targets'],
];
const weightFields = ['weight', 'scales', 'gateUp', 'down'];

/** The fields of an operation, with numbers for names. */
function numberOperation(operation: Operation, named: Numbers): object {
  const numbered = Object.entries(operation).map(([field, value]): [string, unknown] => {
    if (registerFields.includes(field)) return [field, named.register(String(value))];
    if (weightFields.includes(field) && value !== undefined) {
      return [field, named.weight(String(value))];
    }
    return [field, value];
  });
  return Object.fromEntries(numbered);
}

function weightSpec({ weight, pieces }: PlacedWeight): object {
  const [columns, rows = 1, matrices = 1, ...more] = weight.shape;
  if (more.length > 0) throw new TypeError(`${weight.tensor} has more than three dimensions`);
  const { type, isKeptF32 } = weight;
  return { type, isKeptF32, columns, rows, matrices, pieces };
}

/** The addon's error as a fault, where the world is to blame. */
function loadFault(error: unknown, weights: readonly PlacedWeight[]): unknown {
  if (!(error instanceof Error) || !('weight' in error)) return error;
  const placed = weights[Number(error.weight)];
  if (placed === undefined) return error;
  const { tensor, shape } = placed.weight;
  if ('element' in error) {
    const element = Number(error.element);
    const [columns = 1, rows = 1, matrices = 1] = shape;
    const row = Math.floor(element / columns);
    const expert = matrices > 1 ? `, expert ${Math.floor(row / rows)}` : '';
    const why = `column ${element % columns}${expert}`;
    return new FaultError(kernelFaults.weightNotFinite, { tensor, row, why }, { cause: error });
  }
  const file = placed.pieces['piece' in error ? Number(error.piece) : 0]?.path ?? '';
  const cause = systemError(error, file);
  if (cause === undefined) return error;
  return new FaultError(
    kernelFaults.weightUnreadable,
    { file, tensor, why: cause.message },
    { cause },
  );
}
