/**
 * False disk: the output directory of one machine, with what crashes leave of it.
 *
 *   <file>.part + journal ──seal──▶ <file>      as adapters/output-files.ts, step by step
 *
 * A process that is killed leaves what it had written, and the beginning of what it was writing. A
 * power cut also takes what was not synced. Now and then a write stores something else than it was
 * given, and the disk can be full for a while.
 */

import { diskFaults } from '../../daemon/adapters/output-faults.ts';
import type { OutputDirectory, OutputFile, PieceDigests } from '../../daemon/ports.ts';
import { FaultError } from '../../proto/fault.ts';
import type { Dice } from './dice.ts';
import { DiskFile, DiskFolder } from './disk-file.ts';
import { sha256, sha256Hex } from './sha256.ts';
import type { Process } from './world.ts';

export interface DiskTrouble {
  /** Share of the writes that store other bytes. */
  badWrites: number;
  fullUntilMs: number;
  /** The disk is full for one write, so many writes from now. */
  fullAtWrite: number | undefined;
}

export interface DiskWitness {
  /** A file has its final name and these bytes; told again whenever either changes. */
  readonly named: (file: string, bytes: Uint8Array, how: 'sealed' | 'written' | 'cut') => void;
  /** The power failed; what has its name after that is told next. */
  readonly cut: () => void;
  /** A file is closed in good order; `isDirty`: runs were written and not committed. */
  readonly closed: (isDirty: boolean) => void;
  /** A file is deleted. */
  readonly removed?: (file: string) => void;
  /** Something is about to be done to the disk: whether the process dies before or after it. */
  readonly step: () => 'before' | 'after' | undefined;
}

/** Of a disk of which nothing is to be told. */
export const unwatched: DiskWitness = {
  named: () => undefined,
  cut: () => undefined,
  closed: () => undefined,
  step: () => undefined,
};

export class FalseDisk {
  readonly trouble: DiskTrouble = {
    badWrites: 0,
    fullUntilMs: 0,
    fullAtWrite: undefined,
  };
  readonly outputs: DiskFolder = new DiskFolder();
  /** The journals, in a folder of their own. */
  readonly journals: DiskFolder = new DiskFolder();
  readonly dice: Dice;
  readonly witness: DiskWitness;
  /** Ends the process that is at the disk. */
  readonly onDeath: () => void;
  #holder: Process | undefined;

  constructor(dice: Dice, witness: DiskWitness, onDeath: () => void) {
    this.onDeath = onDeath;
    this.dice = dice;
    this.witness = witness;
  }

  cut(): void {
    this.outputs.cut(this.dice);
    this.journals.cut(this.dice);
    this.witness.cut();
    for (const [name, { bytes }] of this.outputs.entries) {
      if (!name.endsWith('.part')) this.witness.named(name, bytes, 'cut');
    }
  }

  /** An output that is closed, with all that belongs to it. */
  remove(file: string): void {
    this.outputs.change((entries) => {
      entries.delete(file);
      entries.delete(`${file}.part`);
    });
    this.journals.change((entries) => entries.delete(file));
    this.witness.removed?.(file);
  }

  openFor(process: Process): OutputDirectory {
    if (this.#holder?.isAlive === true) throw new FaultError(diskFaults.locked);
    this.#holder = process;
    return {
      freeBytes: () => process.later(1, 'free bytes', () => 2 ** 40),
      open: (file, bytes, { overwrite }) =>
        process.later(
          1,
          `open ${file}`,
          () => new FalseOutput(this, process, file, bytes, overwrite),
        ),
      close: () => {
        if (this.#holder === process) this.#holder = undefined;
        return Promise.resolve();
      },
    };
  }
}

class FalseOutput implements OutputFile {
  readonly state: OutputFile['state'];
  readonly allocatedBytes: number;
  readonly #disk: FalseDisk;
  readonly #process: Process;
  readonly #file: string;
  readonly #bytes: number;
  #part: DiskFile | undefined;
  #journal: DiskFile | undefined;
  #isDirty = false;

  constructor(disk: FalseDisk, process: Process, file: string, bytes: number, overwrite: boolean) {
    this.#disk = disk;
    this.#process = process;
    this.#file = file;
    this.#bytes = bytes;
    if (overwrite) {
      disk.outputs.change((entries) => entries.delete(`${file}.part`));
      disk.journals.change((entries) => entries.delete(file));
    }
    const sealed = disk.outputs.entries.get(file);
    const part = disk.outputs.entries.get(`${file}.part`);
    this.#journal = disk.journals.entries.get(file);
    this.allocatedBytes = part?.length ?? sealed?.length ?? 0;
    if (part !== undefined && this.#journal !== undefined) {
      this.state = 'partial';
      this.#part = part;
    } else if (sealed === undefined || overwrite) {
      this.state = 'new';
    } else {
      this.state = this.#journal === undefined ? 'foreign' : 'sealed';
      this.#part = sealed;
    }
  }

  readJournal(): Promise<Uint8Array> {
    return this.#step('read journal', () => (this.#journal ?? new DiskFile()).bytes.slice());
  }

  async resume(journalBytes: number): Promise<void> {
    if (this.state !== 'partial') return;
    await this.#step('cut journal', () => this.#journal?.truncate(journalBytes));
    await this.#step('size part', () => this.#open().truncate(this.#bytes));
    await this.#sync(this.#disk.journals, 'sync journal folder');
    await this.#sync(this.#disk.outputs, 'sync output folder');
  }

  async restart(journal: Uint8Array, keeps = false): Promise<void> {
    const { outputs, journals } = this.#disk;
    await this.#step('remove journal', () => {
      journals.change((entries) => entries.delete(this.#file));
    });
    const part = await this.#step('make part', () => this.#beginPart(keeps));
    this.#part = part;
    await this.#sync(part, 'sync part');
    const log = new DiskFile();
    this.#journal = log;
    await this.#append(log, journal);
    await this.#sync(log, 'sync journal');
    await this.#step('name journal', () => {
      journals.change((entries) => entries.set(this.#file, log));
    });
    await this.#sync(journals, 'sync journal folder');
    await this.#sync(outputs, 'sync output folder');
  }

  async draft(): Promise<void> {
    await this.#step('remove journal', () => {
      this.#disk.journals.change((entries) => entries.delete(this.#file));
    });
    this.#part = await this.#step('make part', () => this.#beginPart(false));
  }

  sync(): Promise<void> {
    return this.#sync(this.#open(), 'sync part');
  }

  discard(): Promise<void> {
    this.#part = undefined;
    return this.#step('remove part', () => {
      this.#disk.outputs.change((entries) => entries.delete(`${this.#file}.part`));
    });
  }

  #beginPart(keeps: boolean): DiskFile {
    const { outputs } = this.#disk;
    const name = `${this.#file}.part`;
    const part = outputs.entries.get(name) ?? new DiskFile();
    outputs.change((entries) => entries.set(name, part));
    if (!keeps) part.truncate(0);
    part.truncate(this.#bytes);
    return part;
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.#refuseWhenFull();
    this.#refuseOnce();
    const part = this.#open();
    const { dice, trouble } = this.#disk;
    if (offset > 0) this.#isDirty = true;
    // Whoever kills the process meanwhile finds a beginning of the bytes on the disk.
    const first = dice.between(0, bytes.length);
    part.write(offset, bytes.subarray(0, first));
    await this.#step(`write ${bytes.length} at ${offset}`, () => {
      this.#refuseWhenFull();
      part.write(offset + first, bytes.subarray(first));
      if (bytes.length > 0 && dice.chance(trouble.badWrites)) {
        part.write(offset + dice.between(0, bytes.length - 1), dice.bytes(1));
      }
      const named = this.#disk.outputs.entries.get(this.#file);
      if (named === part) this.#disk.witness.named(this.#file, part.bytes, 'written');
    });
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    return this.#step(`read ${into.length} at ${offset}`, () => {
      const part = this.#open();
      if (offset + into.length > part.length) {
        throw new FaultError(diskFaults.endsEarly, { file: this.#file });
      }
      into.set(part.bytes.subarray(offset, offset + into.length));
    });
  }

  /** The chain holds all that was read so far. */
  hash(
    offset: number,
    pieces: readonly number[],
    chain: Uint8Array = new Uint8Array(0),
  ): Promise<PieceDigests> {
    const bytes = pieces.reduce((sum, size) => sum + size, 0);
    return this.#step(`digest ${bytes} at ${offset}`, () => {
      const part = this.#open();
      if (offset + bytes > part.length) {
        throw new FaultError(diskFaults.endsEarly, { file: this.#file });
      }
      let at = offset;
      const digests = pieces.map((size) => {
        at += size;
        return sha256(part.bytes.subarray(at - size, at));
      });
      const all = Buffer.concat([chain, part.bytes.subarray(offset, at)]);
      return { pieces: digests, digest: sha256(all), chain: all };
    });
  }

  async commit(journal: Uint8Array): Promise<void> {
    await this.#sync(this.#open(), 'sync part');
    const log = this.#journal;
    if (log === undefined) throw new Error(`${this.#file} has no journal`);
    this.#isDirty = false;
    this.#refuseWhenFull();
    await this.#append(log, journal);
    await this.#sync(log, 'sync journal');
  }

  async seal(): Promise<void> {
    const part = this.#open();
    await this.#sync(part, 'sync part');
    await this.#step('rename', () => {
      this.#disk.outputs.change((entries) => {
        entries.delete(`${this.#file}.part`);
        entries.set(this.#file, part);
      });
      this.#disk.witness.named(this.#file, part.bytes, 'sealed');
    });
    await this.#sync(this.#disk.outputs, 'sync output folder');
  }

  digest(): Promise<string> {
    return this.#step('digest', () => {
      const named = this.#disk.outputs.entries.get(this.#file);
      if (named === undefined) throw new Error(`${this.#file} has not its name`);
      return sha256Hex(named.bytes);
    });
  }

  close(): Promise<void> {
    if (this.#part !== undefined) this.#disk.witness.closed(this.#isDirty);
    this.#part = undefined;
    this.#journal = undefined;
    return Promise.resolve();
  }

  #open(): DiskFile {
    if (this.#part === undefined) throw new Error(`${this.#file} is not open`);
    return this.#part;
  }

  #append(log: DiskFile, bytes: Uint8Array): Promise<void> {
    const first = this.#disk.dice.between(0, bytes.length);
    log.append(bytes.subarray(0, first));
    return this.#step('append to journal', () => log.append(bytes.subarray(first)));
  }

  #sync(what: DiskFile | DiskFolder, name: string): Promise<void> {
    const end = what.beginSync();
    return this.#step(name, end);
  }

  #refuseWhenFull(): void {
    if (this.#process.world.nowMs < this.#disk.trouble.fullUntilMs) {
      throw new FaultError(diskFaults.diskFull, { file: this.#file });
    }
  }

  #refuseOnce(): void {
    const { trouble } = this.#disk;
    if (trouble.fullAtWrite === undefined || trouble.fullAtWrite-- > 0) return;
    trouble.fullAtWrite = undefined;
    throw new FaultError(diskFaults.diskFull, { file: this.#file });
  }

  #step<T>(what: string, work: () => T): Promise<T> {
    const { world } = this.#process;
    return this.#process.later(this.#disk.dice.skewed(0, 10), `disk: ${what}`, () => {
      const death = this.#disk.witness.step();
      if (death === 'before') this.#disk.onDeath();
      world.tell(() => `${this.#process.name} ${this.#file}: ${what}`);
      const result = work();
      if (death === 'after') this.#disk.onDeath();
      return result;
    });
  }
}
