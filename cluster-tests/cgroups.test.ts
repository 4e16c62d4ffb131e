/** That a limit of a memory group holds, and that it is told what happened. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { type MemoryGroup, makeMemoryGroup, whyNoMemoryGroups } from './cgroups.ts';
import { requireOrSkip } from './privileges.ts';

const MIB = 2 ** 20;
// Node alone takes about 40 MiB.
const LIMIT_BYTES = 200 * MIB;

/** A program that writes to every page of so much memory, then says so and ends. */
const takeMemory = (mebibytes: number): string => `
  const parts = [];
  for (let i = 0; i < ${mebibytes}; i += 10) parts.push(Buffer.alloc(10 * ${MIB}, 1));
  console.log(parts.length);
`;

async function runIn(
  group: MemoryGroup,
  program: string,
): Promise<{ signal: unknown; said: string }> {
  const [command = '', ...args] = [...group.prefix, process.execPath, '-e', program];
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const [, signal] = await once(child, 'close');
  return { signal, said };
}

describe.skipIf(requireOrSkip('memory groups', whyNoMemoryGroups()))('a memory group', () => {
  test('lets a process live that stays below its limit, and tells the peak', async () => {
    const group = makeMemoryGroup(LIMIT_BYTES);
    try {
      expect(await runIn(group, takeMemory(100))).toEqual({ signal: null, said: '10\n' });
      expect(group.killCount()).toBe(0);
      expect(group.peakBytes()).toBeGreaterThan(100 * MIB);
      expect(group.peakBytes()).toBeLessThanOrEqual(LIMIT_BYTES);
    } finally {
      await group.remove();
    }
  });

  test('has a process killed that needs more', async () => {
    const group = makeMemoryGroup(LIMIT_BYTES);
    try {
      expect(await runIn(group, takeMemory(300))).toEqual({ signal: 'SIGKILL', said: '' });
      expect(group.killCount()).toBe(1);
      expect(group.peakBytes()).toBeLessThanOrEqual(LIMIT_BYTES);
    } finally {
      await group.remove();
    }
  });

  test('takes with it what still runs in it', async () => {
    const group = makeMemoryGroup(LIMIT_BYTES);
    const [command = '', ...args] = [...group.prefix, process.execPath, '-e'];
    const child = spawn(command, [...args, "console.log('up'); setInterval(() => {}, 1000)"], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    const ended = once(child, 'exit');
    await group.remove();
    expect(await ended).toEqual([null, 'SIGKILL']);
  });
});
