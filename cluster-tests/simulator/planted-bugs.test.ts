/**
 * Goal: the simulator sees it when a defence is lost.
 * Method: the real roles with one defence undone, and the trouble that it is there for; the same
 * seed without the bug must pass.
 */

import { expect, test } from 'vitest';
import { plantedBugs } from './planted-bugs.ts';
import { simulate } from './simulate.ts';

const SEEDS_MAX = 60;

test('there are enough planted bugs to trust what the simulator does not see', () => {
  expect(plantedBugs.length).toBeGreaterThanOrEqual(8);
});

test.each(plantedBugs)('$name: is caught', async ({ plant, scenario }) => {
  for (let seed = 1; seed <= SEEDS_MAX; seed++) {
    const { violation } = await simulate(seed, { plant, scenario });
    if (violation === undefined) continue;
    const honest = await simulate(seed, { scenario });
    expect(honest.violation, `seed ${seed} without the bug`).toBeUndefined();
    return;
  }
  expect.fail(`not caught in ${SEEDS_MAX} seeds`);
});
