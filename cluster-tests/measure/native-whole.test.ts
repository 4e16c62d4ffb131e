import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ForwardAddon } from '../../daemon/adapters/forward.ts';
import { compareEndToEnd, type EndToEndFigures } from '../det1-model/against-llama.ts';
import {
  logitLimits,
  type MatrixLimits,
  type Mode,
  matrixExcesses,
  matrixLimits,
} from '../det1-model/limits.ts';
import { inF32 } from '../det1-model/mutations.ts';
import { whyNoOracle } from '../oracle/llama.ts';
import { type Checkpoints, drawChunks, endToEndNames, openCheckpoints } from './checkpoints.ts';
import { llamaForward } from './llama-forward.ts';
import { type NativeModel, openKernels, openNative } from './native-model.ts';
import { observeNative } from './native-run.ts';

/** Longer than the longest window of the generated checkpoints, which is 40. */
const TOKENS = 44;
/** Where there are experts, enough in mode B that a token with others is one of many. */
const CHUNKS = { A: { dense: 1, experts: 1 }, B: { dense: 4, experts: 16 } } as const;

/** Of the whole matrix in mode B, with the tokens that got other experts. */
const withFlips: MatrixLimits = { experts: 5e-2, others: 1.5e-2, counts: 1e-2 };

describe.skipIf(whyNoOracle() !== undefined)('the whole model against llama.cpp', () => {
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

  const open = async (name: string, mode: Mode): Promise<NativeModel> => {
    const directory = await checkpoints.checkpoint(name);
    if (mode === 'B') return openNative(kernels, directory);
    return inF32(await openNative(kernels, directory, [await checkpoints.f32Checkpoint(name)]));
  };

  const compare = async (name: string, mode: Mode): Promise<Compared> => {
    const model = await open(name, mode);
    const hasExperts = model.forward.layers.some(({ operations }) =>
      operations.some(({ kind }) => kind === 'route'),
    );
    const kind = hasExperts ? 'experts' : 'dense';
    const drawn = { count: CHUNKS[mode][kind], tokens: TOKENS, seed: 7 };
    const chunks = drawChunks(model.forward.vocabulary, drawn);
    const gguf = await (mode === 'A' ? checkpoints.f32Gguf(name) : checkpoints.bf16Gguf(name));
    const want = { statistics: true, routing: true, logits: true };
    const theirs = await llamaForward({ gguf, chunks, want });
    const ours = await observeNative(model, chunks);
    const limit = logitLimits[mode][kind];
    const found = compareEndToEnd(model.forward, ours, theirs, limit);
    const all = chunks.length * TOKENS;
    console.log(`${name}, ${mode}: ${inWords(found, all)}`);
    return { found, limit, all };
  };

  // Goal: all of it together is llama.cpp's. Method: logits up to the first token of a chunk that got
  // other experts, because that moves all that follow; the whole matrix with those tokens in it.
  test.each(endToEndNames)('%s, from tokens to logits and the matrix', async (name) => {
    const [a, b] = await Promise.all([compare(name, 'A'), compare(name, 'B')]);
    for (const { found, limit } of [a, b]) {
      expect(found.logits).toBeLessThanOrEqual(limit);
      expect(found.wrongArgmax).toBe(0);
    }
    // Else there would be little to compare.
    expect(a.found.tokens).toBeGreaterThan(a.all / 8);
    expect(b.found.tokens).toBeGreaterThan(b.all / 4);
    if (a.found.flips.length === 0) expect(matrixExcesses(a.found, matrixLimits.A)).toEqual([]);
    const limits = b.found.flips.length === 0 ? matrixLimits.B : withFlips;
    expect(matrixExcesses(b.found, limits)).toEqual([]);
  });
});

interface Compared {
  readonly found: EndToEndFigures;
  /** Of logits. */
  readonly limit: number;
  /** Tokens, those after other experts too. */
  readonly all: number;
}

function inWords(found: EndToEndFigures, all: number): string {
  const { tokens, flips } = found;
  const far = (['logits', 'experts', 'others', 'counts'] as const).map(
    (key) => `${key} ${found[key].toExponential(1)}`,
  );
  return `${far.join(', ')}; ${tokens} of ${all} tokens, ${flips.length} routings differ`;
}
