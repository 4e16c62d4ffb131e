/**
 * Draft output: what is made ahead of one output, at its place in the part of a file that nobody
 * believes yet.
 *
 *   block runs ──▶ <file>.part without a journal ──▶ made ──▶ assembler.ts, where the plan wants them
 *
 * No run is written twice for it: the output begins with those whose unit it asks for.
 */

import type { PlannedOutput } from '../core/plan/plan.ts';
import type { AheadRun } from '../core/schedule/ahead.ts';
import type { OutputFile } from '../ports.ts';
import type { MadeBlocks, OutputAssembler } from './output-assembler.ts';

/** The part of one output, over several plans of parts of it. */
export interface Draft {
  readonly file: Pick<OutputFile, 'write' | 'sync'>;
  /** What is durable there, by its place. */
  readonly made: Map<number, AheadRun>;
}

export class DraftOutput implements OutputAssembler {
  readonly isLocal = true;
  readonly peer = undefined;
  readonly output: PlannedOutput;
  isSealed = false;
  bytesPending = 0;
  readonly #draft: Draft | undefined;
  readonly #stored: Set<number>;
  /** Runs that are written and not yet durable. */
  readonly #pending = new Map<number, AheadRun>();

  /** @param draft undefined of an output of which nothing can be made ahead */
  constructor(output: PlannedOutput, draft: Draft | undefined) {
    this.output = output;
    this.#draft = draft;
    const has = ({ offset, unit }: { offset: number; unit: string }): boolean =>
      draft === undefined || draft.made.get(offset)?.unit === unit;
    this.#stored = new Set(output.runs.flatMap((run, index) => (has(run) ? [index] : [])));
  }

  hasRun(run: number): boolean {
    return this.#stored.has(run);
  }

  holds(run: number): boolean {
    return this.#stored.has(run) || this.#pending.has(run);
  }

  storedRuns(): number[] {
    return [...this.#stored];
  }

  forget(runs: readonly number[]): void {
    for (const run of runs) this.#stored.delete(run);
  }

  async place(run: number, { content, digest, sum }: MadeBlocks): Promise<boolean> {
    const planned = this.output.runs[run];
    if (content === undefined || planned === undefined || this.#draft === undefined) return false;
    const { unit, offset, bytes } = planned;
    // Of weights that have changed since: those bytes are about to be others.
    this.#draft.made.delete(offset);
    await this.#draft.file.write(offset, content);
    const kept = { digest: digest.slice(), ...(sum === undefined ? {} : { sum: sum.slice() }) };
    this.#pending.set(run, { unit, offset, bytes, ...kept });
    this.bytesPending += bytes;
    return true;
  }

  async commit(): Promise<number[]> {
    const written = [...this.#pending];
    this.bytesPending = 0;
    if (written.length > 0) await this.#draft?.file.sync();
    for (const [run, made] of written) {
      this.#draft?.made.set(made.offset, made);
      this.#stored.add(run);
      this.#pending.delete(run);
    }
    return written.map(([run]) => run);
  }

  /** It is read back when it is an output. */
  async verify(): Promise<number[]> {
    return [];
  }

  async seal(): Promise<string> {
    this.isSealed = true;
    return '';
  }
}
