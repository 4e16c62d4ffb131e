/**
 * False kernels: blocks that depend on every bit of the rows they are made of, after a while.
 *
 *   source rows, type, importance ──▶ falseBlocks ──▶ as many bytes as the type has a row
 *
 * Row by row, as the real ones: how rows are cut into jobs must not change a byte.
 */

import {
  type BlockTypeName,
  blockTypeById,
  blockTypes,
  rowBytes,
} from '../../daemon/core/gguf/block-types.ts';
import { usesImportance } from '../../daemon/core/importance/importance.ts';
import type { Kernels, QuantizeJob } from '../../daemon/ports.ts';
import { assert } from '../../proto/assert.ts';
import { mixInto } from './dice.ts';
import { sha256 } from './sha256.ts';
import type { Process } from './world.ts';

/** Blocks of `type`, of rows of `columns` elements that are stored as `element`. */
export function falseBlocks(
  source: Uint8Array,
  element: BlockTypeName,
  columns: number,
  type: BlockTypeName,
  importance: Float32Array | undefined,
): Uint8Array {
  const rowBytesIn = rowBytes(element, columns);
  const rowBytesOut = rowBytes(type, columns);
  const rows = source.length / rowBytesIn;
  const isWeighted = importance !== undefined && usesImportance(type);
  const salt = blockTypes[type].id + (isWeighted ? 1000 + mixOf(importance) : 0);
  const into = new Uint8Array(rows * rowBytesOut);
  for (let row = 0; row < rows; row++) {
    const state = mixOf(source.subarray(row * rowBytesIn, (row + 1) * rowBytesIn)) ^ salt;
    mixInto(into.subarray(row * rowBytesOut, (row + 1) * rowBytesOut), state);
  }
  return into;
}

/** FNV-1a, so that each bit decides. */
function mixOf({ buffer, byteOffset, byteLength }: Uint8Array | Float32Array): number {
  let state = 0x811c_9dc5;
  for (const byte of new Uint8Array(buffer, byteOffset, byteLength)) {
    state = Math.imul(state ^ byte, 0x0100_0193);
  }
  return state;
}

export interface KernelSpeed {
  /** Of one job. */
  readonly leastMs: number;
  readonly bytesPerMs: number;
}

export function falseKernels(process: Process, { leastMs, bytesPerMs }: KernelSpeed): Kernels {
  const digestMs = (bytes: Uint8Array): number => bytes.length / (100 * bytesPerMs);
  return {
    info: { isa: 'scalar', isas: ['scalar'], threads: 1, quantizers: [] },
    quantize: (job) =>
      process.later(leastMs + job.source.length / bytesPerMs, 'quantize', () => perform(job)),
    sha256: (bytes) => process.later(digestMs(bytes), 'sha256', () => sha256(bytes)),
    sha256File: () => Promise.reject(new Error('the simulated disk digests its own files')),
    close: () => undefined,
  };
}

function perform(job: QuantizeJob): Awaited<ReturnType<Kernels['quantize']>> {
  const element = Object.keys(blockTypes).find(
    (name): name is BlockTypeName => name === job.element,
  );
  assert(element !== undefined, `${job.element} is a block type`);
  const { columns, rows, source } = job;
  assert(source.length === rows * rowBytes(element, columns), 'the job has its rows');
  const digests = job.targets.map(({ type: id, into }) => {
    const type = blockTypeById(id);
    assert(type !== undefined, `${id} is a block type`);
    const blocks = falseBlocks(source, element, columns, type, job.importance);
    assert(blocks.length === into.length, 'the target has the length of its blocks');
    into.set(blocks);
    return sha256(into);
  });
  return { ok: true, digests };
}
