/**
 * Disk use: what directories take on disk, by allocated blocks, while something goes on.
 *
 *   directories, promise ──▶ watchDisk ──▶ the most of each, in bytes
 */

import { readdirSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { sampleUntil } from './sample-until.ts';

/** What the files below a directory take on disk, in bytes; those that vanish meanwhile count as none. */
export function allocatedBytes(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }): Stats | undefined => {
      return statSync(join(parentPath, name), { throwIfNoEntry: false });
    })
    .reduce((sum, stats) => sum + (stats?.blocks ?? 0) * 512, 0);
}

/** The most that all of the directories took together until `done` was settled. */
export async function watchDisk(
  directories: readonly string[],
  done: Promise<unknown>,
  everyMs: number,
): Promise<number> {
  let most = 0;
  await sampleUntil(done, everyMs, () => {
    const now = directories.reduce((sum, directory) => sum + allocatedOf(directory), 0);
    most = Math.max(most, now);
  });
  return most;
}

/** A directory that is not there yet, or goes while it is looked at, takes nothing. */
function allocatedOf(directory: string): number {
  try {
    return allocatedBytes(directory);
  } catch {
    return 0;
  }
}
