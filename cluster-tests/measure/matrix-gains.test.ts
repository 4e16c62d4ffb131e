/**
 * Goal: on the trained model as it is, few bits predict better with the matrix that a first run
 * measures than without one.
 * Method: files with it and without; llama.cpp reads all of the held-out text with each. Where llama.cpp
 * refuses to make a type without a matrix, its own kernel makes the tensors without weights.
 * Part of the soak: on a small model three bits lose so little that a gain shows in all of the text only.
 */

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Connection } from '../../cli/daemon.ts';
import { assert } from '../../proto/assert.ts';
import { openGgml, whyNoGgml } from '../oracle/ggml.ts';
import { readGguf } from '../oracle/gguf-file.ts';
import { openOracle, whyNoOracle } from '../oracle/llama.ts';
import { connectQuantd, makeScratch, mustRunQuantd } from '../quantd.ts';
import { type Perplexity, perplexity, textChunks } from './perplexity.ts';

const fixtures = fileURLToPath(new URL('../../fixtures', import.meta.url));
const trained = join(fixtures, 'tiny-gemma4');
const CHUNK_TOKENS = 256;
/** As many as the text has. */
const CHUNKS = 140;
const IQ3_XXS = 18;

describe.skipIf((whyNoOracle() ?? whyNoGgml()) !== undefined)('of the trained model', () => {
  const oracle = openOracle();
  let scratch: Awaited<ReturnType<typeof makeScratch>>;
  let daemon: Connection;
  let chunks: readonly Int32Array[] = [];
  const at = (...parts: string[]): string => join(scratch.path, ...parts);
  const file = (directory: string, type: string): string => at(directory, `tiny-${type}.gguf`);
  const run = async (...words: string[]): Promise<void> => {
    await mustRunQuantd(words, { data: at('data') });
  };
  const quantize = (types: string, out: string, ...more: string[]): Promise<void> =>
    run('quantize', trained, '--type', types, '--name', 'tiny', '--out', at(out), ...more);

  beforeAll(async () => {
    scratch = await makeScratch('matrix-gains');
    daemon = await connectQuantd(at('data'));
    await run('imatrix', trained, '--out', at('matrix.gguf'));
    await quantize('Q2_K,Q3_K_S,Q3_K_M', 'without');
    await quantize('F32', 'source');
    await quantize('Q2_K,Q3_K_S,Q3_K_M,IQ3_XXS', 'with', '--imatrix', at('matrix.gguf'));
    const made = await withoutWeights(file('with', 'IQ3_XXS'), file('source', 'F32'), IQ3_XXS);
    await writeFile(file('without', 'IQ3_XXS'), made);
    const text = await readFile(join(fixtures, 'evaluation.txt'), 'utf8');
    const cut = { count: CHUNKS, tokens: CHUNK_TOKENS };
    chunks = await textChunks(oracle, file('source', 'F32'), text, cut);
  });
  afterAll(async () => {
    await oracle.close();
    await daemon.close();
    await scratch.remove();
  });

  test.each(['Q2_K', 'Q3_K_S', 'Q3_K_M', 'IQ3_XXS'])('%s', async (type) => {
    const measure = (directory: string): Promise<Perplexity> =>
      perplexity({ gguf: file(directory, type), chunks, threads: 2 });
    const without = await measure('without');
    const withIt = await measure('with');
    const { mean, error } = difference(without.losses, withIt.losses);
    const [left, right] = [without, withIt].map((found) => found.perplexity.toFixed(3));
    console.log(
      `${type}: perplexity ${left} without, ${right} with the matrix, of ${withIt.tokens} tokens; ` +
        `${(mean * 100).toFixed(3)} ± ${(error * 100).toFixed(3)} % less`,
    );
    expect(withIt.perplexity).toBeLessThan(without.perplexity);
  });
});

/** How much less the right losses are, token by token, with one standard error of the mean. */
function difference(
  left: readonly number[],
  right: readonly number[],
): { readonly mean: number; readonly error: number } {
  const gains = left.map((loss, index) => loss - (right[index] ?? Number.NaN));
  const mean = gains.reduce((sum, gain) => sum + gain, 0) / gains.length;
  const squares = gains.reduce((sum, gain) => sum + (gain - mean) ** 2, 0);
  return { mean, error: Math.sqrt(squares / (gains.length - 1) / gains.length) };
}

/** The file with the tensors of one type made again by ggml, without weights. */
async function withoutWeights(path: string, source: string, type: number): Promise<Uint8Array> {
  const quantized = await readGguf(path);
  const { tensors } = await readGguf(source);
  const quantize = openGgml();
  const made = Uint8Array.from(quantized.bytes);
  const changed = quantized.tensors.filter((tensor) => tensor.type === type);
  assert(changed.length > 0, 'the file has tensors of the type');
  for (const { name, shape, offset, bytes } of changed) {
    const weights = tensors.find((tensor) => tensor.name === name);
    assert(weights !== undefined, 'the source has the tensor');
    const values = new Float32Array(Uint8Array.from(weights.bytes).buffer);
    const [columns = 1] = shape;
    const blocks = new Uint8Array(bytes.length);
    quantize(type, { values, rows: values.length / columns, columns }, blocks);
    made.set(blocks, quantized.dataStart + offset);
  }
  return made;
}
