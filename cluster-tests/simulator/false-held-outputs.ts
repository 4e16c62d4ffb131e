/**
 * False held outputs: what one machine's disk holds of other machines' outputs, and the record of the
 * machine that gave them away. As adapters/held-outputs.ts and measurement-files.ts have it.
 */

import type { HeldOutputs, MeasurementFiles } from '../../daemon/ports.ts';
import type { FalseDisk } from './false-disk.ts';
import type { Process } from './world.ts';

/** @param release the only one there is in a simulated run */
export function falseHeldOutputs(disk: FalseDisk, process: Process, release: string): HeldOutputs {
  return {
    list: () =>
      process.later(1, 'list outputs', () =>
        [...disk.outputs.entries].map(([name, { length }]) => {
          return { release, file: name.replace(/\.part$/, ''), bytes: length };
        }),
      ),
    open: async () => disk.openFor(process),
    path: (_, file) => `${process.name}/${file}`,
    remove: (_, file) => process.later(1, `remove ${file}`, () => disk.remove(file)),
  };
}

/** Small files that outlive processes; each is durable when its write has resolved. */
export class RecordDisk {
  readonly files: Map<string, Uint8Array> = new Map();

  openFor(process: Process): MeasurementFiles {
    return this.#open((what, work) =>
      process.later(process.world.dice.skewed(0, 10), `record: ${what}`, work),
    );
  }

  /** As it is before the world begins. */
  openBefore(): MeasurementFiles {
    return this.#open(async (_, work) => work());
  }

  #open(step: <T>(what: string, work: () => T) => Promise<T>): MeasurementFiles {
    return {
      list: () => step('list', () => [...this.files.keys()]),
      read: (name) => step('read', () => this.files.get(name)),
      write: (name, bytes) =>
        step('write', () => {
          this.files.set(name, bytes);
        }),
      remove: (name) =>
        step('remove', () => {
          this.files.delete(name);
        }),
      drop: () => step('drop', () => this.files.clear()),
    };
  }
}
