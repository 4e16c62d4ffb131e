/**
 * Copy plan: a GGUF whose tensors stand in other GGUFs already, and which of their bytes go where.
 *
 *   metadata + tensors with their files ──▶ planCopy ──▶ CopiedFile  (read next: roles/copy-gguf.ts)
 *
 * Only the header is made anew; a tensor's bytes are the same wherever it stands.
 */

import { type GgufLayout, layoutGguf, type PlacedTensor } from './layout.ts';
import { ALIGNMENT_DEFAULT } from './limits.ts';
import type { KeyValue } from './metadata.ts';
import type { GgufFile } from './reader.ts';

/** A tensor and the file that it stands in. */
export interface FoundTensor {
  readonly file: string;
  readonly tensor: PlacedTensor;
}

/** Bytes of a source file, and where they stand in the output. */
export interface CopyRun {
  readonly file: string;
  readonly from: number;
  readonly offset: number;
  readonly bytes: number;
}

export interface CopiedFile {
  readonly file: string;
  readonly layout: GgufLayout;
  /** In ascending order of their place; together all tensors. */
  readonly runs: readonly CopyRun[];
}

/** The most bytes of a run: few enough to hold some in memory, and large enough for any disk. */
export const COPY_BYTES_MAX = 8 * 2 ** 20;

/**
 * Lays the file `file` out with these keys and tensors in this order.
 * @throws FaultError QD-32xx for what cannot stand in a GGUF
 */
export function planCopy(
  file: string,
  metadata: readonly KeyValue[],
  found: readonly FoundTensor[],
): CopiedFile {
  const tensors = found.map(({ tensor }) => tensor);
  const layout = layoutGguf({ metadata, tensors, alignment: alignmentOf(metadata) });
  const runs = layout.tensors.flatMap(({ offset, bytes }, index) => {
    const source = found[index];
    return source === undefined ? [] : cutRuns(source, offset, bytes);
  });
  return { file, layout, runs };
}

function cutRuns({ file, tensor }: FoundTensor, offset: number, bytes: number): CopyRun[] {
  return Array.from({ length: Math.ceil(bytes / COPY_BYTES_MAX) }, (_, index) => {
    const start = index * COPY_BYTES_MAX;
    return {
      file,
      from: tensor.offset + start,
      offset: offset + start,
      bytes: Math.min(COPY_BYTES_MAX, bytes - start),
    };
  });
}

/** That of the key, as a GGUF that was read states it; the default where there is none. */
function alignmentOf(metadata: readonly KeyValue[]): number {
  const stated = metadata.find(({ key }) => key === 'general.alignment')?.value;
  return stated?.type === 'u32' ? stated.value : ALIGNMENT_DEFAULT;
}

/** The keys of a GGUF in their order, each with the bytes of its value. */
export function carriedMetadata({ metadata, encoded }: GgufFile): KeyValue[] {
  return metadata.map((entry, index) => {
    const bytes = encoded[index];
    return bytes === undefined ? entry : { ...entry, encoded: bytes };
  });
}
