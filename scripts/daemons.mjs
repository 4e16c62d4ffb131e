// Daemons: a cluster on this machine for the demo and the benchmark, each daemon with its own data.
import { spawn } from 'node:child_process';
import { request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const running = [];
// Joining takes a second on an idle machine.
const LOOKS_MAX = 600;
const LOOK_MS = 100;

/** Starts `quantd up` or `quantd join`; resolves with the first thing it says. */
export async function startDaemon(name, words, data) {
  const args = ['cli/quantd', ...words, '--name', name, '--data', data, '--json'];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  running.push(child);
  for await (const line of createInterface({ input: child.stdout })) return JSON.parse(line);
  throw new Error(`quantd ${words[0]} ended without a word`);
}

/** What a daemon's local API answers to a GET. */
export function ask(data, path) {
  return new Promise((resolve, reject) => {
    const socketPath = join(data, 'api.sock');
    const asked = request({ socketPath, path, headers: { host: 'localhost' } }, async (answer) => {
      const parts = [];
      for await (const part of answer) parts.push(part);
      resolve(JSON.parse(Buffer.concat(parts).toString('utf8')));
    });
    asked.once('error', reject);
    asked.end();
  });
}

/** Waits until the coordinator sees so many members, itself among them. */
export async function untilMembers(data, count) {
  for (let look = 0; look < LOOKS_MAX; look++) {
    const { members } = await ask(data, '/v1/cluster');
    if (members.filter((member) => member.isConnected).length >= count) return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  throw new Error('the workers did not come');
}

/** Ends every daemon that was started here. */
export async function stopDaemons() {
  const ends = running.map((child) => {
    if (child.exitCode !== null || child.signalCode !== null) return undefined;
    const end = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    return end;
  });
  await Promise.all(ends);
}
