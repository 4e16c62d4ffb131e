/**
 * Main: runs seeds from the command line.
 *
 *   npm run simulate -- [--seed N] [--count N] [--from N]
 *
 * One seed is told event by event; of many only those that fail.
 */

import { parseArgs } from 'node:util';
import { type Outcome, simulate } from './simulate.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    from: { type: 'string', default: '1' },
    count: { type: 'string', default: '1000' },
  },
});

if (values.seed !== undefined) {
  const outcome = await simulate(Number(values.seed), { traced: true });
  for (const line of outcome.trace) console.log(line);
  console.log(JSON.stringify(outcome.scenario));
  console.log(summary(outcome));
  process.exit(outcome.violation === undefined ? 0 : 1);
}

const from = Number(values.from);
const count = Number(values.count);
const startMs = performance.now();
let failed = 0;
let events = 0;
for (let seed = from; seed < from + count; seed++) {
  const outcome = await simulate(seed);
  events += outcome.events;
  if (outcome.violation === undefined) continue;
  failed++;
  console.log(summary(outcome));
}
const seconds = (performance.now() - startMs) / 1000;
console.log(
  `${count} seeds, ${failed} failed, ${Math.round(count / seconds)} seeds/s, ${Math.round(events / count)} events a seed`,
);
process.exit(failed === 0 ? 0 : 1);

function summary({ seed, violation, scenario, tasks, events, virtualMs }: Outcome): string {
  const what = `${scenario.kind}, ${scenario.workers} workers, ${tasks} tasks, ${events} events, ${Math.round(virtualMs / 1000)} s`;
  return `seed ${seed} (${what}): ${violation ?? 'all is well'}`;
}
