/**
 * Results: block runs on their way into the outputs, from this machine and from others.
 *
 *   MadeRun, or LeaseAnswer ──▶ OutputAssembler.place, of each output that wants it ──▶ onWritten
 *
 * What grows here is pulled and compared with its digest first; another machine pulls by itself, and
 * where it cannot reach the maker, what was pulled here is passed on.
 *
 * A task's results are written by one at a time, and what is written already is not written again:
 * who answers late changes nothing. Read next: coordinator.ts.
 */

import type { LeaseAnswer, PeerId } from '../../proto/peer-messages.ts';
import { type Attestation, attestedBytes } from '../core/plan/attestation.ts';
import type { BlockRun, Plan, Task } from '../core/plan/plan.ts';
import { hex } from '../core/plan/unit-id.ts';
import type { Kernels, Network } from '../ports.ts';
import { Credit } from './credit.ts';
import { faultOf } from './faults.ts';
import { LOCAL_PEER } from './offers.ts';
import type { MadeBlocks, OutputAssembler } from './output-assembler.ts';
import type { MadeRun } from './worker.ts';

/** The cluster's members, and the name of the run among them. */
export interface ResultsCluster {
  readonly network: Network;
  readonly run: string;
  /** Whether the signature is that peer's. */
  readonly isSigned: (peer: PeerId, message: Uint8Array, signature: Uint8Array) => boolean;
}

export interface ResultsParts {
  readonly plan: Plan;
  readonly kernels: Pick<Kernels, 'sha256'>;
  /** One for each output of the plan, in its order. */
  readonly assemblers: readonly OutputAssembler[];
  readonly cluster?: ResultsCluster;
  /** The runs of a task that somebody still has to make, by index in the task. */
  readonly wanted: (task: number) => readonly number[];
  /** What the peer made of the task goes into outputs now; throws where that must not be. */
  readonly onUsed?: (peer: PeerId, task: number) => void;
  /** The peer's lease of the task is over; these of its runs are written. */
  readonly onWritten: (peer: PeerId, task: number, runs: readonly number[]) => void;
  /** The peer cannot make the task, for this reason where it gave one. */
  readonly onDeclined: (peer: PeerId, task: number, why: string | undefined) => void;
  /** What a peer has signed of results that are written. */
  readonly onAttested?: (attestation: Attestation) => void;
  /** Ends every pull. */
  readonly signal: AbortSignal;
}

interface WantedRun {
  readonly run: number;
  readonly blocks: BlockRun;
  readonly digest: Uint8Array;
}

/** One of the outputs that want a run, and the run's index there. */
interface Place {
  readonly assembler: OutputAssembler;
  readonly at: number;
}

// Results that are pulled at a time, over all peers: each is held until it is written.
const TAKE_BYTES_MAX = 96 * 1024 * 1024;
// A peer whose bytes are this often not those of its digests is asked for nothing more.
const STRIKES_MAX = 3;

export class Results {
  readonly #parts: ResultsParts;
  /** Tasks whose results are being written: one writer at a time. */
  readonly #taking = new Set<number>();
  /** Ends what is being pulled from a peer when it goes away. */
  readonly #pulls = new Map<PeerId, AbortController>();
  readonly #strikes = new Map<PeerId, number>();
  readonly #credit = new Credit(TAKE_BYTES_MAX);

  constructor(parts: ResultsParts) {
    this.#parts = parts;
  }

  /** Writes those of the runs that nobody else has written or is writing; returns which. */
  async write(index: number, made: readonly MadeRun[]): Promise<readonly number[]> {
    if (this.#taking.has(index)) return [];
    const wanted = new Set(this.#parts.wanted(index));
    const news = made.filter(({ run }) => wanted.has(run));
    if (news.length > 0) this.#parts.onUsed?.(LOCAL_PEER, index);
    this.#taking.add(index);
    try {
      await Promise.all(
        news.map(({ run, bytes, digest, sum }) => {
          const made = { digest, sum, from: LOCAL_PEER, content: bytes };
          // One of its own: many listeners of the run's would look like a leak.
          const signal = AbortSignal.any([this.#parts.signal]);
          return this.#place(index, run, made, this.#assemblersOf(index, run), signal);
        }),
      );
    } finally {
      this.#taking.delete(index);
    }
    const runs = news.map(({ run }) => run);
    return this.#held(index, runs);
  }

  /**
   * Takes what a peer says it has made, as far as it is wanted.
   * @throws FaultError where the source is at fault, as the peer has found
   */
  async take(from: PeerId, answer: LeaseAnswer): Promise<void> {
    const { plan, wanted, onWritten, onDeclined, onAttested, cluster } = this.#parts;
    const task = plan.tasks[answer.task];
    // While another's results are being written, nothing is said: the peer will say it again.
    if (task === undefined || this.#taking.has(answer.task)) return;
    if (answer.fault !== undefined) throw faultOf(answer.fault);
    if (answer.declined !== undefined) {
      onDeclined(from, answer.task, answer.declined);
      return;
    }
    const { made, signature } = answer;
    if (made.length > 0 && !cluster?.isSigned(from, attestedBytes(made), signature)) {
      onDeclined(from, answer.task, 'it did not sign what it made');
      return;
    }
    const digests = new Map(made.map(({ unit, digest }) => [unit, digest]));
    const runs = wanted(answer.task).flatMap((run) => {
      const blocks = task.runs[run];
      const digest = digests.get(blocks?.unit ?? '');
      return blocks === undefined || digest === undefined ? [] : [{ run, blocks, digest }];
    });
    if (runs.length === 0) {
      onWritten(from, answer.task, []);
      return;
    }
    const written = await this.#pullAll(from, answer.task, runs);
    if (written) onAttested?.({ peer: from, made, signature });
  }

  /** The peer has gone away: what was being pulled from it is not waited for. */
  left(peer: PeerId): void {
    this.#pulls.get(peer)?.abort();
    this.#pulls.delete(peer);
  }

  /** Whether something was written. */
  async #pullAll(from: PeerId, index: number, runs: readonly WantedRun[]): Promise<boolean> {
    const { onWritten, onDeclined } = this.#parts;
    this.#parts.onUsed?.(from, index);
    this.#taking.add(index);
    try {
      // First those that need nothing of this machine's memory.
      const elsewhere = this.#sendAll(from, index, runs);
      const here = await this.#takeHere(from, index, runs);
      const sent = await elsewhere;
      const written = runs.filter(({ run }) => here.has(run) && sent.has(run));
      // What is missing will be announced again, or made by another.
      if (written.length === runs.length) {
        const held = this.#held(
          index,
          written.map(({ run }) => run),
        );
        onWritten(from, index, held);
      } else if ((this.#strikes.get(from) ?? 0) >= STRIKES_MAX) onDeclined(from, index, undefined);
      return written.length > 0;
    } finally {
      this.#taking.delete(index);
    }
  }

  /** Pulls what some output of this machine wants, one after the other; returns what it has. */
  async #takeHere(
    from: PeerId,
    index: number,
    runs: readonly WantedRun[],
  ): Promise<ReadonlySet<number>> {
    const placesOf = (run: number): Place[] =>
      this.#assemblersOf(index, run).filter(({ assembler }) => assembler.isLocal);
    const wanted = runs.filter(({ run }) => placesOf(run).length > 0);
    const taken = new Set(runs.filter((run) => !wanted.includes(run)).map(({ run }) => run));
    if (wanted.length === 0) return taken;
    const bytes = Math.max(...wanted.map(({ blocks }) => blocks.bytes));
    const giveBack = await this.#credit.take(bytes);
    try {
      const buffer = new Uint8Array(bytes);
      for (const each of wanted) {
        const { run, digest, blocks } = each;
        const content = buffer.subarray(0, blocks.bytes);
        if (!(await this.#pull(from, each, content))) break;
        const made = { digest, from, content };
        await this.#place(index, run, made, placesOf(run), this.#parts.signal);
        taken.add(run);
      }
    } finally {
      giveBack();
    }
    return taken;
  }

  /** Has other machines take what grows there; returns what they have. */
  async #sendAll(
    from: PeerId,
    index: number,
    runs: readonly WantedRun[],
  ): Promise<ReadonlySet<number>> {
    const sent = await Promise.all(
      runs.map(async (each) => ((await this.#send(from, index, each)) ? [each.run] : [])),
    );
    return new Set(sent.flat());
  }

  async #send(from: PeerId, index: number, each: WantedRun): Promise<boolean> {
    const placesOf = (): Place[] =>
      this.#assemblersOf(index, each.run).filter(({ assembler }) => !assembler.isLocal);
    if (placesOf().length === 0) return true;
    const { run, digest, blocks } = each;
    const signal = AbortSignal.any([this.#pullsOf(from).signal, this.#parts.signal]);
    try {
      const direct = { digest, from, content: undefined };
      if (await this.#place(index, run, direct, placesOf(), signal)) return true;
      // They cannot reach its maker, or it gave them other bytes: seen to here.
      const giveBack = await this.#credit.take(blocks.bytes);
      try {
        const content = new Uint8Array(blocks.bytes);
        if (!(await this.#pull(from, each, content))) return false;
        return await this.#place(index, run, { digest, from, content }, placesOf(), signal);
      } finally {
        giveBack();
      }
    } catch {
      // The maker has gone, or the run is over.
      return false;
    }
  }

  #pullsOf(from: PeerId): AbortController {
    const pulls = this.#pulls.get(from) ?? new AbortController();
    this.#pulls.set(from, pulls);
    return pulls;
  }

  /** False where the peer went away or its bytes are not those of its digest. */
  async #pull(from: PeerId, { blocks, digest }: WantedRun, into: Uint8Array): Promise<boolean> {
    const { cluster, kernels } = this.#parts;
    if (cluster === undefined) return false;
    const { network, run } = cluster;
    const { unit, bytes } = blocks;
    try {
      const signal = AbortSignal.any([this.#pullsOf(from).signal, this.#parts.signal]);
      await network.pull([from], { kind: 'block-run', run, unit, bytes }, into, { signal });
    } catch {
      return false;
    }
    if (hex(await kernels.sha256(into)) === hex(digest)) return true;
    this.#strikes.set(from, (this.#strikes.get(from) ?? 0) + 1);
    return false;
  }

  /** The outputs that want a run of a task and have it not yet durably. */
  #assemblersOf(index: number, run: number): Place[] {
    return (this.#task(index).runs[run]?.placements ?? []).flatMap((place) => {
      const assembler = this.#parts.assemblers[place.output];
      return assembler === undefined || assembler.hasRun(place.run)
        ? []
        : [{ assembler, at: place.run }];
    });
  }

  /** @returns whether all of them hold it */
  async #place(
    index: number,
    run: number,
    made: Omit<MadeBlocks, 'unit'>,
    places: readonly Place[],
    signal: AbortSignal,
  ): Promise<boolean> {
    const unit = this.#task(index).runs[run]?.unit ?? '';
    const held = await Promise.all(
      places.map(({ assembler, at }) => assembler.place(at, { ...made, unit }, signal)),
    );
    return held.every((isHeld) => isHeld);
  }

  /**
   * Of these runs of a task those that every output has which wants them: while they were written
   * to one, reading back may have found that another has lost them.
   */
  #held(index: number, runs: readonly number[]): number[] {
    const { assemblers } = this.#parts;
    return runs.filter((at) =>
      (this.#task(index).runs[at]?.placements ?? []).every(
        ({ output, run }) => assemblers[output]?.holds(run) === true,
      ),
    );
  }

  #task(index: number): Task {
    const task = this.#parts.plan.tasks[index];
    if (task === undefined) throw new Error(`the plan has no task ${index}`);
    return task;
  }
}
