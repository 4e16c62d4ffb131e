/**
 * Whole file: a file that is there with all of its new content, or as it was before.
 *
 *   path, bytes ──▶ replaceFile ──▶ written beside, synced, renamed, the directory synced
 */

import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface ReplaceOptions {
  /** Permissions, of which the process's own mask takes away; for everybody where absent. */
  readonly mode?: number;
  /** Where it is written first, in the same directory; what lies there is removed. */
  readonly partial?: string;
}

/**
 * A reader sees the old content or the new one, never a part, and so it is after a crash.
 * @throws what the operating system says; then nothing is left of the attempt
 */
export async function replaceFile(
  path: string,
  content: Uint8Array | string,
  { mode = 0o666, partial = `${path}.part` }: ReplaceOptions = {},
): Promise<void> {
  try {
    await rm(partial, { force: true });
    const file = await open(partial, 'wx', mode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true }).catch(() => undefined);
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Makes durable which names the directory has. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  await directory.sync().finally(() => directory.close());
}
