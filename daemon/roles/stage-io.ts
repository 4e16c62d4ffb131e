/**
 * Stage io: the numbers of a cut as bytes, in the one order that crosses the wire.
 *
 *   registers of a cut, (positions × width) each ──▶ one blob a chunk ──▶ registers
 *
 * binary32, little endian, register after register as the cut lists them.
 */

import type { StateRegister } from '../core/models/forward.ts';

/** Bytes of a cut's blob of one chunk. */
export function stateBytes(registers: readonly StateRegister[], positions: number): number {
  const numbers = registers.reduce((sum, { width }) => sum + width * positions, 0);
  return numbers * Float32Array.BYTES_PER_ELEMENT;
}

/** The same memory as bytes. */
export function bytesOfNumbers(numbers: Float32Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

/** Copies a blob into its registers. */
export function scatter(blob: Uint8Array, into: readonly Float32Array[]): void {
  let at = 0;
  for (const numbers of into) {
    bytesOfNumbers(numbers).set(blob.subarray(at, at + numbers.byteLength));
    at += numbers.byteLength;
  }
}

/** The registers as one blob; of a single one its own memory. */
export function gather(from: readonly Float32Array[]): Uint8Array {
  const [only] = from;
  if (from.length === 1 && only !== undefined) return bytesOfNumbers(only);
  const blob = new Uint8Array(from.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const numbers of from) {
    blob.set(bytesOfNumbers(numbers), at);
    at += numbers.byteLength;
  }
  return blob;
}
