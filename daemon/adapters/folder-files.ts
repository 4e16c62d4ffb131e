/**
 * Folder files: small files of a release, each whole or absent.
 *
 *   DIR/<name>      written beside, synced, renamed, the folder synced
 */

import { appendFile, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { assert } from '../../proto/assert.ts';
import type { FolderFiles } from '../ports.ts';
import { diskFault } from './output-faults.ts';
import { replaceFile } from './whole-file.ts';

// One folder deep, and nothing that leads out of it.
const NAME = /^\.?[A-Za-z0-9][A-Za-z0-9._-]*(\/[A-Za-z0-9][A-Za-z0-9._-]*)?$/;

/** The files in `directory`, which is made when something is written. */
export function openFolderFiles(directory: string): FolderFiles {
  const path = (name: string): string => {
    assert(NAME.test(name), `${name} is no name of a file in a release`);
    return join(directory, name);
  };
  return {
    write: async (name, bytes) => {
      try {
        await mkdir(dirname(path(name)), { recursive: true });
        await replaceFile(path(name), bytes);
      } catch (error) {
        throw diskFault(error, name);
      }
    },
    append: async (name, bytes) => {
      try {
        await mkdir(dirname(path(name)), { recursive: true });
        await appendFile(path(name), bytes);
      } catch (error) {
        throw diskFault(error, name);
      }
    },
    read: async (name) => {
      try {
        return await readFile(path(name));
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
        throw diskFault(error, name);
      }
    },
    remove: async (name) => {
      try {
        await rm(path(name), { force: true });
      } catch (error) {
        throw diskFault(error, name);
      }
    },
    allocatedBytes: async () => {
      const names = await readdir(directory, { recursive: true });
      const sizes = names.map(async (name) => (await stat(join(directory, name))).blocks * 512);
      return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0);
    },
  };
}
