/**
 * Hub fetch: brings files of a repository to this machine's disk, several ranges at once.
 *
 *   HubRepository ──▶ fetchFiles ──▶ HubStore   (read next: hub-store.ts)
 *
 * Memory: one leaf a connection, whatever the size of the files.
 */

import { setMaxListeners } from 'node:events';
import { LEAF_BYTES } from '../../proto/peer-messages.ts';
import type { HubFile, HubRange, HubRepository } from './hub-repository.ts';
import type { HubStore } from './hub-store.ts';

// One connection to the storage of a hub rarely fills a fast line; many are turned away.
const CONNECTIONS = 6;
// Large enough that asking costs nothing, small enough that the last ones end together.
const RANGE_BYTES_MAX: number = 32 * LEAF_BYTES;

export interface FetchOptions {
  /** Bytes that are on disk now and were not before. */
  readonly onBytes: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Fetches what is missing of the files and verifies each; those that are verified already stay as
 * they are.
 * @throws FaultError the first one; what is right so far is kept
 */
export async function fetchFiles(
  repository: HubRepository,
  store: HubStore,
  files: readonly HubFile[],
  { onBytes, signal }: FetchOptions,
): Promise<void> {
  const stop = new AbortController();
  // Each connection and each file that is hashed listens to it.
  setMaxListeners(0, stop.signal);
  const failures: unknown[] = [];
  const fail = (error: unknown): void => {
    failures.push(error);
    stop.abort();
  };
  const onAbort = (): void => fail(signal?.reason);
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort);
  const finishing: Promise<void>[] = [];
  const queue = rangesOf(store, files);
  const work = async (): Promise<void> => {
    for (;;) {
      const next = stop.signal.aborted ? undefined : await queue.next();
      if (next === undefined) return;
      const { file, range } = next;
      if (range !== undefined) {
        await fetchRange(repository, store, file, range, { onBytes, signal: stop.signal });
      }
      if (next.done()) finishing.push(store.finish(file, stop.signal).catch(fail));
    }
  };
  try {
    await Promise.all(Array.from({ length: CONNECTIONS }, () => work().catch(fail)));
    await Promise.all(finishing);
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
  if (failures.length > 0) throw failures[0];
}

/** Fetches one range of whole leaves. */
export async function fetchRange(
  repository: HubRepository,
  store: HubStore,
  file: HubFile,
  range: HubRange,
  { onBytes, signal }: FetchOptions,
): Promise<void> {
  const buffer = new Uint8Array(Math.min(LEAF_BYTES, range.bytes));
  const end = range.offset + range.bytes;
  let start = range.offset;
  let filled = 0;
  const take = async (part: Uint8Array): Promise<void> => {
    for (let taken = 0; taken < part.length; ) {
      const leafBytes = Math.min(LEAF_BYTES, end - start);
      const piece = part.subarray(taken, taken + leafBytes - filled);
      buffer.set(piece, filled);
      taken += piece.length;
      filled += piece.length;
      if (filled < leafBytes) continue;
      await store.writeLeaf(file, start / LEAF_BYTES, buffer.subarray(0, filled));
      onBytes(filled);
      start += filled;
      filled = 0;
    }
  };
  await repository.read(file, range, take, signal);
}

interface QueuedRange {
  readonly file: HubFile;
  /** Undefined of a file of which nothing is missing but its name. */
  readonly range: HubRange | undefined;
  /** Says that this range is there; true when it was the file's last. */
  readonly done: () => boolean;
}

/** File by file, so that one is verified while the next is fetched. */
function rangesOf(
  store: HubStore,
  files: readonly HubFile[],
): { next(): Promise<QueuedRange | undefined> } {
  async function* all(): AsyncGenerator<QueuedRange, undefined> {
    for (const file of files) {
      if (await store.isWhole(file)) continue;
      const ranges = await store.missing(file, RANGE_BYTES_MAX);
      let left = Math.max(1, ranges.length);
      const done = (): boolean => --left === 0;
      if (ranges.length === 0) yield { file, range: undefined, done };
      for (const range of ranges) yield { file, range, done };
    }
    return undefined;
  }
  const ranges = all();
  // Several ask at once; a generator answers them in order.
  return { next: async () => (await ranges.next()).value };
}
