/**
 * Stored runs: what an earlier run has left of an output, as far as somebody vouches for it.
 *
 *   Assembler, SourceProof ──▶ storedRuns ──▶ what need not be made again
 */

import type { Plan } from '../core/plan/plan.ts';
import type { OutputAssembler } from './output-assembler.ts';
import type { SourceProof } from './source-proof.ts';

/**
 * The runs of an output that are on disk. Where machines fetch the source by themselves, those of
 * tasks whose bytes nobody vouches for are forgotten, unless the output is sealed: then the source
 * was proven before.
 */
export function storedRuns(
  assembler: OutputAssembler,
  output: number,
  { plan, proof }: { readonly plan: Plan; readonly proof?: SourceProof | undefined },
): number[] {
  const stored = assembler.storedRuns();
  if (proof === undefined || assembler.isSealed || stored.length === 0) return stored;
  const doubtful = new Set(
    plan.tasks.flatMap(({ runs }, task) => {
      if (proof.isVouched(task)) return [];
      const places = runs.flatMap(({ placements }) => placements);
      return places.filter((place) => place.output === output).map(({ run }) => run);
    }),
  );
  assembler.forget(stored.filter((run) => doubtful.has(run)));
  return stored.filter((run) => !doubtful.has(run));
}
