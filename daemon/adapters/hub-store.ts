/**
 * Hub store: the files of one commit on this machine's disk, leaf by leaf as they arrive.
 *
 *   leaves ──▶ parts/<file>.part + parts/<file>.leaves ──▶ whole and verified ──▶ files/<file>
 *
 * A file stands under `files` only when its digest is the repository's. Which leaves of a part are
 * there is a list of their numbers, one a line, written after the leaves have been synced: what a
 * crash tore off its end is fetched again. Read next: hub-source.ts.
 */

import { createReadStream } from 'node:fs';
import {
  type FileHandle,
  mkdir,
  open,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  statfs,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FaultError } from '../../proto/fault.ts';
import { LEAF_BYTES } from '../../proto/peer-messages.ts';
import { blobName } from './blob-name.ts';
import { hubFaults } from './hub-faults.ts';
import type { HubFile, HubRange } from './hub-repository.ts';
import { syncDirectory } from './whole-file.ts';

// Whichever comes first: so much is fetched again at most after a crash.
const COMMIT_LEAVES = 64;
const COMMIT_MS = 2_000;
// Of a list of leaves: a file of 16 TiB has so many, with a number a line.
const LIST_BYTES_MAX = 256 << 20;
// Stays free for the system and for journals, as core/estimate/fit.ts has it for outputs.
const RESERVE_BYTES = 64 << 20;

// A data directory belongs to one daemon, so that its runs alone can be in each other's way.
const inUse = new Set<string>();

export type HashFile = (path: string, signal?: AbortSignal) => Promise<Uint8Array>;

export class HubStore {
  /** Where whole files stand. */
  readonly filesDirectory: string;
  /** Whether nothing of the commit was here before. */
  readonly isNew: boolean;
  readonly #directory: string;
  readonly #hashFile: HashFile;
  readonly #parts = new Map<string, Promise<PartFile>>();

  /** @throws FaultError QD-2521 while another run of this process has it, QD-2520 */
  static async open(directory: string, hashFile: HashFile): Promise<HubStore> {
    if (inUse.has(directory)) throw new FaultError(hubFaults.inUse);
    inUse.add(directory);
    try {
      const isNew = (await sizeOf(directory)) === undefined;
      await stored(directory, () => mkdir(join(directory, 'files'), { recursive: true }));
      return new HubStore(directory, isNew, hashFile);
    } catch (error) {
      inUse.delete(directory);
      throw error;
    }
  }

  constructor(directory: string, isNew: boolean, hashFile: HashFile) {
    this.#directory = directory;
    this.filesDirectory = join(directory, 'files');
    this.isNew = isNew;
    this.#hashFile = hashFile;
  }

  /** Whether the whole file is here, verified. */
  async isWhole({ file, bytes }: HubFile): Promise<boolean> {
    return (await sizeOf(join(this.filesDirectory, file))) === bytes;
  }

  /** What is still to be fetched of a file, in ranges of whole leaves. */
  async missing(file: HubFile, bytesMax: number): Promise<HubRange[]> {
    return (await this.isWhole(file)) ? [] : (await this.#part(file)).missing(bytesMax);
  }

  async hasLeaf(file: HubFile, leaf: number): Promise<boolean> {
    return (await this.#part(file)).has(leaf);
  }

  /** @param bytes those of one leaf; free again when the promise has resolved */
  async writeLeaf(file: HubFile, leaf: number, bytes: Uint8Array): Promise<void> {
    await (await this.#part(file)).write(leaf, bytes);
  }

  /** Bytes of leaves that are here. */
  async readPart(file: HubFile, offset: number, into: Uint8Array): Promise<void> {
    await (await this.#part(file)).read(offset, into);
  }

  /**
   * Verifies a file of which every leaf is here, and gives it its name.
   * @throws FaultError QD-2514 where it differs: then nothing of it is left
   */
  async finish(file: HubFile, signal?: AbortSignal): Promise<void> {
    const part = await this.#part(file);
    await part.commit();
    this.#parts.delete(file.file);
    await part.close();
    await this.verify(file, part.path, signal);
    const path = join(this.filesDirectory, file.file);
    await stored(file.file, async () => {
      await mkdir(dirname(path), { recursive: true });
      await rename(part.path, path);
      await syncDirectory(dirname(path));
      await rm(part.listPath, { force: true });
    });
  }

  /**
   * Compares a file on disk with what the repository says of it.
   * @throws FaultError QD-2514 where it differs: then nothing of it is left
   */
  async verify(file: HubFile, path: string, signal?: AbortSignal): Promise<void> {
    const found =
      file.sha256 === undefined
        ? await blobName(file.bytes, createReadStream(path, { signal }))
        : Buffer.from(await this.#hashFile(path, signal)).toString('hex');
    if (found !== (file.sha256 ?? file.blob)) throw await this.refuse(file, found);
  }

  /** Removes what is here of a file that has another digest than it should, and says so. */
  async refuse(file: HubFile, found: string): Promise<FaultError> {
    await this.remove(file);
    const kind = file.sha256 === undefined ? 'git object' : 'SHA-256';
    const wanted = file.sha256 ?? file.blob;
    const why = `${kind} ${found}, where the repository says ${wanted}`;
    return new FaultError(hubFaults.digestMismatch, { file: file.file, why });
  }

  /** Closes the part of a file; what is here of it stays. */
  async release({ file }: HubFile): Promise<void> {
    const part = this.#parts.get(file);
    this.#parts.delete(file);
    await (await part)?.close();
  }

  /** Removes what is here of a file. */
  async remove({ file }: HubFile): Promise<void> {
    await stored(file, async () => {
      await rm(join(this.filesDirectory, file), { force: true });
      for (const path of this.#partPaths(file)) await rm(path, { force: true });
    });
  }

  /** @throws FaultError QD-2519 */
  async checkRoom(bytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.#directory);
    const free = bavail * bsize;
    if (bytes === 0 || bytes + RESERVE_BYTES <= free) return;
    const why = `${bytes} bytes are still to be fetched, ${free} are free`;
    throw new FaultError(hubFaults.noRoom, { why });
  }

  async close(): Promise<void> {
    inUse.delete(this.#directory);
    const parts = [...this.#parts.values()];
    this.#parts.clear();
    for (const part of await Promise.allSettled(parts)) {
      if (part.status === 'fulfilled') await part.value.close();
    }
  }

  /** Closes, and removes all of the commit. */
  async drop(): Promise<void> {
    await this.close();
    await stored('', () => rm(this.#directory, { recursive: true, force: true }));
    // The repository's folder, where this was its only commit here.
    await rmdir(dirname(this.#directory)).catch(() => undefined);
  }

  #partPaths(file: string): [path: string, listPath: string] {
    const path = join(this.#directory, 'parts', file);
    return [`${path}.part`, `${path}.leaves`];
  }

  #part(file: HubFile): Promise<PartFile> {
    const known = this.#parts.get(file.file);
    if (known !== undefined) return known;
    const opened = stored(file.file, () => PartFile.open(file, ...this.#partPaths(file.file)));
    this.#parts.set(file.file, opened);
    return opened;
  }
}

class PartFile {
  readonly path: string;
  readonly listPath: string;
  readonly #file: HubFile;
  readonly #data: FileHandle;
  readonly #list: FileHandle;
  readonly #leaves: Set<number>;
  #listBytes: number;
  #unsaid: number[] = [];
  #committedMs: number = performance.now();
  #committing: Promise<void> = Promise.resolve();

  static async open(file: HubFile, path: string, listPath: string): Promise<PartFile> {
    await mkdir(dirname(path), { recursive: true });
    const head = `${file.bytes} ${file.sha256 ?? file.blob}\n`;
    const text = (await sizeOf(path)) === undefined ? '' : await readList(listPath);
    const isSame = text.startsWith(head);
    // A line that a crash tore has no end.
    const whole = isSame ? text.slice(0, text.lastIndexOf('\n') + 1) : head;
    const data = await open(path, isSame ? 'r+' : 'w+', 0o600);
    const list = await open(listPath, isSame ? 'r+' : 'w+', 0o600);
    await list.truncate(whole.length);
    if (!isSame) await list.write(head, 0);
    const leafCount = Math.ceil(file.bytes / LEAF_BYTES);
    const numbers = whole.slice(head.length).split('\n').filter(Boolean).map(Number);
    const leaves = new Set(numbers.filter((leaf) => Number.isInteger(leaf) && leaf < leafCount));
    const { size } = await data.stat();
    const isThere = (leaf: number): boolean => leafEnd(file, leaf) <= size;
    const opened = { path, listPath, data, list, listBytes: whole.length };
    return new PartFile(file, opened, new Set([...leaves].filter(isThere)));
  }

  constructor(
    file: HubFile,
    opened: {
      readonly path: string;
      readonly listPath: string;
      readonly data: FileHandle;
      readonly list: FileHandle;
      readonly listBytes: number;
    },
    leaves: Set<number>,
  ) {
    this.#file = file;
    this.path = opened.path;
    this.listPath = opened.listPath;
    this.#data = opened.data;
    this.#list = opened.list;
    this.#listBytes = opened.listBytes;
    this.#leaves = leaves;
  }

  has(leaf: number): boolean {
    return this.#leaves.has(leaf);
  }

  missing(bytesMax: number): HubRange[] {
    const ranges: HubRange[] = [];
    for (let offset = 0; offset < this.#file.bytes; offset += LEAF_BYTES) {
      const leaf = offset / LEAF_BYTES;
      if (this.#leaves.has(leaf)) continue;
      const bytes = leafEnd(this.#file, leaf) - offset;
      const last = ranges.at(-1);
      if (
        last !== undefined &&
        last.offset + last.bytes === offset &&
        last.bytes + bytes <= bytesMax
      ) {
        ranges[ranges.length - 1] = { offset: last.offset, bytes: last.bytes + bytes };
      } else ranges.push({ offset, bytes });
    }
    return ranges;
  }

  async write(leaf: number, bytes: Uint8Array): Promise<void> {
    await stored(this.#file.file, async () => {
      await this.#data.write(bytes, 0, bytes.length, leaf * LEAF_BYTES);
    });
    this.#leaves.add(leaf);
    this.#unsaid.push(leaf);
    const isDue = performance.now() - this.#committedMs >= COMMIT_MS;
    if (isDue || this.#unsaid.length >= COMMIT_LEAVES) await this.commit();
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    for (let done = 0; done < into.length; ) {
      const { bytesRead } = await this.#data.read(into, done, into.length - done, offset + done);
      if (bytesRead === 0) {
        throw new FaultError(hubFaults.storeFailed, {
          file: this.#file.file,
          why: 'it ends early',
        });
      }
      done += bytesRead;
    }
  }

  /** Makes what was written durable, then says so. */
  commit(): Promise<void> {
    const next = this.#committing.then(() => this.#commit());
    // Whoever waits for this one hears of its failure; the next begins anew.
    this.#committing = next.catch(() => undefined);
    return next;
  }

  async #commit(): Promise<void> {
    const leaves = this.#unsaid;
    if (leaves.length === 0) return;
    this.#unsaid = [];
    this.#committedMs = performance.now();
    await stored(this.#file.file, async () => {
      await this.#data.datasync();
      const lines = `${leaves.join('\n')}\n`;
      await this.#list.write(lines, this.#listBytes);
      this.#listBytes += lines.length;
      await this.#list.datasync();
    });
  }

  async close(): Promise<void> {
    await this.commit().catch(() => undefined);
    await this.#data.close();
    await this.#list.close();
  }
}

function leafEnd({ bytes }: HubFile, leaf: number): number {
  return Math.min(bytes, (leaf + 1) * LEAF_BYTES);
}

async function readList(path: string): Promise<string> {
  const bytes = await sizeOf(path);
  return bytes === undefined || bytes > LIST_BYTES_MAX ? '' : readFile(path, 'utf8');
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch {
    return undefined;
  }
}

/** Turns what the operating system says into a fault; all else passes unchanged. */
async function stored<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (!/^E[A-Z0-9]+$/.test(code)) throw error;
    const kind = code === 'ENOSPC' || code === 'EDQUOT' ? hubFaults.noRoom : hubFaults.storeFailed;
    throw new FaultError(kind, { ...(file === '' ? {} : { file }), why: code }, { cause: error });
  }
}
