/**
 * Origin pieces: parts of a repository's files that this machine fetches and keeps by itself.
 *
 *   piece ──▶ own store, else the hub, else a detour ──▶ bytes, and the leaves that they have
 *   piece, state of SHA-256 in front of it ──▶ the state behind it, from what is kept
 *
 * Nobody can say beforehand what the leaves should be: they are told to the coordinator, which has
 * the file's SHA-256 passed along all pieces before anything is sealed. Read next: source-proof.ts.
 */

import { FaultError } from '../../proto/fault.ts';
import { DIGEST_BYTES } from '../../proto/peer-limits.ts';
import { LEAF_BYTES, type RunId, type SourceOrigin } from '../../proto/peer-messages.ts';
import type { FilePiece } from '../core/plan/file-segments.ts';
import { hex, type Sha256 } from '../core/plan/unit-id.ts';
import type { Clock, LeafStore, PieceDigests } from '../ports.ts';
import { leafKey } from './leaf-digests.ts';

/** The files of a repository at one commit, by ranges; nothing is kept. */
export interface OriginReader {
  /** @throws FaultError where the hub cannot be reached, says no, or has another file there */
  read(
    file: Pick<FilePiece, 'file' | 'fileDigest'>,
    offset: number,
    into: Uint8Array,
    signal?: AbortSignal,
  ): Promise<void>;
}

/** @throws FaultError where this machine may not or cannot fetch from there */
export type OpenOrigin = (origin: SourceOrigin, signal: AbortSignal) => Promise<OriginReader>;

export interface PieceHasher {
  sha256(bytes: Uint8Array): Promise<Uint8Array>;
  /**
   * Digests neighbouring pieces of a file on this machine, each and all; see `OutputFile.hash`.
   * Rejects where the file is not there or ends early.
   */
  sha256Pieces(
    job: {
      readonly path: string;
      readonly offset: number;
      readonly pieces: readonly number[];
      readonly chain?: Uint8Array;
    },
    signal?: AbortSignal,
  ): Promise<PieceDigests>;
}

export interface OriginPiecesParts {
  readonly store: LeafStore;
  readonly hasher: PieceHasher;
  readonly sha256: Sha256;
  readonly clock: Clock;
  readonly openOrigin: OpenOrigin;
}

export interface Fetched {
  readonly leaves: readonly Uint8Array[];
  /** Why it did not come from the hub. */
  readonly detour?: string;
  /** Why it is not kept: what the disk said. */
  readonly unkept?: unknown;
}

export interface ChainLink {
  readonly state: Uint8Array;
  readonly leaves: readonly Uint8Array[];
}

interface OpenedOrigin {
  readonly reader: Promise<OriginReader>;
  failed: { readonly why: string; readonly untilMs: number } | undefined;
}

// A hub that answers at all does so within this; without it a machine that has no way there would
// try for a minute.
const OPEN_MS_MAX = 20_000;
// So long a machine that could not reach the hub takes the detour without trying.
const RETRY_MS = 120_000;
// More repositories than one machine works for at a time; the list of one's files takes megabytes.
const ORIGINS_MAX = 16;

export class OriginPieces {
  readonly #parts: OriginPiecesParts;
  readonly #origins = new Map<string, OpenedOrigin>();

  constructor(parts: OriginPiecesParts) {
    this.#parts = parts;
  }

  /**
   * Fills `into` with the piece.
   * @param detour gets it where the hub cannot be reached from here
   */
  async provide(
    run: RunId,
    origin: SourceOrigin,
    piece: FilePiece,
    into: Uint8Array,
    detour: ((signal: AbortSignal) => Promise<void>) | undefined,
    signal: AbortSignal,
  ): Promise<Fetched> {
    const kept = await this.#readKept(run, piece, into);
    if (kept !== undefined) return { leaves: kept };
    const why = await this.#fetch(origin, piece, into, signal, detour !== undefined);
    if (why !== undefined) await detour?.(signal);
    const leaves = await this.#leavesOf(into);
    const fetched = { leaves, ...(why === undefined ? {} : { detour: why }) };
    try {
      await this.#keep(run, piece, into, leaves);
      return fetched;
    } catch (unkept) {
      // What does not fit is fetched once more, by whoever passes the chain along.
      await this.forget(run, piece);
      return { ...fetched, unkept };
    }
  }

  /** The name of a piece in the store. */
  key(piece: Pick<FilePiece, 'fileDigest' | 'offset' | 'bytes'>): string {
    return leafKey(this.#parts.sha256, piece);
  }

  /** Where a piece lies that is kept here. */
  path(run: RunId, piece: Pick<FilePiece, 'fileDigest' | 'offset' | 'bytes'>): string {
    return this.#parts.store.path(run, this.key(piece));
  }

  /** The chain through a piece that is kept here; undefined where it is not, or not whole. */
  async chain(
    run: RunId,
    piece: Pick<FilePiece, 'fileDigest' | 'offset' | 'bytes'>,
    state: Uint8Array,
  ): Promise<ChainLink | undefined> {
    const { store, hasher, sha256 } = this.#parts;
    const path = store.path(run, leafKey(sha256, piece));
    try {
      const found = await hasher.sha256Pieces({
        path,
        offset: 0,
        pieces: leafSizes(piece.bytes),
        chain: state,
      });
      return { state: found.chain, leaves: found.pieces };
    } catch {
      return undefined;
    }
  }

  /** Nothing of the piece is kept any more. */
  async forget(
    run: RunId,
    piece: Pick<FilePiece, 'fileDigest' | 'offset' | 'bytes'>,
  ): Promise<void> {
    const { store, sha256 } = this.#parts;
    await store.remove(run, leafKey(sha256, piece));
    await store.remove(run, digestsKey(sha256, piece));
  }

  /** What was fetched earlier, if it still is what it was. */
  async #readKept(
    run: RunId,
    piece: FilePiece,
    into: Uint8Array,
  ): Promise<Uint8Array[] | undefined> {
    const { store, sha256 } = this.#parts;
    const told = new Uint8Array(leafSizes(piece.bytes).length * DIGEST_BYTES);
    if (!(await store.read(run, digestsKey(sha256, piece), told))) return undefined;
    if (!(await store.read(run, leafKey(sha256, piece), into))) return undefined;
    const leaves = await this.#leavesOf(into);
    const kept = leaves.map((_, index) => digestAt(told, index));
    return isSameLeaves(leaves, kept) ? leaves : undefined;
  }

  async #keep(
    run: RunId,
    piece: FilePiece,
    bytes: Uint8Array,
    leaves: readonly Uint8Array[],
  ): Promise<void> {
    const { store, sha256 } = this.#parts;
    const told = new Uint8Array(leaves.length * DIGEST_BYTES);
    for (const [index, leaf] of leaves.entries()) told.set(leaf, index * DIGEST_BYTES);
    await store.put(run, leafKey(sha256, piece), bytes);
    await store.put(run, digestsKey(sha256, piece), told);
  }

  #leavesOf(bytes: Uint8Array): Promise<Uint8Array[]> {
    const { hasher } = this.#parts;
    let at = 0;
    return Promise.all(
      leafSizes(bytes.length).map((size) => {
        at += size;
        return hasher.sha256(bytes.subarray(at - size, at));
      }),
    );
  }

  /** @returns why the hub did not give it, where somebody else may */
  async #fetch(
    origin: SourceOrigin,
    piece: FilePiece,
    into: Uint8Array,
    signal: AbortSignal,
    hasDetour: boolean,
  ): Promise<string | undefined> {
    const { clock } = this.#parts;
    const opened = this.#open(origin);
    if (hasDetour && opened.failed !== undefined && clock.now() < opened.failed.untilMs) {
      return opened.failed.why;
    }
    try {
      await (await opened.reader).read(piece, piece.offset, into, signal);
      opened.failed = undefined;
      return undefined;
    } catch (error) {
      if (signal.aborted || !hasDetour) throw error;
      const why = sentenceOf(error);
      opened.failed = { why, untilMs: clock.now() + RETRY_MS };
      return why;
    }
  }

  #open(origin: SourceOrigin): OpenedOrigin {
    const key = JSON.stringify([origin.hubUrl, origin.repository, origin.commit]);
    const known = this.#origins.get(key);
    if (known !== undefined) return known;
    const [oldest] = this.#origins.keys();
    if (this.#origins.size >= ORIGINS_MAX && oldest !== undefined) this.#origins.delete(oldest);
    const reader = this.#openReader(origin);
    const opened: OpenedOrigin = { reader, failed: undefined };
    this.#origins.set(key, opened);
    // Tried anew when the time has come: until then what failed says why.
    reader.catch(() => this.#parts.clock.after(RETRY_MS, () => this.#origins.delete(key)));
    return opened;
  }

  async #openReader(origin: SourceOrigin): Promise<OriginReader> {
    const { clock, openOrigin } = this.#parts;
    const tooLong = new AbortController();
    const cancel = clock.after(OPEN_MS_MAX, () => tooLong.abort(new Error('the hub is silent')));
    try {
      return await openOrigin(origin, tooLong.signal);
    } finally {
      cancel();
    }
  }
}

/** Bytes of each leaf of a piece. */
export function leafSizes(bytes: number): number[] {
  return Array.from({ length: Math.ceil(bytes / LEAF_BYTES) }, (_, index) =>
    Math.min(LEAF_BYTES, bytes - index * LEAF_BYTES),
  );
}

export function digestAt(digests: Uint8Array, index: number): Uint8Array {
  return digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
}

/** Whether they are as many, and the same one by one. */
export function isSameLeaves(some: readonly Uint8Array[], others: readonly Uint8Array[]): boolean {
  return some.map(hex).join() === others.map(hex).join();
}

function digestsKey(sha256: Sha256, piece: Parameters<typeof leafKey>[1]): string {
  return hex(sha256(new TextEncoder().encode(`leaves of ${leafKey(sha256, piece)}`)));
}

function sentenceOf(error: unknown): string {
  if (!(error instanceof FaultError)) return error instanceof Error ? error.message : String(error);
  const { code, what, why } = error.toMessage();
  return `${code} ${what}${why === undefined ? '' : `: ${why}`}`;
}
