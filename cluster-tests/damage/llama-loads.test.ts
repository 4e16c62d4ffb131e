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
import type { Model, ModelTensor } from '../../daemon/core/models/family.ts';
import { describeVocabulary } from '../../daemon/core/models/tokenizer.ts';
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
    change: (model: Model) => Model | Promise<Model> = (model) => model,
  ): Promise<string> => {
    const model = describeModel(await readCheckpoint(fixture(name)), name);
    const gguf = join(directory, `${name}.gguf`);
    writeF32Gguf(await change(model), fixture(name), gguf);
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

  // Goal: variants that no fixture has are understood. Method: change the model so that its
  // logits must stay what they were.
  test.each([
    ['without K and V in the layers that share', withoutSharedKeys],
    ['with an untied head equal to the embeddings', withHead],
    ['with more embedding rows than tokens', withMoreRows],
  ])('a model %s gives the same logits', async (_name, change) => {
    const ids = [2, 267, 268, 269, 269, 270, 7, 203, 177];
    const wanted = await lastLogits(await write('tiny-gemma4-e'), ids);
    const gguf = await write('tiny-gemma4-e', change);
    const got = await lastLogits(gguf, ids);
    expect(wanted.length).toBe(320);
    expect(got.slice(0, wanted.length)).toEqual(wanted);
    expect(await oracle.tokenize(gguf, ['hello'])).toEqual([[2, 267, 269, 269, 270]]);
  });

  const lastLogits = async (gguf: string, ids: readonly number[]): Promise<Float32Array> => {
    const [logits = new Float32Array()] = await oracle.logits(gguf, [ids]);
    return logits;
  };

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

function withoutSharedKeys(model: Model): Model {
  const tensors = model.tensors.filter(({ name }) => !/blk\.[23]\.attn_(k|v|k_norm)\./.test(name));
  expect(tensors.length).toBe(model.tensors.length - 6);
  return { ...model, tensors };
}

function withHead(model: Model): Model {
  const embeddings = model.tensors.filter(({ name }) => name === 'token_embd.weight');
  expect(embeddings.length).toBe(1);
  const heads = embeddings.map((tensor) => ({ ...tensor, name: 'output.weight' }));
  return { ...model, tensors: [...model.tensors, ...heads] };
}

/** Every table of one row a token twice, and a vocabulary that is padded to as many rows. */
async function withMoreRows(model: Model): Promise<Model> {
  const checkpoint = await readCheckpoint(fixture('tiny-gemma4-e'));
  const rows = 640;
  const kind = { model: 'gemma4', userDefined: new Set<string>(), suppressTokens: false };
  const tensors = model.tensors.map((tensor): ModelTensor => {
    const { name, shape, source } = tensor;
    if (!name.endsWith('token_embd.weight') || source.kind !== 'checkpoint') return tensor;
    const parts = [...source.parts, ...source.parts];
    return { ...tensor, shape: [shape[0] ?? 0, rows], source: { ...source, parts } };
  });
  return { ...model, tensors, vocabulary: describeVocabulary(checkpoint, rows, kind) };
}
