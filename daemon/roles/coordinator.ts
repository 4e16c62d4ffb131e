/**
 * Coordinator: carries out one plan, by feeding the schedule events and doing what it says.
 *
 *   Plan ──▶ Schedule.step ──▶ leases ──▶ Worker ──▶ Assembler ──▶ events ──▶ Schedule.step …
 *
 * It holds no decision of its own: who runs what, and when an output is sealed, is schedule.ts.
 */

import { FaultError } from '../../proto/fault.ts';
import type { Plan } from '../core/plan/plan.ts';
import { Schedule, type ScheduleEffect, type ScheduleEvent } from '../core/schedule/schedule.ts';
import type { Assembler } from './assembler.ts';
import { outputFaults, runFaults } from './faults.ts';
import type { Progress } from './progress.ts';
import type { Worker } from './worker.ts';

export interface CoordinatorParts {
  readonly plan: Plan;
  readonly worker: Worker;
  /** One for each output of the plan, in its order. */
  readonly assemblers: readonly Assembler[];
  readonly progress: Progress;
  /** Called before an output is sealed: throws when the source is not what was planned with. */
  readonly checkSource: () => Promise<void>;
  readonly onSealed: (output: number, sha256: string) => void;
}

export interface Offer {
  readonly leasesMax: number;
  readonly memoryBytes: number;
}

// Written bytes that a crash may cost, over all outputs; where syncing takes longer than making
// these, what came meanwhile goes with the next sync.
const COMMIT_BYTES = 32 * 1024 * 1024;
// A run that is lost this often is not the fault of one crash.
const VERIFY_ATTEMPTS_MAX = 3;
const LOCAL_PEER = 'local';

export class Coordinator {
  readonly #parts: CoordinatorParts;
  readonly #schedule: Schedule;
  readonly #busy = new Set<Promise<void>>();
  readonly #verifyAttempts = new Map<number, number>();
  #leases = 0;
  #isCommitting = false;
  #isVerifying = false;
  readonly #stop = new AbortController();
  #failure: unknown;
  /** Units made in this run, whether or not an earlier one had made them. */
  unitsMade = 0;

  constructor(parts: CoordinatorParts) {
    this.#parts = parts;
    this.#schedule = new Schedule(parts.plan);
  }

  /**
   * Resolves when every output is sealed. `drain` ends the run early: what is under way is finished
   * and kept, and the fault `interrupted` thrown.
   */
  async run(offer: Offer, drain: AbortSignal): Promise<void> {
    const { plan, assemblers, progress } = this.#parts;
    const onDrain = (): void => this.#feed({ kind: 'drain' });
    drain.addEventListener('abort', onDrain, { once: true });
    try {
      for (const [output, assembler] of assemblers.entries()) {
        this.#feed({ kind: 'runs-stored', output, runs: assembler.storedRuns() });
      }
      progress.begin('quantize', this.#bytesToMake());
      this.#feed({ kind: 'peer-joined', peer: LOCAL_PEER, ...offer });
      if (drain.aborted) onDrain();
      while (this.#busy.size > 0) await Promise.race(this.#busy);
    } finally {
      drain.removeEventListener('abort', onDrain);
    }
    if (this.#failure !== undefined) throw this.#failure;
    if (assemblers.some((assembler) => !assembler.isSealed)) {
      throw new FaultError(runFaults.interrupted, { why: `${plan.outputs.length} outputs wanted` });
    }
  }

  /** Source bytes of the tasks of which a run is missing. */
  #bytesToMake(): number {
    const { plan, assemblers } = this.#parts;
    const stored = assemblers.map((assembler) => new Set(assembler.storedRuns()));
    const isMissing = ({ output, run }: { output: number; run: number }): boolean =>
      stored[output]?.has(run) !== true;
    return plan.tasks.reduce(
      (sum, { runs, group }) =>
        sum + (runs.some((run) => run.placements.some(isMissing)) ? group.sourceBytes : 0),
      0,
    );
  }

  #feed(event: ScheduleEvent): void {
    for (const effect of this.#schedule.step(event)) this.#perform(effect);
  }

  #perform(effect: ScheduleEffect): void {
    if (effect.kind === 'lease') this.#track(this.#runLease(effect.task, effect.runs));
    if (effect.kind === 'seal') this.#track(this.#seal(effect.output));
  }

  /** A failure stops the handing out; what is under way ends by itself, so that nothing is torn. */
  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => {
        this.#failure ??= error;
        this.#stop.abort(error);
        this.#feed({ kind: 'drain' });
      })
      .finally(() => this.#busy.delete(tracked));
    this.#busy.add(tracked);
  }

  async #runLease(index: number, wanted: readonly number[]): Promise<void> {
    const { plan, worker, assemblers, progress } = this.#parts;
    const task = plan.tasks[index];
    if (task === undefined) throw new Error(`the plan has no task ${index}`);
    this.#leases++;
    try {
      await worker.run(task, wanted, this.#stop.signal, async (made) => {
        const writes = made.flatMap(({ run, bytes, digest }) =>
          (task.runs[run]?.placements ?? []).flatMap((place) => {
            const assembler = assemblers[place.output];
            if (assembler === undefined || assembler.hasRun(place.run)) return [];
            return [assembler.write(place.run, bytes, digest)];
          }),
        );
        await Promise.all(writes);
      });
      this.unitsMade += wanted.length;
      progress.add(task.group.sourceBytes);
    } finally {
      this.#leases--;
      this.#feed({ kind: 'task-answered', peer: LOCAL_PEER, task: index });
    }
    await this.#commitWhereDue();
  }

  /**
   * Commits when enough has been written, or when nothing more is under way. One commit at a time:
   * a disk that is slow to sync gets fewer and larger ones, and no write waits for any.
   */
  async #commitWhereDue(): Promise<void> {
    while (!this.#isCommitting) {
      const pending = [...this.#parts.assemblers.entries()].filter(
        ([, assembler]) => assembler.bytesPending > 0,
      );
      const bytes = pending.reduce((sum, [, assembler]) => sum + assembler.bytesPending, 0);
      const isDue = this.#leases === 0 || bytes >= COMMIT_BYTES;
      if (pending.length === 0 || !isDue) return;
      this.#isCommitting = true;
      try {
        await Promise.all(
          pending.map(async ([output, assembler]) => {
            const runs = await assembler.commit();
            this.#feed({ kind: 'runs-stored', output, runs });
          }),
        );
      } finally {
        this.#isCommitting = false;
      }
    }
  }

  /** Outputs fill up together as a rule, so that one bar counts the reading back of them all. */
  #beginVerifying(): void {
    if (this.#isVerifying) return;
    this.#isVerifying = true;
    const { outputs } = this.#parts.plan;
    const bytes = outputs.reduce((sum, { layout }) => sum + layout.fileBytes, 0);
    this.#parts.progress.begin('verify', bytes);
  }

  async #seal(output: number): Promise<void> {
    const { assemblers, progress, checkSource, onSealed } = this.#parts;
    const assembler = assemblers[output];
    if (assembler === undefined) throw new Error(`the plan has no output ${output}`);
    await checkSource();
    this.#beginVerifying();
    const lost = await assembler.verify((bytes) => progress.add(bytes), this.#stop.signal);
    if (lost.length > 0) {
      const attempts = (this.#verifyAttempts.get(output) ?? 0) + 1;
      this.#verifyAttempts.set(output, attempts);
      if (attempts >= VERIFY_ATTEMPTS_MAX) {
        throw new FaultError(outputFaults.keepsFailing, { file: assembler.output.file });
      }
      this.#feed({ kind: 'runs-lost', output, runs: lost });
      return;
    }
    onSealed(output, await assembler.seal());
    this.#feed({ kind: 'sealed', output });
  }
}
