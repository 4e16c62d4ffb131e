/**
 * Measurement files: what a measurement must not lose, in the data directory.
 *
 *   DIR/<measurement>/<name>      written beside, synced, renamed, the directory synced
 */

import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { assert } from '../../proto/assert.ts';
import type { MeasurementFiles } from '../ports.ts';
import { replaceFile } from './whole-file.ts';

// Ids and names are digests of ours; nothing else may become part of a path.
const NAME = /^[0-9a-f]{32,64}$/;

/** The files of the measurement `id`, below `directory`, which is made if needed. */
export async function openMeasurementFiles(
  directory: string,
  id: string,
): Promise<MeasurementFiles> {
  assert(NAME.test(id), `${id} is no name of a measurement`);
  const own = join(directory, id);
  await mkdir(own, { recursive: true, mode: 0o700 });
  const path = (name: string): string => {
    assert(NAME.test(name), `${name} is no name of a measurement's file`);
    return join(own, name);
  };
  return {
    list: async () => {
      const names = await readdir(own);
      // A crash while writing leaves a file that is not renamed.
      for (const name of names.filter((each) => !NAME.test(each))) {
        await rm(join(own, name), { force: true });
      }
      return names.filter((name) => NAME.test(name));
    },
    read: async (name) => {
      try {
        return await readFile(path(name));
      } catch {
        return undefined;
      }
    },
    write: (name, bytes) => replaceFile(path(name), bytes, { mode: 0o600 }),
    remove: (name) => rm(path(name), { force: true }),
    drop: () => rm(own, { recursive: true, force: true }),
  };
}
