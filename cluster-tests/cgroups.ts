/**
 * Control groups: runs a command with a limit on its memory, and tells what it took. Needs root.
 *
 *   a limit in bytes ──▶ makeMemoryGroup ──▶ a prefix for commands, the peak, the kills
 *
 * Both versions of Linux's control groups are served. Everything counts that the kernel counts:
 * memory of processes, their children, page cache and sockets. A command that needs more than can
 * be freed is killed by the kernel.
 */

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { kill, untilWeDie, whyFails, whyNoRoot } from './privileges.ts';

export interface MemoryGroup {
  readonly version: 1 | 2;
  /** What stands before a command so that it and its children run in the group. */
  readonly prefix: readonly string[];
  /** The most that the group has held at any time, in bytes. */
  peakBytes(): number;
  /** What it holds now beside page cache, which the kernel takes back when it is needed. */
  anonymousBytes(): number;
  /** Processes that the kernel killed for the limit. */
  killCount(): number;
  /** Kills what still runs in the group and removes it. */
  remove(): Promise<void>;
}

/** Where a version keeps what; null marks a file that some kernels are built without. */
interface Version {
  readonly number: 1 | 2;
  readonly parent: string;
  readonly limit: string;
  /** Swap would let a command exceed the limit unseen: its file, and what forbids it. */
  readonly swap: readonly [file: string, forbidding: (limitBytes: number) => number];
  readonly peak: string;
  readonly events: string;
  /** What memory.stat calls the memory of processes. */
  readonly anonymous: string;
}

const versions: readonly Version[] = [
  {
    number: 2,
    parent: '/sys/fs/cgroup',
    limit: 'memory.max',
    swap: ['memory.swap.max', () => 0],
    peak: 'memory.peak',
    events: 'memory.events',
    anonymous: 'anon',
  },
  {
    number: 1,
    parent: '/sys/fs/cgroup/memory',
    limit: 'memory.limit_in_bytes',
    swap: ['memory.memsw.limit_in_bytes', (limitBytes) => limitBytes],
    peak: 'memory.max_usage_in_bytes',
    events: 'memory.oom_control',
    anonymous: 'total_rss',
  },
];

const NAME = /^quantd-test-(\d+)-\d+$/;
// Processes that were killed are gone within milliseconds; later, something is wrong.
const REMOVE_MS_MAX = 5_000;
const REMOVE_STEP_MS = 20;

let madeCount = 0;
let answer: { readonly why: string | undefined } | undefined;

/** Why no memory group can be made here; undefined where one can. */
export function whyNoMemoryGroups(): string | undefined {
  answer ??= { why: findObstacle() };
  return answer.why;
}

function findObstacle(): string | undefined {
  const obstacle = whyNoRoot() ?? whyFails('setpriv', '--version');
  if (obstacle !== undefined) return obstacle;
  const made = tryVersions(1 << 30);
  if (typeof made === 'string') return made;
  rmdirSync(made.path);
  return undefined;
}

/** A new group whose processes together hold at most `limitBytes`; throws where none can be made. */
export function makeMemoryGroup(limitBytes: number): MemoryGroup {
  sweepStale();
  const made = tryVersions(limitBytes);
  if (typeof made === 'string') throw new Error(made);
  const { version, path } = made;
  const read = (file: string): string => readFileSync(join(path, file), 'utf8');
  // The shell joins the group before it becomes the command, so that all of it counts.
  const enter = `echo $$ > ${join(path, 'cgroup.procs')} && exec "$@"`;
  return {
    version: version.number,
    prefix: [...untilWeDie, 'sh', '-c', enter, 'sh'],
    peakBytes: () => Number(read(version.peak)),
    anonymousBytes: () => {
      const line = new RegExp(`^${version.anonymous} (\\d+)$`, 'm');
      return Number(line.exec(read('memory.stat'))?.[1]);
    },
    killCount: () => Number(/^oom_kill (\d+)$/m.exec(read(version.events))?.[1]),
    remove: () => removeGroup(path),
  };
}

/** The first version that makes a group with all that is asked of it, or why none does. */
function tryVersions(limitBytes: number): { version: Version; path: string } | string {
  const reasons: string[] = [];
  for (const version of versions) {
    const path = join(version.parent, `quantd-test-${process.pid}-${madeCount++}`);
    try {
      makeGroup(version, path, limitBytes);
      return { version, path };
    } catch (error) {
      if (existsSync(path)) rmdirSync(path);
      reasons.push(`version ${version.number}: ${error instanceof Error ? error.message : error}`);
    }
  }
  return `no memory control group can be made: ${reasons.join('; ')}`;
}

function makeGroup(
  { number, parent, limit, swap, peak, events }: Version,
  path: string,
  limitBytes: number,
): void {
  if (!existsSync(join(parent, 'cgroup.procs'))) throw new Error(`${parent} is not mounted`);
  if (number === 2) set(parent, 'cgroup.subtree_control', '+memory');
  mkdirSync(path);
  for (const file of [limit, peak, events]) {
    if (!existsSync(join(path, file))) throw new Error(`it has no ${file}`);
  }
  set(path, limit, limitBytes);
  const [file, forbidding] = swap;
  if (existsSync(join(path, file))) set(path, file, forbidding(limitBytes));
}

/** Writes to a file that the kernel must have made: on another file system, none is created. */
function set(directory: string, file: string, value: string | number): void {
  writeFileSync(join(directory, file), String(value), { flag: 'r+' });
}

/** Removes the groups of test processes that are no more. */
function sweepStale(): void {
  for (const { parent } of versions) {
    if (!existsSync(parent)) continue;
    for (const name of readdirSync(parent)) {
      const [, pid] = NAME.exec(name) ?? [];
      if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
      try {
        rmdirSync(join(parent, name));
      } catch {
        // A process of it still ends; a later run sweeps again.
      }
    }
  }
}

async function removeGroup(path: string): Promise<void> {
  const procs = join(path, 'cgroup.procs');
  for (let waited = 0; ; waited += REMOVE_STEP_MS) {
    for (const pid of readFileSync(procs, 'utf8').split('\n').filter(Boolean)) {
      kill(Number(pid));
    }
    try {
      return rmdirSync(path);
    } catch (error) {
      if (waited >= REMOVE_MS_MAX) throw error;
      await wait(REMOVE_STEP_MS);
    }
  }
}
