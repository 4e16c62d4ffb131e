/**
 * Measure scenario: how large one simulated measurement is, and what goes wrong in it.
 *
 *   dice ──▶ inventMeasureScenario ──▶ MeasureScenario  (read next: measure-cluster.ts)
 */

import type { Dice } from '../simulator/dice.ts';
import { inventScenario, type PlannedMisfortune, type Scenario } from '../simulator/scenario.ts';

export interface MeasureScenario
  extends Pick<
    Scenario,
    'kind' | 'workers' | 'coordinatorWorks' | 'network' | 'misfortunes' | 'startsMs' | 'calmFromMs'
  > {
  readonly chunks: number;
  readonly replicas: number;
  /** 0 leaves it to each machine. */
  readonly waveChunks: number;
  readonly hints: 'usual' | 'never' | 'twice';
  /** Chunks that are bad, with the layer in which it shows. */
  readonly badAt: ReadonlyMap<number, number>;
  /** Of one chunk in one layer. */
  readonly chunkMs: number;
  /** A machine that takes so many times as long as it has offered. */
  readonly slow: { readonly machine: number; readonly times: number } | undefined;
  /**
   * The share of blocks that a machine gives wrong, of those that have a digest: for a state a
   * member's word counts.
   */
  readonly wrongBlobs: number;
  /** Weights do not fit into memory. */
  readonly isStreamed: boolean;
  /** Outputs are made of what is measured, ahead of its end where machines are idle. */
  readonly quantizes: boolean;
  /** The share of the writes into outputs that store other bytes. */
  readonly badWrites: number;
  /** The source is a repository: each machine fetches its part, with this share of wrong ranges. */
  readonly hub: { readonly flips: number; readonly hasNoWay: readonly number[] } | undefined;
}

const LAYERS = 7;
// Of all chunks in one layer, of a machine that is not slow.
const SLOW_MS_MAX = 6_000;

export function inventMeasureScenario(dice: Dice): MeasureScenario {
  const scenario = inventScenario(dice);
  const chunks = dice.skewed(2, 200);
  const bad = dice.chance(0.3) ? dice.between(1, Math.min(3, chunks - 1)) : 0;
  const badAt = Array.from({ length: bad }, () => {
    return [dice.between(0, chunks - 1), dice.between(0, LAYERS - 1)] as const;
  });
  const { wrongBlocks } = scenario.network;
  const drawn = {
    ...scenario,
    network: { ...scenario.network, wrongBlocks: 0 },
    misfortunes: [...scenario.misfortunes, ...inventRestarts(dice, scenario)],
    wrongBlobs: wrongBlocks,
    chunks,
    replicas: dice.pick([1, 1, 1, 2, 3]),
    waveChunks: dice.pick([0, 0, 1, 3]),
    hints: dice.pick(['usual', 'never', 'twice'] as const),
    badAt: new Map(badAt),
    chunkMs: dice.skewed(1, 300),
    isStreamed: dice.chance(0.3),
  };
  // Of numbers that are drawn already: what a seed of a measurement alone has found it finds again.
  const quantizes = (chunks + drawn.chunkMs) % 3 === 0;
  const hub = (chunks + 2 * drawn.chunkMs) % 5 < 2 ? hubOf(chunks, scenario) : undefined;
  const slow = slowOf(drawn);
  return { ...drawn, quantizes, hub, slow, badWrites: chunks % 2 === 0 ? 0.02 : 0 };
}

/** Not where one machine that has to run all would take longer than a world is given. */
function slowOf({
  chunks,
  chunkMs,
}: Pick<MeasureScenario, 'chunks' | 'chunkMs'>): MeasureScenario['slow'] {
  if (chunks % 4 !== 0 || chunks * chunkMs > SLOW_MS_MAX) return undefined;
  return { machine: chunkMs % 3, times: 10 };
}

function hubOf(chunks: number, { kind }: Scenario): MeasureScenario['hub'] {
  const flips = kind === 'troubled' && chunks % 3 === 0 ? 0.005 : 0;
  return { flips, hasNoWay: chunks % 4 === 0 ? [1] : [] };
}

/** The coordinator dies in the middle and is soon back: its workers still have what it gave them. */
function inventRestarts(dice: Dice, { kind, calmFromMs }: Scenario): PlannedMisfortune[] {
  if (kind !== 'troubled' || dice.chance(0.6)) return [];
  return Array.from({ length: dice.between(1, 4) }, () => ({
    atMs: dice.skewed(100, calmFromMs),
    machine: 0,
    what: { kind: 'kill', awayMs: dice.skewed(10, 2_000) },
  }));
}
