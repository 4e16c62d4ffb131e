/**
 * Main: simulates measurements from the command line.
 *
 *   npm run simulate -- --measure [--seed N] [--count N] [--from N]
 *
 * One seed is told event by event; of many only those that fail.
 */

import { parseArgs } from 'node:util';
import { type MeasureOutcome, simulateMeasure } from './simulate-measure.ts';
import { loadModel } from './world-model.ts';

const { values } = parseArgs({
  options: {
    measure: { type: 'boolean' },
    seed: { type: 'string' },
    from: { type: 'string', default: '1' },
    count: { type: 'string', default: '1000' },
  },
});

const model = await loadModel();
if (values.seed !== undefined) {
  const outcome = await simulateMeasure(Number(values.seed), model, { traced: true });
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
let adopted = 0;
for (let seed = from; seed < from + count; seed++) {
  const outcome = await simulateMeasure(seed, model);
  events += outcome.events;
  adopted += outcome.ahead.adopted;
  if (outcome.violation === undefined) continue;
  failed++;
  console.log(summary(outcome));
}
const seconds = (performance.now() - startMs) / 1000;
console.log(
  `${count} seeds, ${failed} failed, ${(count / seconds).toFixed(1)} seeds/s, ${Math.round(events / count)} events and ${Math.round(adopted / count)} units made ahead a seed`,
);
process.exit(failed === 0 ? 0 : 1);

function summary({ seed, violation, scenario, events, virtualMs }: MeasureOutcome): string {
  const { kind, workers, chunks } = scenario;
  const what = `${kind}, ${workers} workers, ${chunks} chunks, ${events} events, ${Math.round(virtualMs / 1000)} s`;
  return `seed ${seed} (${what}): ${violation ?? 'all is well'}`;
}
