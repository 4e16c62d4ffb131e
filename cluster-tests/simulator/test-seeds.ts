/**
 * Test seeds: a part of the seeds that every test run simulates, in a file of its own so that all
 * cores are used. More of them: `npm run simulate -- --from N --count N`.
 */

import { expect, test } from 'vitest';
import { simulate } from './simulate.ts';

// Of one file; four files make 2400.
const SEEDS = 450;
// A seed that fails says as much as ten.
const FAILURES_MAX = 10;

/** @param part the how-manieth file this is, from 0 */
export function testSeeds(part: number): void {
  const from = 1 + part * SEEDS;
  test(`every output is whole, once, whatever happens: seeds ${from} to ${from + SEEDS - 1}`, async () => {
    const failures: string[] = [];
    for (let seed = from; seed < from + SEEDS && failures.length < FAILURES_MAX; seed++) {
      const { violation } = await simulate(seed);
      if (violation !== undefined) {
        failures.push(`npm run simulate -- --seed ${seed}\n${violation}`);
      }
    }
    expect(failures.join('\n\n')).toBe('');
  });
}
