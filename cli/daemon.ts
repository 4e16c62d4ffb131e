/**
 * Daemon: finds the one that answers in the data directory, or starts a child for one command.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import envPaths from 'env-paths';
import type { Status } from '../proto/api.ts';
import type { FaultMessage } from '../proto/fault.ts';
import { Client, ReportedFault } from './client.ts';

export interface Connection {
  readonly client: Client;
  /** Whether the daemon was started for this command and ends with it. */
  readonly isChild: boolean;
  close(): Promise<void>;
}

export interface ConnectOptions {
  readonly data?: string;
  /** Start a child even where a daemon answers. */
  readonly solo?: boolean;
  readonly threads?: string;
  readonly ram?: string;
  /** More words for a daemon that is started for this command. */
  readonly words?: readonly string[];
  /** The daemon to start; tests name the built one. */
  readonly script?: string;
}

export function dataDirectory(option: string | undefined): string {
  const chosen = option ?? process.env['QUANTD_DATA'];
  return chosen === undefined ? envPaths('quantd', { suffix: '' }).data : resolve(chosen);
}

/** The daemon that answers in the data directory, and its answer; undefined where none does. */
export async function findDaemon(
  directory: string,
): Promise<{ client: Client; status: Status } | undefined> {
  const client = new Client(join(directory, 'api.sock'));
  try {
    return { client, status: await client.status() };
  } catch {
    return undefined;
  }
}

export async function connect(options: ConnectOptions): Promise<Connection> {
  const directory = dataDirectory(options.data);
  const running = await findDaemon(directory);
  if (running !== undefined && options.solo !== true) {
    return { client: running.client, isChild: false, close: async () => undefined };
  }
  // A daemon keeps its data directory to itself: beside one that runs, the child gets its own.
  const own = running === undefined ? undefined : await mkdtemp(join(tmpdir(), 'quantd-'));
  const script = options.script ?? bundledDaemon();
  const child = startDaemon(script, [
    '--child',
    ...['--data', own ?? directory],
    ...(options.threads === undefined ? [] : ['--threads', options.threads]),
    ...(options.ram === undefined ? [] : ['--ram', options.ram]),
    ...(options.words ?? []),
  ]);
  await readiness(child);
  return {
    client: new Client(join(own ?? directory, 'api.sock')),
    isChild: true,
    close: async () => {
      await stopChild(child);
      if (own !== undefined) await rm(own, { recursive: true, force: true });
    },
  };
}

/** Beside the built command line. */
export function bundledDaemon(): string {
  return fileURLToPath(new URL('./daemon.mjs', import.meta.url));
}

/**
 * V8 counts the buffers of the network as heap. By its own rule it marks the whole heap, some 35 ms of
 * CPU, once a second and more while states cross the wire: 5 % of two machines of one core. Where the
 * heap may grow to three times what was alive that is next to nothing, and 20 MB more.
 */
const HEAP_OPTIONS = ['--heap-growing-percent=200'];

/** In a group of its own: Ctrl-C reaches the command, which then tells the daemon what to do. */
export function startDaemon(
  script: string,
  args: readonly string[],
  detached: boolean = true,
): ChildProcess {
  return spawn(process.execPath, [...HEAP_OPTIONS, script, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached,
  });
}

/** Resolves with the daemon's first status, or throws the fault it could not start for. */
export async function readiness(child: ChildProcess): Promise<Status> {
  const exited = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the daemon ended with code ${code}`)));
  });
  exited.catch(() => undefined);
  if (child.stdout === null) throw new Error('the daemon has no standard output');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const first = await Promise.race([lines.next(), exited]);
  if (first.done === true) return exited;
  const message = JSON.parse(first.value) as { status: Status } | { fault: FaultMessage };
  if ('fault' in message) throw new ReportedFault(message.fault);
  return message.status;
}

function stopChild(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    child.once('exit', () => resolve());
    child.stdin?.end();
  });
}
