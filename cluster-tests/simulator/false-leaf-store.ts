/**
 * False leaf store: source bytes on the disk of one machine, never synced.
 *
 * After a power cut some of them are gone and some are torn, and nothing says which.
 */

import { diskFaults } from '../../daemon/adapters/output-faults.ts';
import type { LeafStore, OfferedDisk } from '../../daemon/ports.ts';
import { FaultError } from '../../proto/fault.ts';
import type { Dice } from './dice.ts';
import type { Process } from './world.ts';

export class LeafDisk {
  readonly runs: Map<string, Map<string, Uint8Array>> = new Map();
  readonly bytesMax: number;
  fullUntilMs = 0;
  /** The most that was ever kept, and how often there was no room for more. */
  bytesPeak = 0;
  refusals = 0;
  /** Of what is offered, taken by outputs. */
  reservedBytes = 0;
  readonly #dice: Dice;

  constructor(dice: Dice, bytesMax: number) {
    this.#dice = dice;
    this.bytesMax = bytesMax;
  }

  get bytes(): number {
    let sum = 0;
    for (const leaves of this.runs.values())
      for (const { length } of leaves.values()) sum += length;
    return sum;
  }

  cut(): void {
    for (const leaves of this.runs.values()) {
      for (const [key, bytes] of leaves) {
        const fate = this.#dice.pick(['kept', 'lost', 'torn']);
        if (fate === 'lost') leaves.delete(key);
        if (fate === 'torn') bytes.fill(0, this.#dice.between(0, bytes.length - 1));
      }
    }
  }

  openFor(process: Process): LeafStore {
    const step = <T>(what: string, work: () => T): Promise<T> =>
      process.later(this.#dice.skewed(0, 10), `store: ${what}`, work);
    const disk = this;
    return {
      get bytes() {
        return disk.bytes;
      },
      read: (run, key, into) =>
        step('read', () => {
          const found = this.runs.get(run)?.get(key);
          if (found === undefined || found.length !== into.length) return false;
          into.set(found);
          return true;
        }),
      readPart: (run, key, offset, into) =>
        step('read', () => {
          const found = this.runs.get(run)?.get(key);
          if (found === undefined || found.length < offset + into.length) return false;
          into.set(found.subarray(offset, offset + into.length));
          return true;
        }),
      path: (run, key) => `${run}/${key}`,
      remove: (run, key) =>
        step('remove', () => {
          this.runs.get(run)?.delete(key);
        }),
      put: (run, key, bytes) =>
        step('put', () => {
          if (process.world.nowMs < this.fullUntilMs) throw new FaultError(diskFaults.diskFull);
          this.#put(run, key, bytes);
        }),
      drop: (run) =>
        step('drop', () => {
          this.runs.delete(run);
        }),
    };
  }

  /** What it is to a process that puts outputs there as well. */
  offeredTo(process: Process): OfferedDisk {
    this.reservedBytes = 0;
    return {
      makeRoom: (_, bytes) =>
        process.later(
          1,
          'store: make room',
          () => this.bytes + this.reservedBytes + bytes <= this.bytesMax,
        ),
      reserve: (bytes) => {
        this.reservedBytes += bytes;
      },
    };
  }

  #put(run: string, key: string, bytes: Uint8Array): void {
    const leaves = this.runs.get(run) ?? new Map<string, Uint8Array>();
    const before = leaves.get(key)?.length ?? 0;
    if (this.bytes - before + bytes.length + this.reservedBytes > this.bytesMax) {
      this.refusals++;
      throw new FaultError(diskFaults.diskFull);
    }
    this.runs.set(run, leaves);
    leaves.set(key, bytes.slice());
    this.bytesPeak = Math.max(this.bytesPeak, this.bytes);
  }
}
