/**
 * Early: quantizes while the files of the source are still being digested.
 *
 *   outputs, weights ──▶ plan under names that stand in for the digests ──▶ Coordinator ──▶ drafts
 *   digests ──▶ the plan ──▶ madeOf ──▶ MadeEarly: which of its runs lie in the drafts already
 *
 * A file goes through one core, and the others would wait for it. Nobody believes what is made until the
 * digests are known: the drafts have no journal, and the real ids are those of the plan. The bytes that
 * were read are those that were digested if the source has not changed, which is asked before and after
 * as it is of every run. Read next: ahead.ts, which does the same while layers are measured.
 */

import type { TensorImportance } from '../core/importance/importance.ts';
import type { ModelTensor } from '../core/models/family.ts';
import { type OutputRequest, type Plan, planRun } from '../core/plan/plan.ts';
import { hex, type Sha256, type UnitId } from '../core/plan/unit-id.ts';
import type { AheadRun } from '../core/schedule/ahead.ts';
import type { Clock, Kernels, OutputDirectory, Source } from '../ports.ts';
import { Coordinator } from './coordinator.ts';
import { DraftOutput, type OpenDrafts, openDrafts } from './draft-output.ts';
import type { Offer } from './offers.ts';
import type { PeerShare } from './pool.ts';
import { Progress } from './progress.ts';
import { placesIn, Worker } from './worker.ts';

export interface EarlyParts {
  readonly tensors: readonly ModelTensor[];
  readonly outputs: readonly OutputRequest[];
  readonly importance: ReadonlyMap<string, TensorImportance> | undefined;
  /** Every file that tensors lie in. */
  readonly files: readonly string[];
  readonly openDirectory: () => Promise<OutputDirectory>;
  readonly kernels: Kernels;
  readonly clock: Clock;
  readonly sha256: Sha256;
  readonly source: Pick<Source, 'read'>;
  readonly offer: Offer;
  /** Buffers of tasks, for the run that comes after. */
  readonly buffers: ArrayBuffer[];
  /** Whether anything may be made of it before the digests are known. */
  readonly canBeEarly: boolean;
}

/** What was made, by the plan that has the digests. */
export interface MadeEarly {
  /** By the name of the output in whose part they lie. */
  readonly runs: ReadonlyMap<string, readonly AheadRun[]>;
  readonly shares: readonly PeerShare[];
  readonly units: number;
}

// Digests that are known from a former run come sooner than this, and then there is nothing to gain.
const BEGIN_MS = 200;

/**
 * Waits for the digests, and quantizes meanwhile what belongs to outputs that are new.
 * @returns the digests, and what of a plan with them is made
 * @throws whatever the digests reject with; then nothing is left of what was made
 */
export async function quantizeMeanwhile(
  digests: Promise<ReadonlyMap<string, string>>,
  parts: EarlyParts,
): Promise<{
  fileDigests: ReadonlyMap<string, string>;
  madeOf: (plan: Plan) => MadeEarly;
}> {
  const stop = new AbortController();
  let work: Promise<Early | undefined> | undefined;
  const begin = (): void => {
    const early = new Early(parts);
    // Whatever it was, the run meets it again where it counts.
    work = early.make(stop.signal).then(
      () => early,
      () => early,
    );
  };
  const cancel = parts.canBeEarly ? parts.clock.after(BEGIN_MS, begin) : () => undefined;
  const end = async (): Promise<Early | undefined> => {
    cancel();
    stop.abort();
    return await work;
  };
  try {
    const fileDigests = await digests;
    const early = await end();
    await early?.close(true);
    return { fileDigests, madeOf: (plan) => early?.of(plan) ?? NOTHING };
  } catch (error) {
    const early = await end();
    await early?.close(false);
    throw error;
  }
}

// As a task of many outputs has them: what reads signatures expects no more in one.
const UNITS_MAX = 16;

/** Each unit once, with the digest of its bytes, as many as are signed together. */
export function* attestable({
  runs,
}: MadeEarly): Generator<readonly { readonly unit: UnitId; readonly digest: Uint8Array }[]> {
  const made = [...runs.values()].flat();
  const units = [...new Map(made.map(({ unit, digest }) => [unit, { unit, digest }])).values()];
  for (let at = 0; at < units.length; at += UNITS_MAX) yield units.slice(at, at + UNITS_MAX);
}

const NOTHING: MadeEarly = { runs: new Map(), shares: [], units: 0 };

class Early {
  readonly #parts: EarlyParts;
  readonly #drafts: OpenDrafts = new Map();
  #directory: OutputDirectory | undefined;
  #plan: Plan | undefined;
  #shares: readonly PeerShare[] = [];
  #units = 0;

  constructor(parts: EarlyParts) {
    this.#parts = parts;
  }

  async make(signal: AbortSignal): Promise<void> {
    const { tensors, outputs, files, importance, sha256, kernels, clock, source } = this.#parts;
    const { offer, buffers, openDirectory } = this.#parts;
    this.#directory = await openDirectory();
    await openDrafts(this.#directory, outputs, this.#drafts);
    if (this.#drafts.size === 0 || signal.aborted) return;
    const standIn = (file: string): string => hex(sha256(new TextEncoder().encode(file)));
    const plan = planRun({
      ...{ tensors, outputs, importance, sha256 },
      fileDigests: new Map(files.map((file) => [file, standIn(file)])),
      order: 'source',
    });
    this.#plan = plan;
    const coordinator = new Coordinator({
      ...{ plan, source, kernels, clock },
      worker: new Worker(kernels, placesIn(plan), buffers),
      assemblers: plan.outputs.map(
        (output) => new DraftOutput(output, this.#drafts.get(output.file)),
      ),
      // The bar is that of the digests, and whatever a user should know is said by the run.
      progress: new Progress(clock, () => undefined),
      onNotice: () => undefined,
      checkSource: async () => undefined,
      onSealed: () => undefined,
    });
    try {
      await coordinator.run(offer, signal);
    } finally {
      this.#units = coordinator.unitsMade;
      this.#shares = coordinator.shares();
    }
  }

  /** The same runs under the ids that they have in the plan of the digests. */
  of(plan: Plan): MadeEarly {
    const runs = plan.outputs.flatMap((output, index) => {
      const made = this.#drafts.get(output.file)?.made;
      if (made === undefined) return [];
      return [[output.file, renamed(made, this.#plan?.outputs[index], output)] as const];
    });
    return { runs: new Map(runs), shares: this.#shares, units: this.#units };
  }

  /** @param keeps what was made may be of use; else it is deleted */
  async close(keeps: boolean): Promise<void> {
    for (const { file } of this.#drafts.values()) {
      await (keeps ? file.close() : file.discard()).catch(() => undefined);
    }
    await this.#directory?.close().catch(() => undefined);
  }
}

interface Runs {
  readonly runs: readonly {
    readonly unit: UnitId;
    readonly offset: number;
    readonly bytes: number;
  }[];
}

/** Two plans of the same tensors and outputs differ in nothing but ids. */
function renamed(
  made: ReadonlyMap<number, AheadRun>,
  before: Runs | undefined,
  { runs }: Runs,
): AheadRun[] {
  return runs.flatMap(({ unit, offset, bytes }, index) => {
    const old = before?.runs[index];
    const run = made.get(offset);
    const isIt =
      run !== undefined && old?.offset === offset && old.unit === run.unit && run.bytes === bytes;
    return isIt ? [{ ...run, unit }] : [];
  });
}
