/**
 * Source proof: a plan whose machines fetch their parts of a repository by themselves is carried out
 * on what the repository says.
 *
 *   tasks, and the leaves of what they were made from ──▶ FileChains ──▶ closed, or a fault
 *
 * Nothing is sealed before the last state of each file is its digest. Where the same run has measured
 * before, its chains are closed already, and what is used now has to be what they went through.
 *
 * Read next: file-chains.ts, open-proof.ts.
 */

import type { PeerId, SourceOrigin } from '../../proto/peer-messages.ts';
import { type FilePiece, pieceKey, taskPieces } from '../core/plan/file-segments.ts';
import type { Plan } from '../core/plan/plan.ts';
import type { Source } from '../ports.ts';
import { FileChains, type FileChainsParts } from './file-chains.ts';
import { LOCAL_PEER } from './offers.ts';
import { leafSizes } from './origin-pieces.ts';
import type { OutputAssembler } from './output-assembler.ts';
import { keepRight, tasksOfRuns } from './stored-runs.ts';

export interface SourceProofParts extends Omit<FileChainsParts, 'fileDigests'> {
  readonly plan: Plan;
}

export class SourceProof implements Pick<Source, 'read'> {
  readonly #plan: Plan;
  readonly #chains: FileChains;
  /** Whether what is stored already was made of what had been proven before. */
  readonly #isProven: boolean;
  readonly #tasks: readonly (readonly number[])[];
  readonly #pieceOf = new Map<string, FilePiece>();
  /** What peers say to have used, until it is used here: by peer and piece. */
  readonly #claims = new Map<string, readonly Uint8Array[]>();

  /** @param chains those of the plan's files that stand already */
  constructor(plan: Plan, chains: FileChains) {
    this.#plan = plan;
    this.#chains = chains;
    this.#isProven = chains.isClosed;
    this.#tasks = tasksOfRuns(plan);
    for (const index of plan.tasks.keys()) {
      for (const piece of taskPieces(plan, index)) {
        this.#pieceOf.set(placeOf(piece.file, piece), piece);
      }
    }
  }

  static begin({ plan, ...parts }: SourceProofParts): SourceProof {
    return new SourceProof(plan, new FileChains({ ...parts, fileDigests: plan.fileDigests }));
  }

  get origin(): SourceOrigin {
    return this.#chains.origin;
  }

  /** See FileChains. */
  get isWorthless(): boolean {
    return this.#chains.isWorthless;
  }

  /** Begins to pass the digests along; `fail` hears of a file that cannot be right. */
  start(fail: (error: unknown) => void): void {
    this.#chains.start(fail);
  }

  /** Resolves when every file is what the repository says. */
  closed(): Promise<void> {
    return this.#chains.closed();
  }

  /** Nothing more is waited for. */
  stop(reason: unknown): void {
    this.#chains.stop(reason);
  }

  /** What is kept for the run goes; of a run that is to go on, what is wrong. */
  end(isSealed: boolean): Promise<void> {
    return this.#chains.end(isSealed);
  }

  /** A piece of this machine's own share. */
  async read(file: string, offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void> {
    const piece = this.#pieceOf.get(placeOf(file, { offset, bytes: into.length }));
    if (piece === undefined) throw new Error(`the plan reads no such piece of ${file}`);
    const leaves = await this.#chains.provide(piece, into, signal);
    this.#claims.set(claimKey(LOCAL_PEER, piece), leaves);
  }

  /** Bytes of the source for whoever cannot fetch them; what is fetched for it is not kept. */
  relay(file: string, offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void> {
    return this.#chains.relay(file, offset, into, signal);
  }

  /** The leaves of a piece that this machine keeps for whoever needs it; undefined of others. */
  kept(piece: FilePiece): Promise<readonly Uint8Array[] | undefined> {
    return this.#chains.kept(piece);
  }

  /**
   * A peer says that it made a task from pieces with these leaves.
   * @returns whether there is a leaf for each MiB of them
   */
  claim(peer: PeerId, task: number, leaves: readonly Uint8Array[]): boolean {
    const pieces = taskPieces(this.#plan, task);
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
    for (const piece of taskPieces(this.#plan, task)) {
      const leaves = this.#claims.get(claimKey(peer, piece));
      if (leaves === undefined) throw this.#chains.open(piece.file, 'nobody says what was used');
      this.#chains.note(peer, piece, leaves);
    }
  }

  /** Those of an output's runs of which it is known from which bytes they were made. */
  vouched(assembler: OutputAssembler, output: number, runs: readonly number[]): readonly number[] {
    return keepRight(assembler, runs, (run) => {
      const task = this.#tasks[output]?.[run];
      return task !== undefined && (this.#isProven || this.#isVouched(task));
    });
  }

  #isVouched(task: number): boolean {
    const { records } = this.#chains;
    return taskPieces(this.#plan, task).every((piece) => records.get(piece) !== undefined);
  }
}

function placeOf(file: string, { offset, bytes }: Pick<FilePiece, 'offset' | 'bytes'>): string {
  return `${offset}/${bytes}/${file}`;
}

function claimKey(peer: PeerId, piece: FilePiece): string {
  return `${peer}/${pieceKey(piece)}`;
}
