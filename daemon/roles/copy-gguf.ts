/**
 * Copy GGUF: makes files whose tensors stand in SOURCE already, and changes none of their bytes.
 *
 *   CopiedFile[] + Source ──▶ <file>.part + journal ──▶ re-read against the digests ──▶ <file>
 *
 * Outputs are put together by assembler.ts. What an earlier run left of it is gone on
 * with, but its ids do not name the source's content: so every run of it is compared with the source
 * before it is believed.
 */

import type { RunEvent } from '../../proto/api.ts';
import { FaultError } from '../../proto/fault.ts';
import { RESERVE_BYTES } from '../core/estimate/fit.ts';
import { COPY_BYTES_MAX, type CopiedFile } from '../core/gguf/copy-plan.ts';
import { rewriteFaults } from '../core/gguf/rewrite-faults.ts';
import { readRunJournal } from '../core/plan/run-journal.ts';
import { digestFields, type Sha256 } from '../core/plan/unit-id.ts';
import type { Clock, Kernels, OutputDirectory, OutputFile, Source } from '../ports.ts';
import { Assembler, COMMIT_BYTES } from './assembler.ts';
import { outputFaults } from './faults.ts';
import type { AssembledOutput } from './output-assembler.ts';
import { Progress } from './progress.ts';

export interface CopyPorts {
  readonly openOutputs: (directory: string) => Promise<OutputDirectory>;
  readonly kernels: Pick<Kernels, 'sha256'>;
  readonly clock: Clock;
  readonly sha256: Sha256;
}

export interface Copy {
  readonly source: Source;
  readonly files: readonly CopiedFile[];
  /** Where the files go. */
  readonly directory: string;
  readonly overwrite: boolean;
  /** The one file takes the place of the source; else no file may. */
  readonly inPlace: boolean;
}

type Report = (event: RunEvent) => void;

// While one run is written, others are read and hashed: four buffers keep disk and threads busy.
const LANES = 4;
// A disk that loses what it was given twice will lose it again.
const ATTEMPTS_MAX = 3;

/** What there was to copy, and how much of it was not there yet. */
export interface CopyOutcome {
  readonly sourceBytes: number;
  readonly runsWritten: number;
}

/**
 * Makes the files, each of which gets its name after it has been read back.
 * @throws FaultError whatever stopped it, or the reason of `drain`; what has no name is continued
 */
export async function copyGguf(
  copy: Copy,
  ports: CopyPorts,
  report: Report,
  drain: AbortSignal,
): Promise<CopyOutcome> {
  await checkPlaces(copy);
  const directory = await ports.openOutputs(copy.directory);
  try {
    return await new Copying(copy, directory, ports, report, drain).run();
  } finally {
    await directory.close();
  }
}

/** No output, nor its beginning, may be the file that it is made of. */
async function checkPlaces({ source, files, directory, inPlace }: Copy): Promise<void> {
  for (const { file } of files) {
    const path = `${directory}/${file}`;
    for (const place of inPlace ? [`${path}.part`] : [path, `${path}.part`]) {
      if ((await source.isAt?.(place)) === true) {
        throw new FaultError(rewriteFaults.ownSource, { file: place });
      }
    }
  }
}

class Copying {
  readonly #copy: Copy;
  readonly #directory: OutputDirectory;
  readonly #ports: CopyPorts;
  readonly #report: Report;
  readonly #drain: AbortSignal;
  readonly #progress: Progress;
  /** One a lane, for all files. */
  readonly #buffers: readonly Uint8Array[];
  #runsWritten = 0;

  constructor(
    copy: Copy,
    directory: OutputDirectory,
    ports: CopyPorts,
    report: Report,
    drain: AbortSignal,
  ) {
    this.#copy = copy;
    this.#directory = directory;
    this.#ports = ports;
    this.#report = report;
    this.#drain = drain;
    this.#progress = new Progress(ports.clock, report);
    const largest = copy.files.reduce((most, { runs }) => Math.max(most, sum(runs)), 0);
    const bytes = Math.min(COPY_BYTES_MAX, largest);
    this.#buffers = Array.from({ length: LANES }, () => new Uint8Array(bytes));
  }

  async run(): Promise<CopyOutcome> {
    const { files } = this.#copy;
    const outputs = files.map((file) => ({ ...file, id: this.#idOf(file) }));
    const replaced = await this.#examine(outputs);
    const sourceBytes = sum(outputs.flatMap(({ runs }) => runs));
    this.#progress.begin('copy', sourceBytes);
    // One after the other: parts may be many, and open files are few.
    for (const [index, output] of outputs.entries()) {
      const assembler = await this.#open(output, replaced[index] === true);
      await this.#copyRuns(assembler, output, [...output.runs.keys()]).finally(() =>
        assembler.close(),
      );
    }
    this.#progress.begin(
      'verify',
      outputs.reduce((bytes, { layout }) => bytes + layout.fileBytes, 0),
    );
    for (const output of outputs) await this.#finish(output);
    return { sourceBytes, runsWritten: this.#runsWritten };
  }

  /** Of the same header at another time, or of another source: `#copyRuns` tells them apart. */
  #idOf({ layout }: CopiedFile): Uint8Array {
    return digestFields(this.#ports.sha256, ['copy', layout.header, layout.fileBytes]);
  }

  /**
   * Refuses what is in the way and what the disk has no room for, before anything is written.
   * Returns of each output whether what is there has to go.
   */
  async #examine(outputs: readonly CopyOutput[]): Promise<boolean[]> {
    const found: Found[] = [];
    for (const output of outputs) {
      const { file, layout } = output;
      const there = await this.#directory.open(file, layout.fileBytes, { overwrite: false });
      try {
        found.push(await this.#found(output, there));
      } finally {
        await there.close();
      }
    }
    const needed = found.reduce((bytes, { bytesNeeded }) => bytes + bytesNeeded, 0);
    const free = await this.#directory.freeBytes();
    if (needed > 0 && needed + RESERVE_BYTES > free) {
      const why = `${needed} bytes are still to be written, ${free} are free`;
      throw new FaultError(outputFaults.notEnoughDisk, { why });
    }
    return found.map(({ hasToGo }) => hasToGo);
  }

  async #found({ file, layout, id, runs }: CopyOutput, there: OutputFile): Promise<Found> {
    const { overwrite, inPlace } = this.#copy;
    const { state, allocatedBytes } = there;
    const isPartial = state === 'partial';
    const hasJournal = isPartial || state === 'sealed';
    const journal = hasJournal ? await there.readJournal() : new Uint8Array(0);
    const isOurs = readRunJournal(this.#ports.sha256, journal, id, runs.length) !== undefined;
    // What is replaced in its place is a whole file, never the beginning of another run's.
    const mayGo = overwrite || (inPlace && !isPartial);
    if (!mayGo) checkFree(file, state, isOurs);
    if (!isOurs || (mayGo && !isPartial)) {
      return { hasToGo: true, bytesNeeded: layout.fileBytes };
    }
    const bytesNeeded = isPartial ? Math.max(0, layout.fileBytes - allocatedBytes) : 0;
    return { hasToGo: false, bytesNeeded };
  }

  #open(output: CopyOutput, overwrite: boolean): Promise<Assembler> {
    const { sha256 } = this.#ports;
    return Assembler.open(output, overwrite, { directory: this.#directory, sha256 });
  }

  /** Copies these runs, save for those that stand there already as they do in the source. */
  async #copyRuns(
    assembler: Assembler,
    output: CopyOutput,
    runs: readonly number[],
  ): Promise<void> {
    const queue = runs.values();
    const failures: unknown[] = [];
    const lane = async (buffer: Uint8Array): Promise<void> => {
      for (const index of queue) {
        if (failures.length > 0 || this.#drain.aborted) return;
        await this.#copyRun(assembler, output, index, buffer);
      }
    };
    // All of them end before the file is closed, also where one has failed.
    await Promise.all(
      this.#buffers.map((buffer) => lane(buffer).catch((error: unknown) => failures.push(error))),
    );
    if (failures.length > 0) throw failures[0];
    await assembler.commit();
    this.#drain.throwIfAborted();
  }

  async #copyRun(
    assembler: Assembler,
    { file: name, runs }: CopyOutput,
    index: number,
    buffer: Uint8Array,
  ): Promise<void> {
    const run = runs[index];
    if (run === undefined) throw new Error(`${name} has no run ${index}`);
    const bytes = buffer.subarray(0, run.bytes);
    await this.#copy.source.read(run.file, run.from, bytes);
    const digest = await this.#ports.kernels.sha256(bytes);
    const stored = assembler.storedDigest(index);
    const isThere = stored?.every((byte, at) => byte === digest[at]) === true;
    if (!isThere && assembler.isSealed) {
      const why = 'it was made of another SOURCE';
      throw new FaultError(outputFaults.otherPlan, { file: name, byte: run.offset, why });
    }
    if (!isThere) {
      await assembler.write(index, bytes, digest);
      this.#runsWritten++;
      if (assembler.bytesPending >= COMMIT_BYTES) await assembler.commit();
    }
    this.#progress.add(run.bytes);
  }

  /** Reads an output back, puts right what is wrong in it, and gives it its name. */
  async #finish(output: CopyOutput): Promise<void> {
    const assembler = await this.#open(output, false);
    try {
      for (let attempt = 1; ; attempt++) {
        const lost = await assembler.verify((bytes) => this.#progress.add(bytes), this.#drain);
        if (lost.length === 0) break;
        if (attempt === ATTEMPTS_MAX) {
          throw new FaultError(outputFaults.keepsFailing, { file: output.file });
        }
        await this.#copyRuns(assembler, output, lost);
      }
      await this.#copy.source.checkUnchanged();
      const sha256 = await assembler.seal();
      const path = `${this.#copy.directory}/${output.file}`;
      const { tensors, fileBytes: bytes } = output.layout;
      this.#report({ type: 'copied', path, sha256, tensors: tensors.length, bytes });
    } finally {
      await assembler.close();
    }
  }
}

/** What is to be done about a file that an output would be. */
interface Found {
  readonly hasToGo: boolean;
  readonly bytesNeeded: number;
}

interface CopyOutput extends CopiedFile, Pick<AssembledOutput, 'runs' | 'id'> {
  readonly runs: CopiedFile['runs'];
}

function checkFree(file: string, state: string, isOurs: boolean): void {
  if (state === 'foreign') throw new FaultError(outputFaults.foreignFile, { file });
  if (state !== 'new' && !isOurs) throw new FaultError(outputFaults.otherPlan, { file });
}

function sum(runs: readonly { readonly bytes: number }[]): number {
  return runs.reduce((total, { bytes }) => total + bytes, 0);
}
