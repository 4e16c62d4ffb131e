/**
 * Draft output: what is made ahead of one output, at its place in the part of a file that nobody
 * believes yet.
 *
 *   block runs ──▶ <file>.part without a journal ──▶ made ──▶ assembler.ts, where the plan wants them
 *
 * No run is written twice for it: the output begins with those whose unit it asks for.
 */

import { RESERVE_BYTES } from '../core/estimate/fit.ts';
import type { OutputRequest, PlannedOutput } from '../core/plan/plan.ts';
import type { AheadRun } from '../core/schedule/ahead.ts';
import type { OutputDirectory, OutputFile } from '../ports.ts';
import type { MadeBlocks, OutputAssembler } from './output-assembler.ts';

/** The part of one output, over several plans of parts of it. */
export interface Draft {
  readonly file: Pick<OutputFile, 'write' | 'sync'>;
  /** What is durable there, by its place. */
  readonly made: Map<number, AheadRun>;
}

/** By the name of the output, with what closes or discards its file. */
export type OpenDrafts = Map<string, Draft & { readonly file: OutputFile }>;

/** Adds to `drafts` those of the outputs that are new, if all of them together have room. */
export async function openDrafts(
  directory: OutputDirectory,
  outputs: readonly OutputRequest[],
  drafts: OpenDrafts,
): Promise<void> {
  const bytes = outputs.reduce((sum, { layout }) => sum + layout.fileBytes, 0);
  if (bytes + RESERVE_BYTES > (await directory.freeBytes())) return;
  for (const { file: name, layout } of outputs) {
    const file = await directory.open(name, layout.fileBytes, { overwrite: false });
    // What an earlier run has begun or made is looked at when its plan is known.
    if (file.state === 'new') {
      await file.draft();
      drafts.set(name, { file, made: new Map() });
    } else await file.close();
  }
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
