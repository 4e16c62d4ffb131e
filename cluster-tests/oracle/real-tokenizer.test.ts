import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { Tokenizer } from '@huggingface/tokenizers';
import { expect, test } from 'vitest';
import { writeCheckpoint } from '../checkpoints/generate.ts';
import type { CheckpointSpec } from '../checkpoints/spec.ts';
import type { TokenizerFiles } from '../checkpoints/tokenizer.ts';
import { makeScratch, mustRunQuantd } from '../quantd.ts';
import { mixedTexts } from '../texts/mixed-text.ts';
import { compareTokens } from './compare-tokens.ts';
import { openOracle, whyNoOracle } from './llama.ts';

const TEXT_BYTES = 1_000_000;
const { QUANTD_REAL_TOKENIZER: directory, SEED = '1' } = process.env;
if (directory === undefined) {
  console.warn('The test of a published tokenizer is left out: real-tokenizer.mjs runs it.');
}

// Goal: a table of the real size is cut as its publisher's program cuts it. Method: the table of
// Gemma 3 in the form of Gemma 4's, under weights that nobody reads, and a megabyte of text.
test.skipIf(directory === undefined || whyNoOracle() !== undefined)(
  'token ids of a published tokenizer',
  async () => {
    const files = await adaptTokenizer(directory ?? '');
    const scratch = await makeScratch('real-tokenizer');
    const oracle = openOracle();
    try {
      const [checkpoint, model] = [join(scratch.path, 'real'), join(scratch.path, 'real.gguf')];
      await writeCheckpoint(checkpoint, { ...small, vocabulary: files.size }, files);
      await mustRunQuantd(['convert', checkpoint, '--type', 'BF16', '--out', model]);
      const reference = new Tokenizer(files.tokenizer, files.tokenizerConfig);
      const texts = mixedTexts(Number(SEED), TEXT_BYTES, files.specials);
      const ours = await oracle.tokenize(model, texts);
      const theirs = texts.map((text) => reference.encode(text).ids);
      expect(compareTokens(texts, ours, theirs, reference), `SEED=${SEED}`).toEqual([]);
    } finally {
      await oracle.close();
      await scratch.remove();
    }
  },
  600_000,
);

/** As narrow as a model may be. */
const small: CheckpointSpec = {
  name: 'real-tokenizer',
  seed: 1,
  dtype: 'BF16',
  shards: 1,
  vocabulary: 0,
  hidden: 32,
  layers: 'SF',
  heads: 2,
  kvHeads: 1,
  globalKvHeads: 1,
  headDim: 16,
  globalHeadDim: 32,
  keysAreValues: true,
  dense: 32,
};

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
}

/**
 * Gemma 4's table has no token beyond the vocabulary and adds none but special ones, so the
 * others are taken out of the list for both programs.
 */
async function adaptTokenizer(
  from: string,
): Promise<TokenizerFiles & { readonly size: number; readonly specials: readonly string[] }> {
  const tokenizer = JSON.parse(await readFile(join(from, 'tokenizer.json'), 'utf8')) as {
    readonly added_tokens: readonly AddedToken[];
    readonly model: { readonly vocab: Readonly<Record<string, number>> };
  };
  const size = Object.keys(tokenizer.model.vocab).length;
  const added = tokenizer.added_tokens.filter(({ id, special }) => special && id < size);
  const specials = added.map(({ content }) => content);
  return {
    tokenizer: { ...tokenizer, added_tokens: added },
    tokenizerConfig: {
      tokenizer_class: 'GemmaTokenizerFast',
      bos_token: '<bos>',
      eos_token: '<eos>',
      unk_token: '<unk>',
      pad_token: '<pad>',
      extra_special_tokens: Object.fromEntries(
        specials.map((content, index) => [`token_${index}`, content]),
      ),
    },
    chatTemplate: undefined,
    size,
    specials,
  };
}
