/**
 * Open files: keeps the last few files of SOURCE open, so that a read costs one system call.
 *
 *   path ──▶ OpenFiles.use(path, action) ──▶ action(handle)
 */

import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

interface OpenFile {
  readonly handle: Promise<FileHandle>;
  users: number;
}

export class OpenFiles {
  // In the order of their last use, oldest first.
  readonly #files = new Map<string, OpenFile>();
  readonly #filesMax: number;
  readonly #check: (path: string, handle: FileHandle) => Promise<void>;

  /**
   * @param filesMax how many stay open; more only while all of them are in use at once
   * @param check runs after each opening; when it throws, the file is closed again
   */
  constructor(filesMax: number, check: (path: string, handle: FileHandle) => Promise<void>) {
    this.#filesMax = filesMax;
    this.#check = check;
  }

  get count(): number {
    return this.#files.size;
  }

  /** Runs an action on the open file; it is not closed before the action has ended. */
  async use<Result>(
    path: string,
    action: (handle: FileHandle) => Promise<Result>,
  ): Promise<Result> {
    const file = this.#files.get(path) ?? { handle: this.#open(path), users: 0 };
    file.users += 1;
    this.#files.delete(path);
    this.#files.set(path, file);
    try {
      return await action(await file.handle);
    } finally {
      file.users -= 1;
      await this.#closeOldest();
    }
  }

  async close(): Promise<void> {
    const files = [...this.#files.values()];
    this.#files.clear();
    await Promise.all(files.map(closeQuietly));
  }

  async #open(path: string): Promise<FileHandle> {
    let handle: FileHandle | undefined;
    try {
      // Without O_NONBLOCK, a pipe put in the file's place would block until someone writes to it.
      handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
      await this.#check(path, handle);
      return handle;
    } catch (error) {
      this.#files.delete(path);
      await handle?.close();
      throw error;
    }
  }

  async #closeOldest(): Promise<void> {
    for (const [path, file] of this.#files) {
      if (this.#files.size <= this.#filesMax) return;
      if (file.users > 0) continue;
      this.#files.delete(path);
      await closeQuietly(file);
    }
  }
}

// A file that failed to open was reported to whoever asked for it; one only read loses nothing.
async function closeQuietly({ handle }: OpenFile): Promise<void> {
  await handle.then(
    (opened) => opened.close(),
    () => undefined,
  );
}
