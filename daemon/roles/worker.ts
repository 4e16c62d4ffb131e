/**
 * Worker: makes the block runs of one task, with no memory of the last.
 *
 *   task ──▶ Source.read (once) ──▶ Kernels.quantize (every type) ──▶ blocks and digests
 *
 * A task is a function of its source bytes, so running it twice is harmless.
 */

import { assert } from '../../proto/assert.ts';
import { FaultError } from '../../proto/fault.ts';
import { blockTypes } from '../core/gguf/block-types.ts';
import { bytesOf, type Task } from '../core/plan/plan.ts';
import { sourceType, tensorRows } from '../core/plan/row-groups.ts';
import type { ElementType, Kernels, QuantizeResult, Source } from '../ports.ts';
import { numberFaults } from './faults.ts';

export interface MadeRun {
  /** Index among the task's runs. */
  readonly run: number;
  readonly bytes: Uint8Array;
  readonly digest: Uint8Array;
}

// A cache line: views of one buffer never share one, so that threads do not fight over it.
const ALIGNMENT = 64;

export class Worker {
  readonly #source: Source;
  readonly #kernels: Kernels;
  /** Buffers of finished tasks, kept for the next: allocating megabytes per task costs more. */
  readonly #idle: ArrayBuffer[] = [];
  /** Source bytes read so far. */
  sourceBytesRead = 0;

  constructor(source: Source, kernels: Kernels) {
    this.#source = source;
    this.#kernels = kernels;
  }

  /**
   * Makes the runs `wanted` (indexes into `task.runs`) and hands them to `keep`; their bytes are
   * gone when `keep` has resolved.
   */
  async run(
    task: Task,
    wanted: readonly number[],
    signal: AbortSignal,
    keep: (runs: readonly MadeRun[]) => Promise<void>,
  ): Promise<void> {
    const arena = this.#takeArena(task);
    try {
      await keep(await this.#make(task, wanted, arena, signal));
    } finally {
      this.#idle.push(arena);
    }
  }

  #takeArena(task: Task): ArrayBuffer {
    const needed = task.memoryBytes + ALIGNMENT * (task.runs.length + 1);
    const found = this.#idle.findIndex((buffer) => buffer.byteLength >= needed);
    if (found >= 0) return this.#idle.splice(found, 1)[0] ?? new ArrayBuffer(needed);
    // The idle ones are too small for this plan's tasks: let the collector have one of them.
    this.#idle.pop();
    return new ArrayBuffer(needed);
  }

  async #make(
    task: Task,
    wanted: readonly number[],
    arena: ArrayBuffer,
    signal: AbortSignal,
  ): Promise<MadeRun[]> {
    let at = 0;
    const take = (bytes: number): Uint8Array => {
      const view = new Uint8Array(arena, at, bytes);
      at += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
      return view;
    };
    const source = take(task.group.sourceBytes);
    await this.#read(task, source, signal);
    const targets = wanted.flatMap((index) => {
      const run = task.runs[index];
      return run === undefined ? [] : [{ run, index, into: take(run.bytes) }];
    });
    const result = await this.#kernels.quantize({
      source,
      element: elementOf(task),
      rows: task.group.rows,
      columns: task.columns,
      targets: targets.map(({ run, into }) => ({ type: blockTypes[run.type].id, into })),
    });
    if (!result.ok) throw numberFault(task, result, targets[result.target ?? -1]?.run.type);
    return targets.map(({ index, into }, position) => ({
      run: index,
      bytes: into,
      digest: result.digests[position] ?? new Uint8Array(0),
    }));
  }

  async #read(task: Task, into: Uint8Array, signal: AbortSignal): Promise<void> {
    if (task.tensor.source.kind === 'generated') {
      const start = task.group.rowStart * task.columns;
      const values = task.tensor.source.values.subarray(
        start,
        start + task.group.rows * task.columns,
      );
      into.set(bytesOf(values));
      return;
    }
    let at = 0;
    for (const { file, offset, bytes } of task.group.ranges) {
      await this.#source.read(file, offset, into.subarray(at, at + bytes), signal);
      at += bytes;
    }
    this.sourceBytesRead += at;
  }
}

function elementOf({ tensor }: Task): ElementType {
  const type = sourceType(tensor);
  const plain = type === 'F32' || type === 'F16' || type === 'BF16';
  assert(plain, `${tensor.name} is ${type}, which no kernel reads`);
  return type;
}

function numberFault(
  task: Task,
  result: Extract<QuantizeResult, { ok: false }>,
  type: string | undefined,
): FaultError {
  const { rowsPerSlice, slices } = tensorRows(task.tensor.shape);
  const row = task.group.rowStart + result.row;
  const expert = slices > 1 ? `, expert ${Math.floor(row / rowsPerSlice)}` : '';
  const range = task.group.ranges[0];
  const where = {
    tensor: task.tensor.name,
    row,
    ...(range === undefined ? {} : { file: range.file }),
  };
  return result.reason === 'source-not-finite'
    ? new FaultError(numberFaults.notFinite, { ...where, why: `column ${result.column}${expert}` })
    : new FaultError(numberFaults.scaleOverflow, {
        ...where,
        why: `column ${result.column}${expert} as ${type ?? 'another type'}`,
      });
}
