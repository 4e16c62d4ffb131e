/**
 * Held outputs: where this machine puts outputs together for the runs of other machines.
 *
 *   DIR/<release>/<file>.part ──seal──▶ DIR/<release>/<file>      as output-files.ts
 *
 * A release is a plan's outputs: those that lie here stand in one folder, as a user would want them.
 */

import { readdir, rm, rmdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { assert } from '../../proto/assert.ts';
import type { HeldOutputs, Kernels } from '../ports.ts';
import type { FileHasher } from './kernels.ts';
import { openOutputDirectory } from './output-files.ts';

// Names of releases are digests of ours; nothing else may become part of a path.
const RELEASE = /^[0-9a-f]{32}$/;

export function openHeldOutputs(
  directory: string,
  hasher: Pick<Kernels, 'sha256File'> & FileHasher,
): HeldOutputs {
  const folder = (release: string): string => {
    assert(RELEASE.test(release), `${release} is no name of a release`);
    return join(directory, release);
  };
  const path = (release: string, file: string): string => {
    assert(
      file !== '' && basename(file) === file && !file.startsWith('.'),
      `${file} is no name of an output`,
    );
    return join(folder(release), file);
  };
  return {
    list: async () => {
      const found = [];
      for (const release of await namesIn(directory)) {
        if (!RELEASE.test(release)) continue;
        for (const name of await namesIn(join(directory, release))) {
          if (name.startsWith('.')) continue;
          const bytes = await sizeOf(join(directory, release, name));
          found.push({ release, file: name.replace(/\.part$/, ''), bytes });
        }
      }
      return found;
    },
    open: (release) => openOutputDirectory(folder(release), hasher),
    path,
    remove: async (release, file) => {
      const final = path(release, file);
      const state = join(folder(release), '.quantd');
      const paths = [final, `${final}.part`, join(state, `${file}.runs`)];
      await Promise.all(paths.map((each) => rm(each, { force: true })));
      const left = (await namesIn(folder(release))).filter((name) => name !== '.quantd');
      if (left.length > 0) return;
      await rm(state, { recursive: true, force: true });
      await rmdir(folder(release)).catch(() => undefined);
    },
  };
}

/** None where there is no such folder. */
async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch {
    return [];
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch {
    return 0;
  }
}
