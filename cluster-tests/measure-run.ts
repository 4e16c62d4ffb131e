/**
 * Measure run: importance matrices that daemons measure, alone and together.
 *
 *   words ──▶ startPool, imatrixWords ──▶ startRun ──▶ matrixDigest
 *
 * Read next: measure-cluster.test.ts, measure-losses.test.ts.
 */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunEvent } from '../proto/api.ts';
import { connectedNames, type Daemon, startDaemon, untilCluster } from './cluster.ts';
import { mustRunQuantd, parseEvents } from './quantd.ts';

export const SOURCE = 'fixtures/tiny-gemma4';
/** Per-layer embeddings, and layers that share keys and values. */
export const SHARING_SOURCE = 'fixtures/tiny-gemma4-e';

/** How a machine is started. */
export interface MachineWish {
  readonly name: string;
  readonly threads?: number;
  /** The instruction set; the best that there is, if not said. */
  readonly isa?: string;
  readonly program?: readonly string[];
}

export interface Measuring {
  readonly source?: string;
  readonly chunks: number;
  readonly ctx: number;
  readonly more?: readonly string[];
}

let daemons = 0;

/** The words of a run that writes `<scratch>/<out>.gguf`. */
export function imatrixWords(scratch: string, out: string, measuring: Measuring): string[] {
  const { source = SOURCE, chunks, ctx, more = [] } = measuring;
  const wishes = ['--chunks', String(chunks), '--ctx', String(ctx), ...more];
  return ['imatrix', source, ...wishes, '--out', join(scratch, `${out}.gguf`), '--json'];
}

/** SHA-256 of the matrix that a run has written. */
export function matrixDigest(scratch: string, out: string): string {
  const bytes = readFileSync(join(scratch, `${out}.gguf`));
  return createHash('sha256').update(bytes).digest('hex');
}

/** Measures on one machine that knows of no other, and tells the matrix's SHA-256. */
export async function measureAlone(
  scratch: string,
  out: string,
  measuring: Measuring,
  environment: Readonly<Record<string, string>> = {},
): Promise<{ digest: string; events: Record<string, unknown>[] }> {
  const words = [...imatrixWords(scratch, out, measuring), '--solo'];
  const run = await mustRunQuantd(words, { environment });
  return { digest: matrixDigest(scratch, out), events: parseEvents(run) };
}

/** A machine with the source; without threads it gives all work away. */
export function startCoordinator(scratch: string, threads = 0, data?: string): Promise<Daemon> {
  const words = ['up', '--name', 'nas', '--threads', String(threads), '--listen', '127.0.0.1:0'];
  return startDaemon(words, { data: data ?? join(scratch, `data-${daemons++}`) });
}

/** Machines that join a coordinator, connected when it resolves. */
export async function startWorkers(
  scratch: string,
  coordinator: Daemon,
  wishes: readonly MachineWish[],
): Promise<Daemon[]> {
  const workers = await Promise.all(
    wishes.map(({ name, threads = 1, isa, program }) =>
      startDaemon(['join', coordinator.token, '--name', name, '--threads', String(threads)], {
        data: join(scratch, `data-${name}-${daemons++}`),
        program,
        environment: isa === undefined ? {} : { QUANTD_ISA: isa },
      }),
    ),
  );
  await untilConnected(
    coordinator,
    wishes.map(({ name }) => name),
  );
  return workers;
}

/** Until the coordinator is connected to these machines. */
export async function untilConnected(coordinator: Daemon, names: readonly string[]): Promise<void> {
  const isWhole = (view: Parameters<typeof connectedNames>[0]): boolean =>
    names.every((name) => connectedNames(view).includes(name));
  await untilCluster(coordinator, isWhole, `connected to ${names.join(', ')}`);
}

/** How much of the measuring is done, 0 to 1. */
export function measuredShare(event: RunEvent | undefined): number {
  if (event?.type !== 'progress' || event.stage !== 'measure') return 0;
  return event.bytesDone / event.bytesTotal;
}

/** Says of an event whether so much of the measuring is done. */
export const measuredPast =
  (share: number) =>
  (event: RunEvent): boolean =>
    measuredShare(event) >= share;

/** Who has which layers, as a run told it last. */
export function stagesOf(
  events: readonly RunEvent[],
): readonly { readonly from: number; readonly to: number; readonly names: readonly string[] }[] {
  const last = events.findLast(({ type }) => type === 'layers');
  return last?.type === 'layers' ? last.stages : [];
}
