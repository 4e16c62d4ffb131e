/**
 * Goal: every output is whole, once, wherever it grows and whatever happens to those who have it.
 * Method: the seeds of the other runs with outputs on workers' disks, half of them collected in the
 * end; a worker dies at a step of its disk where the coordinator would have.
 */

import { expect, test } from 'vitest';
import { diceOf } from './dice.ts';
import { inventScenario, type Scenario } from './scenario.ts';
import { simulate } from './simulate.ts';

const SEEDS = 100;
const FAILURES_MAX = 5;

/** What a seed invents, with at least one worker; of those one may die for good. */
function pooled(seed: number): Partial<Scenario> {
  const { workers, startsMs, deathAtDisk } = inventScenario(diceOf(seed));
  return {
    isLarge: false,
    tightDisk: seed % 5 === 0,
    outputs: seed % 2 === 0 ? 'left' : 'collected',
    workers: Math.max(1, workers),
    startsMs: startsMs.length > 0 ? startsMs : [0],
    deathAtDisk: deathAtDisk && { ...deathAtDisk, machine: seed % 4 < 2 ? 1 : 0 },
  };
}

test(`every output is whole, once, on whatever disk it grows: seeds 1 to ${SEEDS}`, async () => {
  const failures: string[] = [];
  for (let seed = 1; seed <= SEEDS && failures.length < FAILURES_MAX; seed++) {
    const { violation } = await simulate(seed, { scenario: pooled(seed) });
    if (violation !== undefined) failures.push(`seed ${seed}\n${violation}`);
  }
  expect(failures.join('\n\n')).toBe('');
});
