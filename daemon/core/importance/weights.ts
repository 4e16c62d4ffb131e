/**
 * Weights: what the sums of an importance matrix become for the kernels.
 *
 *   sums + counts (or calls) ──▶ weightsOf ──▶ one weight a column and slice, and what was odd
 *
 * The weight of a column is the mean of the squares that it was multiplied with, in binary32:
 * nothing is normalised, because only ratios inside a row change a block.
 */

import { FaultError } from '../../../proto/fault.ts';
import { importanceFaults } from './faults.ts';

/** Numbers as they lie in the file: binary32, little endian. */
export function readNumbers(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const numbers = new Float32Array(bytes.length / 4);
  for (let i = 0; i < numbers.length; i++) numbers[i] = view.getFloat32(4 * i, true);
  return numbers;
}

/** The same way back: what a unit's id is made of must not depend on the machine. */
export function numberBytes(numbers: Float32Array): Uint8Array {
  const bytes = new Uint8Array(4 * numbers.length);
  const view = new DataView(bytes.buffer);
  // Not by entries(): millions of numbers would each become an array of two.
  for (let i = 0; i < numbers.length; i++) view.setFloat32(4 * i, numbers[i] ?? 0, true);
  return bytes;
}

export interface Weights {
  /** (slices, columns), as many as there were sums. */
  readonly values: Float32Array;
  /** Slices that no token has reached: all their columns weigh 1. */
  readonly unmeasured: number;
}

export interface WeightsRequest {
  /** For faults. */
  readonly file: string;
  readonly tensor: string;
  readonly sums: Float32Array;
  /** One a slice; or a number of calls, where 0 and less mean that the sums are weights already. */
  readonly divisor: Float32Array | number;
}

/**
 * The weights of one entry, as llama-quantize has them.
 * @throws FaultError badCount, badWeight
 */
export function weightsOf({ file, tensor, sums, divisor }: WeightsRequest): Weights {
  const counts = typeof divisor === 'number' ? Float32Array.of(divisor > 0 ? divisor : 1) : divisor;
  const columns = sums.length / counts.length;
  const values = new Float32Array(sums.length);
  let unmeasured = 0;
  for (const [slice, count] of counts.entries()) {
    if (!Number.isInteger(count) || count < 0) {
      const why = `${count} for slice ${slice}`;
      throw new FaultError(importanceFaults.badCount, { file, tensor, why });
    }
    if (count === 0) unmeasured++;
    for (let i = slice * columns; i < (slice + 1) * columns; i++) {
      // A quotient of two binary32 in binary64 rounds to binary32 as if divided there.
      values[i] = count === 0 ? 1 : (sums[i] ?? 0) / count;
    }
  }
  checkWeights(file, tensor, values, columns);
  return { values, unmeasured };
}

function checkWeights(file: string, tensor: string, values: Float32Array, columns: number): void {
  const odd = values.findIndex((value) => !(value >= 0 && value < Infinity));
  if (odd < 0) return;
  const why = `${values[odd]} in column ${odd % columns} of slice ${Math.floor(odd / columns)}`;
  throw new FaultError(importanceFaults.badWeight, { file, tensor, why });
}
