/**
 * Cluster run: a run that a daemon's user started, event by event, and the files it made.
 *
 *   words ──▶ startRun ──▶ until(event), done      directory ──▶ digestsOf
 */

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { RunEvent } from '../proto/api.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const { QUANTD_LAUNCHER: launcher = join(root, 'cli', 'quantd') } = process.env;

export type Done = Extract<RunEvent, { type: 'done' }>;
type Event = RunEvent & { readonly type: string };

export interface RunningCommand {
  /** Resolves with the first event of which `when` says so. */
  until(when: (event: Event) => boolean): Promise<Event>;
  /** Resolves when the command has ended well. */
  readonly done: Promise<Done>;
  readonly events: readonly Event[];
}

/** Starts `quantd words`, which must ask for JSON, on the daemon in the data directory. */
export function startRun(
  words: readonly string[],
  data: string,
  environment: Readonly<Record<string, string>> = {},
): RunningCommand {
  const child = spawn(process.execPath, [launcher, ...words], {
    cwd: root,
    env: { ...process.env, QUANTD_DATA: data, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const events: Event[] = [];
  const waiting = new Set<(event: Event) => void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const event = JSON.parse(line) as Event;
    events.push(event);
    for (const hear of waiting) hear(event);
  });
  const done = new Promise<Done>((resolve, reject) => {
    child.once('close', (code) => {
      const last = events.at(-1);
      if (code === 0 && last?.type === 'done') resolve(last);
      else reject(new Error(`quantize ended with ${code}: ${JSON.stringify(events.slice(-5))}`));
    });
  });
  const until = (when: (event: Event) => boolean): Promise<Event> => {
    const found = new Promise<Event>((resolve) => {
      const known = events.find(when);
      if (known !== undefined) resolve(known);
      waiting.add((event) => when(event) && resolve(event));
    });
    return Promise.race([found, done.then((last) => Promise.reject(tooSoon(last)))]);
  };
  done.catch(() => undefined);
  return { until, done, events };
}

const tooSoon = (last: Done): Error =>
  new Error(`the run was over before: ${JSON.stringify(last)}`);

/** How much of the quantizing stage is done, 0 to 1. */
export function shareOf(event: Event | undefined): number {
  if (event?.type !== 'progress' || event.stage !== 'quantize') return 0;
  return event.bytesDone / event.bytesTotal;
}
/** Says of an event whether so much of the quantizing stage is done. */
export const past =
  (share: number) =>
  (event: Event): boolean =>
    shareOf(event) >= share;

/** SHA-256 of every finished output of a directory, by its name. */
export function digestsOf(directory: string): Map<string, string> {
  const files = readdirSync(directory).filter((file) => file.endsWith('.gguf'));
  return new Map(
    files.sort().map((file) => {
      const bytes = readFileSync(join(directory, file));
      return [file, createHash('sha256').update(bytes).digest('hex')];
    }),
  );
}
