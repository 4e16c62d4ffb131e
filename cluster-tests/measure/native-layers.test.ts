import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ForwardAddon } from '../../daemon/adapters/forward.ts';
import {
  compareFront,
  compareLayers,
  type LayerFigures,
  wanted,
} from '../det1-model/against-llama.ts';
import { excesses, type Mode, modes, ties, worstOf } from '../det1-model/limits.ts';
import { inF32, mutations } from '../det1-model/mutations.ts';
import { whyNoOracle } from '../oracle/llama.ts';
import { type Checkpoints, checkpointNames, drawChunks, openCheckpoints } from './checkpoints.ts';
import { type ForwardResult, llamaForward } from './llama-forward.ts';
import { type NativeModel, openKernels, openNative } from './native-model.ts';
import { native } from './native-run.ts';

/** More than the longest window of the generated checkpoints, which is 40. */
const TOKENS = 43;

async function byLayers(
  model: NativeModel,
  ids: Int32Array,
  theirs: ForwardResult,
): Promise<LayerFigures[]> {
  const front = await compareFront(native(model), ids, theirs);
  return [front, ...(await compareLayers(native(model), theirs))];
}

describe.skipIf(whyNoOracle() !== undefined)('the kernels against llama.cpp', () => {
  let checkpoints: Checkpoints;
  let kernels: ForwardAddon;
  beforeAll(async () => {
    checkpoints = await openCheckpoints();
    kernels = openKernels();
  });
  afterAll(async () => {
    kernels.close();
    await checkpoints.close();
  });

  /** Of the weights in both types, so that a list may ask for either. */
  const open = async (name: string, mode: Mode): Promise<NativeModel> => {
    const directory = await checkpoints.checkpoint(name);
    if (mode === 'B') return openNative(kernels, directory);
    return inF32(await openNative(kernels, directory, [await checkpoints.f32Checkpoint(name)]));
  };
  const decode = async (name: string, mode: Mode) => {
    const model = await open(name, mode);
    const drawn = drawChunks(model.forward.vocabulary, { count: 1, tokens: TOKENS });
    const [ids = new Int32Array()] = drawn;
    const gguf = await (mode === 'A' ? checkpoints.f32Gguf(name) : checkpoints.bf16Gguf(name));
    const want = { ...wanted, logits: false };
    return { model, ids, theirs: await llamaForward({ gguf, chunks: [ids], want }) };
  };

  // Goal: every layer is llama.cpp's. Method: each gets llama.cpp's own input, so that nothing
  // piles up and the limits can be strict; a token may get other experts at a tie alone.
  test.each(checkpointNames)('%s, layer by layer', async (name) => {
    const compare = async (mode: Mode): Promise<string[]> => {
      const { model, ids, theirs } = await decode(name, mode);
      const figures = await byLayers(model, ids, theirs);
      console.log(`${name}, ${mode}: ${worstOf(figures)}`);
      for (const tie of ties(figures)) console.log(`${name}, ${mode}, ${tie}`);
      return excesses(figures, mode);
    };
    expect(await Promise.all(modes.map(compare))).toEqual(modes.map(() => []));
  });

  // Goal: the comparison sees mistakes. Method: make each in a list that is right.
  test('mistakes are seen', async () => {
    const { model, ids, theirs } = await decode('moe-2-of-4', 'A');
    expect(excesses(await byLayers(model, ids, theirs), 'A')).toEqual([]);
    expect(Object.keys(mutations).length).toBeGreaterThanOrEqual(10);
    for (const [mistake, make] of Object.entries(mutations)) {
      const found = excesses(await byLayers(make(model), ids, theirs), 'A');
      console.log(`${mistake}: ${found.slice(0, 3).join('; ')}`);
      expect(found, mistake).not.toEqual([]);
    }
  });
});
