/**
 * Simulate measure: one seed, one measurement by a cluster, until its matrix is there.
 *
 *   seed ──▶ scenario ──▶ MeasureCluster.run ──▶ Outcome
 */

import { diceOf } from '../simulator/dice.ts';
import { Violation } from '../simulator/violation.ts';
import { World } from '../simulator/world.ts';
import { MeasureCluster } from './measure-cluster.ts';
import { inventMeasureScenario, type MeasureScenario } from './measure-scenario.ts';
import type { UnitsAhead } from './quantize-world.ts';
import type { WorldModel } from './world-model.ts';

export interface MeasureOutcome {
  readonly seed: number;
  /** Why the seed has failed; undefined where all is well. */
  readonly violation: string | undefined;
  readonly scenario: MeasureScenario;
  readonly events: number;
  readonly virtualMs: number;
  /** When all was measured. */
  readonly measuredMs: number;
  readonly deaths: number;
  /** Units that were made while others measured, and those that outputs began with. */
  readonly ahead: UnitsAhead;
  /** Chunks times layers that were run, on all machines. */
  readonly passed: number;
  /** The codes of what ended runs before the good one. */
  readonly faults: readonly string[];
  /** Ranges that machines fetched of a hub, by themselves. */
  readonly fetched: number;
  readonly trace: readonly string[];
}

export interface SimulateMeasureOptions {
  readonly traced?: boolean;
  /** In place of parts of the one that the seed invents. */
  readonly scenario?: Partial<MeasureScenario>;
}

/** Never rejects: what goes wrong is the outcome's violation. */
export async function simulateMeasure(
  seed: number,
  model: WorldModel,
  options: SimulateMeasureOptions = {},
): Promise<MeasureOutcome> {
  const dice = diceOf(seed);
  const scenario = { ...inventMeasureScenario(dice), ...options.scenario };
  const world = new World(dice, options.traced ?? false);
  const cluster = new MeasureCluster(world, model, scenario);
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
  const { passed, measuredMs, faults, fetched, deaths, ahead } = cluster;
  const { events, nowMs: virtualMs } = world;
  const trace = world.trace ?? [];
  const said = {
    violation,
    events,
    virtualMs,
    measuredMs,
    deaths,
    passed,
    faults,
    fetched,
    ahead,
    trace,
  };
  return { seed, scenario, ...said };
}
