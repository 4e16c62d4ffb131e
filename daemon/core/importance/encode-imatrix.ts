/**
 * Encode imatrix: an importance matrix as the bytes of a file, in either form.
 *
 *   ImportanceMatrix ──▶ encodeGguf, encodeDat ──▶ bytes  (read by gguf-entries.ts, dat-entries.ts)
 *
 * Keys, names and order are those of llama-imatrix; docs/imatrix.md tells the formats. No folder of
 * a machine stands in a file: of the texts' paths the last part is kept.
 */

import { joinBytes } from '../../../proto/bytes.ts';
import { FaultError } from '../../../proto/fault.ts';
import { layoutGguf } from '../gguf/layout.ts';
import type { KeyValue } from '../gguf/metadata.ts';
import { importanceFaults } from './faults.ts';
import {
  baseNameOf,
  type ImportanceMatrix,
  type MatrixEntry,
  sortedByName,
} from './importance-matrix.ts';
import { numberBytes } from './weights.ts';

/** The newer form, sums and counts as they are. */
export function encodeGguf(matrix: ImportanceMatrix): Uint8Array {
  return joinBytes([...ggufPieces(matrix)]);
}

/** The header, then each tensor with its padding. */
function* ggufPieces(matrix: ImportanceMatrix): Generator<Uint8Array> {
  const numbers = sortedByName(matrix.entries).flatMap(
    ({ name, columns, matrices, sums, counts }) => [
      { name: `${name}.in_sum2`, shape: [columns, matrices], values: sums },
      { name: `${name}.counts`, shape: [1, matrices], values: Float32Array.from(counts) },
    ],
  );
  const { header, tensors, fileBytes } = layoutGguf({
    metadata: metadataOf(matrix),
    tensors: numbers.map(({ name, shape }) => ({ name, shape, type: 'F32' })),
  });
  yield header;
  for (const [index, { values }] of numbers.entries()) {
    const start = tensors[index]?.offset ?? fileBytes;
    const piece = new Uint8Array((tensors[index + 1]?.offset ?? fileBytes) - start);
    piece.set(numberBytes(values));
    yield piece;
  }
}

function metadataOf({ datasets, chunkCount, chunkSize }: ImportanceMatrix): KeyValue[] {
  const texts = datasets.map(baseNameOf);
  return [
    { key: 'general.type', value: { type: 'string', value: 'imatrix' } },
    { key: 'imatrix.datasets', value: { type: 'array', of: 'string', value: texts } },
    { key: 'imatrix.chunk_count', value: { type: 'u32', value: chunkCount } },
    { key: 'imatrix.chunk_size', value: { type: 'u32', value: chunkSize } },
  ];
}

// The largest number of the older form.
const INT_MAX = 2 ** 31 - 1;

/**
 * The older form: means, multiplied with a number of calls that stands beside them. Entries that no
 * row has reached are left out, and so are all texts but the first.
 * @throws FaultError datTooLarge
 */
export function encodeDat(matrix: ImportanceMatrix): Uint8Array {
  return joinBytes([...datPieces(matrix)]);
}

function* datPieces(matrix: ImportanceMatrix): Generator<Uint8Array> {
  const { entries, datasets, chunkCount, chunkSize } = matrix;
  const reached = sortedByName(entries).filter(({ counts }) => counts.some((count) => count > 0));
  const encoder = new TextEncoder();
  yield ints(reached.length);
  for (const entry of reached) {
    const name = encoder.encode(entry.name);
    const calls = Math.ceil(
      entry.counts.reduce((most, count) => Math.max(most, count)) / chunkSize,
    );
    if (calls > INT_MAX) throw tooLarge(entry.name, `${calls} chunks`);
    yield joinBytes([ints(name.length), name, ints(calls, entry.sums.length)]);
    yield datValues(entry, calls);
  }
  if (chunkCount > INT_MAX) throw tooLarge(undefined, `${chunkCount} chunks`);
  const text = encoder.encode(baseNameOf(datasets[0] ?? ''));
  yield joinBytes([ints(chunkCount, text.length), text]);
}

function tooLarge(tensor: string | undefined, why: string): FaultError {
  const where = tensor === undefined ? {} : { tensor };
  return new FaultError(importanceFaults.datTooLarge, { ...where, why });
}

/** Mean × calls, in binary32; what was not reached weighs 1. */
function datValues({ columns, sums, counts }: MatrixEntry, calls: number): Uint8Array {
  const bytes = new Uint8Array(4 * sums.length);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < sums.length; i++) {
    const count = Math.fround(counts[Math.floor(i / columns)] ?? 0);
    // Each operation of two binary32 in binary64 rounds as if it were done in binary32.
    const mean = count > 0 ? Math.fround((sums[i] ?? 0) / count) : 1;
    view.setFloat32(4 * i, mean * Math.fround(calls), true);
  }
  return bytes;
}

function ints(...numbers: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * numbers.length);
  const view = new DataView(bytes.buffer);
  for (const [index, number] of numbers.entries()) view.setInt32(4 * index, number, true);
  return bytes;
}
