/**
 * Output files: the directory a run writes to.
 *
 *   DIR/<file>.part ──seal──▶ DIR/<file>      DIR/.quantd/<file>.runs  the journal, which stays
 *
 * Every rename is followed by an fsync of its directory, so that what was said to be sealed is
 * still there after a power cut.
 */

import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, stat, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FaultError } from '../../proto/fault.ts';
import type { Kernels, OutputDirectory, OutputFile, PieceDigests } from '../ports.ts';
import { DirectFile, type PageMemory } from './direct-file.ts';
import { hashDirect } from './direct-hash.ts';
import type { FileHasher } from './kernels.ts';
import { type Lock, takeLock } from './lock-file.ts';
import { diskFault, diskFaults } from './output-faults.ts';
import { syncDirectory } from './whole-file.ts';

type Hasher = Pick<Kernels, 'sha256File'> & FileHasher & PageMemory;

// A journal of a million runs; a longer file is none of ours.
const JOURNAL_BYTES_MAX = 64 * 1024 * 1024;

/** Opens `path` (made if needed) for one run; throws `diskFaults.locked` while another has it. */
export async function openOutputDirectory(path: string, hasher: Hasher): Promise<OutputDirectory> {
  const state = join(path, '.quantd');
  let lock: Lock;
  try {
    await mkdir(state, { recursive: true });
    lock = await takeLock(join(state, 'lock'));
  } catch (error) {
    throw diskFault(error, path);
  }
  return {
    freeBytes: async () => {
      const { bavail, bsize } = await statfs(path);
      return bavail * bsize;
    },
    open: (file, bytes, { overwrite }) =>
      DiskOutput.open(path, file, bytes, overwrite, hasher).catch((error: unknown) => {
        throw diskFault(error, file);
      }),
    close: () => lock.release(),
  };
}

/** What is free where `path` is or would be made, and what its files have taken of it already. */
export async function outputRoom(
  path: string,
  files: readonly string[],
): Promise<{ freeBytes: number; allocatedBytes: number } | undefined> {
  const sizes = await Promise.all(
    files.flatMap((file) => [file, `${file}.part`]).map((file) => sizeOf(join(path, file))),
  );
  const allocatedBytes = sizes.reduce((sum, size) => sum + (size?.allocated ?? 0), 0);
  for (let place = path; ; place = dirname(place)) {
    try {
      const { bavail, bsize } = await statfs(place);
      return { freeBytes: bavail * bsize, allocatedBytes };
    } catch {
      // It is still to be made: its disk is that of the nearest directory that is there.
      if (dirname(place) === place) return undefined;
    }
  }
}

class DiskOutput implements OutputFile {
  readonly state: OutputFile['state'];
  allocatedBytes: number;
  readonly #name: string;
  readonly #final: string;
  readonly #journalPath: string;
  readonly #bytes: number;
  readonly #hasher: Hasher;
  /** Where its bytes lie now. */
  #path: string;
  #part: FileHandle | undefined;
  /** The same file, past the page cache, where that is possible. */
  #direct: DirectFile | undefined;
  #journal: FileHandle | undefined;

  private constructor(paths: Paths, state: OutputFile['state'], allocated: number) {
    this.state = state;
    this.allocatedBytes = allocated;
    this.#name = paths.name;
    this.#final = paths.final;
    this.#journalPath = paths.journal;
    this.#bytes = paths.bytes;
    this.#hasher = paths.hasher;
    this.#path = state === 'sealed' ? paths.final : `${paths.final}.part`;
  }

  static async open(
    directory: string,
    name: string,
    bytes: number,
    overwrite: boolean,
    hasher: Hasher,
  ): Promise<DiskOutput> {
    const final = join(directory, name);
    const journal = join(directory, '.quantd', `${basename(name)}.runs`);
    const paths = { name, final, journal, bytes, hasher };
    // A finished file that is to be replaced stays until its successor takes its name.
    if (overwrite) {
      await Promise.all([`${final}.part`, journal].map((path) => rm(path, { force: true })));
    }
    const [sealed, part, log] = await Promise.all([final, `${final}.part`, journal].map(sizeOf));
    if (part !== undefined && log !== undefined) {
      const output = new DiskOutput(paths, 'partial', part.allocated);
      await output.#openParts(output.#path, constants.O_RDWR);
      output.#journal = await open(journal, 'a');
      return output;
    }
    if (sealed === undefined || overwrite)
      return new DiskOutput(paths, 'new', part?.allocated ?? 0);
    const state = log === undefined ? 'foreign' : 'sealed';
    const output = new DiskOutput(paths, state, sealed.allocated);
    await output.#openParts(final, constants.O_RDONLY);
    return output;
  }

  async readJournal(): Promise<Uint8Array> {
    const file = await open(this.#journalPath, 'r');
    try {
      const { size } = await file.stat();
      const bytes = new Uint8Array(Math.min(size, JOURNAL_BYTES_MAX));
      await readFully(file, 0, bytes, this.#name);
      return bytes;
    } finally {
      await file.close();
    }
  }

  async resume(journalBytes: number): Promise<void> {
    if (this.state !== 'partial') return;
    await this.#guard(async () => {
      await this.#journal?.truncate(journalBytes);
      await this.#open().truncate(this.#bytes);
      // Whoever began it may have been killed before it was sure of the names.
      await syncDirectory(dirname(this.#journalPath));
      await syncDirectory(dirname(this.#final));
    });
  }

  async restart(journal: Uint8Array, keeps = false): Promise<void> {
    await this.#guard(async () => {
      const part = await this.#openPart(keeps);
      // What takes a file's place may be read by those who might read that file, and by nobody else.
      const replaced = await sizeOf(this.#final);
      if (replaced !== undefined) await part.chmod(replaced.mode & 0o777);
      await part.truncate(this.#bytes);
      await part.sync();
      // It gets its name whole: a torn head could not be told from the journal of another run.
      const draft = `${this.#journalPath}.new`;
      await rm(draft, { force: true });
      this.#journal = await open(draft, 'ax');
      await appendFully(this.#journal, journal);
      await this.#journal.sync();
      await rename(draft, this.#journalPath);
      await syncDirectory(dirname(this.#journalPath));
      await syncDirectory(dirname(this.#final));
    });
  }

  async draft(): Promise<void> {
    await this.#guard(async () => {
      const part = await this.#openPart(false);
      await part.truncate(this.#bytes);
    });
  }

  async #openPart(keeps: boolean): Promise<FileHandle> {
    await this.close();
    // The journal goes first: a part without a journal is begun anew, never trusted.
    await rm(this.#journalPath, { force: true });
    await mkdir(dirname(this.#journalPath), { recursive: true });
    if (!keeps) this.allocatedBytes = 0;
    const flags = constants.O_RDWR | constants.O_CREAT | (keeps ? 0 : constants.O_TRUNC);
    return await this.#openParts(this.#path, flags);
  }

  async #openParts(path: string, flags: number): Promise<FileHandle> {
    this.#part = await open(path, flags);
    const access = flags & constants.O_RDWR;
    this.#direct = await DirectFile.open(path, access, this.#hasher);
    return this.#part;
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#guard(async () => {
      const direct = await this.#direct?.write(offset, bytes);
      const { from, to } = direct ?? { from: offset, to: offset };
      await writeFully(this.#open(), offset, bytes.subarray(0, from - offset));
      await writeFully(this.#open(), to, bytes.subarray(to - offset));
    });
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    await this.#guard(() => readFully(this.#open(), offset, into, this.#name));
  }

  async hash(
    offset: number,
    pieces: readonly number[],
    chain?: Uint8Array,
    signal?: AbortSignal,
    sums?: readonly boolean[],
  ): Promise<PieceDigests> {
    const wanted = {
      pieces,
      ...(chain === undefined ? {} : { chain }),
      ...(sums === undefined ? {} : { sums }),
    };
    const { sha256Step } = this.#hasher;
    return await this.#guard(async () => {
      try {
        const direct = this.#direct;
        const found =
          direct && sha256Step
            ? await hashDirect(direct, offset, wanted, { sha256Step }, signal)
            : undefined;
        const part = { path: this.#path, offset, ...wanted };
        return found ?? (await this.#hasher.sha256Pieces(part, signal));
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ENODATA')) throw error;
        throw new FaultError(diskFaults.endsEarly, { file: this.#name }, { cause: error });
      }
    }, signal);
  }

  async commit(journal: Uint8Array): Promise<void> {
    await this.#guard(async () => {
      await this.#open().datasync();
      if (this.#journal === undefined) throw new Error(`${this.#name} has no journal`);
      await appendFully(this.#journal, journal);
      await this.#journal.datasync();
    });
  }

  async sync(): Promise<void> {
    await this.#guard(() => this.#open().datasync());
  }

  async discard(): Promise<void> {
    if (this.state !== 'new' || this.#journal !== undefined) return;
    await this.#guard(async () => {
      await this.close();
      await rm(`${this.#final}.part`, { force: true });
    });
  }

  async seal(): Promise<void> {
    await this.#guard(async () => {
      await this.#open().sync();
      await rename(`${this.#final}.part`, this.#final);
      this.#path = this.#final;
      await syncDirectory(dirname(this.#final));
    });
  }

  async digest(): Promise<string> {
    return Buffer.from(await this.#hasher.sha256File(this.#final)).toString('hex');
  }

  async close(): Promise<void> {
    await this.#direct?.close();
    await this.#part?.close();
    await this.#journal?.close();
    this.#direct = undefined;
    this.#part = undefined;
    this.#journal = undefined;
  }

  #open(): FileHandle {
    if (this.#part === undefined) throw new Error(`${this.#name} is not open`);
    return this.#part;
  }

  async #guard<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      throw diskFault(error, this.#name);
    }
  }
}

interface Paths {
  readonly name: string;
  readonly final: string;
  readonly journal: string;
  readonly bytes: number;
  readonly hasher: Hasher;
}

async function sizeOf(
  path: string,
): Promise<{ bytes: number; allocated: number; mode: number } | undefined> {
  try {
    const { size, blocks, mode } = await stat(path);
    return { bytes: size, allocated: blocks * 512, mode };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function readFully(
  file: FileHandle,
  offset: number,
  into: Uint8Array,
  name: string,
): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await file.read(into, done, into.length - done, offset + done);
    if (bytesRead === 0) {
      throw new FaultError(diskFaults.endsEarly, { file: name, byte: offset + done });
    }
    done += bytesRead;
  }
}

async function writeFully(file: FileHandle, offset: number, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, offset + done);
    done += bytesWritten;
  }
}

async function appendFully(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done);
    done += bytesWritten;
  }
}
