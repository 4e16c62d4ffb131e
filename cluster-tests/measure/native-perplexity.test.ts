import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ln } from '../../daemon/core/models/rotation.ts';
import { inF32 } from '../det1-model/mutations.ts';
import { openOracle, whyNoOracle } from '../oracle/llama.ts';
import { type Checkpoints, openCheckpoints } from './checkpoints.ts';
import { openKernels, openNative } from './native-model.ts';
import { runNative } from './native-run.ts';
import { perplexity, summarize, textChunks } from './perplexity.ts';

const fixtures = fileURLToPath(new URL('../../fixtures', import.meta.url));
const name = 'tiny-gemma4';

/** Longer than the model's window, which is 128. */
const TOKENS = 160;
const CHUNKS = 6;

/** Losses of the tokens that a perplexity counts, out of what the head leaves of all chunks. */
function lossesOf(numbers: Float32Array): number[] {
  const losses: number[] = [];
  for (let chunk = 0; chunk < CHUNKS; chunk++) {
    for (let position = TOKENS / 2; position < TOKENS - 1; position++) {
      const at = 3 * (chunk * TOKENS + position);
      const [largest = 0, sum = 0, target = 0] = numbers.subarray(at, at + 3);
      losses.push(ln(sum) + largest - target);
    }
  }
  return losses;
}

describe.skipIf(whyNoOracle() !== undefined)('the perplexity of the trained model', () => {
  let checkpoints: Checkpoints;
  beforeAll(async () => {
    checkpoints = await openCheckpoints();
  });
  afterAll(() => checkpoints.close());

  // Goal: what --ppl tells is llama.cpp's figure. Method: the losses that the head leaves, of the same
  // chunks of English and in F32; as a whole, because single tokens move with their experts.
  test('is that of llama.cpp', async () => {
    const oracle = openOracle();
    const kernels = openKernels();
    try {
      const gguf = await checkpoints.f32Gguf(name);
      const text = await readFile(join(fixtures, 'evaluation.txt'), 'utf8');
      const chunks = await textChunks(oracle, gguf, text, { count: CHUNKS, tokens: TOKENS });
      const theirs = await perplexity({ gguf, chunks });

      const directory = await checkpoints.checkpoint(name);
      const widened = await checkpoints.f32Checkpoint(name);
      const model = inF32(await openNative(kernels, directory, [widened]));
      const { head } = await runNative(model, chunks, CHUNKS - 1);
      const ours = summarize(lossesOf(head.registers.get('loss') ?? new Float32Array()));
      const apart = Math.abs(ours.perplexity / theirs.perplexity - 1);
      console.log(
        `perplexity ${ours.perplexity.toFixed(4)}, llama.cpp ${theirs.perplexity.toFixed(4)}, ` +
          `${apart.toExponential(1)} apart; error ${ours.error.toFixed(2)} of ${ours.tokens} tokens`,
      );
      expect(ours.tokens).toBe(theirs.tokens);
      expect(apart).toBeLessThan(1e-3);
      expect(Math.abs(ours.error / theirs.error - 1)).toBeLessThan(1e-2);
    } finally {
      kernels.close();
      await oracle.close();
    }
  });
});
