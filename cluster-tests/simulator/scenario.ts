/**
 * Scenario: what goes wrong in one simulated run, and how large the run is.
 *
 *   dice ──▶ inventScenario ──▶ trouble shares, misfortunes with their times ──▶ simulate.ts
 *
 * Each kind of trouble is off in many runs, so that the others show what they do alone.
 */

import type { Dice } from './dice.ts';
import { calmNetwork, type NetworkTrouble } from './false-network.ts';

export type Misfortune =
  | { readonly kind: 'kill' | 'power cut'; readonly awayMs: number }
  | { readonly kind: 'stall'; readonly forMs: number }
  | { readonly kind: 'broken links'; readonly forMs: number }
  | { readonly kind: 'disconnect' }
  /** Ctrl-C at the coordinator. */
  | { readonly kind: 'interrupt' }
  | { readonly kind: 'full disk'; readonly forMs: number };

export interface PlannedMisfortune {
  readonly atMs: number;
  /** 0 is the coordinator, then the workers. */
  readonly machine: number;
  readonly what: Misfortune;
}

/** A machine dies at a step of its disk, counted over all its lives. */
export interface DeathAtDisk {
  /** The coordinator where it is not said. */
  readonly machine?: number;
  readonly step: number;
  readonly when: 'before' | 'after';
  readonly how: 'kill' | 'power cut';
}

export interface Scenario {
  /** `calm`: nothing goes wrong. `one death`: one worker dies and stays away. */
  readonly kind: 'calm' | 'one death' | 'troubled';
  readonly workers: number;
  readonly isLarge: boolean;
  /** The coordinator makes blocks itself. */
  readonly coordinatorWorks: boolean;
  readonly network: NetworkTrouble;
  readonly badWrites: number;
  readonly misfortunes: readonly PlannedMisfortune[];
  readonly deathAtDisk: DeathAtDisk | undefined;
  /** Whether outputs grow on workers' disks, and whether they stay there; undefined: on none. */
  readonly outputs: 'left' | 'collected' | undefined;
  /** One of the machines that are to have outputs has no room for any. */
  readonly tightDisk: boolean;
  /** The coordinator's disk is full for this write, counted over all its lives. */
  readonly fullAtWrite: number | undefined;
  /** When each worker starts. */
  readonly startsMs: readonly number[];
  /** From then on nothing goes wrong any more, and everybody is back. */
  readonly calmFromMs: number;
}

const WORKERS_MAX = 4;
const TROUBLE_MS_MAX = 90_000;

export function inventScenario(dice: Dice): Scenario {
  const kind = dice.pick(['calm', 'one death', ...Array<'troubled'>(6).fill('troubled')] as const);
  const workers =
    kind === 'one death' ? dice.between(2, WORKERS_MAX) : dice.between(0, WORKERS_MAX);
  const isTroubled = kind === 'troubled';
  const calmFromMs = kind === 'calm' ? 0 : dice.skewed(1_000, TROUBLE_MS_MAX);
  return {
    kind,
    workers,
    isLarge: dice.chance(0.01),
    coordinatorWorks: workers === 0 || (kind !== 'one death' && dice.chance(0.6)),
    network: isTroubled && dice.chance(0.7) ? inventNetwork(dice) : calmNetwork,
    badWrites: isTroubled && dice.chance(0.25) ? dice.pick([0.01, 0.03, 0.1]) : 0,
    misfortunes: inventMisfortunes(dice, kind, workers, calmFromMs),
    deathAtDisk: isTroubled && dice.chance(0.4) ? inventDeath(dice) : undefined,
    fullAtWrite: undefined,
    outputs: undefined,
    tightDisk: false,
    startsMs: Array.from({ length: workers }, () =>
      isTroubled && dice.chance(0.3) ? dice.between(0, calmFromMs) : dice.between(0, 50),
    ),
    calmFromMs,
  };
}

function inventDeath(dice: Dice): DeathAtDisk {
  const when = dice.pick(['before', 'after'] as const);
  const how = dice.pick(['kill', 'power cut'] as const);
  return { step: dice.skewed(0, 400), when, how };
}

function inventNetwork(dice: Dice): NetworkTrouble {
  const share = (most: number): number =>
    dice.chance(0.5) ? 0 : (most * dice.between(1, 100)) / 100;
  return {
    lostMessages: dice.chance(0.05) ? 1 : share(0.4),
    repeatedMessages: share(0.5),
    lateMessages: share(0.3),
    lostBlocks: share(0.3),
    wrongBlocks: share(0.2),
    bytesPerMsMin: dice.pick([200, 10_000]),
  };
}

const misfortuneKinds = [
  'kill',
  'power cut',
  'stall',
  'broken links',
  'disconnect',
  'full disk',
  'interrupt',
] as const;

function inventMisfortunes(
  dice: Dice,
  kind: Scenario['kind'],
  workers: number,
  calmFromMs: number,
): PlannedMisfortune[] {
  if (kind === 'calm') return [];
  if (kind === 'one death') {
    const what = { kind: dice.pick(['kill', 'power cut'] as const), awayMs: 3_600_000 };
    return [{ atMs: dice.skewed(10, 30_000), machine: dice.between(1, workers), what }];
  }
  const kinds = misfortuneKinds.filter(() => dice.chance(0.5));
  if (kinds.length === 0) return [];
  return Array.from({ length: dice.skewed(0, 12) }, () => ({
    atMs: dice.skewed(1, calmFromMs),
    machine: dice.chance(0.3) ? 0 : dice.between(0, workers),
    what: inventMisfortune(dice, dice.pick(kinds)),
  }));
}

function inventMisfortune(dice: Dice, kind: Misfortune['kind']): Misfortune {
  switch (kind) {
    case 'kill':
    case 'power cut':
      return { kind, awayMs: dice.skewed(10, 60_000) };
    case 'stall':
    case 'broken links':
    case 'full disk':
      return { kind, forMs: dice.skewed(10, 60_000) };
    case 'disconnect':
    case 'interrupt':
      return { kind };
  }
}
