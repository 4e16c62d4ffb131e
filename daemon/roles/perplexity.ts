/**
 * Perplexity: what the losses of a measurement come to, with its standard error.
 *
 * exp of the mean loss; its error by that of the mean, as llama-perplexity tells it.
 */

import { toBinary32 } from '../core/importance/fixed-point.ts';
import type { MeasuredLayer } from '../core/importance/measured.ts';
import { readCounts, viewStatistics } from '../core/importance/statistics.ts';
import { lossStatistic } from '../core/models/measured-model.ts';

/** Of the head's sums; undefined where they hold no losses. Only shown: no file holds it. */
export function perplexityOf({
  statistics,
  bytes,
}: MeasuredLayer):
  | { readonly value: number; readonly error: number; readonly tokens: number }
  | undefined {
  const view = viewStatistics(statistics, bytes).find(
    ({ statistic }) => statistic === lossStatistic,
  );
  if (view === undefined) return undefined;
  const [sum = 0, squares = 0] = toBinary32(view.sums);
  const [tokens = 0] = readCounts(view.counts);
  const mean = sum / tokens;
  const variance = Math.max(0, squares / tokens - mean * mean);
  const value = Math.exp(mean);
  return { value, error: value * Math.sqrt(variance / Math.max(1, tokens - 1)), tokens };
}
