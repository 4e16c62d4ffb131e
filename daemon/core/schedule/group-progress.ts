/**
 * Group progress: what of one group of chunks is measured, and what is still to be run for it.
 *
 *   leases, stored sums ──▶ GroupProgress ──▶ runs of layers to lease, states to keep
 *                                                                  (read next: measurement.ts)
 *
 * Boundary b stands in front of layer b; the state at boundary 0 are the tokens, which everybody can
 * have. What a lease leaves at its end boundary is known by the lease: a replay leaves another one
 * with the same bytes.
 */

import type { StateInput } from './measurement-events.ts';
import type { Stage } from './stages.ts';

export interface Lease {
  readonly lease: number;
  readonly peer: string;
  readonly group: number;
  /** The layers [from, to). */
  readonly from: number;
  readonly to: number;
  /** The layers among them whose sums are wanted. */
  readonly collect: readonly number[];
  /** Whether the state at `to` is kept when it is through; false at the end or a forbidden cut. */
  readonly leavesState: boolean;
  /** How many chunks were taken out of the group when it was given. */
  readonly excluded: number;
  /** `over`: cancelled or declined; `lost`: with its peer, and with all that it had made. */
  phase: 'running' | 'done' | 'over' | 'lost';
  /** Whether the state is there and not released. */
  hasState: boolean;
  /** The leases that its peer was told to take the state at `from` of. */
  inputs: readonly Lease[];
}

/** Consecutive layers within one stage. */
export interface Run {
  readonly from: number;
  readonly to: number;
  readonly stage: Stage;
}

/** What is to be done if the peer `lost` is gone. */
interface Look {
  readonly lost: string | undefined;
  /** By layer: it is to be run, and no lease does. */
  readonly isRun: Uint8Array;
  /** By boundary: the state there is read by what is to be run, or by a lease that runs. */
  readonly isRead: Uint8Array;
}

export class GroupProgress {
  /** Leases that run, that have a state, or whose sums are on their way. */
  leases: Lease[] = [];
  /** Chunks that are taken out, by index in the group, ascending. */
  excluded: readonly number[] = [];
  readonly #chunks: number;
  readonly #stored: Uint8Array;
  #missing: number;

  constructor(chunks: number, layers: number) {
    this.#chunks = chunks;
    this.#stored = new Uint8Array(layers);
    this.#missing = layers;
  }

  /** So many are not taken out. */
  get chunks(): number {
    return this.#chunks - this.excluded.length;
  }

  get isComplete(): boolean {
    return this.#missing === 0;
  }

  /** Without a chunk its sums are empty: nothing is to be run. */
  get isEmpty(): boolean {
    return this.chunks === 0;
  }

  hasStored(layer: number): boolean {
    return this.#stored[layer] === 1;
  }

  /** Whether that is news. */
  store(layer: number): boolean {
    if (this.#stored[layer] !== 0) return false;
    this.#stored[layer] = 1;
    this.#missing--;
    return true;
  }

  /** Takes chunks out, which voids all that was stored. @returns whether any was still in */
  exclude(chunks: readonly number[]): boolean {
    const valid = chunks.filter((chunk) => chunk >= 0 && chunk < this.#chunks);
    const excluded = new Set([...this.excluded, ...valid]);
    if (excluded.size === this.excluded.length) return false;
    this.excluded = [...excluded].sort((a, b) => a - b);
    this.#stored.fill(0);
    this.#missing = this.#stored.length;
    return true;
  }

  /** Whether a state at the boundary is there, or will be made out of one that is. */
  isLive(boundary: number): boolean {
    return boundary === 0 || this.sources(boundary).some((lease) => this.#isFed(lease));
  }

  /** Whether a lease waits for a state that nobody is making. */
  isStarved(lease: Lease): boolean {
    return lease.phase === 'running' && !this.isLive(lease.from);
  }

  #isFed(lease: Lease): boolean {
    return lease.phase === 'done' || this.isLive(lease.from);
  }

  /** Leases that have left a state at the boundary, then those that will. */
  sources(boundary: number): Lease[] {
    const leaving = this.leases.filter(({ to, leavesState }) => to === boundary && leavesState);
    return [
      ...leaving.filter(({ phase, hasState }) => phase === 'done' && hasState),
      ...leaving.filter(({ phase }) => phase === 'running'),
    ];
  }

  /** The layers that no lease runs and that must be run, cut by stages, ascending. */
  runs(stages: readonly Stage[]): Run[] {
    const { isRun } = this.#look();
    const runs: Run[] = [];
    for (const stage of stages) {
      for (let from = stage.from; from < stage.to; from++) {
        if (isRun[from] !== 1) continue;
        let to = from + 1;
        while (to < stage.to && isRun[to] === 1) to++;
        runs.push({ from, to, stage });
        from = to;
      }
    }
    return runs;
  }

  /** The layers in [from, to) whose sums neither are stored nor come from a lease. */
  uncollected(from: number, to: number): number[] {
    const layers = Array.from({ length: to - from }, (_, index) => from + index);
    return layers.filter((layer) => !this.hasStored(layer) && !this.#isCollected(layer));
  }

  #isCollected(layer: number, lost?: string): boolean {
    return this.leases.some(({ peer, collect }) => peer !== lost && collect.includes(layer));
  }

  /** Whether sums are still to come from leases. */
  get isOwed(): boolean {
    return this.leases.some(({ collect }) => collect.some((layer) => !this.hasStored(layer)));
  }

  /** A running lease of which neither sums nor a state are wanted any more. */
  useless(): Lease | undefined {
    const idle = this.leases.filter(
      ({ phase, collect }) =>
        phase === 'running' && collect.every((layer) => this.hasStored(layer)),
    );
    if (idle.length === 0) return undefined;
    const looks = this.#looks();
    return idle.findLast((lease) => {
      const isThere = this.sources(lease.to)[0]?.phase === 'done';
      return !lease.leavesState || isThere || !isRead(lease, looks);
    });
  }

  /** States that nothing reads, nor would if any one other peer were lost. */
  unneeded(): Lease[] {
    const holding = this.leases.filter(({ hasState }) => hasState);
    if (holding.length === 0) return [];
    const looks = this.#looks();
    return holding.filter((lease) => !isRead(lease, looks));
  }

  /** Forgets the leases that are through and from which nothing is still to come. */
  prune(): void {
    this.leases = this.leases.filter(
      ({ phase, hasState, collect }) =>
        phase === 'running' ||
        (phase === 'done' && (hasState || collect.some((layer) => !this.hasStored(layer)))),
    );
  }

  /** As it is, and as if one peer were lost: so that the loss costs nothing that others made. */
  #looks(): Look[] {
    const losses = [undefined, ...new Set(this.leases.map(({ peer }) => peer))];
    return losses.map((lost) => this.#look(lost));
  }

  /**
   * From the last layer down: a layer is to be run if its sums are missing, or if the state behind
   * it is to be read and is not there. With `lost`, as if that peer were gone.
   */
  #look(lost?: string): Look {
    const layers = this.#stored.length;
    const isRun = new Uint8Array(layers);
    const isRead = new Uint8Array(layers + 1);
    if (this.isEmpty) return { lost, isRun, isRead };
    const leases = this.leases.filter(({ peer }) => peer !== lost);
    for (const { phase, from } of leases) if (phase === 'running') isRead[from] = 1;
    const isThere = (boundary: number): boolean =>
      this.sources(boundary).some(({ peer }) => peer !== lost);
    for (let layer = layers - 1; layer >= 0; layer--) {
      const isMissing = !this.hasStored(layer) && !this.#isCollected(layer, lost);
      if (!isMissing && (isRead[layer + 1] !== 1 || isThere(layer + 1))) continue;
      isRun[layer] = 1;
      isRead[layer] = 1;
    }
    return { lost, isRun, isRead };
  }
}

/** Whether the state that the lease leaves is read in one of the cases where its peer is there. */
function isRead({ peer, to }: Lease, looks: readonly Look[]): boolean {
  return looks.some((look) => look.lost !== peer && look.isRead[to] === 1);
}

/** What a peer hears of the leases whose states it is to take. */
export function told(inputs: readonly Lease[]): StateInput[] {
  return inputs.map(({ peer, lease }) => ({ peer, lease }));
}
