/**
 * Release ports: folders of releases, as interfaces; ports.ts is all the rest. The adapters implement
 * them, tests pass folders in memory.
 */

import type { OutputFile } from './ports.ts';

/** A folder of finished files, only read; nothing outside of it is, wherever links lead. */
export interface ReleaseFolder {
  /** Absolute. */
  readonly path: string;
  /** The file that was named, where a file was; it alone may be a link that leads out. */
  readonly named?: string;
  /** Every file at most two deep, in ascending order; folders that begin with a dot are left out. */
  list(): Promise<readonly FolderEntry[]>;
  /** @throws FaultError when it is no regular file inside the folder, or cannot be read */
  open(file: string): Promise<ReleaseFile>;
}

/** The directory in which a release is made again. It is kept until it is removed, so that it goes on. */
export interface RebuildFolder {
  /** Absolute path of the directory. */
  readonly path: string;
  /** Bytes that an earlier attempt left. */
  readonly allocatedBytes: number;
  freeBytes(): Promise<number>;
  /** Removes what was made, and the directory where nothing else is in it. */
  remove(): Promise<void>;
  /** Leaves all of it to the user. */
  keep(): Promise<void>;
}

export interface FolderEntry {
  /** By its path inside the folder. */
  readonly file: string;
  readonly bytes: number;
  /** What it is instead, where it is no regular file inside the folder. */
  readonly refused?: string;
}

export interface ReleaseFile {
  readonly bytes: number;
  /** Fills `into` from `offset`; a file that ends early is a fault, never a short result. */
  read(offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void>;
  /** As `OutputFile.hash`. */
  readonly hash: OutputFile['hash'];
  close(): Promise<void>;
}
