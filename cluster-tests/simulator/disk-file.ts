/**
 * Disk file: what a file reads as, and what a power cut leaves of it.
 *
 *   write ──▶ read back at once, pending ──sync──▶ durable;  cut ──▶ durable + some of the pending
 */

import type { Dice } from './dice.ts';

interface Change {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export class DiskFile {
  /** What a read gives. */
  bytes: Uint8Array = new Uint8Array(0);
  #durable: Uint8Array = new Uint8Array(0);
  #pending: Change[] = [];

  get length(): number {
    return this.bytes.length;
  }

  write(offset: number, bytes: Uint8Array): void {
    this.bytes = withChange(this.bytes, { offset, bytes });
    this.#pending.push({ offset, bytes: bytes.slice() });
  }

  append(bytes: Uint8Array): void {
    this.write(this.length, bytes);
  }

  /** Both lengths at once: no role depends on a length that is not yet durable. */
  truncate(length: number): void {
    this.bytes = resized(this.bytes, length);
    this.#durable = resized(this.#durable, length);
    this.#pending = this.#pending.flatMap((change) => within(change, length));
  }

  /** Begins a sync; the result ends it, and makes durable what had been written before it began. */
  beginSync(): () => void {
    const covered = this.#pending.slice();
    return () => {
      for (const change of covered) this.#durable = withChange(this.#durable, change);
      this.#pending = this.#pending.filter((change) => !covered.includes(change));
    };
  }

  /** The power fails: each pending write is kept, lost, or torn in the middle. */
  cut(dice: Dice): void {
    for (const { offset, bytes } of this.#pending) {
      const kept = dice.pick([0, bytes.length, dice.between(0, bytes.length)]);
      this.#durable = withChange(this.#durable, { offset, bytes: bytes.subarray(0, kept) });
    }
    this.#pending = [];
    this.bytes = this.#durable.slice();
  }
}

/** Changed in place where it is long enough. */
function withChange(content: Uint8Array, { offset, bytes }: Change): Uint8Array {
  if (bytes.length === 0) return content;
  const whole = resized(content, Math.max(content.length, offset + bytes.length));
  whole.set(bytes, offset);
  return whole;
}

function resized(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length === length) return bytes;
  const copy = new Uint8Array(length);
  copy.set(bytes.subarray(0, length));
  return copy;
}

function within({ offset, bytes }: Change, length: number): Change[] {
  return offset >= length ? [] : [{ offset, bytes: bytes.subarray(0, length - offset) }];
}

type Rename = (entries: Map<string, DiskFile>) => void;

/** The names of a directory; what a power cut leaves of them are the first of the changes. */
export class DiskFolder {
  readonly entries: Map<string, DiskFile> = new Map();
  #durable = new Map<string, DiskFile>();
  #pending: Rename[] = [];

  change(rename: Rename): void {
    rename(this.entries);
    this.#pending.push(rename);
  }

  beginSync(): () => void {
    const covered = this.#pending.slice();
    return () => {
      for (const rename of covered) rename(this.#durable);
      this.#pending = this.#pending.filter((rename) => !covered.includes(rename));
    };
  }

  cut(dice: Dice): void {
    for (const rename of this.#pending.slice(0, dice.between(0, this.#pending.length))) {
      rename(this.#durable);
    }
    this.#pending = [];
    this.entries.clear();
    for (const [name, file] of this.#durable) {
      file.cut(dice);
      this.entries.set(name, file);
    }
  }
}
