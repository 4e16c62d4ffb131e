/**
 * Goal: whatever befalls a cluster while it measures, the matrix is that of the chunks, without
 * those that are bad, and nothing is run twice without need.
 * Method: the real roles in a simulated world, over layers that depend on every bit of weights and
 * states; a plain loop over chunks and layers says what must come out. More seeds:
 * `npm run simulate -- --measure --from N --count N`.
 */

import { beforeAll, describe, expect, test } from 'vitest';
import { calmNetwork } from '../simulator/false-network.ts';
import type { MeasureScenario } from './measure-scenario.ts';
import { simulateMeasure } from './simulate-measure.ts';
import { loadModel, type WorldModel } from './world-model.ts';

const SEEDS = 40;
// A seed that fails says as much as ten.
const FAILURES_MAX = 5;
const LAYERS = 7;

let model: WorldModel;
beforeAll(async () => {
  model = await loadModel();
});

test(`the matrix is right whatever happens: seeds 1 to ${SEEDS}`, async () => {
  const failures: string[] = [];
  for (let seed = 1; seed <= SEEDS && failures.length < FAILURES_MAX; seed++) {
    const { violation } = await simulateMeasure(seed, model);
    if (violation !== undefined) {
      failures.push(`npm run simulate -- --measure --seed ${seed}\n${violation}`);
    }
  }
  expect(failures.join('\n\n')).toBe('');
});

describe('of five machines and 100 chunks', () => {
  const quiet: Partial<MeasureScenario> = {
    kind: 'calm',
    workers: 5,
    coordinatorWorks: false,
    chunks: 100,
    misfortunes: [],
    startsMs: [0, 0, 0, 0, 0],
    calmFromMs: 0,
    chunkMs: 20,
    replicas: 1,
    hints: 'usual',
    badAt: new Map(),
    wrongBlobs: 0,
    quantizes: false,
    hub: undefined,
    slow: undefined,
  };

  // A stage of two layers is 13 minutes at a group; the whole takes longer than a world is given.
  const slow: Partial<MeasureScenario> = {
    chunkMs: 25_000,
    calmFromMs: 10_000_000,
    network: calmNetwork,
  };

  test.each<[string, Partial<MeasureScenario>]>([
    ['nothing goes wrong', {}],
    ['no hint arrives', { hints: 'never' }],
    ['every hint comes twice', { hints: 'twice' }],
    ['two share each stage', { replicas: 2 }],
    ['all share all layers', { replicas: 5 }],
    ['waves are of one chunk', { waveChunks: 1 }],
    ['weights do not fit into memory', { isStreamed: true }],
    ['a lease takes longer than a silence may', slow],
    ['each machine fetches its part', { hub: { flips: 0, hasNoWay: [2] } }],
    ['as many machines as layers', { workers: 7, startsMs: [0, 0, 0, 0, 0, 0, 0] }],
  ])('%s: each chunk passes each layer once', async (_, scenario) => {
    const outcome = await simulateMeasure(1, model, { scenario: { ...quiet, ...scenario } });
    expect(outcome.violation).toBeUndefined();
    expect(outcome.passed).toBe(100 * LAYERS);
  });

  test('bad chunks are taken out of every layer, also where a whole group is bad', async () => {
    // The last group has four chunks.
    const badAt = new Map([
      [3, 6],
      [17, 0],
      [18, 3],
      ...[96, 97, 98, 99].map((chunk) => [chunk, chunk - 94] as const),
    ]);
    for (const hints of ['usual', 'never'] as const) {
      const scenario = { ...quiet, badAt, hints };
      const { violation } = await simulateMeasure(2, model, { scenario });
      expect(violation).toBeUndefined();
    }
  });

  test('outputs begin with what idle machines made while others measured', async () => {
    const scenario = { ...quiet, quantizes: true, badWrites: 0, chunkMs: 200 };
    const outcome = await simulateMeasure(4, model, { scenario });
    expect(outcome.violation).toBeUndefined();
    expect(outcome.ahead.adopted).toBeGreaterThan(0);
    expect(outcome.ahead.made).toBe(outcome.ahead.adopted);
  });

  test('nothing is kept of what was made before a chunk of the last layer turned out bad', async () => {
    // In the last group, so that the layers before it are complete and their machines idle.
    const badAt = new Map([[99, LAYERS - 1]]);
    const scenario = { ...quiet, quantizes: true, badWrites: 0, chunkMs: 200, badAt };
    const { violation, ahead } = await simulateMeasure(6, model, { scenario });
    expect(violation).toBeUndefined();
    expect(ahead.made).toBeGreaterThan(ahead.adopted);
  });

  test('a wrong bit of a hub, whoever has run layers on it: the matrix is that of the right ones', async () => {
    const kind = 'troubled' as const;
    const outcomes = [];
    for (const coordinatorWorks of [false, true]) {
      const hub = { flips: 0.02, hasNoWay: [2] };
      const scenario = { ...quiet, kind, hub, coordinatorWorks, chunks: 33, calmFromMs: 30_000 };
      outcomes.push(await simulateMeasure(4, model, { scenario }));
    }
    expect(outcomes.map(({ violation }) => violation)).toEqual([undefined, undefined]);
    for (const { faults } of outcomes) expect(new Set(faults)).toEqual(new Set(['QD-6801']));
  });

  test('one of the machines that share a stage dies with leases open, and is not missed', async () => {
    const shared = { ...quiet, replicas: 2, waveChunks: 4, chunkMs: 100, network: calmNetwork };
    const what = { kind: 'kill', awayMs: 3_600_000 } as const;
    // A third and more than two thirds of the time that it takes without.
    for (const [at, atMs] of [8_000, 18_500].entries()) {
      const misfortunes = [{ atMs, machine: 1 + at, what }];
      const end = { kind: 'one death' as const, calmFromMs: 30_000 };
      const scenario = { ...shared, ...end, misfortunes, isStreamed: false };
      const { violation, passed } = await simulateMeasure(2, model, { scenario });
      expect(violation).toBeUndefined();
      expect(passed).toBeGreaterThan(100 * LAYERS);
      // Of each machine two leases are open, of a group each.
      expect(passed).toBeLessThanOrEqual(100 * LAYERS + 2 * 16 * LAYERS);
    }
  });

  test('a machine that is much slower than it says delays nobody for long', async () => {
    const times = { chunks: 200, chunkMs: 200, calmFromMs: 10_000_000, network: calmNetwork };
    const even = { ...quiet, ...times, waveChunks: 0, isStreamed: false };
    const slow = { machine: 2, times: 10 };
    const prompt = await simulateMeasure(4, model, { scenario: even });
    const delayed = await simulateMeasure(4, model, { scenario: { ...even, slow } });
    expect([prompt.violation, delayed.violation]).toEqual([undefined, undefined]);
    expect(delayed.measuredMs).toBeLessThan(1.5 * prompt.measuredMs);
    // Run twice is what it had begun when that became known.
    expect(delayed.passed).toBeLessThanOrEqual(200 * LAYERS + 16 * LAYERS);
  });

  test('a coordinator that dies again and again measures no stored group twice', async () => {
    const restarts = [4_000, 9_000, 14_000].map((atMs) => {
      return { atMs, machine: 0, what: { kind: 'kill', awayMs: 500 } as const };
    });
    const scenario = { ...quiet, misfortunes: restarts, kind: 'troubled' as const };
    const outcome = await simulateMeasure(7, model, { scenario });
    expect(outcome.violation).toBeUndefined();
    expect(outcome.deaths).toBe(3);
    // Of each machine two leases are open; and what waits for the stage behind is lost.
    expect(outcome.passed).toBeLessThan(2 * 100 * LAYERS);
  });
});
