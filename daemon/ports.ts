/**
 * Ports: what the roles need of the world, as interfaces. The adapters implement them; tests may
 * pass a simulated world instead.
 */

import type { RunEvent, Status } from '../proto/api.ts';
import type { InspectReport } from '../proto/inspect.ts';
import type { RunRequest } from '../proto/requests.ts';

/** A directory (later: a repository) or the files of one GGUF, only read. */
export interface Source {
  /** The file that was named, relative to its directory; undefined where a directory was. */
  readonly named?: string;
  /** Every regular file below the directory, by path relative to it; of a GGUF its parts. */
  list(): Promise<readonly SourceEntry[]>;
  /** Fills `into` from `offset`; a file that ends early is a fault, never a short result. */
  read(file: string, offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void>;
  /** SHA-256 of the whole file, lower-case hex; remembered while size and mtime stand. */
  digest(file: string, signal?: AbortSignal): Promise<string>;
  /** Throws the fault `source-changed` when a file is not what `list` said. */
  checkUnchanged(): Promise<void>;
  close(): Promise<void>;
}

export interface SourceEntry {
  readonly file: string;
  readonly bytes: number;
}

/**
 * How the source stores its elements: the name of a block type of the GGUF format. The addon knows
 * F32, F16, BF16 and every quantized type that a GGUF may have.
 */
export type ElementType = string;

export interface QuantizeJob {
  /** `rows` rows of `columns` elements, each row in whole blocks of `element`, back to back. */
  readonly source: Uint8Array;
  readonly element: ElementType;
  readonly rows: number;
  readonly columns: number;
  /**
   * How much each column counts, the same for every row: `columns` finite numbers ≥ 0. Targets
   * whose type ignores importance are made as without it. At most 2^20 columns.
   */
  readonly importance?: Float32Array;
  /** One entry per type wanted of these rows; `into` has exactly the bytes the type needs. */
  readonly targets: readonly { readonly type: number; readonly into: Uint8Array }[];
}

export type QuantizeResult =
  /** SHA-256 of each target's bytes, in order. */
  | { readonly ok: true; readonly digests: readonly Uint8Array[] }
  /** The first row and column (within the job) that could not be stored, and in which target. */
  | {
      readonly ok: false;
      /** `no-grid-point`: a codebook type has no entry for numbers so large (above about 1e12). */
      readonly reason: 'source-not-finite' | 'scale-overflow' | 'no-grid-point';
      readonly row: number;
      readonly column: number;
      /** Index into `targets`; undefined where the source itself is at fault. */
      readonly target?: number;
    };

export interface KernelInfo {
  /** The instruction set in use: scalar, avx2, avx512 or neon. */
  readonly isa: string;
  /** Every one that was built and that this CPU runs. */
  readonly isas: readonly string[];
  readonly threads: number;
  /** Every type there is a kernel for: without importance (plain), making use of it (weighted). */
  readonly quantizers: readonly {
    readonly type: number;
    readonly plain: boolean;
    readonly weighted: boolean;
  }[];
}

export interface Kernels {
  readonly info: KernelInfo;
  /**
   * Runs on the addon's own threads; rejects only on a bug: wrong lengths, a type without a
   * kernel, importance missing where the type requires it.
   */
  quantize(job: QuantizeJob): Promise<QuantizeResult>;
  /** SHA-256 on the addon's own threads. */
  sha256(bytes: Uint8Array): Promise<Uint8Array>;
  /** SHA-256 of a whole file, read on the addon's own threads. */
  sha256File(path: string, signal?: AbortSignal): Promise<Uint8Array>;
  close(): void;
}

/** The directory an output grows in. One process holds it at a time. */
export interface OutputDirectory {
  freeBytes(): Promise<number>;
  /** Prepares `file` of `bytes` bytes; `overwrite` removes whatever has its name. */
  open(file: string, bytes: number, options: { overwrite: boolean }): Promise<OutputFile>;
  close(): Promise<void>;
}

/**
 * A file that grows under the name `<file>.part` and gets its own name when it is sealed. The
 * journal beside it survives crashes; what it says is the assembler's business.
 */
export interface OutputFile {
  /** `sealed`: it has its final name. `foreign`: a file of that name which no journal tells of. */
  readonly state: 'new' | 'partial' | 'sealed' | 'foreign';
  /** Bytes on disk that the file already occupies. */
  readonly allocatedBytes: number;
  readJournal(): Promise<Uint8Array>;
  /** Continues a partial file: drops what a crash tore off the journal after `journalBytes`. */
  resume(journalBytes: number): Promise<void>;
  /** Drops part and journal, and begins the journal with these bytes, durably. */
  restart(journal: Uint8Array): Promise<void>;
  write(offset: number, bytes: Uint8Array): Promise<void>;
  read(offset: number, into: Uint8Array): Promise<void>;
  /** Makes what was written durable, then appends to the journal, durably. */
  commit(journal: Uint8Array): Promise<void>;
  /** Gives the file its final name, durably. */
  seal(): Promise<void>;
  /** SHA-256 of the whole file, lower-case hex. */
  digest(): Promise<string>;
  close(): Promise<void>;
}

export interface Clock {
  /** Milliseconds that never jump; the zero is arbitrary. */
  now(): number;
}

/** What the local API offers to the commands; main.ts puts it together. */
export interface LocalService {
  status(): Status;
  inspect(path: string): Promise<InspectReport>;
  /** Begins a run. `ended` resolves when every output is sealed and rejects with what stopped it. */
  run(
    request: RunRequest,
    report: (event: RunEvent) => void,
  ): { readonly run: number; readonly ended: Promise<void> };
  /** Lets a run finish what is under way and stop; a run that has ended is left alone. */
  drain(run: number): void;
}
