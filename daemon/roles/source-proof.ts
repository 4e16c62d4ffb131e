/**
 * Source proof: a run whose machines fetch their parts of a repository by themselves is made from
 * what the repository says.
 *
 *   pieces as used, and by whom ──▶ SHA-256 of each file, passed along them ──▶ closed, or a fault
 *
 * Who uses a piece says its leaves. The state of SHA-256 goes through each file in byte order, from
 * holder to holder: each goes on with it over what it keeps and says the leaves of just that, so
 * that what was used and what was hashed are the same bytes. What nobody keeps is fetched here,
 * hashed and forgotten. Nothing is sealed before the last state is the digest of the file.
 *
 * Read next: origin-pieces.ts, piece-records.ts, core/plan/file-segments.ts.
 */

import { FaultError } from '../../proto/fault.ts';
import { DIGEST_BYTES, SHA256_STATE_BYTES, VOID_PIECES_MAX } from '../../proto/peer-limits.ts';
import type { PeerId, RunId, SourceOrigin } from '../../proto/peer-messages.ts';
import {
  type FilePiece,
  type FileSegment,
  firstState,
  pieceKey,
  sourcePieces,
  taskPieces,
} from '../core/plan/file-segments.ts';
import { digestOf, type Plan } from '../core/plan/plan.ts';
import { hex, type Sha256 } from '../core/plan/unit-id.ts';
import type { LeafStore, Network, PieceDigests, Source } from '../ports.ts';
import { Credit } from './credit.ts';
import { LOCAL_PEER } from './offers.ts';
import { originFaults } from './origin-faults.ts';
import {
  type ChainLink,
  digestAt,
  isSameLeaves,
  leafSizes,
  type OriginPieces,
  type OriginReader,
  type PieceHasher,
} from './origin-pieces.ts';
import type { OutputAssembler } from './output-assembler.ts';
import type { PieceRecord, PieceRecords } from './piece-records.ts';
import { keepRight, tasksOfRuns } from './stored-runs.ts';

export interface SourceProofParts {
  readonly run: RunId;
  readonly origin: SourceOrigin;
  readonly plan: Plan;
  /** Every byte of each file that the plan reads, in order. */
  readonly segments: ReadonlyMap<string, readonly FileSegment[]>;
  readonly pieces: OriginPieces;
  readonly reader: OriginReader;
  readonly records: PieceRecords;
  readonly store: LeafStore;
  readonly hasher: Pick<PieceHasher, 'sha256Pieces'>;
  readonly network: Pick<Network, 'peers' | 'pull' | 'send'>;
  readonly sha256: Sha256;
}

// Fetched here only to be hashed, over all files.
const FETCHED_BYTES_MAX = 64 * 1024 * 1024;
// A hub that gives wrong bytes once gives right ones the next time.
const FETCH_ATTEMPTS_MAX = 2;

export class SourceProof implements Pick<Source, 'read'> {
  readonly #parts: SourceProofParts;
  readonly #tasks: readonly (readonly number[])[];
  readonly #pieceOf = new Map<string, FilePiece>();
  /** What peers say to have used, until it is used here: by peer and piece. */
  readonly #claims = new Map<string, readonly Uint8Array[]>();
  readonly #credit = new Credit(FETCHED_BYTES_MAX);
  readonly #stop = new AbortController();
  /** Files that are not what the repository says. */
  readonly #wrong = new Set<string>();
  #walks: readonly Promise<void>[] = [];
  #temporary = 0;

  constructor(parts: SourceProofParts) {
    this.#parts = parts;
    this.#tasks = tasksOfRuns(parts.plan);
    for (const pieces of sourcePieces(parts.plan).values()) {
      for (const piece of pieces) this.#pieceOf.set(placeOf(piece.file, piece), piece);
    }
  }

  get origin(): SourceOrigin {
    return this.#parts.origin;
  }

  /** Begins to pass the digests along; `fail` hears of a file that cannot be right. */
  start(fail: (error: unknown) => void): void {
    this.#walks = [...this.#parts.segments].map(([file, segments]) => {
      const walk = this.#walk(file, segments);
      walk.catch((error: unknown) => {
        if (!this.#stop.signal.aborted) fail(error);
      });
      return walk;
    });
  }

  /** Resolves when every file is what the repository says. */
  async closed(): Promise<void> {
    await Promise.all(this.#walks);
  }

  /** Nothing more is waited for. */
  stop(reason: unknown): void {
    this.#stop.abort(reason);
  }

  /** What is kept for the run goes; of a run that is to go on, what is wrong. */
  async end(isSealed: boolean): Promise<void> {
    const { records, store, run } = this.#parts;
    this.#stop.abort(new Error('the run is over'));
    await Promise.allSettled(this.#walks);
    if (isSealed) {
      await records.drop();
      await store.drop(run);
      return;
    }
    await records.write();
    for (const file of this.#wrong) await this.#void(file);
  }

  /** A piece of this machine's own share. */
  async read(file: string, offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void> {
    const { pieces, run, origin } = this.#parts;
    const piece = this.#pieceOf.get(placeOf(file, { offset, bytes: into.length }));
    if (piece === undefined) throw new Error(`the plan reads no such piece of ${file}`);
    const until = signal ?? this.#stop.signal;
    const { leaves } = await pieces.provide(run, origin, piece, into, undefined, until);
    this.#claims.set(claimKey(LOCAL_PEER, piece), leaves);
  }

  /** Bytes of the source for whoever cannot fetch them; they are not kept. */
  async relay(file: string, offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void> {
    const fileDigest = digestOf(this.#parts.plan.fileDigests, file);
    await this.#parts.reader.read({ file, fileDigest }, offset, into, signal);
  }

  /**
   * A peer says that it made a task from pieces with these leaves.
   * @returns whether there is a leaf for each MiB of them
   */
  claim(peer: PeerId, task: number, leaves: readonly Uint8Array[]): boolean {
    const pieces = taskPieces(this.#parts.plan, task);
    const counts = pieces.map(({ bytes }) => leafSizes(bytes).length);
    if (counts.reduce((sum, count) => sum + count, 0) !== leaves.length) return false;
    let at = 0;
    for (const [index, piece] of pieces.entries()) {
      const count = counts[index] ?? 0;
      this.#claims.set(claimKey(peer, piece), leaves.slice(at, at + count));
      at += count;
    }
    return true;
  }

  /**
   * What the peer made of a task goes into outputs now.
   * @throws FaultError where another has used other bytes
   */
  used(peer: PeerId, task: number): void {
    for (const piece of taskPieces(this.#parts.plan, task)) {
      const leaves = this.#claims.get(claimKey(peer, piece));
      if (leaves !== undefined && this.#parts.records.add(piece, leaves, peer)) continue;
      throw this.#open(piece.file, 'machines have used different bytes of it', piece.offset);
    }
  }

  /** Those of an output's runs of which it is known from which bytes they were made. */
  vouched(assembler: OutputAssembler, output: number, runs: readonly number[]): readonly number[] {
    return keepRight(assembler, runs, (run) => {
      const task = this.#tasks[output]?.[run];
      return task !== undefined && this.#isVouched(task);
    });
  }

  #isVouched(task: number): boolean {
    const { plan, records } = this.#parts;
    return taskPieces(plan, task).every((piece) => records.get(piece) !== undefined);
  }

  async #walk(file: string, segments: readonly FileSegment[]): Promise<void> {
    const { records, plan } = this.#parts;
    const { signal } = this.#stop;
    let state = firstState();
    for (const { piece, offset, bytes } of segments) {
      signal.throwIfAborted();
      if (piece === undefined) {
        state = (await this.#fetch({ file, offset, bytes }, state)).chain;
      } else {
        const record = await records.when(piece, signal);
        state = await this.#pass(piece, record, state);
      }
    }
    const { digest } = await this.#hash(new Uint8Array(0), state);
    const wanted = digestOf(plan.fileDigests, file);
    if (hex(digest) === wanted) return;
    throw this.#open(file, `SHA-256 ${hex(digest)}, where the repository says ${wanted}`);
  }

  /** From a holder of the piece, or from the hub once more where no holder is left. */
  async #pass(piece: FilePiece, record: PieceRecord, state: Uint8Array): Promise<Uint8Array> {
    for (const holder of record.holders) {
      const link = await this.#ask(holder, piece, state);
      if (link !== undefined && isSameLeaves(link.leaves, record.leaves)) return link.state;
    }
    for (let attempt = 1; attempt <= FETCH_ATTEMPTS_MAX; attempt++) {
      const { pieces, chain } = await this.#fetch(piece, state);
      if (isSameLeaves(pieces, record.leaves)) return chain;
    }
    throw this.#open(piece.file, 'the hub gives other bytes than were used', piece.offset);
  }

  async #ask(holder: PeerId, piece: FilePiece, state: Uint8Array): Promise<ChainLink | undefined> {
    const { pieces, run, network } = this.#parts;
    if (holder === LOCAL_PEER) return await pieces.chain(run, piece, state);
    // Who is away may stay away: the hub is there.
    if (!network.peers().some(({ peer }) => peer === holder)) return undefined;
    const { fileDigest, offset, bytes: pieceBytes } = piece;
    const count = leafSizes(pieceBytes).length;
    const into = new Uint8Array(SHA256_STATE_BYTES + count * DIGEST_BYTES);
    const place = { fileDigest, offset, pieceBytes, state, bytes: into.length };
    const { signal } = this.#stop;
    try {
      await network.pull([holder], { kind: 'chain', run, ...place }, into, { signal });
    } catch {
      signal.throwIfAborted();
      return undefined;
    }
    const leaves = into.subarray(SHA256_STATE_BYTES);
    return {
      state: into.subarray(0, SHA256_STATE_BYTES),
      leaves: Array.from({ length: count }, (_, index) => digestAt(leaves, index)),
    };
  }

  async #fetch(
    { file, offset, bytes }: Omit<FilePiece, 'fileDigest'>,
    state: Uint8Array,
  ): Promise<PieceDigests> {
    const giveBack = await this.#credit.take(bytes);
    try {
      const into = new Uint8Array(bytes);
      await this.relay(file, offset, into, this.#stop.signal);
      return await this.#hash(into, state);
    } finally {
      giveBack();
    }
  }

  /** By way of the disk, where the addon can read it. */
  async #hash(bytes: Uint8Array, state: Uint8Array): Promise<PieceDigests> {
    const { store, run, hasher, sha256 } = this.#parts;
    const key = hex(sha256(new TextEncoder().encode(`to be hashed ${this.#temporary++}`)));
    await store.put(run, key, bytes);
    try {
      const job = { path: store.path(run, key), offset: 0, pieces: leafSizes(bytes.length) };
      return await hasher.sha256Pieces({ ...job, chain: state });
    } finally {
      await store.remove(run, key);
    }
  }

  #open(file: string, why: string, byte?: number): FaultError {
    this.#wrong.add(file);
    const place = byte === undefined ? {} : { byte };
    return new FaultError(originFaults.chainOpen, { file, why, ...place });
  }

  /** Nothing that was fetched of the file is used again, by anyone. */
  async #void(file: string): Promise<void> {
    const { records, pieces, run, plan, network } = this.#parts;
    const fileDigest = digestOf(plan.fileDigests, file);
    await records.forget(fileDigest);
    const all = [...this.#pieceOf.values()].filter((piece) => piece.file === file);
    for (const piece of all) await pieces.forget(run, piece);
    for (let at = 0; at < all.length; at += VOID_PIECES_MAX) {
      const some = all.slice(at, at + VOID_PIECES_MAX);
      const places = some.map(({ offset, bytes }) => ({ offset, bytes }));
      for (const { peer } of network.peers()) {
        network.send(peer, { kind: 'pieces-void', run, fileDigest, pieces: places });
      }
    }
  }
}

function placeOf(file: string, { offset, bytes }: Pick<FilePiece, 'offset' | 'bytes'>): string {
  return `${offset}/${bytes}/${file}`;
}

function claimKey(peer: PeerId, piece: FilePiece): string {
  return `${peer}/${pieceKey(piece)}`;
}
