/**
 * Perplexity: what the losses of a measurement come to, with its standard error.
 *
 * exp of the mean loss; its error by that of the mean, as llama-perplexity tells it.
 */

import { toBinary32 } from '../core/importance/fixed-point.ts';
import type { MeasuredLayer } from '../core/importance/measured.ts';
import { readCounts, viewStatistics } from '../core/importance/statistics.ts';
import { lossStatistic, type MeasuredModel } from '../core/models/measured-model.ts';

/** Undefined where no losses were measured. Only shown: no file holds it. */
export function perplexityOf(
  { loss }: MeasuredModel,
  layers: readonly MeasuredLayer[],
): { readonly value: number; readonly error: number; readonly tokens: number } | undefined {
  const head = loss === undefined ? undefined : layers[loss.layer];
  if (head === undefined) return undefined;
  const view = viewStatistics(head.statistics, head.bytes).find(
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
