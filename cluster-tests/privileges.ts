/**
 * Privileges: what tests need beyond a user's rights, and what happens where they have it not.
 *
 *   why it cannot run ──▶ requireOrSkip ──▶ left out with the reason, or on CI as root a failure
 *
 * Read next: namespaces.ts, cgroups.ts, docker-image.ts.
 */

import { spawnSync } from 'node:child_process';

/**
 * Whether to leave `what` out for `reason`, which is then printed; undefined is no reason. Root
 * on CI can have everything that these tests need, so there a reason is an error.
 */
export function requireOrSkip(what: string, reason: string | undefined): boolean {
  if (reason === undefined) return false;
  if (process.env['CI'] !== undefined && process.getuid?.() === 0) {
    throw new Error(`${what} must run here, but: ${reason}`);
  }
  console.log(`${what}: left out, ${reason}`);
  return true;
}

/** Why nothing that needs root on Linux can run; undefined where it can. */
export function whyNoRoot(): string | undefined {
  if (process.platform !== 'linux') return 'this system is not Linux';
  if (process.getuid?.() !== 0) return 'it needs root';
  return undefined;
}

/** What is wrong when `command` is tried, in one line; undefined where it succeeds. */
export function whyFails(command: string, ...args: string[]): string | undefined {
  const { status, error, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (error !== undefined) return `${command} does not run: ${error.message}`;
  if (status === 0) return undefined;
  return `${command} fails: ${stderr.trim().split('\n').at(-1) ?? status}`;
}

/**
 * Put before a command so that it dies with the test process that started it, even where that is
 * killed. What changes the user clears this, so it stands after such a change.
 */
export const untilWeDie = ['setpriv', '--pdeathsig', 'KILL'] as const;

/** Kills a process of ours that may have ended by itself. */
export function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
