/**
 * Ports: what the roles need of the world, as interfaces. The adapters implement them; tests may
 * pass a simulated world instead.
 */

/** A directory (later: a repository) that is only read. */
export interface Source {
  /** Every regular file below the directory, by path relative to it. */
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

/** How the source stores an element; the values are part of the native border. */
export type ElementType = 'BF16' | 'F16' | 'F32';

export interface QuantizeJob {
  /** `rows` rows of `columns` elements, little endian, back to back. */
  readonly source: Uint8Array;
  readonly element: ElementType;
  readonly rows: number;
  readonly columns: number;
  /** One entry per type wanted of these rows; `into` has exactly the bytes the type needs. */
  readonly targets: readonly { readonly type: number; readonly into: Uint8Array }[];
}

export type QuantizeResult =
  /** SHA-256 of each target's bytes, in order. */
  | { readonly ok: true; readonly digests: readonly Uint8Array[] }
  /** The first row and column (within the job) that could not be stored, and in which target. */
  | {
      readonly ok: false;
      readonly reason: 'source-not-finite' | 'scale-overflow';
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
}

export interface Kernels {
  readonly info: KernelInfo;
  /** Runs on the addon's own threads; rejects only on a bug (wrong lengths, unknown type). */
  quantize(job: QuantizeJob): Promise<QuantizeResult>;
  /** SHA-256 on the addon's own threads. */
  sha256(bytes: Uint8Array): Promise<Uint8Array>;
  close(): void;
}

export interface Clock {
  /** Milliseconds that never jump; the zero is arbitrary. */
  now(): number;
}
