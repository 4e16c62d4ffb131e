/**
 * Quantizer samples: rows for the quantizers, and the kernels that make blocks of them.
 *
 *   kind of row, kind of importance, shape ──▶ Sample   (read next: compare-quantizers.ts)
 */

import { fileURLToPath } from 'node:url';
import { loadKernels } from '../../daemon/adapters/kernels.ts';
import type { ElementType, Kernels } from '../../daemon/ports.ts';
import { printLeftOut } from './left-out-sets.ts';
import { bytesOf, type QuantizerType } from './quantizer-types.ts';
import {
  fillImportance,
  fillRows,
  importanceKindNames,
  type RowKind,
  rowKindNames,
} from './sample-rows.ts';

const addonPath = fileURLToPath(new URL('../../build/kernels/quantd.node', import.meta.url));

/** A job of at most one span of the kernels: all of it is made even where a scale overflows. */
export const SPAN_ELEMENTS = 32768;

export interface Sample {
  readonly label: string;
  readonly source: Uint8Array;
  readonly element: ElementType;
  readonly rows: number;
  readonly columns: number;
  /** What the source says. */
  readonly values: Float32Array;
  readonly importance?: Float32Array | undefined;
}

export function openKernels(threads: number, isa?: string): Kernels {
  return loadKernels({ addonPath, threads, ...(isa === undefined ? {} : { isa }) });
}

/** Of the addon; names the sets that tests of all of them leave out. */
export function kernelInfo(): Kernels['info'] {
  const kernels = openKernels(1);
  kernels.close();
  printLeftOut(kernels.info.isas);
  return kernels.info;
}

export const bytesOfFloats = (values: Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

export const makeTargets = (
  types: readonly QuantizerType[],
  { rows, columns }: { readonly rows: number; readonly columns: number },
): { readonly type: number; readonly into: Uint8Array }[] =>
  types.map((type) => ({ type: type.id, into: new Uint8Array(bytesOf(type, rows * columns)) }));

/** Rows of one kind. */
export function sampleOf(kind: RowKind, seed: number, rows: number, columns: number): Sample {
  const values = new Float32Array(rows * columns);
  fillRows(kind, seed, values);
  const label = `${kind}, ${rows} rows of ${columns}`;
  return { label, source: bytesOfFloats(values), element: 'F32', rows, columns, values };
}

/** The same rows with importance. */
export function withImportance(sample: Sample, seed: number): Sample {
  const kind = importanceKindNames[seed % importanceKindNames.length] ?? 'ones';
  const importance = new Float32Array(sample.columns);
  fillImportance(kind, seed, importance);
  return { ...sample, importance, label: `${sample.label}, importance ${kind}` };
}

/**
 * Rows of every kind, at row lengths from 1 to 32 blocks of either size, `step` apart, in such
 * numbers that every count of blocks is left over when lanes are full.
 */
export function* everyKindOfRow(step: number): Generator<Sample> {
  let seed = 0;
  for (const [index, kind] of rowKindNames.entries()) {
    for (let blocks = 1 + (index % step); blocks <= 32; blocks += step) {
      const rows = Math.min(1 + (seed % 4), Math.floor(SPAN_ELEMENTS / (256 * blocks)));
      yield sampleOf(kind, ++seed, rows, 256 * blocks);
      yield sampleOf(kind, ++seed, 3, 32 * blocks);
    }
  }
}
