/**
 * Loss sums: what a perplexity is made of, as exact integers like every other sum.
 *
 *   (largest, sum, target's logit) of each token ──▶ losses of the second half of each chunk ──▶ sums
 *
 * Of each chunk count the tokens that have at least half a chunk before them and one behind them,
 * as llama-perplexity does it. Numbers: kernels/DET-1.md, "Perplexity".
 */

import { assert } from '../../proto/assert.ts';
import { addFixed, writeFixed } from '../core/importance/fixed-point.ts';
import { COUNT_BYTES, countsOffset, SUM_BYTES } from '../core/importance/statistics.ts';
import type { Statistic } from '../core/models/forward.ts';
import { lossStatistic } from '../core/models/measured-model.ts';
import { ln } from '../core/models/rotation.ts';

const NUMBERS_A_TOKEN = 3;

export class LossSums {
  readonly #positions: number;
  readonly #sums = new Uint8Array(SUM_BYTES * lossStatistic.columns);
  #count = 0n;

  constructor(positions: number) {
    this.#positions = positions;
  }

  /** @param losses (chunks × positions × 3) */
  add(losses: Float32Array | undefined): void {
    assert(losses !== undefined, 'the head leaves its losses');
    const perChunk = this.#positions * NUMBERS_A_TOKEN;
    for (let start = 0; start < losses.length; start += perChunk) {
      this.#addChunk(losses.subarray(start, start + perChunk));
    }
  }

  #addChunk(losses: Float32Array): void {
    let sum = 0;
    let squares = 0;
    for (let at = Math.floor(this.#positions / 2); at < this.#positions - 1; at++) {
      const [largest = 0, exponentials = 0, target = 0] = losses.subarray(
        at * NUMBERS_A_TOKEN,
        (at + 1) * NUMBERS_A_TOKEN,
      );
      const loss = ln(exponentials) + largest - target;
      sum += loss;
      squares += loss * loss;
      this.#count++;
    }
    const fixed = new Uint8Array(SUM_BYTES * lossStatistic.columns);
    writeFixed([lossStatistic], Float64Array.of(Math.max(0, sum), squares), fixed);
    addFixed(this.#sums, fixed);
  }

  /**
   * The layer's own sums and counts with these behind each.
   * @param statistics what `own` holds
   */
  join(statistics: readonly Statistic[], own: Uint8Array): Uint8Array {
    const sumsEnd = countsOffset(statistics);
    const joined = new Uint8Array(own.length + this.#sums.length + COUNT_BYTES);
    joined.set(own.subarray(0, sumsEnd));
    joined.set(this.#sums, sumsEnd);
    joined.set(own.subarray(sumsEnd), sumsEnd + this.#sums.length);
    new DataView(joined.buffer).setBigUint64(joined.length - COUNT_BYTES, this.#count, true);
    return joined;
  }
}
