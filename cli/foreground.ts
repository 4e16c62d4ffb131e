/**
 * Foreground: a daemon that runs as long as its command, and what is told of it meanwhile.
 *
 *   options ──▶ startForeground ──▶ client, ended ──▶ followCluster
 */

import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Status } from '../proto/api.ts';
import type { ClusterView } from '../proto/cluster.ts';
import { Client } from './client.ts';
import { ClusterClient } from './cluster-client.ts';
import { renderChange } from './cluster-view.ts';
import { bundledDaemon, dataDirectory, readiness, startDaemon } from './daemon.ts';
import { type HubOptions, hubOf } from './source-options.ts';

export interface ForegroundOptions extends HubOptions {
  readonly data?: string;
  readonly name?: string;
  readonly ram?: string;
  readonly disk?: string;
  readonly threads?: string;
  readonly lan?: boolean;
  readonly listen?: readonly string[];
  readonly json?: boolean;
}

export interface Printer {
  print(lines: readonly string[]): void;
  printJson(value: object): void;
}

export interface Foreground {
  readonly directory: string;
  readonly status: Status;
  readonly client: Client;
  readonly cluster: ClusterClient;
  /** With the exit code of the daemon. */
  readonly ended: Promise<number>;
  /** Whether a signal has told it to end: what it was asked before may then have no answer. */
  isEnding(): boolean;
  stop(): void;
}

// Often enough for a person who waits for a line, seldom enough to cost nothing.
const FOLLOW_INTERVAL_MS = 1000;

/** Starts a daemon that is open to others as the options say; Ctrl-C ends it. */
export async function startForeground(
  options: ForegroundOptions,
  begins: 'up' | 'join',
): Promise<Foreground> {
  const directory = dataDirectory(options.data);
  const values = ['name', 'ram', 'disk', 'threads'] as const;
  const words = [
    ...['--child', '--data', directory, '--peering', begins],
    ...values.flatMap((key) => {
      const value = options[key];
      return value === undefined ? [] : [`--${key}=${value}`];
    }),
    ...(options.lan === true ? ['--lan'] : []),
    ...(options.listen ?? []).map((address) => `--listen=${address}`),
  ];
  // Not among its arguments, which anyone can read.
  const { url = '', token = '' } = hubOf(options);
  Object.assign(process.env, { HF_ENDPOINT: url, HF_TOKEN: token });
  // In the same process group, so that Ctrl-C reaches the daemon itself.
  const child = startDaemon(bundledDaemon(), words, false);
  const ended = new Promise<number>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? (signal === null ? 1 : 130)));
  });
  let isEnding = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      isEnding = true;
      // The terminal tells the daemon of Ctrl-C; other signals come to this process alone.
      if (signal === 'SIGTERM') child.kill(signal);
    });
  }
  const status = await readiness(child).catch(async (error: unknown) => {
    // Told to end before it had begun: there is nothing to follow.
    if (isEnding) process.exit(await ended);
    throw error;
  });
  const client = new Client(join(directory, 'api.sock'));
  return {
    ...{ directory, status, client, cluster: new ClusterClient(client), ended },
    isEnding: () => isEnding,
    stop: () => child.kill('SIGTERM'),
  };
}

/** Tells of machines that come and go until the daemon ends; resolves with its exit code. */
export async function followCluster(
  { cluster, ended }: Foreground,
  { json = false }: ForegroundOptions,
  printer: Printer,
  first?: ClusterView,
): Promise<number> {
  let code: number | undefined;
  void ended.then((ending) => {
    code = ending;
  });
  let before = first;
  while (code === undefined) {
    const after = await cluster.view().catch(() => undefined);
    if (after !== undefined) {
      const lines = renderChange(before, after);
      if (lines.length > 0 && json) printer.printJson({ type: 'cluster', ...after });
      else if (lines.length > 0) printer.print(lines);
      before = after;
    }
    await Promise.race([ended, delay(FOLLOW_INTERVAL_MS, undefined, { ref: false })]);
  }
  return code;
}
