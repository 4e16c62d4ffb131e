/**
 * Source directory: a checkpoint or the files of a GGUF on a local disk, only ever read.
 *
 *   path ──▶ openSource ──▶ Source (ports.ts): list, read, digest, checkUnchanged
 *
 * Links to files are followed, because the Hugging Face cache keeps a snapshot as links into its
 * blobs; links to directories are not. What `list` saw of a file (size, mtime, inode) is compared
 * again whenever the file is opened or hashed, so a file that is replaced is never read as itself.
 */

import { type BigIntStats, constants, type Dirent } from 'node:fs';
import { type FileHandle, open, readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FaultError, type FaultKind } from '../../proto/fault.ts';
import type { Source, SourceEntry } from '../ports.ts';
import { DigestCache, type FileIdentity } from './digest-cache.ts';
import { OpenFiles } from './open-files.ts';
import { sourceFaults } from './source-faults.ts';

export interface SourceDirectoryOptions {
  /** SHA-256 of the file at an absolute path. */
  readonly hashFile: (path: string, signal?: AbortSignal) => Promise<Uint8Array>;
  /** Path of the JSON file that remembers digests across runs; none are remembered without it. */
  readonly digestCache?: string;
}

// The largest checkpoints have 200 files; leaves room for the examples some of them bring along.
const FILES_MAX = 10_000;
// A Hub repository rarely nests more than 2 deep.
const DEPTH_MAX = 8;
// Few enough for a process limited to 256 open files that also has its outputs and peers.
const OPEN_FILES_MAX = 32;
// Between two reads of this size an abort is noticed within some milliseconds.
const READ_BYTES_MAX = 8 << 20;
// File systems round mtime to 2 s at worst: a file changed again within it would look the same.
const MTIME_GRAIN_MS = 2_000;

/**
 * A directory as a checkpoint, a file as a GGUF.
 * @param path as the user gave it
 * @throws FaultError when it is missing or neither
 */
export async function openSource(path: string, options: SourceDirectoryOptions): Promise<Source> {
  const found = await statOf(path, path, sourceFaults.sourceMissing);
  return found.isFile() ? openParts(path, options) : openSourceDirectory(path, options);
}

/**
 * @param path as the user gave it
 * @throws FaultError when it is missing, no directory, or holds anything but files and folders
 */
export async function openSourceDirectory(
  path: string,
  options: SourceDirectoryOptions,
): Promise<Source> {
  const found = await statOf(path, path, sourceFaults.sourceMissing);
  if (!found.isDirectory()) throw new FaultError(sourceFaults.sourceNotDirectory, { file: path });
  const root = await realpath(path);
  return new SourceDirectory(root, await listFiles(root), options);
}

async function openParts(path: string, options: SourceDirectoryOptions): Promise<Source> {
  const root = await faultsOf(path, () => realpath(dirname(path)));
  const named = basename(path);
  return new SourceDirectory(root, await listParts(root, named), options, named);
}

/** One file that is only read, such as a GGUF to look into. */
export interface SingleFile {
  readonly bytes: number;
  /** Fills `into` from `offset`; a file that ends early is a fault, never a short result. */
  read(offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** @throws FaultError when there is no regular file at the path */
export async function openSourceFile(path: string): Promise<SingleFile> {
  const found = await statOf(path, path, sourceFaults.sourceMissing);
  if (!found.isFile()) throw new FaultError(sourceFaults.notFile, { file: path });
  const handle = await faultsOf(path, () => open(path, constants.O_RDONLY | constants.O_NONBLOCK));
  return {
    bytes: Number(found.size),
    read: (offset, into, signal) =>
      faultsOf(path, () => readFully(handle, { file: path, offset, into, signal })),
    close: () => handle.close(),
  };
}

class SourceDirectory implements Source {
  readonly named?: string;
  readonly #root: string;
  readonly #files: ReadonlyMap<string, FileIdentity>;
  readonly #hashFile: SourceDirectoryOptions['hashFile'];
  readonly #cache: DigestCache | undefined;
  readonly #open: OpenFiles;

  constructor(
    root: string,
    files: ReadonlyMap<string, FileIdentity>,
    { hashFile, digestCache }: SourceDirectoryOptions,
    named?: string,
  ) {
    if (named !== undefined) this.named = named;
    this.#root = root;
    this.#files = files;
    this.#hashFile = hashFile;
    this.#cache = digestCache === undefined ? undefined : new DigestCache(digestCache);
    this.#open = new OpenFiles(OPEN_FILES_MAX, (file, handle) => this.#checkOpened(file, handle));
  }

  async list(): Promise<readonly SourceEntry[]> {
    return [...this.#files].map(([file, { bytes }]) => ({ file, bytes }));
  }

  async read(file: string, offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void> {
    const { bytes } = this.#identityOf(file);
    if (offset + into.length > bytes) throw shorter(file, offset + into.length, bytes);
    await faultsOf(file, () =>
      this.#open.use(join(this.#root, file), (handle) =>
        readFully(handle, { file, offset, into, signal }),
      ),
    );
  }

  path(file: string): string {
    return join(this.#root, file);
  }

  async digest(file: string, signal?: AbortSignal): Promise<string> {
    const identity = this.#identityOf(file);
    const path = await faultsOf(file, () => realpath(join(this.#root, file)));
    await this.#checkFile(file);
    const known = await this.#cache?.find(path, identity);
    if (known !== undefined) return known;
    const hash = await faultsOf(file, () => this.#hashFile(path, signal));
    await this.#checkFile(file);
    const digest = Buffer.from(hash).toString('hex');
    if (isSettled(identity)) await this.#cache?.remember(path, identity, digest);
    return digest;
  }

  async isAt(path: string): Promise<boolean> {
    const found = await stat(path, { bigint: true }).catch(() => undefined);
    if (found === undefined) return false;
    const there = identityOf(found);
    return [...this.#files.values()].some((file) => isSame(file, there));
  }

  async checkUnchanged(): Promise<void> {
    for (const file of this.#files.keys()) await this.#checkFile(file);
  }

  async close(): Promise<void> {
    await this.#open.close();
  }

  #identityOf(file: string): FileIdentity {
    const identity = this.#files.get(file);
    if (identity === undefined) throw new FaultError(sourceFaults.fileMissing, { file });
    return identity;
  }

  async #checkFile(file: string): Promise<void> {
    const found = await statOf(join(this.#root, file), file, sourceFaults.sourceChanged);
    this.#compare(file, found);
  }

  async #checkOpened(path: string, handle: FileHandle): Promise<void> {
    this.#compare(path.slice(this.#root.length + 1), await handle.stat({ bigint: true }));
  }

  #compare(file: string, found: BigIntStats): void {
    const listed = this.#identityOf(file);
    const isUnchanged = found.isFile() && isSame(listed, identityOf(found));
    if (!isUnchanged) throw new FaultError(sourceFaults.sourceChanged, { file });
  }
}

/** Every regular file below `root` in the order of its name; names that begin with a dot are not. */
async function listFiles(root: string): Promise<ReadonlyMap<string, FileIdentity>> {
  const files: [string, FileIdentity][] = [];
  const folders = [{ folder: '', depth: 1 }];
  let entries = 0;
  for (const { folder, depth } of folders) {
    const found = await faultsOf(folder, () =>
      readdir(join(root, folder), { withFileTypes: true }),
    );
    entries += found.length;
    if (entries > FILES_MAX || depth > DEPTH_MAX) throw new FaultError(sourceFaults.tooManyFiles);
    // .git, .cache and .gitattributes belong to the tools that fetch a checkpoint.
    for (const entry of found.filter(({ name }) => !name.startsWith('.'))) {
      const file = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) folders.push({ folder: file, depth: depth + 1 });
      else files.push(...(await listFile(root, file, entry)));
    }
  }
  return new Map(files.sort(([a], [b]) => (a < b ? -1 : 1)));
}

// How llama.cpp names the parts of a split GGUF: model-00001-of-00003.gguf.
const PART_PATTERN = /^(.*)-\d{5}-(of-\d{5}\.gguf)$/;

/** Whether `file` is named as a part of the split GGUF that `named` is named as a part of. */
export function isPartOf(file: string, named: string): boolean {
  const [, stem, ending] = PART_PATTERN.exec(named) ?? [];
  const [, otherStem, otherEnding] = PART_PATTERN.exec(file) ?? [];
  return stem !== undefined && otherStem === stem && otherEnding === ending;
}

/** The named file and, where its name is that of a part, those that are named as the others. */
async function listParts(root: string, named: string): Promise<ReadonlyMap<string, FileIdentity>> {
  const entries = PART_PATTERN.test(named)
    ? await faultsOf(named, () => readdir(root, { withFileTypes: true }))
    : [];
  const parts = entries.filter(({ name }) => name !== named && isPartOf(name, named));
  if (parts.length > FILES_MAX) throw new FaultError(sourceFaults.tooManyFiles);
  const first = identityOf(await statOf(join(root, named), named, sourceFaults.sourceMissing));
  const files: [string, FileIdentity][] = [[named, first]];
  for (const entry of parts) files.push(...(await listFile(root, entry.name, entry)));
  return new Map(files.sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function listFile(
  root: string,
  file: string,
  entry: Dirent,
): Promise<[string, FileIdentity][]> {
  const found = await statOf(join(root, file), file, sourceFaults.brokenLink);
  if (found.isFile()) return [[file, identityOf(found)]];
  if (entry.isSymbolicLink() && found.isDirectory()) return [];
  throw new FaultError(sourceFaults.notRegular, { file });
}

function identityOf({ size, mtimeNs, ino }: BigIntStats): FileIdentity {
  return { bytes: Number(size), mtimeNs, inode: ino };
}

function isSame(a: FileIdentity, b: FileIdentity): boolean {
  return a.bytes === b.bytes && a.mtimeNs === b.mtimeNs && a.inode === b.inode;
}

function isSettled({ mtimeNs }: FileIdentity): boolean {
  return Date.now() - Number(mtimeNs / 1_000_000n) > MTIME_GRAIN_MS;
}

interface ReadPlace {
  readonly file: string;
  readonly offset: number;
  readonly into: Uint8Array;
  readonly signal: AbortSignal | undefined;
}

async function readFully(
  handle: FileHandle,
  { file, offset, into, signal }: ReadPlace,
): Promise<void> {
  for (let done = 0; done < into.length; ) {
    signal?.throwIfAborted();
    const length = Math.min(READ_BYTES_MAX, into.length - done);
    const { bytesRead } = await handle.read(into, done, length, offset + done);
    if (bytesRead === 0) throw shorter(file, offset + into.length, offset + done);
    done += bytesRead;
  }
}

function shorter(file: string, wanted: number, bytes: number): FaultError {
  const why = `it ends at byte ${bytes}, bytes up to ${wanted} were wanted`;
  return new FaultError(sourceFaults.fileShorter, { file, why });
}

/** Follows links. `absent` is what it means that nothing is there. */
async function statOf(path: string, file: string, absent: FaultKind): Promise<BigIntStats> {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    const code = errorCode(error);
    const isAbsent = code === 'ENOENT' || code === 'ELOOP' || code === 'ENOTDIR';
    const kind = isAbsent ? absent : sourceFaults.readFailed;
    throw new FaultError(kind, { file, why: code }, { cause: error });
  }
}

/** Turns what the operating system says about a file into a fault; all else passes unchanged. */
async function faultsOf<Result>(file: string, action: () => Promise<Result>): Promise<Result> {
  try {
    return await action();
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT') throw new FaultError(sourceFaults.sourceChanged, { file });
    if (!/^E[A-Z0-9]+$/.test(code)) throw error;
    throw new FaultError(sourceFaults.readFailed, { file, why: code }, { cause: error });
  }
}

function errorCode(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}
