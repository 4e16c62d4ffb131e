/**
 * Machine: a computer with disks that outlive its processes, and the ways it can fail.
 *
 *   start ──▶ Process ──▶ kill, cutPower, stall ──▶ start again, with what the disks kept
 */

import type { PeerId } from '../../proto/peer-messages.ts';
import type { FalseDisk } from './false-disk.ts';
import type { LeafDisk } from './false-leaf-store.ts';
import type { FalseNetwork } from './false-network.ts';
import { Process, type World } from './world.ts';

export interface MachineParts {
  readonly world: World;
  readonly name: PeerId;
  readonly network: FalseNetwork;
  readonly disk: FalseDisk;
  readonly leaves: LeafDisk;
  /** What a daemon of this machine does from its start on; never settles in a dead process. */
  readonly live: (process: Process) => Promise<void>;
}

export class Machine {
  readonly name: PeerId;
  readonly disk: FalseDisk;
  readonly leaves: LeafDisk;
  process: Process | undefined;
  /** How often its processes were ended from outside. */
  deaths = 0;
  readonly #parts: MachineParts;

  constructor(parts: MachineParts) {
    this.#parts = parts;
    this.name = parts.name;
    this.disk = parts.disk;
    this.leaves = parts.leaves;
  }

  get isAlive(): boolean {
    return this.process?.isAlive === true;
  }

  start(): void {
    if (this.isAlive) return;
    const { world, name, live } = this.#parts;
    const process = new Process(world, name);
    this.process = process;
    world.tell(() => `${name} starts`);
    live(process).catch((error: unknown) => {
      if (process.isAlive) world.fail(error);
    });
  }

  startIn(afterMs: number): void {
    this.#parts.world.at(afterMs, undefined, 'start', () => this.start());
  }

  /** SIGKILL: the system closes its connections. */
  kill(): void {
    if (!this.#end('is killed')) return;
    const { network, name } = this.#parts;
    for (const link of network.linksOf(name)) network.disconnect(link, false);
  }

  /** Nothing that was not synced is sure, and nobody says goodbye. */
  cutPower(): void {
    if (!this.#end('loses power')) return;
    const { network, name } = this.#parts;
    this.disk.cut();
    this.leaves.cut();
    for (const link of network.linksOf(name)) network.disconnect(link, true);
  }

  /** SIGSTOP and, later, SIGCONT. */
  stall(forMs: number): void {
    if (this.process === undefined || !this.isAlive || this.process.isStalled) return;
    const { world, network, name } = this.#parts;
    world.tell(() => `${name} stands still for ${forMs} ms`);
    this.process.stalledUntilMs = world.nowMs + forMs;
    network.stall(name);
  }

  /** The daemon ends by itself, or is ended in good order. */
  leave(): void {
    this.process?.end();
    const { network, name } = this.#parts;
    for (const link of network.linksOf(name)) network.disconnect(link, false);
  }

  #end(how: string): boolean {
    if (this.process === undefined || !this.isAlive) return false;
    this.#parts.world.tell(() => `${this.name} ${how}`);
    this.process.end();
    this.deaths++;
    return true;
  }
}
