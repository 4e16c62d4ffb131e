import { afterAll, describe, test } from 'vitest';
import { Comparison } from './compare-quantizers.ts';
import { whyNoGgml } from './ggml.ts';
import { everyKindOfRow, kernelInfo, withImportance } from './quantizer-samples.ts';

const why = whyNoGgml();
if (why !== undefined) console.warn(`The comparison with llama.cpp is left out: ${why}.`);

describe.skipIf(why !== undefined)('against ggml_quantize_chunk', () => {
  let comparison: Comparison | undefined;
  afterAll(() => comparison?.close());

  // Goal and method of quantizers.test.ts, in a process of its own: the oracle first builds its
  // tables for seconds. Rows so large that it would abort are left out.
  // llama.cpp's own kernels take most of the time.
  test('every kind of row, IQ1', { timeout: 600_000 }, async () => {
    comparison = new Comparison(kernelInfo().isas, ({ name }) => /^IQ1/.test(name));
    let seed = 0;
    for (const sample of everyKindOfRow(10)) {
      await comparison.add(sample);
      await comparison.add(withImportance(sample, ++seed));
    }
    comparison.expectWeights(1_000_000);
  });
});
