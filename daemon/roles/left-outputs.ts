/**
 * Left outputs: files of a release's folder that lie on other machines, by its own record of them.
 *
 *   folder, lockfile ──▶ readLeftOutputs ──▶ LeftFile: what it should be, where, and how to read it
 */

import { FaultError } from '../../proto/fault.ts';
import { LEFT_BYTES_MAX, LEFT_FILE, type LeftOutput } from '../../proto/left-record.ts';
import { LOCK_BYTES_MAX, LOCK_FILE, type LockFile } from '../../proto/lockfile.ts';
import { readLeft } from '../core/release/left-record.ts';
import { readLock } from '../core/release/read-lock.ts';
import type { ReleaseFolder } from '../release-ports.ts';
import { assemblyFaults } from './assembly-faults.ts';
import { type LeftPorts, LeftReader } from './left-reader.ts';
import { readSome } from './release-documents.ts';

export interface LeftFile {
  readonly output: LeftOutput;
  readonly reader: LeftReader;
}

/**
 * Those that are not in the folder itself: what has been brought there meanwhile is its own.
 * @param lock where it has been read already
 * @throws FaultError badLeft, badLock
 */
export async function readLeftOutputs(
  folder: ReleaseFolder,
  ports: LeftPorts,
  lock?: LockFile,
): Promise<LeftFile[]> {
  const here = new Set((await folder.list()).map(({ file }) => file));
  if (!here.has(LEFT_FILE)) return [];
  const bytes = await readSome(folder, LEFT_FILE, LEFT_BYTES_MAX);
  const known = lock ?? (here.has(LOCK_FILE) ? await readOwnLock(folder) : undefined);
  const { release, outputs } = readLeft(bytes, known);
  return outputs
    .filter(({ file }) => !here.has(file))
    .map((output) => ({ output, reader: new LeftReader(output, release, ports) }));
}

async function readOwnLock(folder: ReleaseFolder): Promise<LockFile> {
  return readLock(await readSome(folder, LOCK_FILE, LOCK_BYTES_MAX));
}

/**
 * Asks every machine for the end of each of its files.
 * @returns undefined where all of them are there, else a fault that names what is not
 */
export async function missingOf(
  files: readonly LeftFile[],
  signal: AbortSignal,
): Promise<FaultError | undefined> {
  const faults = await Promise.all(
    files.map(async ({ reader }) => {
      try {
        await reader.check(signal);
        return undefined;
      } catch (error) {
        if (!(error instanceof FaultError)) throw error;
        return error;
      }
    }),
  );
  const missing = faults.filter((fault) => fault !== undefined);
  if (missing.length <= 1) return missing[0];
  const file = missing.map(({ detail }) => detail.file).join(', ');
  const why = [...new Set(missing.map(({ detail }) => detail.why))].join('; ');
  return new FaultError(assemblyFaults.leftAway, { file, why });
}
