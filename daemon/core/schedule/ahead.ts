/**
 * Ahead: what can be quantized while other layers are still measured, and what of it is of use.
 *
 *   tensors + complete layers ──▶ settledTensors ──▶ planRun ──▶ block runs in drafts of the outputs
 *   those + the plan of all that was measured ──▶ adoptedRuns ──▶ what the outputs begin with
 *
 * A unit's id holds the digest of its tensor's weights and nothing of the other tensors'. So what was
 * made of weights that changed later, by a chunk that turned out bad, is told by its id alone.
 */

import type { PlannedOutput } from '../plan/plan.ts';
import type { StoredRun } from '../plan/run-journal.ts';
import type { UnitId } from '../plan/unit-id.ts';
import { layerOf } from './placement.ts';

/** A block run that lies in the draft of an output. */
export interface AheadRun {
  readonly unit: UnitId;
  readonly offset: number;
  readonly bytes: number;
  readonly digest: Uint8Array;
  /** Its checksum, where it was made by this process. */
  readonly sum?: Uint8Array;
}

interface NamedTensor {
  readonly name: string;
  /** As the measurement knows it. */
  readonly originalName?: string;
}

/**
 * The tensors of complete layers, unless another layer weighs them. What belongs to no layer
 * (embeddings, the output matrix) is not among them: no machine holds it from measuring.
 * @param statistics of every layer that is measured
 */
export function settledTensors<T extends NamedTensor>(
  tensors: readonly T[],
  statistics: readonly (readonly { readonly names: readonly string[] }[])[],
  complete: ReadonlySet<number>,
): T[] {
  const weighedIn = new Map<string, number>();
  for (const [layer, each] of statistics.entries()) {
    for (const { names } of each) for (const name of names) weighedIn.set(name, layer);
  }
  return tensors.filter(({ name, originalName = name }) => {
    const layer = layerOf(originalName);
    const weighed = weighedIn.get(originalName) ?? layer;
    return (
      layer !== undefined && complete.has(layer) && weighed !== undefined && complete.has(weighed)
    );
  });
}

/** Of the runs that were made ahead those that the output wants, by their index in it. */
export function adoptedRuns(
  { runs }: Pick<PlannedOutput, 'runs'>,
  made: readonly AheadRun[],
): (StoredRun & Pick<AheadRun, 'sum'>)[] {
  const at = new Map(made.map((run) => [run.offset, run]));
  return runs.flatMap(({ unit, offset, bytes }, run) => {
    const found = at.get(offset);
    if (found?.unit !== unit || found.bytes !== bytes) return [];
    const { digest, sum } = found;
    return [{ run, digest, ...(sum === undefined ? {} : { sum }) }];
  });
}
