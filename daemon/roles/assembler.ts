/**
 * Assembler: puts block runs at their offset in one output and seals it when every byte is right.
 *
 *   block runs ──▶ <file>.part + journal ──▶ re-read against the digests ──▶ <file>
 *
 * The order is the promise: a run is durable before the journal names it, and the file gets its
 * name only after every run, the header and the padding between tensors have been read back.
 */

import { FaultError } from '../../proto/fault.ts';
import type { OutputRun, PlannedOutput } from '../core/plan/plan.ts';
import {
  journalHead,
  journalRecords,
  readRunJournal,
  type StoredRun,
} from '../core/plan/run-journal.ts';
import type { Sha256 } from '../core/plan/unit-id.ts';
import type { Kernels, OutputDirectory, OutputFile } from '../ports.ts';
import { outputFaults } from './faults.ts';

export interface AssemblerPorts {
  readonly directory: OutputDirectory;
  readonly kernels: Pick<Kernels, 'sha256'>;
  readonly sha256: Sha256;
}

// Bytes read back at once; runs above it are read alone.
const VERIFY_BYTES = 16 * 1024 * 1024;

export class Assembler {
  readonly output: PlannedOutput;
  readonly #file: OutputFile;
  readonly #ports: AssemblerPorts;
  /** Digest of every run on disk, by index. */
  readonly #digests: Map<number, Uint8Array>;
  #written: StoredRun[] = [];
  /** Bytes written since the last commit. */
  bytesPending = 0;
  #sealed: boolean;
  /** The commit under way: the next waits, so that journal records never interleave. */
  #committing: Promise<unknown> = Promise.resolve();

  private constructor(
    output: PlannedOutput,
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

  /** Continues what an earlier run left of the same output, or begins it. */
  static async open(
    output: PlannedOutput,
    overwrite: boolean,
    ports: AssemblerPorts,
  ): Promise<Assembler> {
    const { fileBytes, header } = output.layout;
    const file = await ports.directory.open(output.file, fileBytes, { overwrite });
    const begin = async (): Promise<Assembler> => {
      await file.restart(journalHead(ports.sha256, output.id, output.runs.length));
      await file.write(0, header);
      return new Assembler(output, file, new Map(), ports);
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

  /** Indexes of the runs that are on disk. */
  storedRuns(): number[] {
    return [...this.#digests.keys()];
  }

  /** Writes one run at its place; it is stored only after the next commit. */
  async write(run: number, bytes: Uint8Array, digest: Uint8Array): Promise<void> {
    const { offset } = this.#run(run);
    await this.#file.write(offset, bytes);
    this.#written.push({ run, digest: digest.slice() });
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
    for (const { run, digest } of written) this.#digests.set(run, digest);
    return written.map(({ run }) => run);
  }

  /**
   * Reads the whole file back. Returns the runs whose bytes are not those of their digest.
   * @param onBytes told how many bytes more have been read
   */
  async verify(onBytes: (bytes: number) => void, signal: AbortSignal): Promise<number[]> {
    await this.#repairHeader();
    const lost: number[] = [];
    const buffer = new Uint8Array(VERIFY_BYTES);
    let end = this.output.layout.header.length;
    for (const batch of this.#batches()) {
      signal.throwIfAborted();
      const start = batch[0]?.offset ?? 0;
      await this.#clearGap(end, start);
      const bytes = batch.reduce((sum, run) => sum + run.bytes, 0);
      const into = bytes <= buffer.length ? buffer.subarray(0, bytes) : new Uint8Array(bytes);
      await this.#file.read(start, into);
      lost.push(...(await this.#mismatches(batch, into, start)));
      end = start + bytes;
      onBytes(bytes);
    }
    await this.#clearGap(end, this.output.layout.fileBytes);
    const [first] = lost;
    if (this.isSealed && first !== undefined) {
      throw new FaultError(outputFaults.changedSince, {
        file: this.output.file,
        byte: this.#run(first).offset,
      });
    }
    for (const run of lost) this.#digests.delete(run);
    return lost;
  }

  /** Gives the file its name, where it has not got it yet; returns its SHA-256. */
  async seal(): Promise<string> {
    if (!this.#sealed) await this.#file.seal();
    this.#sealed = true;
    return this.#file.digest();
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  #run(index: number): OutputRun {
    const run = this.output.runs[index];
    if (run === undefined) throw new Error(`${this.output.file} has no run ${index}`);
    return run;
  }

  /** Neighbouring runs without a gap between them, up to VERIFY_BYTES together. */
  *#batches(): Generator<readonly (OutputRun & { index: number })[]> {
    let batch: (OutputRun & { index: number })[] = [];
    let bytes = 0;
    for (const [index, run] of this.output.runs.entries()) {
      const last = batch.at(-1);
      const adjoins = last !== undefined && last.offset + last.bytes === run.offset;
      if (last !== undefined && (!adjoins || bytes + run.bytes > VERIFY_BYTES)) {
        yield batch;
        batch = [];
        bytes = 0;
      }
      batch.push({ ...run, index });
      bytes += run.bytes;
    }
    if (batch.length > 0) yield batch;
  }

  async #mismatches(
    batch: readonly (OutputRun & { index: number })[],
    bytes: Uint8Array,
    start: number,
  ): Promise<number[]> {
    const digests = await Promise.all(
      batch.map((run) => {
        const from = run.offset - start;
        return this.#ports.kernels.sha256(bytes.subarray(from, from + run.bytes));
      }),
    );
    return batch.flatMap(({ index }, position) =>
      equal(digests[position], this.#digests.get(index)) ? [] : [index],
    );
  }

  async #repairHeader(): Promise<void> {
    const { header } = this.output.layout;
    const found = new Uint8Array(header.length);
    await this.#file.read(0, found);
    if (!equal(found, header)) await this.#repair(0, header);
  }

  /** Padding must be zero; a lost write may have left something else there. */
  async #clearGap(from: number, to: number): Promise<void> {
    if (from === to) return;
    const gap = new Uint8Array(to - from);
    await this.#file.read(from, gap);
    if (gap.some((byte) => byte !== 0)) await this.#repair(from, gap.fill(0));
  }

  /** A crash may leave this undone in a growing file; a finished one was changed by someone. */
  async #repair(offset: number, bytes: Uint8Array): Promise<void> {
    if (this.isSealed) {
      throw new FaultError(outputFaults.changedSince, { file: this.output.file, byte: offset });
    }
    await this.#file.write(offset, bytes);
  }
}

function equal(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return (
    a !== undefined &&
    b !== undefined &&
    a.length === b.length &&
    a.every((byte, index) => byte === b[index])
  );
}
