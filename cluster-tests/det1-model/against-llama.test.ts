import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Checkpoints, drawChunks, openCheckpoints } from '../measure/checkpoints.ts';
import { type ForwardResult, llamaForward } from '../measure/llama-forward.ts';
import { whyNoOracle } from '../oracle/llama.ts';
import {
  compareEndToEnd,
  compareFront,
  compareLayers,
  interpreted,
  type LayerFigures,
  wanted,
} from './against-llama.ts';
import { runChunk } from './interpreter.ts';
import {
  excesses,
  logitLimits,
  type Mode,
  matrixExcesses,
  matrixLimits,
  modes,
  ties,
} from './limits.ts';
import { inF32, mutations } from './mutations.ts';
import { loadModel, type Model } from './weights.ts';

/**
 * One of each kind: experts by twos and fours, single and stacked, odd widths, untied head,
 * per-layer embeddings of both builds.
 */
const names = [
  'moe-2-of-4-single',
  'moe-4-of-16',
  'moe-odd',
  'dense-untied',
  'per-layer-narrow',
  'tiny-gemma4-e',
];
/** More than the longest window of these checkpoints, which is 31. */
const TOKENS = 34;

async function byLayers(
  model: Model,
  ids: Int32Array,
  theirs: ForwardResult,
): Promise<LayerFigures[]> {
  const runnable = interpreted(model);
  const front = await compareFront(runnable, ids, theirs);
  return [front, ...(await compareLayers(runnable, theirs))];
}

describe.skipIf(whyNoOracle() !== undefined)('against llama.cpp', () => {
  let checkpoints: Checkpoints;
  beforeAll(async () => {
    checkpoints = await openCheckpoints();
  });
  afterAll(async () => {
    await checkpoints.close();
  });

  const decode = async (name: string, mode: Mode) => {
    const source = await loadModel(await checkpoints.checkpoint(name));
    const drawn = drawChunks(source.forward.vocabulary, { count: 1, tokens: TOKENS });
    const [ids = new Int32Array()] = drawn;
    const gguf = await (mode === 'A' ? checkpoints.f32Gguf(name) : checkpoints.bf16Gguf(name));
    const theirs = await llamaForward({ gguf, chunks: [ids], want: wanted });
    return { model: mode === 'A' ? inF32(source) : source, ids, theirs };
  };
  const cases = names.flatMap((name) => modes.map((mode) => ({ name, mode })));

  // Goal: the lists and DET-1.md compute what llama.cpp computes. Method: each layer with
  // llama.cpp's own input, where the limits can be strict; then all of them, where small
  // differences pile up and one token with other experts moves all that follow.
  test.each(cases)('$name in mode $mode', async ({ name, mode }) => {
    const { model, ids, theirs } = await decode(name, mode);
    const figures = await byLayers(model, ids, theirs);
    for (const tie of ties(figures)) console.log(`${name}, ${mode}, ${tie}`);
    expect(excesses(figures, mode)).toEqual([]);

    const hasExperts = theirs.routing[0]?.[0] !== undefined;
    const limit = logitLimits[mode][hasExperts ? 'experts' : 'dense'];
    const whole = compareEndToEnd(model.forward, runChunk(model, ids), theirs, limit);
    expect(whole.tokens).toBeGreaterThan(4);
    expect(whole.logits).toBeLessThan(limit);
    expect(whole.wrongArgmax).toBe(0);
    expect(whole.counts).toBeLessThan(2 / TOKENS);
    if (whole.flips.length > 0) return;
    expect(matrixExcesses(whole, matrixLimits[mode])).toEqual([]);
  });

  // Goal: the comparison sees mistakes. Method: make each in a list that is right.
  test('mistakes are seen', async () => {
    const { model, ids, theirs } = await decode('moe-2-of-4', 'A');
    expect(excesses(await byLayers(model, ids, theirs), 'A')).toEqual([]);
    for (const [mistake, make] of Object.entries(mutations)) {
      const found = excesses(await byLayers(make(model), ids, theirs), 'A');
      if (found.length === 0) throw new Error(`${mistake} is not seen`);
      console.log(`${mistake}: ${found.slice(0, 3).join('; ')}`);
    }
  });
});
