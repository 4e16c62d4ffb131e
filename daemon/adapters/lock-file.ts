/**
 * Lock file: one process at a time works in a directory.
 *
 * The file holds the owner's process id and start time, so that a lock whose owner is gone (a
 * crash, a kill) is taken over instead of asking a person to delete it.
 */

import { readFileSync } from 'node:fs';
import { open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { FaultError } from '../../proto/fault.ts';
import { diskFault, diskFaults } from './output-faults.ts';

export interface Lock {
  release(): Promise<void>;
}

const held = new Set<string>();

/** Takes the lock at `path`, whose directory exists. Throws `diskFaults.locked` while it is held. */
export async function takeLock(path: string): Promise<Lock> {
  const mine = `${process.pid} ${startOf(process.pid)}`;
  if (held.has(path) || !(await claim(path, mine))) {
    throw new FaultError(diskFaults.locked, { file: path });
  }
  held.add(path);
  return {
    release: async () => {
      held.delete(path);
      await rm(path, { force: true });
    },
  };
}

async function claim(path: string, mine: string): Promise<boolean> {
  if (await create(path, mine)) return true;
  const owner = await readFile(path, 'utf8').catch(() => '');
  if (isAlive(owner)) return false;
  // The owner is gone. Two that find it so both rename onto it; the one whose text stays has it.
  const own = `${path}.${process.pid}`;
  try {
    await writeFile(own, mine);
    await rename(own, path);
    return (await readFile(path, 'utf8')) === mine;
  } catch (error) {
    throw diskFault(error, path);
  }
}

async function create(path: string, text: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx', 0o600);
    await file.writeFile(text).finally(() => file.close());
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw diskFault(error, path);
  }
}

function isAlive(owner: string): boolean {
  const [pid = '', start = ''] = owner.split(' ');
  if (!/^\d{1,10}$/.test(pid)) return false;
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    // A process of another user exists although it may not be signalled.
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false;
  }
  return start === startOf(Number(pid));
}

/** When a living process began, in clock ticks since boot; '' where the system does not tell. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command name, in parentheses, may hold blanks: count the fields after it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie is dead; only its parent has not asked yet.
    return fields[0] === 'Z' ? '' : (fields[19] ?? '');
  } catch {
    return '';
  }
}
