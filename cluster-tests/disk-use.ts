/**
 * Disk use: what directories take on disk, by allocated blocks, while something goes on.
 *
 *   directories, promise ──▶ watchDisk ──▶ the most of each, in bytes
 */

import { type Dirent, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { sampleUntil } from './sample-until.ts';

/** What the files below a directory take on disk, in bytes; whatever vanishes meanwhile takes nothing. */
export function allocatedBytes(directory: string): number {
  return entriesOf(directory).reduce((sum, entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return sum + allocatedBytes(path);
    const stats = entry.isFile() ? statSync(path, { throwIfNoEntry: false }) : undefined;
    return sum + (stats?.blocks ?? 0) * 512;
  }, 0);
}

/** The most that all of the directories took together until `done` was settled. */
export async function watchDisk(
  directories: readonly string[],
  done: Promise<unknown>,
  everyMs: number,
): Promise<number> {
  let most = 0;
  await sampleUntil(done, everyMs, () => {
    most = Math.max(
      most,
      directories.reduce((sum, each) => sum + allocatedBytes(each), 0),
    );
  });
  return most;
}

function entriesOf(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}
