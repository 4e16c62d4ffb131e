import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSource } from '../../daemon/adapters/source-directory.ts';
import { openTextTokenizer } from '../../daemon/adapters/text-tokenizer.ts';
import { type Vocabulary, vocabularyOf } from '../../daemon/core/calibration/vocabulary.ts';
import { describeModel } from '../../daemon/core/models/families.ts';
import { describeGguf } from '../../daemon/core/models/gguf-model.ts';
import { openCheckpoint } from '../../daemon/roles/open-checkpoint.ts';
import { openGguf } from '../../daemon/roles/open-gguf.ts';
import { writeCheckpoint } from '../checkpoints/generate.ts';
import { drawSpec } from '../checkpoints/spec.ts';
import { makeScratch, mustRunQuantd } from '../quantd.ts';
import { mixedTexts } from '../texts/mixed-text.ts';
import { compareTokens } from './compare-tokens.ts';
import { openOracle, whyNoOracle } from './llama.ts';

const TEXT_BYTES = 60_000;
const { SEED = '1' } = process.env;
const seed = Number(SEED);
const fixtures = fileURLToPath(new URL('../../fixtures', import.meta.url));

// Goal: text is measured with the ids that llama-imatrix would measure it with. Method: libllama on
// our GGUF and our tokenizer on the checkpoint's tables cut the same texts, with special tokens
// parsed and not; of the fixtures also the ids that were recorded.
describe.skipIf(whyNoOracle() !== undefined)('ids of a calibration text', () => {
  const oracle = openOracle();
  let scratch: Awaited<ReturnType<typeof makeScratch>>;
  beforeAll(async () => {
    scratch = await makeScratch('text-tokenizer');
  });
  afterAll(async () => {
    await oracle.close();
    await scratch.remove();
  });

  test.each(['tiny-gemma4', 'tiny-gemma4-e', 'tiny-gemma4-k'])('of %s', async (name) => {
    await compare(join(fixtures, name));
  });

  test.each([0, 1, 2])('of a drawn vocabulary, %i', async (index) => {
    const checkpoint = join(scratch.path, `drawn-${index}`);
    await writeCheckpoint(checkpoint, drawSpec(seed * 1000 + index));
    await compare(checkpoint);
  });

  async function compare(checkpoint: string): Promise<void> {
    const model = join(scratch.path, 'model.gguf');
    await mustRunQuantd(['convert', checkpoint, '--type', 'BF16', '--out', model, '--overwrite']);
    const vocabulary = await readVocabulary(checkpoint);
    expect(await readVocabulary(model), 'the GGUF says the same').toEqual(vocabulary);
    const specials = vocabulary.specials.map(({ text }) => text);
    const mixed = mixedTexts(seed, TEXT_BYTES, specials);
    // One long text too: the others are shorter than a section.
    const texts = [...nasty, ...specials, ...mixed, mixed.join('')];
    const names = { id_to_token: (id: number) => vocabulary.tokens[id] };
    for (const parseSpecial of [false, true]) {
      const theirs = await oracle.tokenize(model, texts, { parseSpecial, addBos: false });
      const tokenizer = openTextTokenizer(vocabulary, { parseSpecial });
      const ours: number[][] = [];
      for (const text of texts) ours.push([...(await tokenizer.encode(text))]);
      const what = `parseSpecial=${parseSpecial} SEED=${SEED}`;
      expect(compareTokens(texts, theirs, ours, names), what).toEqual([]);
    }
  }
});

const nasty = [
  ...['', ' ', '\n', '\n\n', '\n\n\n', '\n\n\n\n\n', ' \n \n\n ', '\r\n\r\n', 'a\r\nb', '\t\n\t'],
  ...['a\n\nb', 'a \n b', '▁a▁▁b', ' ▁ ', 'Ġa', '\u0120 \u0120', '🙂\n🙂', '\ufeffhe', 'e\u0301'],
  ...['<bos>', '<bos><bos>he', '<|turn>user\nhe<turn|>\n', '<|turn><|turn>', '<<|turn>>', '<|turn'],
  ...['<|"|>he<|"|>', '<|channel>he<channel|>', '<unk>', '<pad><mask>', '<0x0A>', '[PAD3]'],
  ...['\u{10ffff}', '\u0000', 'x'.repeat(9000), ' '.repeat(500), '\n'.repeat(300)],
];

/** Of a checkpoint or of a GGUF. */
async function readVocabulary(path: string): Promise<Vocabulary> {
  const source = await openSource(path, { hashFile: async () => createHash('sha256').digest() });
  try {
    const { named } = source;
    return vocabularyOf(
      named === undefined
        ? describeModel((await openCheckpoint(source)).checkpoint, 'x')
        : describeGguf(await openGguf(source, named)),
    );
  } finally {
    await source.close();
  }
}

interface Golden {
  readonly prompts: readonly { readonly text?: string; readonly ids: readonly number[] }[];
}

test.each(['tiny-gemma4', 'tiny-gemma4-e', 'tiny-gemma4-k'])(
  'the recorded ids of %s',
  async (name) => {
    const file = join(fixtures, name, 'golden.json');
    const { prompts } = JSON.parse(await readFile(file, 'utf8')) as Golden;
    const vocabulary = await readVocabulary(join(fixtures, name));
    const tokenizer = openTextTokenizer(vocabulary, { parseSpecial: true });
    const texts = prompts.filter(({ text }) => text !== undefined);
    expect(texts.length).toBeGreaterThan(2);
    for (const { text = '', ids } of texts) {
      expect([vocabulary.bos, ...(await tokenizer.encode(text))], text).toEqual(ids);
    }
  },
);
