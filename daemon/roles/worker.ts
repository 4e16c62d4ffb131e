/**
 * Worker: makes the block runs of one task, with no memory of the last.
 *
 *   task ──▶ Source.read (once) ──▶ Kernels.quantize (every type) ──▶ blocks and digests
 *
 * A task is a function of its source bytes, so running it twice is harmless.
 */

import { FaultError } from '../../proto/fault.ts';
import { firstBadBlock } from '../core/gguf/block-scales.ts';
import { type BlockTypeName, blockTypes } from '../core/gguf/block-types.ts';
import { type BlockRun, bytesOf, type Plan, type Task } from '../core/plan/plan.ts';
import { sourceType, tensorRows } from '../core/plan/row-groups.ts';
import type { Kernels, QuantizeResult, Source } from '../ports.ts';
import { numberFaults } from './faults.ts';

interface Target {
  readonly run: BlockRun;
  readonly index: number;
  readonly into: Uint8Array;
}

export interface MadeRun {
  /** Index among the task's runs. */
  readonly run: number;
  readonly bytes: Uint8Array;
  readonly digest: Uint8Array;
  /** Its checksum, where it has one. */
  readonly sum?: Uint8Array;
}

// What a disk takes as it is: pages of memory, at the same place in a page as in the file. No two
// views of one buffer share a line of a cache either, so that threads do not fight over it.
const PAGE_BYTES = 4096;

/** Where the first output that wants a run has it, in bytes. */
export type PlaceOf = (run: BlockRun) => number;

export function placesIn({ outputs }: Plan): PlaceOf {
  return ({ placements: [first] }) =>
    (first && outputs[first.output]?.runs[first.run]?.offset) ?? 0;
}

export class Worker {
  readonly #kernels: Kernels;
  readonly #placeOf: PlaceOf;
  /** Buffers of finished tasks, kept for the next: allocating megabytes per task costs more. */
  readonly #idle: ArrayBuffer[];
  /** Source bytes read so far. */
  sourceBytesRead = 0;

  /**
   * @param placeOf so that a run lies in memory as it will in the file; it saves a copy
   * @param idle buffers that another worker of the run has no more use for
   */
  constructor(kernels: Kernels, placeOf: PlaceOf = () => 0, idle: ArrayBuffer[] = []) {
    this.#kernels = kernels;
    this.#idle = idle;
    this.#placeOf = placeOf;
  }

  /**
   * Makes the runs `wanted` (indexes into `task.runs`) and hands them to `keep`; their bytes are
   * gone when `keep` has resolved.
   */
  async run(
    task: Task,
    wanted: readonly number[],
    source: Pick<Source, 'read'>,
    signal: AbortSignal,
    keep: (runs: readonly MadeRun[]) => Promise<void>,
  ): Promise<void> {
    const arena = this.#takeArena(task);
    try {
      await keep(await this.#make(task, wanted, source, arena, signal));
    } finally {
      this.#idle.push(arena);
    }
  }

  #takeArena(task: Task): ArrayBuffer {
    const needed = task.memoryBytes + 2 * PAGE_BYTES * (task.runs.length + 1);
    const found = this.#idle.findIndex((buffer) => buffer.byteLength >= needed);
    const [idle] = found < 0 ? [] : this.#idle.splice(found, 1);
    if (idle !== undefined) return idle;
    // The idle ones are too small for this plan's tasks: let the collector have one of them.
    this.#idle.pop();
    return this.#kernels.memory?.(needed) ?? new ArrayBuffer(needed);
  }

  async #make(
    task: Task,
    wanted: readonly number[],
    from: Pick<Source, 'read'>,
    arena: ArrayBuffer,
    signal: AbortSignal,
  ): Promise<MadeRun[]> {
    let at = 0;
    const take = (bytes: number, place: number): Uint8Array => {
      const view = new Uint8Array(arena, at + (place % PAGE_BYTES), bytes);
      at += Math.ceil(((place % PAGE_BYTES) + bytes) / PAGE_BYTES) * PAGE_BYTES;
      return view;
    };
    const source = take(task.group.sourceBytes, 0);
    await this.#read(task, from, source, signal);
    const copies = wanted.filter((index) => isCopy(task, index));
    const copied = copies.length > 0 ? await this.#digestCopy(task, source) : undefined;
    const targets = wanted.flatMap((index) => {
      const run = task.runs[index];
      if (run === undefined || copies.includes(index)) return [];
      return [{ run, index, into: take(run.bytes, this.#placeOf(run)) }];
    });
    const made = targets.length > 0 ? await this.#quantize(task, source, targets) : [];
    return copied === undefined
      ? made
      : [...made, ...copies.map((run) => ({ run, bytes: source, digest: copied }))];
  }

  /** The digest of blocks that stay as they are, once their scales have been looked at. */
  async #digestCopy(task: Task, source: Uint8Array): Promise<Uint8Array> {
    const type = sourceType(task.tensor);
    const block = firstBadBlock(type, source);
    if (block !== undefined) {
      const element = block * blockTypes[type].blockElements;
      const row = Math.floor(element / task.columns);
      const place = { row, column: element % task.columns };
      throw numberFault(task, { ok: false, reason: 'source-not-finite', ...place }, type);
    }
    return this.#kernels.sha256(source);
  }

  async #quantize(task: Task, source: Uint8Array, targets: readonly Target[]): Promise<MadeRun[]> {
    const result = await this.#kernels.quantize({
      source,
      element: sourceType(task.tensor),
      rows: task.group.rows,
      columns: task.columns,
      ...(task.importance === undefined ? {} : { importance: task.importance.values }),
      targets: targets.map(({ run, into }) => ({ type: blockTypes[run.type].id, into })),
    });
    if (!result.ok) throw numberFault(task, result, targets[result.target ?? -1]?.run.type);
    return targets.map(({ index, into }, position) => ({
      run: index,
      bytes: into,
      digest: result.digests[position] ?? new Uint8Array(0),
      ...sumOf(result.sums?.[position]),
    }));
  }

  async #read(
    task: Task,
    source: Pick<Source, 'read'>,
    into: Uint8Array,
    signal: AbortSignal,
  ): Promise<void> {
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
      await source.read(file, offset, into.subarray(at, at + bytes), signal);
      at += bytes;
    }
    this.sourceBytesRead += at;
  }
}

/**
 * Whether a run is the source's own bytes. Plain numbers go through the kernel all the same, which
 * looks whether each of them is one.
 */
function isCopy({ tensor, runs }: Task, index: number): boolean {
  const type = sourceType(tensor);
  return runs[index]?.type === type && !isPlainNumber(type);
}

function sumOf(sum: Uint8Array | undefined): Pick<MadeRun, 'sum'> {
  return sum === undefined ? {} : { sum };
}

function isPlainNumber(type: BlockTypeName): boolean {
  return type === 'F32' || type === 'F16' || type === 'BF16';
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
