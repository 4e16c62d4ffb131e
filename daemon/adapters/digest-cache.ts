/**
 * Digest cache: SHA-256 of files, remembered across runs, because hashing 50 GB takes minutes.
 *
 *   path, size, mtime, inode ──▶ find / remember ──▶ one JSON file
 *
 * The cache is a hint that can be deleted at any time; a damaged one counts as empty.
 */

import { randomUUID } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { replaceFile } from './whole-file.ts';

/** What tells one content of a file from the next. */
export interface FileIdentity {
  readonly bytes: number;
  readonly mtimeNs: bigint;
  readonly inode: bigint;
}

type Entries = Map<string, string>;

// A thousand models of a hundred files; older entries go first.
const ENTRIES_MAX = 100_000;
// 100000 entries of 300 bytes.
const CACHE_BYTES_MAX = 64_000_000;
const hex = /^[0-9a-f]{64}$/;

export class DigestCache {
  readonly #file: string;
  // Writes follow each other; each reads the file again, so that two runs add to one cache.
  #lastWrite: Promise<void> = Promise.resolve();

  /** @param file path of the JSON file; its directory exists */
  constructor(file: string) {
    this.#file = file;
  }

  /** The digest of the file at `path`, if it was remembered for this very identity. */
  async find(path: string, identity: FileIdentity): Promise<string | undefined> {
    await this.#lastWrite;
    return (await this.#read()).get(keyOf(path, identity));
  }

  async remember(path: string, identity: FileIdentity, digest: string): Promise<void> {
    const write = this.#lastWrite.then(() => this.#add(keyOf(path, identity), digest));
    // One write that fails must not fail the ones after it.
    this.#lastWrite = write.catch(() => undefined);
    await write;
  }

  async #read(): Promise<Entries> {
    try {
      if ((await stat(this.#file)).size > CACHE_BYTES_MAX) return new Map();
      const entries: unknown = JSON.parse(await readFile(this.#file, 'utf8'));
      return Array.isArray(entries) ? new Map(entries.filter(isEntry)) : new Map();
    } catch {
      return new Map();
    }
  }

  async #add(key: string, digest: string): Promise<void> {
    const entries = await this.#read();
    entries.delete(key);
    entries.set(key, digest);
    const lines = [...entries].slice(-ENTRIES_MAX).map((entry) => JSON.stringify(entry));
    // Two runs may write at the same time.
    const partial = `${this.#file}.${randomUUID()}.tmp`;
    await replaceFile(this.#file, `[${lines.join(',\n')}]\n`, { mode: 0o600, partial });
  }
}

function keyOf(path: string, { bytes, mtimeNs, inode }: FileIdentity): string {
  return [bytes, mtimeNs, inode, path].join(' ');
}

function isEntry(entry: unknown): entry is [string, string] {
  if (!Array.isArray(entry) || entry.length !== 2) return false;
  const [key, digest]: unknown[] = entry;
  return typeof key === 'string' && typeof digest === 'string' && hex.test(digest);
}
