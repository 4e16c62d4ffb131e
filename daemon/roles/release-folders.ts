/**
 * Release folders: the folders of outputs that this machine holds for others, and their room.
 *
 *   release ──▶ one open folder for all its outputs here      bytes ──▶ within what is offered
 *
 * An output takes its whole length of the offer from its first byte until it is deleted, so that
 * what was promised to it is still there when it is needed.
 */

import { FaultError } from '../../proto/fault.ts';
import { RESERVE_BYTES } from '../core/estimate/fit.ts';
import type { HeldOutputs, OfferedDisk, OutputDirectory } from '../ports.ts';
import { outputFaults } from './faults.ts';

interface OpenFolder {
  readonly directory: Promise<OutputDirectory>;
  count: number;
}

export class ReleaseFolders {
  readonly #outputs: HeldOutputs;
  readonly #disk: OfferedDisk;
  readonly #open = new Map<string, OpenFolder>();
  /** Bytes of the offer that each output takes, by release and file. */
  #taken: Promise<Map<string, number>> | undefined;

  constructor(outputs: HeldOutputs, disk: OfferedDisk) {
    this.#outputs = outputs;
    this.#disk = disk;
  }

  path(release: string, file: string): string {
    return this.#outputs.path(release, file);
  }

  /** What an earlier process has left takes its room before anything else does. */
  async begin(): Promise<void> {
    await this.#counted();
  }

  #counted(): Promise<Map<string, number>> {
    this.#taken ??= this.#readTaken();
    return this.#taken;
  }

  async #readTaken(): Promise<Map<string, number>> {
    const taken = new Map<string, number>();
    for (const { release, file, bytes } of await this.#outputs.list()) {
      const key = `${release}/${file}`;
      taken.set(key, (taken.get(key) ?? 0) + bytes);
      this.#disk.reserve(bytes);
    }
    return taken;
  }

  /**
   * Keeps room for a file of so many bytes.
   * @param wanted `run`: leaves of this one are left alone
   * @throws FaultError where the offer or the disk has too little
   */
  async demandRoom(wanted: {
    readonly release: string;
    readonly file: string;
    readonly bytes: number;
    readonly run: string;
  }): Promise<void> {
    const { release, file, bytes, run } = wanted;
    const taken = await this.#counted();
    const key = `${release}/${file}`;
    const more = bytes - (taken.get(key) ?? 0);
    if (more <= 0) return;
    // Counted before it is certain, so that two at a time do not both fit into the same room.
    taken.set(key, bytes);
    this.#disk.reserve(more);
    if (await this.#hasRoom(release, run, more)) return;
    this.#disk.reserve(-more);
    taken.set(key, bytes - more);
    throw new FaultError(outputFaults.notEnoughDisk, { file, why: `${bytes} bytes are needed` });
  }

  async #hasRoom(release: string, run: string, bytes: number): Promise<boolean> {
    if (!(await this.#disk.makeRoom(run, 0))) return false;
    const folder = await this.open(release);
    try {
      return bytes + RESERVE_BYTES <= (await folder.directory.freeBytes());
    } finally {
      await folder.close();
    }
  }

  /** The folder of a release, shared by all who have it open. */
  async open(release: string): Promise<{ directory: OutputDirectory; close: () => Promise<void> }> {
    const folder = this.#open.get(release) ?? { directory: this.#outputs.open(release), count: 0 };
    folder.count++;
    this.#open.set(release, folder);
    const close = async (): Promise<void> => {
      if (--folder.count > 0) return;
      this.#open.delete(release);
      await (await folder.directory).close();
    };
    try {
      return { directory: await folder.directory, close };
    } catch (error) {
      if (--folder.count === 0) this.#open.delete(release);
      throw error;
    }
  }

  /** Deletes an output, which is closed, and gives its room back. */
  async remove(release: string, file: string): Promise<void> {
    await this.#outputs.remove(release, file);
    const taken = await this.#taken;
    const key = `${release}/${file}`;
    this.#disk.reserve(-(taken?.get(key) ?? 0));
    taken?.delete(key);
  }
}
