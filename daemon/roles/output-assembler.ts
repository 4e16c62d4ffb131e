/**
 * Output assembler: what the coordinator of a run sees of an output that grows, wherever it does.
 *
 *   block runs ──▶ place ──▶ stored ──▶ verify ──▶ seal ──▶ SHA-256
 *
 * On this machine's disk it is assembler.ts, on another's remote-assembler.ts.
 */

import type { PeerId } from '../../proto/peer-messages.ts';
import type { GgufLayout } from '../core/gguf/layout.ts';

/** Bytes of a file, from its start. */
export interface FilePlace {
  readonly offset: number;
  readonly bytes: number;
}

/** An output, as far as putting it together goes. */
export interface AssembledOutput {
  readonly file: string;
  readonly layout: Pick<GgufLayout, 'header' | 'fileBytes'>;
  /** In ascending order of their place. */
  readonly runs: readonly FilePlace[];
  /** Equal ids have equal headers and runs at equal places. */
  readonly id: Uint8Array;
}

/** A block run on its way into an output. */
export interface MadeBlocks {
  readonly unit: string;
  /** SHA-256 of its bytes. */
  readonly digest: Uint8Array;
  /** The machine that has the bytes, until it is told that they are kept. */
  readonly from: PeerId;
  /** The bytes, where they are in this machine's memory; they stay there until `place` settles. */
  readonly content: Uint8Array | undefined;
  /** Their checksum, of bytes that were made here. */
  readonly sum?: Uint8Array | undefined;
}

/** What happens to an output without being asked for. */
export interface AssemblyEvents {
  readonly stored: (runs: readonly number[]) => void;
  /** Runs that were held are no more: the machine has died before they were durable. */
  readonly lost: (runs: readonly number[]) => void;
  /** It cannot go on. */
  readonly failed: (error: unknown) => void;
}

export interface OutputAssembler {
  readonly output: AssembledOutput;
  /** Whether it grows here: then the bytes of a run have to be here before they are placed. */
  readonly isLocal: boolean;
  /** The machine on which it grows, where that is another. */
  readonly peer: PeerId | undefined;
  readonly isSealed: boolean;
  /** Bytes written that wait for a `commit`; 0 where somebody else sees to it. */
  readonly bytesPending: number;
  /** Whether the run is durable. */
  hasRun(run: number): boolean;
  /** Whether it is, or will be with the next commit. */
  holds(run: number): boolean;
  /** Indexes of the runs that are durable. */
  storedRuns(): number[];
  /** These runs are to be made again; what is there of them does not count until then. */
  forget(runs: readonly number[]): void;
  /** Begins to tell what happens. */
  follow?(events: AssemblyEvents): void;
  /** @returns whether the run is held now; false where its bytes could not be had */
  place(run: number, made: MadeBlocks, signal: AbortSignal): Promise<boolean>;
  /** Makes what was written durable; returns those runs. */
  commit(): Promise<number[]>;
  /**
   * Reads back what is durable without a gap from where it read last, so that less is left for
   * `verify`, whose answer it changes in nothing.
   */
  readAhead?(signal: AbortSignal): Promise<void>;
  /**
   * Reads the whole file back. Returns the runs whose bytes are not those of their digest.
   * @param onBytes told how many bytes more have been read
   */
  verify(onBytes: (bytes: number) => void, signal: AbortSignal): Promise<number[]>;
  /** Gives the file its name; returns its SHA-256. */
  seal(): Promise<string>;
  /** Nothing more is waited for: whoever is away now ends the run. */
  drain?(): void;
}
