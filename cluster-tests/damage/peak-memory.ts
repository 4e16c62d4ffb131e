/**
 * Peak memory: the most that a process had resident since a moment.
 *
 *   startOfPeak() ──▶ … ──▶ peakBytes() - what that was
 *
 * Not ru_maxrss, which begins with what the process had that started this one.
 */

import { readFileSync, writeFileSync } from 'node:fs';

const onLinux = process.platform === 'linux';

/** Forgets the peak, where the system can. @returns bytes that are resident now */
export function startOfPeak(): number {
  if (onLinux) writeFileSync('/proc/self/clear_refs', '5');
  return process.memoryUsage.rss();
}

/** Bytes; elsewhere than on Linux those of now. */
export function peakBytes(): number {
  if (!onLinux) return process.memoryUsage.rss();
  const kibibytes = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return Number(kibibytes) * 1_024;
}
