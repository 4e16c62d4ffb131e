/**
 * Rebuild folder: where a release is made again, to be compared and removed.
 *
 *   DIR/<Model>-GGUF/      what is made      DIR/.quantd-reproducing   of which release
 *
 * Only a folder whose mark says that it was begun for the same release is ever gone on with, and only
 * such a folder is ever removed.
 */

import { mkdir, readdir, readFile, rm, rmdir, stat, statfs, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { FaultError } from '../../proto/fault.ts';
import type { RebuildFolder } from '../release-ports.ts';
import { diskFault } from './output-faults.ts';
import { folderFaults } from './release-folder-faults.ts';

const MARK = '.quantd-reproducing';

/**
 * @param release what the folder of the release is called
 * @param id of what is made, so that another attempt at the same is known
 * @throws FaultError inTheWay, or what the disk refuses
 */
export async function openRebuildFolder(
  directory: string,
  release: string,
  id: string,
): Promise<RebuildFolder> {
  const path = resolve(directory);
  const folder = join(path, release);
  const mark = join(path, MARK);
  try {
    await mkdir(path, { recursive: true });
    const isBegun = (await textOf(mark)) === id;
    if (!isBegun && (await isThere(folder))) {
      throw new FaultError(folderFaults.inTheWay, { file: folder });
    }
    await writeFile(mark, id);
    return {
      path,
      allocatedBytes: isBegun ? await allocated(folder) : 0,
      freeBytes: async () => {
        const { bavail, bsize } = await statfs(path);
        return bavail * bsize;
      },
      remove: async () => {
        await rm(folder, { recursive: true, force: true });
        await rm(mark, { force: true });
        // The user's own directory stays when it holds anything else.
        if ((await readdir(path)).length === 0) await rmdir(path);
      },
      keep: () => rm(mark, { force: true }),
    };
  } catch (error) {
    throw diskFault(error, path);
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

async function allocated(folder: string): Promise<number> {
  if (!(await isThere(folder))) return 0;
  const names = await readdir(folder, { recursive: true });
  const sizes = names.map(async (name) => (await stat(join(folder, name))).blocks * 512);
  return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0);
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
