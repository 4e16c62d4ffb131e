/**
 * Measure costs: what quantizing, hashing and products take on this machine, in a moment.
 *
 *   Kernels, what a plan makes of what ──▶ small jobs, each timed ──▶ QuantizeCosts
 *
 * Only a plan asks for it. As in measure-speed.ts the least time counts, and of a machine that is
 * busy with other work the time that its processors gave: what a run takes on it when it is not.
 */

import type { QuantizeCosts } from '../core/estimate/request.ts';
import { type BlockTypeName, blockTypes, rowBytes } from '../core/gguf/block-types.ts';
import { isMadeWithImportance, type Plan } from '../core/plan/plan.ts';
import { sourceType } from '../core/plan/row-groups.ts';
import type { Clock, Kernels, QuantizeJob } from '../ports.ts';
import { madeSource } from './measure-speed.ts';

const ROWS = 64;
const COLUMNS = 1024;
const ELEMENTS: number = ROWS * COLUMNS;
// Once for what is made at the first call, then until a job was left alone by the machine's others.
const TURNS_MIN = 2;
const TURNS_MAX = 32;
// Slow types and busy machines take longer, and are given up on here: there may be many types.
const TURNS_MS = 80;
// What offers are told in: see Hello.bytesPerSecond.
const OFFER_BYTES = 2;
const OFFER_TYPE: BlockTypeName = 'Q4_K';

export interface BusyClock extends Pick<Clock, 'now'> {
  /** Seconds that all processors together have given to this process. */
  readonly cpuSeconds: () => number;
}

/**
 * Milliseconds of some work on `threads` threads: on the clock, or where that is less the time that
 * each would have needed by itself.
 */
export async function timed(
  { now, cpuSeconds }: BusyClock,
  threads: number,
  work: () => Promise<unknown>,
): Promise<number> {
  const startMs = now();
  const startSeconds = cpuSeconds();
  await work();
  const cpuMs = ((cpuSeconds() - startSeconds) * 1000) / threads;
  return Math.max(Math.min(now() - startMs, cpuMs), 1e-3);
}

/** One way of making blocks, of numbers of a type. */
interface Making {
  readonly element: BlockTypeName;
  readonly type: BlockTypeName;
  readonly isWeighted: boolean;
}

const keyOf = ({ element, type, isWeighted }: Making): string => `${element} ${type} ${isWeighted}`;

/** Takes some milliseconds for each way in which the plan makes blocks. */
export async function measureCosts(
  plan: Plan,
  kernels: Kernels,
  clock: BusyClock,
): Promise<QuantizeCosts> {
  const timer = new Timer(kernels, clock);
  const reference = { element: 'BF16', type: OFFER_TYPE, isWeighted: false } as const;
  const speed = OFFER_BYTES / (await timer.secondsOf(reference));
  const reading = new Map<BlockTypeName, number>();
  const making = new Map<string, number>();
  for (const [key, way] of waysOf(plan)) {
    const { element } = way;
    const read =
      reading.get(element) ?? (await timer.secondsOf({ element, type: 'F32', isWeighted: false }));
    reading.set(element, read);
    making.set(key, Math.max(0, (await timer.secondsOf(way)) - read));
  }
  return {
    speed,
    reading: (element) => reading.get(element) ?? 0,
    making: (element, type, isWeighted) => making.get(keyOf({ element, type, isWeighted })) ?? 0,
  };
}

function waysOf({ tasks }: Plan): Map<string, Making> {
  const ways = new Map<string, Making>();
  for (const { tensor, runs, importance } of tasks) {
    const element = sourceType(tensor);
    for (const { type } of runs) {
      const isWeighted = importance !== undefined && isMadeWithImportance(type, element);
      const way = { element, type, isWeighted };
      ways.set(keyOf(way), way);
    }
  }
  return ways;
}

class Timer {
  readonly #kernels: Kernels;
  readonly #clock: BusyClock;
  readonly #sources = new Map<BlockTypeName, Uint8Array>();

  constructor(kernels: Kernels, clock: BusyClock) {
    this.#kernels = kernels;
    this.#clock = clock;
  }

  /** Seconds an element, with all threads at work. */
  async secondsOf({ element, type, isWeighted }: Making): Promise<number> {
    const able = this.#kernels.info.quantizers.find((each) => each.type === blockTypes[type].id);
    // What is copied, or was told to be missing before: no time to speak of.
    if (element === type || able === undefined) return 0;
    const weights = isWeighted || !able.plain ? new Float32Array(COLUMNS).fill(1) : undefined;
    const source = await this.#sourceOf(element);
    const { threads } = this.#kernels.info;
    const startMs = this.#clock.now();
    let leastMs = Number.POSITIVE_INFINITY;
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      if (turn >= TURNS_MIN && this.#clock.now() - startMs > TURNS_MS) break;
      const jobs = Array.from({ length: threads }, () => jobOf(source, element, type, weights));
      const turnMs = await timed(this.#clock, threads, () =>
        Promise.all(jobs.map((job) => this.#kernels.quantize(job))),
      );
      leastMs = Math.min(leastMs, turnMs);
    }
    return leastMs / 1000 / (ELEMENTS * threads);
  }

  /** Numbers that weights could be, in the type's own form where there is a kernel that makes it. */
  async #sourceOf(element: BlockTypeName): Promise<Uint8Array> {
    const known = this.#sources.get(element);
    if (known !== undefined) return known;
    const job = jobOf(madeSource(ELEMENTS), 'BF16', element, new Float32Array(COLUMNS).fill(1));
    const { id } = blockTypes[element];
    const isMakeable = this.#kernels.info.quantizers.some(({ type }) => type === id);
    if (element === 'BF16') this.#sources.set(element, job.source);
    else {
      if (isMakeable) await this.#kernels.quantize(job);
      this.#sources.set(element, job.targets[0]?.into ?? job.source);
    }
    return this.#sourceOf(element);
  }
}

function jobOf(
  source: Uint8Array,
  element: BlockTypeName,
  type: BlockTypeName,
  importance: Float32Array | undefined,
): QuantizeJob {
  const into = new Uint8Array(ROWS * rowBytes(type, COLUMNS));
  return {
    ...{ source, element, rows: ROWS, columns: COLUMNS },
    targets: [{ type: blockTypes[type].id, into }],
    ...(importance === undefined ? {} : { importance }),
  };
}

const HASHED_BYTES: number = 2 * 1024 * 1024;
const HASHES = 3;

/** Bytes a second that one thread hashes. */
export async function measureHashing(kernels: Kernels, clock: BusyClock): Promise<number> {
  const bytes = new Uint8Array(HASHED_BYTES);
  let leastMs = Number.POSITIVE_INFINITY;
  for (let turn = 0; turn < HASHES; turn++) {
    leastMs = Math.min(leastMs, await timed(clock, 1, () => kernels.sha256(bytes)));
  }
  return (HASHED_BYTES * 1000) / leastMs;
}
