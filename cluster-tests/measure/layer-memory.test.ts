/**
 * Goal: a plan never promises that a layer fits where it does not.
 * Method: what the estimate says of every layer of the embedded models beside what the executor asks
 * for once it has the weights, for each instruction set of this CPU, waves and threads.
 */

import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { scratchBytesMost } from '../../daemon/core/estimate/layer-memory.ts';
import { layerScratch, openKernels, openNative } from './native-model.ts';

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url));
const waves = [
  { chunks: 1, positions: 16 },
  { chunks: 1, positions: 512 },
  { chunks: 3, positions: 128 },
  { chunks: 16, positions: 512 },
];
// Small models have small parts, of which each is rounded up.
const ROUNDING_BYTES = 2 ** 20;

const THREADS = 3;
const best = openKernels();
const { isas } = best;
best.close();

test.each(isas)('what a layer takes on %s is in the estimate, and little more', async (isa) => {
  const kernels = openKernels({ isa, threads: THREADS });
  try {
    for (const name of ['tiny-gemma4', 'tiny-gemma4-e']) {
      const model = await openNative(kernels, fixture(name));
      const { layers, head } = model.forward;
      for (const layer of [...layers, head]) {
        const asked = await layerScratch(model, layer, waves);
        waves.forEach((wave, at) => {
          const bytes = scratchBytesMost(layer, { ...wave, threads: THREADS });
          expect(bytes).toBeGreaterThanOrEqual(asked[at] ?? 0);
          const most = 1.5 * (asked[at] ?? 0) + THREADS * ROUNDING_BYTES;
          expect(bytes).toBeLessThanOrEqual(most);
        });
      }
    }
  } finally {
    kernels.close();
  }
});
