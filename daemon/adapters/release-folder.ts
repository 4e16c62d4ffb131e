/**
 * Release folder: a finished release on a local disk, only ever read.
 *
 *   path ──▶ openReleaseFolder ──▶ ReleaseFolder (release-ports.ts): list, open, read, hash
 *
 * A name is looked up by its real path, and that must lie in the folder: a release comes from
 * strangers, and a link in it could name any file of this machine.
 */

import { constants, type Dirent } from 'node:fs';
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { FaultError, type FaultKind } from '../../proto/fault.ts';
import type { FolderEntry, ReleaseFile, ReleaseFolder } from '../release-ports.ts';
import type { FileHasher } from './kernels.ts';
import { folderFaults } from './release-folder-faults.ts';

// A release has some ten files a type; whatever holds more is none.
const ENTRIES_MAX = 10_000;
// Between two reads of this size an abort is noticed within some milliseconds.
const READ_BYTES_MAX: number = 8 * 1024 * 1024;

/**
 * @param path of the folder, or of a file in it
 * @throws FaultError when there is neither
 */
export async function openReleaseFolder(path: string, hasher: FileHasher): Promise<ReleaseFolder> {
  const found = await faultsOf(path, () => stat(path));
  if (!found.isFile() && !found.isDirectory()) {
    throw new FaultError(folderFaults.notFolder, { file: path });
  }
  const named = found.isFile() ? basename(path) : undefined;
  const root = await faultsOf(path, () => realpath(named === undefined ? path : dirname(path)));
  return {
    path: root,
    ...(named === undefined ? {} : { named }),
    list: () => listFolder(root),
    open: (file) => openInside(root, file, { hasher, mayLead: file === named }),
  };
}

async function listFolder(root: string): Promise<FolderEntry[]> {
  const top = await entriesOf(root, '');
  const isHidden = ({ name }: Dirent): boolean => name.startsWith('.');
  // .git, .cache and .quantd belong to the tools that made or fetched the folder.
  const folders = top.filter((entry) => entry.isDirectory() && !isHidden(entry));
  const files = top.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
  for (const { name } of folders) {
    // Folders of a folder in a release are told of and not looked into.
    const found = await entriesOf(root, name);
    files.push(...found.map((entry) => `${name}/${entry.name}`));
    if (files.length > ENTRIES_MAX) throw new FaultError(folderFaults.tooMany, { file: root });
  }
  const entries: FolderEntry[] = [];
  for (const file of files.sort()) entries.push(await faultsOf(file, () => entryOf(root, file)));
  return entries;
}

function entriesOf(root: string, folder: string): Promise<Dirent[]> {
  return faultsOf(folder, () => readdir(join(root, folder), { withFileTypes: true }));
}

async function entryOf(root: string, file: string): Promise<FolderEntry> {
  const found = await inside(root, file);
  if ('refused' in found) return { file, bytes: 0, refused: found.refused };
  return { file, bytes: found.bytes };
}

/** Where the file really lies, or what is wrong with it. */
async function inside(
  root: string,
  file: string,
  mayLead = false,
): Promise<{ readonly path: string; readonly bytes: number } | { readonly refused: string }> {
  let path: string;
  try {
    path = await realpath(join(root, file));
  } catch (error) {
    if (codeOf(error) === 'ELOOP') return { refused: 'a link that leads in a circle' };
    // A link into nothing is there; what is not there is the caller's affair.
    if (codeOf(error) !== 'ENOENT') throw error;
    return { refused: 'missing' };
  }
  if (!mayLead && !path.startsWith(root + sep))
    return { refused: 'a link that leads out of the folder' };
  const found = await stat(path);
  return found.isFile() ? { path, bytes: found.size } : { refused: 'no regular file' };
}

async function openInside(
  root: string,
  file: string,
  { hasher, mayLead }: { readonly hasher: FileHasher; readonly mayLead: boolean },
): Promise<ReleaseFile> {
  const found = await faultsOf(file, () => inside(root, file, mayLead));
  if ('refused' in found) {
    const kind = found.refused === 'missing' ? folderFaults.missing : folderFaults.outside;
    throw new FaultError(kind, { file, why: found.refused });
  }
  const { path } = found;
  // Not through a link that has taken the place of the file since.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await faultsOf(file, () => open(path, flags));
  return {
    bytes: found.bytes,
    read: (offset, into, signal) =>
      faultsOf(file, async () => {
        for (let done = 0; done < into.length; ) {
          signal?.throwIfAborted();
          const length = Math.min(READ_BYTES_MAX, into.length - done);
          const { bytesRead } = await handle.read(into, done, length, offset + done);
          if (bytesRead === 0) throw endsEarly(file, offset + done);
          done += bytesRead;
        }
      }),
    hash: (offset, pieces, chain, signal) =>
      faultsOf(file, () => {
        const part = { path, offset, pieces, ...(chain === undefined ? {} : { chain }) };
        return hasher.sha256Pieces(part, signal);
      }),
    close: () => handle.close(),
  };
}

function endsEarly(file: string, byte: number): FaultError {
  return new FaultError(folderFaults.endsEarly, { file, byte });
}

/** Turns what the operating system says about a file into a fault; all else passes unchanged. */
async function faultsOf<Result>(file: string, action: () => Promise<Result>): Promise<Result> {
  try {
    return await action();
  } catch (error) {
    const code = codeOf(error);
    if (!/^E[A-Z0-9]+$/.test(code)) throw error;
    const kind = kinds.get(code) ?? folderFaults.unreadable;
    throw new FaultError(kind, { file, why: code }, { cause: error });
  }
}

const kinds: ReadonlyMap<string, FaultKind> = new Map<string, FaultKind>([
  ['ENOENT', folderFaults.missing],
  ['ENOTDIR', folderFaults.missing],
  ['ENODATA', folderFaults.endsEarly],
]);

function codeOf(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}
