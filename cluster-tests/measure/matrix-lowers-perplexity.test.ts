import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Connection } from '../../cli/daemon.ts';
import { type Entry, imatrixGguf } from '../importance/write-imatrix.ts';
import { readGguf } from '../oracle/gguf-file.ts';
import { openOracle, whyNoOracle } from '../oracle/llama.ts';
import { connectQuantd, makeScratch, mustRunQuantd } from '../quantd.ts';
import { largestDifference } from './compare.ts';
import { llamaForward } from './llama-forward.ts';
import { perplexity, textChunks } from './perplexity.ts';
import { writeUneven } from './uneven-columns.ts';

const fixtures = fileURLToPath(new URL('../../fixtures', import.meta.url));
const trained = join(fixtures, 'tiny-gemma4');
const HIDDEN = 256;

const CALIBRATION_CHUNKS = 32;
/**
 * Chunks of text that neither the model nor the matrix has seen: more of them where the gain is one
 * part in a hundred, fewer where it is more.
 */
const HELD_OUT = { even: 16, uneven: 6 } as const;
const CHUNK_TOKENS = 256;

describe.skipIf(whyNoOracle() !== undefined)('of the trained model', () => {
  const oracle = openOracle();
  let scratch: Awaited<ReturnType<typeof makeScratch>>;
  let daemon: Connection;
  beforeAll(async () => {
    scratch = await makeScratch('matrix-perplexity');
    daemon = await connectQuantd(at('data'));
  });
  afterAll(async () => {
    await oracle.close();
    await daemon.close();
    await scratch.remove();
  });
  const at = (...parts: string[]): string => join(scratch.path, ...parts);
  const run = async (...words: string[]): Promise<void> => {
    await mustRunQuantd(words, { data: at('data') });
  };
  const measure = async (source: string, out: string): Promise<void> => {
    await run('imatrix', source, '--out', out, '--chunks', `${CALIBRATION_CHUNKS}`);
  };
  const quantize = (source: string, types: string, out: string, ...more: string[]): Promise<void> =>
    run('quantize', source, '--type', types, '--name', 'tiny', '--out', at(out), ...more);
  const heldOut = async (gguf: string, count: number): Promise<Int32Array[]> => {
    const text = await readFile(join(fixtures, 'evaluation.txt'), 'utf8');
    return textChunks(oracle, gguf, text, { count, tokens: CHUNK_TOKENS });
  };
  const expectLower = async (type: string, { without, withIt, count }: Pair): Promise<void> => {
    const file = (out: string): string => at(out, `tiny-${type}.gguf`);
    const chunks = await heldOut(file(withIt), count);
    const [plain, measured] = await Promise.all(
      [without, withIt].map((out) => perplexity({ gguf: file(out), chunks })),
    );
    const [left, right] = [plain, measured].map((found) => found?.perplexity ?? Number.NaN);
    console.log(
      `${type}: perplexity ${left?.toFixed(3)} ${without}, ${right?.toFixed(3)} ${withIt}`,
    );
    expect(right, type).toBeLessThan(left ?? Number.NaN);
  };

  // Goal: a measured matrix is worth measuring. Method: files with it and without, made as a user
  // makes them; llama.cpp reads held-out text with each. With three bits and more the trained model
  // loses next to nothing, with or without.
  test('two bits predict better with a matrix than without', async () => {
    await measure(trained, at('matrix.gguf'));
    await quantize(trained, 'Q2_K', 'plain');
    await quantize(trained, 'Q2_K', 'measured', '--imatrix', at('matrix.gguf'));
    await expectLower('Q2_K', { without: 'plain', withIt: 'measured', count: HELD_OUT.even });
  });

  // Goal: the same of more bits. Method: columns of very different sizes, as large models have them,
  // without a change of what is computed. IQ3_XXS is refused without a matrix; one in which all
  // columns weigh the same stands for none.
  test('so do three where columns differ in size', async () => {
    const source = at('uneven-model');
    await writeUneven(trained, source, HIDDEN);
    await measure(source, at('uneven.gguf'));
    await writeFile(at('flat.gguf'), await flattened(at('uneven.gguf')));
    await quantize(source, 'Q3_K_M', 'uneven-plain');
    await quantize(source, 'IQ3_XXS', 'uneven-flat', '--imatrix', at('flat.gguf'));
    await quantize(source, 'Q3_K_M,IQ3_XXS', 'uneven', '--imatrix', at('uneven.gguf'));
    const pair = { withIt: 'uneven', count: HELD_OUT.uneven };
    await expectLower('Q3_K_M', { ...pair, without: 'uneven-plain' });
    await expectLower('IQ3_XXS', { ...pair, without: 'uneven-flat' });
  });

  test('a model with uneven columns computes the same', async () => {
    await writeUneven(trained, at('same-model'), HIDDEN);
    const [even, uneven] = [at('even-f32', 'model.gguf'), at('uneven-f32', 'model.gguf')];
    await run('convert', trained, '--type', 'F32', '--out', even);
    await run('convert', at('same-model'), '--type', 'F32', '--out', uneven);
    const [ids = new Int32Array()] = await heldOut(even, 1);
    const logits = await Promise.all(
      [even, uneven].map(async (gguf) => {
        const pass = await llamaForward({
          gguf,
          chunks: [ids.slice(0, 64)],
          want: { logits: true },
        });
        return pass.logits[0] ?? new Float32Array();
      }),
    );
    const [left = new Float32Array(), right = new Float32Array(1)] = logits;
    expect(largestDifference(right, left)).toBe(0);
  });
});

/** Directories of the two files that are compared. */
interface Pair {
  readonly without: string;
  readonly withIt: string;
  readonly count: number;
}

/** The matrix with every mean of squares 1: all columns weigh the same. */
async function flattened(path: string): Promise<Uint8Array> {
  const { tensors } = await readGguf(path);
  const entries = tensors.flatMap(({ name, bytes }): Entry[] => {
    if (!name.endsWith('.counts')) return [];
    const counts = new Float32Array(Uint8Array.from(bytes).buffer);
    const tensor = name.slice(0, -'.counts'.length);
    const columns = tensors.find((other) => other.name === `${tensor}.in_sum2`)?.shape[0] ?? 0;
    const sums = Float32Array.from({ length: columns * counts.length }, (_, index) => {
      return counts[Math.floor(index / columns)] ?? 0;
    });
    return [{ name: tensor, sums, counts }];
  });
  return imatrixGguf({ entries, datasets: ['flat'], chunks: CALIBRATION_CHUNKS });
}
