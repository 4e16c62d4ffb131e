/**
 * Assembler: puts block runs at their offset in one output and seals it when every byte is right.
 *
 *   block runs ──▶ <file>.part + journal ──▶ re-read against the digests ──▶ <file>
 *
 * The order is the promise: a run is durable before the journal names it, and the file gets its
 * name only after every run, the header and the padding between tensors have been read back.
 */

import { joinBytes } from '../../proto/bytes.ts';
import { FaultError } from '../../proto/fault.ts';
import {
  journalHead,
  journalRecords,
  readRunJournal,
  type StoredRun,
} from '../core/plan/run-journal.ts';
import { hex, type Sha256 } from '../core/plan/unit-id.ts';
import type { OutputDirectory, OutputFile } from '../ports.ts';
import { outputFaults } from './faults.ts';
import type {
  AssembledOutput,
  FilePlace,
  MadeBlocks,
  OutputAssembler,
} from './output-assembler.ts';
import { type Expected, equal, type Piece, ReadBack } from './read-back.ts';

export interface AssemblerPorts {
  readonly directory: OutputDirectory;
  readonly sha256: Sha256;
}

// Written bytes that a crash may cost, of all outputs that a role has open or of each by itself: as
// little as a disk takes in at once without waiting.
export const COMMIT_BYTES: number = 32 * 1024 * 1024;

export class Assembler implements OutputAssembler {
  readonly isLocal = true;
  readonly peer = undefined;
  readonly output: AssembledOutput;
  readonly #file: OutputFile;
  readonly #ports: AssemblerPorts;
  /** Digest of every run on disk, by index. */
  readonly #digests: Map<number, Uint8Array>;
  /** The checksum of every run that was made here in this process, by index. */
  readonly #sums = new Map<number, Uint8Array>();
  #written: StoredRun[] = [];
  /** Runs that are written and not yet committed. */
  readonly #pending = new Set<number>();
  /** Runs that it began with, of those that were made before its plan was. */
  runsAdopted = 0;
  /** Bytes written since the last commit. */
  bytesPending = 0;
  #sealed: boolean;
  /** SHA-256 of the file as it was read back; undefined while it is not known. */
  #digest: string | undefined;
  /** The commit under way: the next waits, so that journal records never interleave. */
  #committing: Promise<unknown> = Promise.resolve();
  /** How far the growing file has been read back; undefined when what was read has changed. */
  #readBack: ReadBack | undefined;
  /** The reading under way: there is one at a time. */
  #reading: Promise<unknown> = Promise.resolve();

  private constructor(
    output: AssembledOutput,
    file: OutputFile,
    digests: Map<number, Uint8Array>,
    ports: AssemblerPorts,
  ) {
    this.output = output;
    this.#file = file;
    this.#digests = digests;
    this.#ports = ports;
    this.#sealed = file.state === 'sealed';
  }

  /**
   * Continues what an earlier run left of the same output, or begins it.
   * @param ahead what the part of a new output holds already, written without a journal
   */
  static async open(
    output: AssembledOutput,
    overwrite: boolean,
    ports: AssemblerPorts,
    ahead: readonly (StoredRun & { readonly sum?: Uint8Array })[] = [],
  ): Promise<Assembler> {
    const { fileBytes, header } = output.layout;
    const { sha256 } = ports;
    const keeps = ahead.length > 0;
    // The part of what is made ahead was new: what stood in the way is gone already.
    const replaces = overwrite && !keeps;
    const file = await ports.directory.open(output.file, fileBytes, { overwrite: replaces });
    const begin = async (): Promise<Assembler> => {
      const head = journalHead(sha256, output.id, output.runs.length);
      await file.restart(joinBytes([head, journalRecords(sha256, ahead)]), keeps);
      await file.write(0, header);
      const digests = new Map(ahead.map(({ run, digest }) => [run, digest]));
      const assembler = new Assembler(output, file, digests, ports);
      assembler.runsAdopted = ahead.length;
      for (const { run, sum } of ahead) if (sum !== undefined) assembler.#sums.set(run, sum);
      return assembler;
    };
    try {
      if (file.state === 'foreign') {
        throw new FaultError(outputFaults.foreignFile, { file: output.file });
      }
      if (file.state === 'new') return await begin();
      const bytes = await file.readJournal();
      const journal = readRunJournal(ports.sha256, bytes, output.id, output.runs.length);
      if (journal === undefined) {
        throw new FaultError(outputFaults.otherPlan, { file: output.file });
      }
      await file.resume(journal.wholeBytes);
      return new Assembler(output, file, journal.runs, ports);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get isSealed(): boolean {
    return this.#sealed;
  }

  get allocatedBytes(): number {
    return this.#file.allocatedBytes;
  }

  hasRun(run: number): boolean {
    return this.#digests.has(run);
  }

  /** Whether the run is on disk, or will be with the next commit. */
  holds(run: number): boolean {
    return this.#digests.has(run) || this.#pending.has(run);
  }

  /** Digest of a run that is on disk; undefined where it is not. */
  storedDigest(run: number): Uint8Array | undefined {
    return this.#digests.get(run);
  }

  /** Indexes of the runs that are on disk. */
  storedRuns(): number[] {
    return [...this.#digests.keys()];
  }

  /** Writes a run whose bytes are here. */
  async place(run: number, { content, digest, sum }: MadeBlocks): Promise<boolean> {
    if (content === undefined) return false;
    await this.write(run, content, digest, sum);
    return true;
  }

  /** These runs are to be made again; what is written of them stays until then. */
  forget(runs: readonly number[]): void {
    for (const run of runs) this.#digests.delete(run);
    this.#readBack = undefined;
  }

  /**
   * Writes one run at its place; it is stored only after the next commit.
   * @param sum its checksum, which reading back compares instead of the digest
   */
  async write(run: number, bytes: Uint8Array, digest: Uint8Array, sum?: Uint8Array): Promise<void> {
    const { offset } = this.#run(run);
    // What may have been read back is about to be written again.
    if (this.holds(run)) this.#readBack = undefined;
    await this.#file.write(offset, bytes);
    if (sum === undefined) this.#sums.delete(run);
    else this.#sums.set(run, sum.slice());
    this.#written.push({ run, digest: digest.slice() });
    this.#pending.add(run);
    this.bytesPending += bytes.length;
  }

  /** Makes the written runs durable and returns them. */
  commit(): Promise<number[]> {
    const committed = this.#committing.then(() => this.#commit());
    this.#committing = committed.catch(() => undefined);
    return committed;
  }

  async #commit(): Promise<number[]> {
    const written = this.#written;
    this.#written = [];
    this.bytesPending = 0;
    if (written.length === 0) return [];
    await this.#file.commit(journalRecords(this.#ports.sha256, written));
    for (const { run, digest } of written) {
      this.#digests.set(run, digest);
      this.#pending.delete(run);
    }
    return written.map(({ run }) => run);
  }

  /**
   * Reads the whole file back. Returns the runs whose bytes are not those of their digest.
   * @param onBytes told how many bytes more have been read
   */
  async verify(onBytes: (bytes: number) => void, signal: AbortSignal): Promise<number[]> {
    const { wrong, digest } = await this.#inTurn(async () => {
      const reading = this.#readBack ?? this.#beginReading();
      this.#readBack = undefined;
      onBytes(reading.bytes);
      await reading.advance({ isThere: () => true, onBytes, signal });
      return reading;
    });
    const [first] = wrong;
    if (this.isSealed && first !== undefined) {
      const { file } = this.output;
      throw new FaultError(outputFaults.changedSince, { file, byte: first.offset });
    }
    await this.#repair(
      wrong.filter(({ run }) => run === undefined),
      signal,
    );
    this.#digest = first === undefined && digest !== undefined ? hex(digest) : undefined;
    const lost = wrong.flatMap(({ run }) => (run === undefined ? [] : [run]));
    for (const run of lost) this.#digests.delete(run);
    return lost;
  }

  /** As far as runs are durable; the bytes before the first that is not are read once. */
  readAhead(signal: AbortSignal): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#sealed) return;
      this.#readBack ??= this.#beginReading();
      const isThere = ({ run }: Piece): boolean => run === undefined || this.#digests.has(run);
      await this.#readBack.advance({ isThere, signal });
    });
  }

  #beginReading(): ReadBack {
    return new ReadBack(this.#file, this.#pieces(), (piece) => this.#expect(piece));
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#reading.then(work);
    this.#reading = done.catch(() => undefined);
    return done;
  }

  /** Gives the file its name, where it has not got it yet; returns its SHA-256. */
  async seal(): Promise<string> {
    if (!this.#sealed) await this.#file.seal();
    this.#sealed = true;
    // Known from reading it back, but for a file in which something had to be put right.
    return this.#digest ?? this.#file.digest();
  }

  /** SHA-256 of the file as it was read back last; undefined where that found something wrong. */
  get digestRead(): string | undefined {
    return this.#digest;
  }

  /** What the file holds from `offset`, as long as it is not closed. */
  read(offset: number, into: Uint8Array): Promise<void> {
    return this.#file.read(offset, into);
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  #run(index: number): FilePlace {
    const run = this.output.runs[index];
    if (run === undefined) throw new Error(`${this.output.file} has no run ${index}`);
    return run;
  }

  /** The pieces of the whole file, in their order. */
  *#pieces(): Generator<Piece> {
    const { header, fileBytes } = this.output.layout;
    yield { offset: 0, bytes: header.length };
    let end = header.length;
    for (const [run, { offset, bytes }] of this.output.runs.entries()) {
      if (offset > end) yield { offset: end, bytes: offset - end };
      yield { offset, bytes, run };
      end = offset + bytes;
    }
    if (fileBytes > end) yield { offset: end, bytes: fileBytes - end };
  }

  #expect({ offset, bytes, run }: Piece): Expected {
    if (run === undefined) {
      return { kind: 'digest', value: this.#ports.sha256(this.#fixedBytes(offset, bytes)) };
    }
    const digest = this.#digests.get(run);
    const sum = digest && this.#sums.get(run);
    return sum === undefined ? { kind: 'digest', value: digest } : { kind: 'sum', value: sum };
  }

  /** What has to stand where no run does: the header, and zeros as padding. */
  #fixedBytes(offset: number, bytes: number): Uint8Array {
    return offset === 0 ? this.output.layout.header : new Uint8Array(bytes);
  }

  /** A crash may leave this undone in a growing file. What is put right is read back as well. */
  async #repair(pieces: readonly Piece[], signal: AbortSignal): Promise<void> {
    for (const piece of pieces) {
      const { offset, bytes } = piece;
      await this.#file.write(offset, this.#fixedBytes(offset, bytes));
      const found = await this.#file.hash(offset, [bytes], undefined, signal);
      if (equal(found.pieces[0], this.#expect(piece).value)) continue;
      throw new FaultError(outputFaults.keepsFailing, { file: this.output.file, byte: offset });
    }
  }
}
