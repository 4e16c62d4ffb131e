/**
 * Repository: what the loopback hub serves, from a directory or from a function.
 *
 *   directory, or file sizes and a function ──▶ HubRepository ──▶ loopback-hub.ts
 */

import { createHash } from 'node:crypto';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

export interface RepositoryFile {
  readonly path: string;
  readonly bytes: number;
  /** Git's name of it; of a file kept by LFS that of its pointer, which nobody asks about. */
  readonly oid: string;
  /** Present for files kept by LFS. */
  readonly sha256?: string;
  /** Any part of the content, at once. */
  read(offset: number, bytes: number): Promise<Uint8Array> | Uint8Array;
}

export interface Repository {
  /** `org/name`. */
  readonly name: string;
  readonly commit: string;
  readonly files: readonly RepositoryFile[];
  /** Branches and tags that stand for the commit; `main` among them. */
  readonly revisions: readonly string[];
  /** Who may read files: all, those who have a token, those who accepted the licence. */
  readonly access: 'open' | 'private' | 'gated';
}

export type RepositoryOptions = Partial<Pick<Repository, 'name' | 'revisions' | 'access'>>;

/** Of what is so large, or so named, the hub keeps the bytes outside of git. */
const LFS_NAME = /\.(safetensors|gguf)$/;

/** The files of a directory as a repository. */
export async function directoryRepository(
  directory: string,
  options: RepositoryOptions & { readonly lfs?: (file: string) => boolean } = {},
): Promise<Repository> {
  const { lfs = (file) => LFS_NAME.test(file) } = options;
  const files: RepositoryFile[] = [];
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const location = join(entry.parentPath, entry.name);
    const path = location.slice(directory.length).replace(/^\/+/, '');
    const { size } = await stat(location);
    const content = await readFile(location);
    files.push({
      path,
      bytes: size,
      oid: blobName(content),
      ...(lfs(path) ? { sha256: createHash('sha256').update(content).digest('hex') } : {}),
      read: (offset, bytes) => readPart(location, offset, bytes),
    });
  }
  return repositoryOf(files, options);
}

/** Files in memory. */
export function memoryRepository(
  contents: Readonly<Record<string, Uint8Array | string>>,
  options: RepositoryOptions & { readonly lfs?: (file: string) => boolean } = {},
): Repository {
  const { lfs = (file) => LFS_NAME.test(file) } = options;
  const files = Object.entries(contents).map(([path, text]): RepositoryFile => {
    const content = typeof text === 'string' ? new TextEncoder().encode(text) : text;
    return {
      path,
      bytes: content.length,
      oid: blobName(content),
      ...(lfs(path) ? { sha256: createHash('sha256').update(content).digest('hex') } : {}),
      read: (offset, bytes) => content.subarray(offset, offset + bytes),
    };
  });
  return repositoryOf(files, options);
}

/**
 * Files whose content is a function of the place, such as headers and seeded numbers: nothing is
 * stored, whatever their size. Those without `sha256` have the digest of their name, which is good
 * enough for whoever never reads them to the end.
 */
export function generatedRepository(
  files: readonly (Pick<RepositoryFile, 'path' | 'bytes' | 'read'> & {
    readonly sha256?: string;
  })[],
  options: RepositoryOptions = {},
): Repository {
  const named = files.map((file) => ({
    ...file,
    oid: createHash('sha1').update(file.path).digest('hex'),
    sha256: file.sha256 ?? createHash('sha256').update(file.path).digest('hex'),
  }));
  return repositoryOf(named, options);
}

function repositoryOf(files: RepositoryFile[], options: RepositoryOptions): Repository {
  const { name = 'test-org/tiny', revisions = ['main'], access = 'open' } = options;
  const sorted = files.sort((a, b) => (a.path < b.path ? -1 : 1));
  const text = sorted.map(({ path, oid, sha256 }) => `${path} ${oid} ${sha256}`).join('\n');
  const commit = createHash('sha1').update(text).digest('hex');
  return { name, commit, revisions, access, files: sorted };
}

/** How git names the bytes of a file. */
export function blobName(content: Uint8Array): string {
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
}

async function readPart(path: string, offset: number, bytes: number): Promise<Uint8Array> {
  const file = await open(path);
  try {
    const into = new Uint8Array(bytes);
    const { bytesRead } = await file.read(into, 0, bytes, offset);
    return into.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
