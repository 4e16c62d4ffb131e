/**
 * Cluster: daemons that run as long as a test wants them to, as a user starts them.
 *
 *   words ──▶ startDaemon ──▶ what it says, its cluster as the local API tells it ──▶ stop
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from '../cli/client.ts';
import { ClusterClient } from '../cli/cluster-client.ts';
import type { ClusterView, InviteMade } from '../proto/cluster.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const { QUANTD_LAUNCHER: launcher = join(root, 'cli', 'quantd') } = process.env;

// A machine that does much else still gets there; a hang does not hold up the others.
const WAIT_MS_MAX = 60_000;
const LOOK_MS = 50;

export interface DaemonOptions {
  /** The daemon's data directory. */
  readonly data: string;
  /** What stands before the command, such as a network namespace. */
  readonly prefix?: readonly string[];
  /** What stands in place of Node and the launcher: the program of another machine. */
  readonly program?: readonly string[] | undefined;
  readonly environment?: Readonly<Record<string, string>>;
  /** For a token on standard input. */
  readonly input?: string;
}

export interface Daemon {
  readonly data: string;
  readonly cluster: ClusterClient;
  /** The first thing it said: `up`, `joined` or `nearby`. */
  readonly first: Readonly<Record<string, unknown>>;
  /** Of the daemon itself, not of the command that holds it. */
  readonly pid: number;
  view(): Promise<ClusterView>;
  /** Of `up`, where it was opened to others. */
  readonly token: string;
  /** Ends it as Ctrl-C does. */
  stop(): Promise<void>;
  /** Ends it as a power cut does. */
  kill(): Promise<void>;
}

const running = new Set<ChildProcess>();

/**
 * Starts `quantd up …` or `quantd join …` and waits for the first line it says.
 * @throws Error with everything it said, where it ends before
 */
export async function startDaemon(
  words: readonly string[],
  options: DaemonOptions,
): Promise<Daemon> {
  const { data, prefix = [], environment = {}, input } = options;
  const { program = [process.execPath, launcher] } = options;
  const [command = '', ...rest] = [...prefix, ...program, ...words, '--json'];
  const child = spawn(command, rest, {
    cwd: root,
    env: { ...process.env, NO_COLOR: '1', QUANTD_DATA: data, ...environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  running.add(child);
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  void ended.then(() => running.delete(child));
  child.stdin.end(input ?? '');
  const first = JSON.parse(await firstLine(child, words, ended)) as Record<string, unknown>;
  const client = new Client(join(data, 'api.sock'));
  const cluster = new ClusterClient(client);
  const { pid } = await client.status();
  return {
    ...{ data, cluster, first, pid },
    view: () => cluster.view(),
    token: (first['invite'] as InviteMade | undefined)?.token ?? '',
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
    kill: async () => {
      process.kill(pid, 'SIGKILL');
      await ended;
    },
  };
}

function firstLine(
  child: ChildProcess,
  words: readonly string[],
  ended: Promise<void>,
): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    let complained = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      complained += text;
    });
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      const end = said.indexOf('\n');
      if (end >= 0 && said.startsWith('{"v":1,"type":"fault"')) reject(new Error(said));
      else if (end >= 0) resolve(said.slice(0, end));
    });
    void ended.then(() =>
      reject(new Error(`quantd ${words[0]} ended with ${child.exitCode}\n${said}\n${complained}`)),
    );
  });
}

/** For `afterAll`: nothing outlives a test file, whatever failed in it. */
export async function endDaemons(): Promise<void> {
  const left = [...running];
  const ends = left.map((child) => new Promise((resolve) => child.once('close', resolve)));
  for (const child of left) child.kill('SIGTERM');
  await Promise.race([Promise.all(ends), delay(5000, undefined, { ref: false })]);
  for (const child of running) child.kill('SIGKILL');
}

/** Looks until `claim` holds of the daemon's cluster; an error shows the last look. */
export async function untilCluster(
  daemon: Daemon,
  claim: (view: ClusterView) => boolean,
  what: string,
): Promise<ClusterView> {
  const endMs = performance.now() + WAIT_MS_MAX;
  for (;;) {
    const view = await daemon.view();
    if (claim(view)) return view;
    if (performance.now() > endMs) {
      throw new Error(`never ${what}: ${JSON.stringify(view, undefined, 1)}`);
    }
    await delay(LOOK_MS);
  }
}

/** Names of the members that a daemon is connected to, itself left out. */
export function connectedNames(view: ClusterView): string[] {
  return view.members
    .filter(({ isConnected, isSelf }) => isConnected && !isSelf)
    .map(({ name }) => name)
    .sort();
}

/** Every address at which a process listens for TCP or hears UDP, as `host:port`. */
export function openPorts(pid: number): string[] {
  const directory = `/proc/${pid}/fd`;
  const inodes = new Set(
    readdirSync(directory).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(join(directory, fd)))?.[1] ?? [];
      } catch {
        // It was closed between the two looks.
        return [];
      }
    }),
  );
  const LISTENS = '0A';
  return ['tcp', 'tcp6', 'udp', 'udp6'].flatMap((protocol) =>
    readFileSync(`/proc/${pid}/net/${protocol}`, 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => inodes.has(fields[9] ?? ''))
      .filter((fields) => protocol.startsWith('udp') || fields[3] === LISTENS)
      .map((fields) => `${protocol} ${hostAndPort(fields[1] ?? '')}`),
  );
}

/** The kernel writes `0100007F:1F90`: the words of an address in the machine's byte order. */
function hostAndPort(text: string): string {
  const [host = '', port = ''] = text.split(':');
  const bytes = (host.match(/.{8}/g) ?? []).flatMap((word) =>
    (word.match(/../g) ?? []).reverse().map((pair) => Number.parseInt(pair, 16)),
  );
  const shown = bytes.length === 4 ? bytes.join('.') : `[${host.toLowerCase()}]`;
  return `${shown}:${Number.parseInt(port, 16)}`;
}
