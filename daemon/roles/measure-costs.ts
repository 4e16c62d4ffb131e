/**
 * Measure costs: what quantizing, hashing and products take on this machine, in a moment.
 *
 *   Kernels, what a plan makes of what ──▶ small jobs, each timed ──▶ QuantizeCosts
 *
 * Only a plan asks for it. As in measure-speed.ts the least time counts, and of a machine that is
 * busy with other work the time that its processors gave: what a run takes on it when it is not.
 */

import { type Making, makingsOf, type QuantizeCosts } from '../core/estimate/request.ts';
import { type BlockTypeName, blockTypes, rowBytes } from '../core/gguf/block-types.ts';
import type { Plan } from '../core/plan/plan.ts';
import type { Clock, KernelInfo, Kernels, QuantizeJob } from '../ports.ts';
import { madeSource } from './measure-speed.ts';

const ROWS = 64;
const COLUMNS = 1024;
const ELEMENTS: number = ROWS * COLUMNS;
// Once for what is made at the first call, then until a job was left alone by the machine's others.
const TURNS_MIN = 3;
const TURNS_MAX = 32;
// Slow types and busy machines take longer, and are given up on here: there may be many types.
const TURNS_MS = 80;
// What offers are told in: see Hello.bytesPerSecond.
const OFFER_BYTES = 2;
const OFFER_TYPE: BlockTypeName = 'Q4_K';

export interface BusyClock extends Pick<Clock, 'now'> {
  /** Seconds that all processors together have given to those who do the work. */
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

const keyOf = ({ element, type, isWeighted }: Making): string => `${element} ${type} ${isWeighted}`;

/** Takes some milliseconds for each way in which the plan makes blocks. */
export async function measureCosts(
  plan: Plan,
  kernels: Kernels,
  clock: BusyClock,
): Promise<QuantizeCosts> {
  const timer = new Timer(kernels, clock);
  const speed = OFFER_BYTES / (await timer.secondsOf('BF16', [OFFER_TYPE], false));
  const reading = new Map<BlockTypeName, number>();
  const making = new Map<string, number>();
  for (const [key, way] of waysOf(plan)) {
    const { element, type, isWeighted } = way;
    const read = reading.get(element) ?? (await readingSeconds(timer, element));
    reading.set(element, read);
    const seconds = await timer.secondsOf(element, [type], isWeighted);
    making.set(key, Math.max(0, seconds - read));
  }
  return {
    speed,
    reading: (element) => reading.get(element) ?? 0,
    making: (way) => making.get(keyOf(way)) ?? 0,
  };
}

// Two types that take little themselves.
const LIGHT_TYPES = ['Q8_0', 'Q4_0'] as const;

/** What is done once where two types are made of the same numbers. */
async function readingSeconds(timer: Timer, element: BlockTypeName): Promise<number> {
  const [one, other] = LIGHT_TYPES;
  const first = await timer.secondsOf(element, [one], false);
  const second = await timer.secondsOf(element, [other], false);
  const saved = first + second - (await timer.secondsOf(element, LIGHT_TYPES, false));
  return Math.max(0, Math.min(first, second, saved));
}

function waysOf({ tasks }: Plan): Map<string, Making> {
  return new Map(tasks.flatMap(makingsOf).map((way) => [keyOf(way), way]));
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
  async secondsOf(
    element: BlockTypeName,
    types: readonly BlockTypeName[],
    isWeighted: boolean,
  ): Promise<number> {
    const able = types.map((type) => this.#quantizer(type));
    // What is copied, or was told to be missing before: no time to speak of.
    if (types.includes(element) || able.includes(undefined)) return 0;
    const needsWeights = able.some((quantizer) => quantizer?.plain !== true);
    const weights = isWeighted || needsWeights ? new Float32Array(COLUMNS).fill(1) : undefined;
    const source = await this.#sourceOf(element);
    const { threads } = this.#kernels.info;
    const startMs = this.#clock.now();
    let leastMs = Number.POSITIVE_INFINITY;
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      if (turn >= TURNS_MIN && this.#clock.now() - startMs > TURNS_MS) break;
      const jobs = Array.from({ length: threads }, () => jobOf(source, element, types, weights));
      const turnMs = await timed(this.#clock, threads, () =>
        Promise.all(jobs.map((job) => this.#kernels.quantize(job))),
      );
      leastMs = Math.min(leastMs, turnMs);
    }
    return leastMs / 1000 / (ELEMENTS * threads);
  }

  #quantizer(type: BlockTypeName): KernelInfo['quantizers'][number] | undefined {
    return this.#kernels.info.quantizers.find((each) => each.type === blockTypes[type].id);
  }

  /** Numbers that weights could be, in the type's own form where there is a kernel that makes it. */
  async #sourceOf(element: BlockTypeName): Promise<Uint8Array> {
    const known = this.#sources.get(element);
    if (known !== undefined) return known;
    const job = jobOf(madeSource(ELEMENTS), 'BF16', [element], new Float32Array(COLUMNS).fill(1));
    if (element === 'BF16') this.#sources.set(element, job.source);
    else {
      if (this.#quantizer(element) !== undefined) await this.#kernels.quantize(job);
      this.#sources.set(element, job.targets[0]?.into ?? job.source);
    }
    return this.#sourceOf(element);
  }
}

function jobOf(
  source: Uint8Array,
  element: BlockTypeName,
  types: readonly BlockTypeName[],
  importance: Float32Array | undefined,
): QuantizeJob {
  return {
    ...{ source, element, rows: ROWS, columns: COLUMNS },
    targets: types.map((type) => {
      return { type: blockTypes[type].id, into: new Uint8Array(ROWS * rowBytes(type, COLUMNS)) };
    }),
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
