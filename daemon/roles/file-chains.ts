/**
 * File chains: what machines fetched of a repository's files is what the repository says.
 *
 *   pieces, their leaves, who keeps them ──▶ SHA-256 of each file, passed along them ──▶ closed, or a fault
 *
 * Who uses a piece says its leaves. The state of SHA-256 goes through each file in byte order, from
 * holder to holder: each goes on with it over what it keeps and says the leaves of just that, so
 * that what was used and what was hashed are the same bytes. What nobody keeps is fetched here,
 * hashed and forgotten.
 *
 * Read next: source-proof.ts (a plan), measure-origin.ts (a measurement), origin-pieces.ts,
 * piece-records.ts, core/plan/file-segments.ts.
 */

import { FaultError } from '../../proto/fault.ts';
import { DIGEST_BYTES, SHA256_STATE_BYTES, VOID_PIECES_MAX } from '../../proto/peer-limits.ts';
import type { PeerId, RunId, SourceOrigin } from '../../proto/peer-messages.ts';
import {
  type FilePiece,
  type FileSegment,
  firstState,
  pieceKey,
} from '../core/plan/file-segments.ts';
import { digestOf } from '../core/plan/plan.ts';
import { hex, type Sha256 } from '../core/plan/unit-id.ts';
import type { LeafStore, Network, PieceDigests } from '../ports.ts';
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
import type { PieceRecord, PieceRecords } from './piece-records.ts';

export interface FileChainsParts {
  readonly run: RunId;
  readonly origin: SourceOrigin;
  /** SHA-256 of each source file, lower-case hex. */
  readonly fileDigests: ReadonlyMap<string, string>;
  /** Every byte of each file of which a piece is used, in order. */
  readonly segments: ReadonlyMap<string, readonly FileSegment[]>;
  readonly pieces: OriginPieces;
  readonly reader: OriginReader;
  readonly records: PieceRecords;
  readonly store: LeafStore;
  readonly hasher: Pick<PieceHasher, 'sha256Pieces'>;
  readonly network: Pick<Network, 'peers' | 'pull' | 'send'>;
  readonly sha256: Sha256;
  /** Keys of the pieces that this machine fetches and keeps, whoever uses them. */
  readonly own?: ReadonlySet<string>;
  /**
   * Drops what was made of the pieces and lies elsewhere. With it, a chain that stays open costs
   * all pieces: what was made of several files can be traced to none.
   */
  readonly dropMade?: () => Promise<void>;
}

// Fetched here only to be hashed, over all files.
const FETCHED_BYTES_MAX = 64 * 1024 * 1024;
// A hub that gives wrong bytes once gives right ones the next time.
const FETCH_ATTEMPTS_MAX = 2;

export class FileChains {
  readonly #parts: FileChainsParts;
  readonly #byFile = new Map<string, readonly FilePiece[]>();
  readonly #credit = new Credit(FETCHED_BYTES_MAX);
  readonly #stop = new AbortController();
  /** Files that are not what the repository says. */
  readonly #wrong = new Set<string>();
  /** Pieces that this machine keeps or is fetching; why not, of those that it cannot keep. */
  readonly #mine = new Map<string, Promise<unknown>>();
  #walks: readonly Promise<void>[] | undefined;
  #isClosed = false;
  #isEnded = false;
  #temporary = 0;

  constructor(parts: FileChainsParts) {
    this.#parts = parts;
    for (const [file, segments] of parts.segments) {
      this.#byFile.set(
        file,
        segments.flatMap(({ piece }) => piece ?? []),
      );
    }
  }

  /** The name of the run among machines, under which they keep its pieces. */
  get run(): RunId {
    return this.#parts.run;
  }

  get origin(): SourceOrigin {
    return this.#parts.origin;
  }

  /** Every file is what the repository says. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Nothing that was fetched is of use any more, on any machine. */
  get isWorthless(): boolean {
    return this.#wrong.size > 0 && this.#parts.dropMade !== undefined;
  }

  get records(): PieceRecords {
    return this.#parts.records;
  }

  /** Begins to pass the digests along; `fail` hears of a file that cannot be right. */
  start(fail: (error: unknown) => void): void {
    this.#walks ??= [...this.#parts.segments].map(([file, segments]) => {
      const walk = this.#walk(file, segments);
      walk.catch((error: unknown) => {
        if (!this.#stop.signal.aborted) fail(error);
      });
      return walk;
    });
  }

  /** Resolves when every file is what the repository says. */
  async closed(): Promise<void> {
    await Promise.all(this.#walks ?? []);
    this.#isClosed = this.#walks !== undefined;
  }

  /** Nothing more is waited for. */
  stop(reason: unknown): void {
    this.#stop.abort(reason);
  }

  /** What is kept for the run goes; of a run that is to go on, what is wrong. */
  async end(isSealed: boolean): Promise<void> {
    if (this.#isEnded) return;
    this.#isEnded = true;
    const { records, store, run, dropMade } = this.#parts;
    this.#stop.abort(new Error('the run is over'));
    await Promise.allSettled([...(this.#walks ?? []), ...this.#mine.values()]);
    if (isSealed || this.isWorthless) {
      // First what was made: nothing but the records says from what.
      if (!isSealed) await dropMade?.();
      await records.drop();
      await store.drop(run);
      return;
    }
    await records.write();
    for (const file of this.#wrong) await this.#void(file);
  }

  /** Whether all of a piece is a part of the chains, with these very ends. */
  has(piece: FilePiece): boolean {
    const known = this.#byFile.get(piece.file) ?? [];
    return known.some(({ offset, bytes }) => offset === piece.offset && bytes === piece.bytes);
  }

  /** Fills `into` with a piece, from what this machine keeps or from the hub. */
  async provide(piece: FilePiece, into: Uint8Array, signal?: AbortSignal): Promise<Uint8Array[]> {
    const { pieces, run, origin } = this.#parts;
    const until = signal ?? this.#stop.signal;
    return [...(await pieces.provide(run, origin, piece, into, undefined, until)).leaves];
  }

  /**
   * Fetches a piece that this machine keeps and others may have from here; only once.
   * @returns where it lies
   * @throws FaultError where it cannot be had or kept
   */
  async keep(piece: FilePiece): Promise<string> {
    const unkept = await this.#take(piece);
    if (unkept !== undefined) throw unkept;
    return this.#parts.pieces.path(this.#parts.run, piece);
  }

  /** Fetches and keeps every piece that nobody has said to use. */
  async keepRest(): Promise<void> {
    for (const pieces of this.#byFile.values()) {
      for (const piece of pieces) {
        if (this.#parts.records.get(piece) === undefined) await this.#take(piece);
      }
    }
  }

  /** The leaves of a piece that this machine keeps for whoever needs it; undefined of others. */
  async kept(piece: FilePiece): Promise<readonly Uint8Array[] | undefined> {
    const { records } = this.#parts;
    const isHere = records.get(piece)?.holders.includes(LOCAL_PEER) === true;
    if (!isHere && !this.#isOwn(piece)) return undefined;
    // What an earlier process has kept may be torn: it is read once before it is promised.
    await this.#take(piece);
    return records.get(piece)?.leaves;
  }

  /**
   * A machine has used a piece with these leaves, and keeps it as far as it can.
   * @throws FaultError where another has used other bytes
   */
  note(peer: PeerId, piece: FilePiece, leaves: readonly Uint8Array[]): void {
    if (this.#parts.records.add(piece, leaves, peer)) return;
    throw this.open(piece.file, 'machines have used different bytes of it', piece.offset);
  }

  /** Bytes of the source for whoever cannot fetch them; what is fetched for it is not kept. */
  async relay(file: string, offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void> {
    const { fileDigests, store, run, pieces, reader } = this.#parts;
    const end = offset + into.length;
    const around = this.#byFile
      .get(file)
      ?.find((piece) => piece.offset <= offset && end <= piece.offset + piece.bytes);
    if (around !== undefined && this.#mine.has(pieceKey(around))) {
      const key = pieces.key(around);
      if (await store.readPart(run, key, offset - around.offset, into)) return;
    }
    await reader.read({ file, fileDigest: digestOf(fileDigests, file) }, offset, into, signal);
  }

  /** Of a file that is not what the repository says. */
  open(file: string, why: string, byte?: number): FaultError {
    this.#wrong.add(file);
    const place = byte === undefined ? {} : { byte };
    return new FaultError(originFaults.chainOpen, { file, why, ...place });
  }

  #isOwn(piece: FilePiece): boolean {
    return this.#parts.own?.has(pieceKey(piece)) === true;
  }

  /** @returns why it is not kept, if it is not */
  #take(piece: FilePiece): Promise<unknown> {
    const key = pieceKey(piece);
    const known = this.#mine.get(key);
    if (known !== undefined) return known;
    const taking = this.#fetchKept(piece);
    this.#mine.set(key, taking);
    taking.catch(() => this.#mine.delete(key));
    return taking;
  }

  async #fetchKept(piece: FilePiece): Promise<unknown> {
    const { pieces, run, origin } = this.#parts;
    const { signal } = this.#stop;
    const giveBack = await this.#credit.take(piece.bytes);
    try {
      signal.throwIfAborted();
      const into = new Uint8Array(piece.bytes);
      const found = await pieces.provide(run, origin, piece, into, undefined, signal);
      this.note(LOCAL_PEER, piece, found.leaves);
      return found.unkept;
    } finally {
      giveBack();
    }
  }

  async #walk(file: string, segments: readonly FileSegment[]): Promise<void> {
    const { records, fileDigests } = this.#parts;
    const { signal } = this.#stop;
    let state = firstState();
    for (const { piece, offset, bytes } of segments) {
      signal.throwIfAborted();
      if (piece === undefined) {
        state = (await this.#fetch({ file, offset, bytes }, state)).chain;
      } else {
        if (this.#isOwn(piece)) await this.#take(piece);
        const record = await records.when(piece, signal);
        state = await this.#pass(piece, record, state);
      }
    }
    const { digest } = await this.#hash(new Uint8Array(0), state);
    const wanted = digestOf(fileDigests, file);
    if (hex(digest) === wanted) return;
    throw this.open(file, `SHA-256 ${hex(digest)}, where the repository says ${wanted}`);
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
    throw this.open(piece.file, 'the hub gives other bytes than were used', piece.offset);
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
      const asked = { file, fileDigest: digestOf(this.#parts.fileDigests, file) };
      await this.#parts.reader.read(asked, offset, into, this.#stop.signal);
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

  /** Nothing that was fetched of the file is used again, by anyone. */
  async #void(file: string): Promise<void> {
    const { records, pieces, run, fileDigests, network } = this.#parts;
    const fileDigest = digestOf(fileDigests, file);
    await records.forget(fileDigest);
    const all = this.#byFile.get(file) ?? [];
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
