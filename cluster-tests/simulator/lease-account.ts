/**
 * Lease account: who holds which tasks, as the coordinator's messages have it.
 *
 *   lease, kept, partings ──▶ open leases of each worker ──▶ memory kept to, work not repeated
 */

import type { Plan } from '../../daemon/core/plan/plan.ts';
import type { PeerId, PeerMessage } from '../../proto/peer-messages.ts';
import { Violation } from './violation.ts';

export class LeaseAccount {
  readonly #plan: Plan;
  readonly #open = new Map<PeerId, Set<number>>();
  /** Everyone who was ever given the task. */
  readonly #given = new Map<number, Set<PeerId>>();
  readonly #dead = new Set<PeerId>();
  readonly #lost = new Set<number>();
  readonly #ramBytes = new Map<PeerId, number>();

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  /** @param ramBytes what the worker offers */
  addWorker(worker: PeerId, ramBytes: number): void {
    this.#ramBytes.set(worker, ramBytes);
  }

  /** @throws Violation when a worker is given more than it has memory for */
  readonly seeSaid = (to: PeerId, message: PeerMessage): void => {
    const open = this.openOf(to);
    if (message.kind === 'kept') for (const task of message.tasks) open.delete(task);
    if (message.kind !== 'lease') return;
    this.#open.set(to, open.add(message.task));
    const given = this.#given.get(message.task) ?? new Set();
    this.#given.set(message.task, given.add(to));
    if (this.#dead.has(to)) this.#lost.add(message.task);
    let bytes = 0;
    for (const task of open) bytes += this.#plan.tasks[task]?.memoryBytes ?? 0;
    const most = this.#ramBytes.get(to) ?? 0;
    // A worker that holds nothing takes any task.
    if (open.size > 1 && bytes > most) {
      throw new Violation(`${to} offers ${most} bytes of memory and is given ${bytes}`);
    }
  };

  /** Whatever the coordinator had given to the worker, it does not count on it any more. */
  readonly seeParted = (worker: PeerId): void => {
    this.#open.delete(worker);
  };

  /** The coordinator is gone, and with it what it knew. */
  clear(): void {
    this.#open.clear();
  }

  openOf(worker: PeerId): Set<number> {
    return this.#open.get(worker) ?? new Set();
  }

  /** The worker dies: what it holds, and what it is given until that is noticed, is lost. */
  seeDeath(worker: PeerId): void {
    this.#dead.add(worker);
    for (const task of this.openOf(worker)) this.#lost.add(task);
  }

  /** Tasks that more than one worker was given, though no worker had died with them. */
  repeatedWithoutNeed(): number[] {
    return [...this.#given].flatMap(([task, workers]) =>
      workers.size > 1 && !this.#lost.has(task) ? [task] : [],
    );
  }
}
