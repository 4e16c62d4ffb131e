/**
 * Simulate: one seed, one run of a cluster, from its first message until every output is sealed.
 *
 *   seed ──▶ model, scenario ──▶ Cluster.run ──▶ Outcome
 *
 * What must hold is checked while it happens and at the end (account.ts, lease-account.ts,
 * cluster.ts). `npm run simulate -- --seed N` tells a run event by event.
 */

import { Cluster } from './cluster.ts';
import { nothingPlanted, type Plant } from './daemons.ts';
import { diceOf } from './dice.ts';
import { inventModel } from './model.ts';
import { inventScenario, type Scenario } from './scenario.ts';
import { Violation } from './violation.ts';
import { World } from './world.ts';

export interface Outcome {
  readonly seed: number;
  /** Why the seed has failed; undefined where all is well. */
  readonly violation: string | undefined;
  readonly scenario: Scenario;
  readonly tasks: number;
  readonly events: number;
  readonly virtualMs: number;
  readonly deaths: number;
  readonly trace: readonly string[];
}

export interface SimulateOptions {
  readonly plant?: Plant;
  readonly traced?: boolean;
  /** In place of parts of the one that the seed invents. */
  readonly scenario?: Partial<Scenario>;
}

/** Never rejects: what goes wrong is the outcome's violation. */
export async function simulate(seed: number, options: SimulateOptions = {}): Promise<Outcome> {
  const dice = diceOf(seed);
  const scenario = { ...inventScenario(dice), ...options.scenario };
  const model = inventModel(dice, scenario.isLarge);
  const world = new World(dice, options.traced ?? false);
  const cluster = new Cluster(world, model, scenario, options.plant ?? nothingPlanted);
  let violation: string | undefined;
  const onUnheard = (reason: unknown): void => {
    world.fail(new Violation('a promise was rejected and nobody heard it', { cause: reason }));
  };
  process.on('unhandledRejection', onUnheard);
  try {
    await cluster.run();
  } catch (error) {
    violation = error instanceof Error ? (error.stack ?? error.message) : String(error);
    world.tell(() => `FAILED ${violation}`);
  } finally {
    process.off('unhandledRejection', onUnheard);
  }
  return {
    seed,
    violation,
    scenario,
    tasks: model.plan.tasks.length,
    events: world.events,
    virtualMs: world.nowMs,
    deaths: cluster.deaths,
    trace: world.trace ?? [],
  };
}
