import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Tokenizer } from '@huggingface/tokenizers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeCheckpoint } from '../checkpoints/generate.ts';
import { drawSpec } from '../checkpoints/spec.ts';
import { makeScratch, mustRunQuantd } from '../quantd.ts';
import { mixedTexts } from '../texts/mixed-text.ts';
import { compareTokens } from './compare-tokens.ts';
import { openOracle, whyNoOracle } from './llama.ts';

const TEXT_BYTES = 100_000;
const { SEED = '1' } = process.env;
const seed = Number(SEED);
const fixtures = fileURLToPath(new URL('../../fixtures', import.meta.url));

// Goal: a release cuts text as the checkpoint does. Method: two programs that share no code,
// llama.cpp on our GGUF and Hugging Face's tokenizers on the checkpoint's tokenizer.json, cut the
// same mixed texts.
describe.skipIf(whyNoOracle() !== undefined)('token ids', () => {
  const oracle = openOracle();
  let scratch: Awaited<ReturnType<typeof makeScratch>>;
  beforeAll(async () => {
    scratch = await makeScratch('tokenizer');
  });
  afterAll(async () => {
    await oracle.close();
    await scratch.remove();
  });

  // The other two fixtures list a double line break that no merge makes: llama.cpp takes a run of
  // line breaks whole where the vocabulary has it, Hugging Face's program never does.
  test('of a trained tokenizer', async () => {
    await compare(join(fixtures, 'tiny-gemma4'));
  });

  test.each([0, 1, 2])('of a drawn tokenizer, %i', async (index) => {
    const checkpoint = join(scratch.path, `drawn-${index}`);
    await writeCheckpoint(checkpoint, drawSpec(seed * 1000 + index));
    await compare(checkpoint);
  });

  async function compare(checkpoint: string): Promise<void> {
    const model = join(scratch.path, 'model.gguf');
    await mustRunQuantd(['convert', checkpoint, '--type', 'BF16', '--out', model, '--overwrite']);
    const read = async (file: string) =>
      JSON.parse(await readFile(join(checkpoint, file), 'utf8')) as object;
    const tokenizer = await read('tokenizer.json');
    const reference = new Tokenizer(tokenizer, await read('tokenizer_config.json'));
    const { added_tokens: added } = tokenizer as { added_tokens: { content: string }[] };
    const specials = added.map(({ content }) => content);

    const texts = ['', ' ', '\n', ...mixedTexts(seed, TEXT_BYTES, specials)];
    const ours = await oracle.tokenize(model, texts);
    const theirs = texts.map((text) => reference.encode(text).ids);
    expect(compareTokens(texts, ours, theirs, reference), `SEED=${seed}`).toEqual([]);
  }
});
