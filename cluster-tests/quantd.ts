/**
 * Quantd: runs the program as a user does, from its launcher, and catches what it says.
 *
 *   arguments ──▶ node cli/quantd ──▶ exit code, stdout, stderr, events of --json
 *
 * The tests see nothing of the program but this, its files and its exit code.
 */

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { type Connection, connect } from '../cli/daemon.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
/** QUANTD_LAUNCHER names another build to test, such as an installed one. */
const { QUANTD_LAUNCHER: launcher = join(root, 'cli', 'quantd') } = process.env;

/** Longer than any run of the tests; a run that hangs must not hold up the others for ever. */
const RUN_MS_MAX = 110_000;

export interface Run {
  /** What a shell would say: null where a signal ended the process. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** The daemon's data directory. */
  readonly data?: string;
  readonly directory?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** After which it is ended; longer than most runs of the tests by default. */
  readonly timeoutMs?: number;
}

/**
 * Runs `quantd` with `words` and waits for its end, whatever it is. Without `data` it has a data
 * directory of its own, so that it neither meets nor disturbs a daemon that runs already.
 */
export async function runQuantd(words: readonly string[], options: RunOptions = {}): Promise<Run> {
  if (options.data !== undefined) return await run(words, options.data, options);
  const data = await makeScratch('data');
  try {
    return await run(words, data.path, options);
  } finally {
    await data.remove();
  }
}

function run(words: readonly string[], data: string, options: RunOptions): Promise<Run> {
  const { directory = root, environment = {}, signal, timeoutMs = RUN_MS_MAX } = options;
  const quantd = spawn(process.execPath, [launcher, ...words], {
    cwd: directory,
    env: { ...process.env, NO_COLOR: '1', QUANTD_DATA: data, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
    ...(signal !== undefined && { signal }),
  });
  let stdout = '';
  let stderr = '';
  quantd.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  quantd.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    quantd.on('error', reject);
    quantd.on('close', (code, ended) => resolve({ code, signal: ended, stdout, stderr }));
  });
}

/** As `runQuantd`, for runs that must succeed: anything else is an error with all that was said. */
export async function mustRunQuantd(
  words: readonly string[],
  options: RunOptions = {},
): Promise<Run> {
  const result = await runQuantd(words, options);
  const { code, signal, stdout, stderr } = result;
  if (code === 0) return result;
  throw new Error(`quantd ${words.join(' ')} ended with ${signal ?? code}\n${stdout}\n${stderr}`);
}

/** The objects that a run with --json prints, a line each. */
export function parseEvents({ stdout }: Run): Record<string, unknown>[] {
  return stdout
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** A directory of the test's own, with a way to be rid of it. */
export async function makeScratch(
  name: string,
): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), `quantd-${name}-`));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** A daemon of the test's own in the data directory `data`, and a client of it. */
export function connectQuantd(data: string, words: readonly string[] = []): Promise<Connection> {
  return connect({ data, words, script: join(root, 'build', 'daemon.mjs') });
}
