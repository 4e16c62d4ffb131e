/**
 * Goal: what the family makes of a checkpoint is what llama.cpp understands. Method: each fixture
 * is written as a GGUF of F32 tensors, without our kernels, and llama.cpp's token ids and logits
 * are compared with recorded ones, which came from an independent converter.
 */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { describeModel } from '../../daemon/core/models/families.ts';
import type { Model } from '../../daemon/core/models/family.ts';
import { openOracle, whyNoOracle } from '../oracle/llama.ts';
import { readCheckpoint } from './checkpoint-directory.ts';
import { writeF32Gguf } from './f32-gguf.ts';

interface Prompt {
  readonly text?: string;
  readonly ids: readonly number[];
  readonly argmax?: readonly number[];
  readonly last_logits?: readonly number[];
}

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url));

describe.skipIf(whyNoOracle() !== undefined)('llama.cpp', () => {
  const oracle = openOracle();
  const directory = mkdtempSync(join(tmpdir(), 'quantd-models-'));
  afterAll(async () => {
    await oracle.close();
    rmSync(directory, { recursive: true });
  });

  const write = async (
    name: string,
    change: (model: Model) => Model = (model) => model,
  ): Promise<string> => {
    const model = describeModel(await readCheckpoint(fixture(name)), name);
    const gguf = join(directory, `${name}.gguf`);
    writeF32Gguf(change(model), fixture(name), gguf);
    return gguf;
  };

  test.each(['tiny-gemma4', 'tiny-gemma4-e', 'tiny-gemma4-k'])(
    '%s gives the recorded ids and logits',
    async (name) => {
      const gguf = await write(name);
      const golden: { prompts: readonly Prompt[] } = JSON.parse(
        readFileSync(join(fixture(name), 'golden.json'), 'utf8'),
      );
      const texts = golden.prompts.filter(({ text }) => text !== undefined);
      expect(texts.length).toBeGreaterThan(2);
      expect(
        await oracle.tokenize(
          gguf,
          texts.map(({ text }) => text ?? ''),
        ),
      ).toEqual(texts.map(({ ids }) => ids));

      const numbered = golden.prompts.filter(({ last_logits }) => last_logits !== undefined);
      expect(numbered.length).toBeGreaterThan(1);
      const logits = await oracle.logits(
        gguf,
        numbered.map(({ ids }) => ids),
      );
      for (const [place, { last_logits: wanted = [] }] of numbered.entries()) {
        const got = logits[place] ?? new Float32Array();
        expect(got.length).toBe(wanted.length);
        // The sums of another CPU's library come in another order; a wrong key moves logits by 1.
        const gap = wanted.reduce(
          (most, logit, n) => Math.max(most, Math.abs(logit - (got[n] ?? 0))),
          0,
        );
        expect(gap).toBeLessThan(1e-3);
      }
    },
  );

  test('a model with fewer tokens than embedding rows does not load, so [PADn] is needed', async () => {
    const gguf = await write('tiny-gemma4-e', (model) => ({
      ...model,
      vocabulary: model.vocabulary.map(({ key, value }) => {
        if (value.type !== 'array' || key === 'tokenizer.ggml.merges') return { key, value };
        if (value.of === 'string')
          return { key, value: { ...value, value: value.value.slice(0, -1) } };
        return value.of === 'i32' || value.of === 'f32'
          ? { key, value: { ...value, value: value.value.slice(0, -1) } }
          : { key, value };
      }),
    }));
    await expect(oracle.tokenize(gguf, ['he'])).rejects.toThrow(/token_embd/);
  });
});
