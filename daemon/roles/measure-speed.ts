/**
 * Measure speed: how many source bytes a second this machine's kernels take, all threads together.
 *
 *   Kernels ──▶ small jobs, each timed ──▶ bytes a second
 *
 * The least time counts: on a busy machine chance only adds. So a machine is never rated better
 * than it is, and a neighbour's load does not make it look slow for good.
 */

import { blockTypes } from '../core/gguf/block-types.ts';
import type { Clock, Kernels } from '../ports.ts';

// Fits the caches of one core beside its neighbours' and takes a kernel well below 10 ms.
const ROWS = 32;
const COLUMNS = 1024;
const SOURCE_BYTES: number = ROWS * COLUMNS * 2;
// What people make most; slower than the plain types and faster than the codebook types.
const TYPE = 'Q4_K';
const REPETITIONS_MIN = 20;
// A machine this busy is not measured better by more.
const MEASURE_MS_MAX = 1500;

export async function measureSpeed(kernels: Kernels, clock: Clock): Promise<number> {
  const { threads } = kernels.info;
  const source = madeSource(ROWS * COLUMNS);
  const startMs = clock.now();
  let leastMs = Number.POSITIVE_INFINITY;
  for (let count = 0; count < REPETITIONS_MIN * threads; count += threads) {
    const jobs = Array.from({ length: threads }, () => timed(kernels, source, clock));
    leastMs = Math.min(leastMs, ...(await Promise.all(jobs)));
    if (clock.now() - startMs > MEASURE_MS_MAX) break;
  }
  return Math.round((SOURCE_BYTES * threads * 1000) / leastMs);
}

async function timed(kernels: Kernels, source: Uint8Array, clock: Clock): Promise<number> {
  const { type, into } = target();
  const startMs = clock.now();
  await kernels.quantize({
    ...{ source, element: 'BF16', rows: ROWS, columns: COLUMNS },
    targets: [{ type, into }],
  });
  return Math.max(clock.now() - startMs, 1e-3);
}

function target(): { type: number; into: Uint8Array } {
  const { id, blockElements, blockBytes } = blockTypes[TYPE];
  return { type: id, into: new Uint8Array(((ROWS * COLUMNS) / blockElements) * blockBytes) };
}

/** So many BF16 numbers of both signs between 2^-7 and 2, without order: what weights look like. */
export function madeSource(elements: number): Uint8Array {
  const source = new Uint8Array(2 * elements);
  let state = 1;
  for (let at = 0; at < source.length; at += 2) {
    // The congruence of MINSTD; any mixture would do.
    state = (state * 48_271) % 2_147_483_647;
    source[at] = state & 0xff;
    source[at + 1] = 0x3c | (state & 0x80) | ((state >> 9) & 0x03);
  }
  return source;
}
