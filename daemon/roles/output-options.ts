/**
 * Output options: what a request asks of its outputs, before any source is read.
 *
 *   QuantizeRequest ──▶ optionsOf ──▶ Wishes  (read next: core/plan/outputs.ts)
 */

import { FaultError } from '../../proto/fault.ts';
import type { QuantizeRequest } from '../../proto/requests.ts';
import type { PartLimit } from '../core/gguf/cut-parts.ts';
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
  const limit = partLimit(request);
  return {
    allowRequantize: request.allowRequantize,
    keepSplit: request.keepSplit,
    ...(limit === undefined ? {} : { parts: { limit, above: request.splitAboveBytes ?? 0 } }),
    overrides: request.overrideKv.map(parseKeyOverride),
    compat: parseCompat(request.compat),
    dryRun: request.dryRun,
  };
}

function partLimit({ splitMaxTensors, splitMaxBytes }: QuantizeRequest): PartLimit | undefined {
  if (splitMaxBytes !== undefined) return { of: 'bytes', most: splitMaxBytes };
  return splitMaxTensors === undefined ? undefined : { of: 'tensors', most: splitMaxTensors };
}
