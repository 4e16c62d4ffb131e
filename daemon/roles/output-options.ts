/**
 * Output options: what a request asks of its outputs, before any source is read.
 *
 *   QuantizeRequest ──▶ optionsOf ──▶ Wishes  (read next: core/plan/outputs.ts)
 */

import { FaultError } from '../../proto/fault.ts';
import type { QuantizeRequest } from '../../proto/requests.ts';
import { importanceFaults } from '../core/importance/faults.ts';
import { parseCompat } from '../core/importance/importance-keys.ts';
import { parseKeyOverride } from '../core/plan/key-overrides.ts';
import type { OutputOptions } from '../core/plan/outputs.ts';

/** What a request asks of all its outputs; importance is still to be read. */
export type Wishes = Omit<OutputOptions, 'importance'>;

/** @throws FaultError whatever is wrong with the options, of whatever source */
export function optionsOf(request: QuantizeRequest): Wishes {
  const { imatrix, calibration } = request;
  const filters = [...request.includeWeights, ...request.excludeWeights];
  if (imatrix === undefined && calibration === undefined && filters.length > 0) {
    throw new FaultError(importanceFaults.filterAlone);
  }
  return {
    allowRequantize: request.allowRequantize,
    keepSplit: request.keepSplit,
    overrides: request.overrideKv.map(parseKeyOverride),
    compat: parseCompat(request.compat),
    dryRun: request.dryRun,
  };
}
