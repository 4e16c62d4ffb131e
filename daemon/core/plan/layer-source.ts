/**
 * Layer source: where the weights of a layer lie in the source, in pieces that can travel.
 *
 *   Layer + the model's tensors ──▶ layerPieces ──▶ pieces of whole rows, in one order everywhere
 *
 * The pieces are those of the row groups that quantizing cuts, so that a machine which has run a
 * layer has all it needs to quantize it. Read next: row-groups.ts.
 */

import { assert } from '../../../proto/assert.ts';
import { LEAF_BYTES } from '../../../proto/peer-messages.ts';
import { rowBytes } from '../gguf/block-types.ts';
import type { ModelTensor } from '../models/family.ts';
import type { Weight } from '../models/forward.ts';
import { digestOf } from './plan.ts';
import { cutRowGroups, sourceType, tensorRows } from './row-groups.ts';

/** Whole rows of one tensor that lie together in one file. */
export interface LayerPiece {
  readonly file: string;
  /** SHA-256 of the whole file, lower-case hex. */
  readonly fileDigest: string;
  readonly offset: number;
  readonly bytes: number;
  readonly rows: number;
}

export interface WeightSource {
  readonly weight: Weight;
  /** From the first row to the last. */
  readonly pieces: readonly LayerPiece[];
}

/** Where each of the weights lies, in their order. */
export function weightSources(
  weights: readonly Weight[],
  tensors: ReadonlyMap<string, ModelTensor>,
  fileDigests: ReadonlyMap<string, string>,
): WeightSource[] {
  return weights.map((weight) => {
    const tensor = tensors.get(weight.tensor);
    assert(tensor !== undefined, `the model has a tensor ${weight.tensor}`);
    const bytesPerRow = rowBytes(sourceType(tensor), tensorRows(tensor.shape).columns);
    const ranges = cutRowGroups(tensor).flatMap((group) => group.ranges);
    const pieces = ranges.map(({ file, offset, bytes }) => {
      assert(bytes % bytesPerRow === 0, `a piece of ${weight.tensor} is cut between rows`);
      const fileDigest = digestOf(fileDigests, file);
      return { file, fileDigest, offset, bytes, rows: bytes / bytesPerRow };
    });
    return { weight, pieces };
  });
}

/** How many leaves a piece has, the last one shorter. */
export function leavesOf({ bytes }: Pick<LayerPiece, 'bytes'>): number {
  return Math.ceil(bytes / LEAF_BYTES);
}

/** Source bytes of some weights. */
export function sourceBytesOf(sources: readonly WeightSource[]): number {
  return sources.reduce(
    (sum, { pieces }) => sum + pieces.reduce((bytes, piece) => bytes + piece.bytes, 0),
    0,
  );
}
