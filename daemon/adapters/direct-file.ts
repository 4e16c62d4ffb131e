/**
 * Direct file: large pieces of a file written and read past the page cache.
 *
 *   bytes at an offset ──▶ write ──▶ the part that fills whole blocks is on its way to the disk
 *
 * A copy through the page cache costs more than making some of the blocks, and fills memory with what
 * nobody reads. Where a file system or an operating system refuses, nothing is written or read here
 * and the caller's own handle does all. The two never touch the same block: what this writes are
 * whole blocks of one piece, and the edges that two pieces may share are left to the caller.
 */

import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** Memory that a disk can take as it is; without it, everything goes through the page cache. */
export interface PageMemory {
  /** Zeroed memory that begins with a page. */
  memory?(bytes: number): ArrayBuffer;
  /** How far behind the beginning of a page the bytes lie. */
  pageOffset?(bytes: Uint8Array): number;
}

/** Bytes [from, to) of the file. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

// Blocks of file systems and pages of memory; where a disk wants more, it refuses.
const PAGE_BYTES = 4096;
// Below this a copy costs less than asking the disk for itself.
const DIRECT_BYTES_MIN = 64 * 1024;
// What is read, or does not lie in memory as in the file, goes through buffers of this size: enough for
// a disk to be busy, and little enough to stay in a cache.
const BUFFER_BYTES = 1024 * 1024;
// As many as are in use where some outputs are written and read back at once.
const BUFFERS_KEPT_MAX = 16;

const buffers: Uint8Array[] = [];

function takeBuffer(memory: Required<PageMemory>): Uint8Array {
  return buffers.pop() ?? new Uint8Array(memory.memory(BUFFER_BYTES));
}

function giveBack(buffer: Uint8Array): void {
  if (buffers.length < BUFFERS_KEPT_MAX) buffers.push(buffer);
}

/** Reads on and on; two steps at a time are good, the older of which goes with the third. */
export interface DirectReader {
  /**
   * Some bytes from `offset`, up to `end`; none at the end of the file.
   * @returns undefined where this file cannot be read so
   */
  read(offset: number, end: number): Promise<Uint8Array | undefined>;
  /** When no read is under way. */
  close(): void;
}

export class DirectFile {
  readonly #memory: Required<PageMemory>;
  #handle: FileHandle | undefined;

  private constructor(handle: FileHandle, memory: Required<PageMemory>) {
    this.#handle = handle;
    this.#memory = memory;
  }

  /**
   * @param access O_RDONLY or O_RDWR
   * @returns undefined where this file cannot be reached so
   */
  static async open(
    path: string,
    access: number,
    { memory, pageOffset }: PageMemory,
  ): Promise<DirectFile | undefined> {
    // Of Linux alone; the types know nothing of that.
    const flag: number | undefined = constants.O_DIRECT;
    if (flag === undefined || memory === undefined || pageOffset === undefined) return undefined;
    try {
      return new DirectFile(await open(path, access | flag), { memory, pageOffset });
    } catch (error) {
      if (isRefusal(error)) return undefined;
      throw error;
    }
  }

  /** Writes what fills whole blocks of the file. @returns what that was; the rest is the caller's */
  async write(offset: number, bytes: Uint8Array): Promise<Span> {
    const from = roundUp(offset);
    const end = offset + bytes.length;
    const to = end - (end % PAGE_BYTES);
    if (to - from < DIRECT_BYTES_MIN) return { from: offset, to: offset };
    const content = bytes.subarray(from - offset, to - offset);
    const isAligned = this.#memory.pageOffset(content) === 0;
    const written = isAligned ? await this.#put(from, content) : await this.#copy(from, content);
    return { from, to: from + written };
  }

  reader(): DirectReader {
    let current = takeBuffer(this.#memory);
    let other = takeBuffer(this.#memory);
    return {
      read: (offset, end) => {
        [current, other] = [other, current];
        return this.#get(offset, end, current);
      },
      close: () => {
        giveBack(current);
        giveBack(other);
      },
    };
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  async #copy(from: number, content: Uint8Array): Promise<number> {
    const buffer = takeBuffer(this.#memory);
    try {
      for (let done = 0; ; ) {
        const step = content.subarray(done, done + BUFFER_BYTES);
        buffer.set(step);
        const written = await this.#put(from + done, buffer.subarray(0, step.length));
        done += written;
        if (written < step.length || done === content.length) return done;
      }
    } finally {
      giveBack(buffer);
    }
  }

  async #get(offset: number, end: number, into: Uint8Array): Promise<Uint8Array | undefined> {
    const from = offset - (offset % PAGE_BYTES);
    const length = Math.min(into.length, roundUp(end) - from);
    if (length === 0) return into.subarray(0, 0);
    try {
      const got = await this.#handle?.read(into, 0, length, from);
      if (got === undefined) return undefined;
      return into.subarray(
        offset - from,
        Math.max(offset, Math.min(from + got.bytesRead, end)) - from,
      );
    } catch (error) {
      if (!isRefusal(error)) throw error;
      await this.close();
      return undefined;
    }
  }

  /** @returns bytes that were written, all of them but for a refusal: whole blocks */
  async #put(offset: number, blocks: Uint8Array): Promise<number> {
    for (let done = 0; ; ) {
      if (this.#handle === undefined || done === blocks.length) return done;
      let written = 0;
      try {
        const length = blocks.length - done;
        ({ bytesWritten: written } = await this.#handle.write(blocks, done, length, offset + done));
      } catch (error) {
        if (!isRefusal(error)) throw error;
      }
      // A part of a block is written again by the caller, and so is all that is refused.
      const whole = written - (written % PAGE_BYTES);
      if (whole === 0) {
        await this.close();
        return done;
      }
      done += whole;
    }
  }
}

function roundUp(offset: number): number {
  return Math.ceil(offset / PAGE_BYTES) * PAGE_BYTES;
}

/** A file system that cannot, or a disk whose blocks are larger; anything else is a fault. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false;
  return error.code === 'EINVAL' || error.code === 'EOPNOTSUPP';
}
