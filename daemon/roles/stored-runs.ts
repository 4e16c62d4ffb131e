/**
 * Stored runs: what is there of an output, as far as it is known from which bytes it was made.
 *
 *   assembler's runs, tasks that are right ──▶ keepRight ──▶ what need not be made again
 */

import type { Plan } from '../core/plan/plan.ts';
import type { OutputAssembler } from './output-assembler.ts';

/** By output and run, the task that makes it. */
export function tasksOfRuns({ tasks, outputs }: Plan): number[][] {
  const found = outputs.map((): number[] => []);
  for (const [task, { runs }] of tasks.entries()) {
    for (const { output, run } of runs.flatMap(({ placements }) => placements)) {
      const ofOutput = found[output];
      if (ofOutput !== undefined) ofOutput[run] = task;
    }
  }
  return found;
}

/**
 * Those of an output's runs that are right; an unsealed output forgets the others. A sealed one
 * was made from what had been proven.
 */
export function keepRight(
  assembler: OutputAssembler,
  runs: readonly number[],
  isRight: (run: number) => boolean,
): readonly number[] {
  if (assembler.isSealed) return runs;
  const doubtful = runs.filter((run) => !isRight(run));
  if (doubtful.length === 0) return runs;
  assembler.forget(doubtful);
  return runs.filter(isRight);
}
