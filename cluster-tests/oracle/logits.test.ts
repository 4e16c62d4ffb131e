import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeScratch, mustRunQuantd } from '../quantd.ts';
import { type Ftype, ftypes, openOracle, whyNoOracle } from './llama.ts';

const fixtures = fileURLToPath(new URL('../../fixtures', import.meta.url));
const names = ['tiny-gemma4', 'tiny-gemma4-k', 'tiny-gemma4-e'];
const everyType = Object.keys(ftypes) as Ftype[];

/** What golden.json holds: ids of texts, and the logits of the last position after some ids. */
type Prompt =
  | { readonly text: string; readonly ids: readonly number[] }
  | {
      readonly text?: undefined;
      readonly ids: readonly number[];
      readonly argmax: readonly number[];
      readonly last_logits: readonly number[];
    };

describe.skipIf(whyNoOracle() !== undefined)('in llama.cpp', () => {
  const oracle = openOracle();
  let scratch: Awaited<ReturnType<typeof makeScratch>>;
  beforeAll(async () => {
    scratch = await makeScratch('logits');
  });
  afterAll(async () => {
    await oracle.close();
    await scratch.remove();
  });

  // Goal: a conversion computes what the checkpoint computes. Method: ids and logits that were
  // written down when another converter made the file.
  test.each(names)('%s as F32 gives the golden ids and logits', async (name) => {
    const model = join(scratch.path, `${name}.gguf`);
    await mustRunQuantd(['convert', join(fixtures, name), '--type', 'F32', '--out', model]);
    const prompts = await readGolden(name);
    expect(prompts.length).toBeGreaterThan(3);
    for (const prompt of prompts) {
      if (prompt.text !== undefined) {
        expect(await oracle.tokenize(model, [prompt.text])).toEqual([prompt.ids]);
        continue;
      }
      const [rows = []] = await oracle.allLogits(model, [prompt.ids]);
      expect(rows.map(indexOfLargest)).toEqual(prompt.argmax);
      const last = [...(rows.at(-1) ?? [])];
      expect(last.length).toBe(prompt.last_logits.length);
      const distances = last.map((logit, at) => Math.abs(logit - (prompt.last_logits[at] ?? 99)));
      expect(Math.max(...distances)).toBeLessThan(1e-3);
    }
  });

  // Goal: every output is a model. Method: llama.cpp loads it and computes; the logits are numbers
  // and still point where those of the checkpoint do, the closer the more bits there are.
  test.each(names)('%s loads and decodes in every type', async (name) => {
    const words = ['--type', everyType.join(','), '--out', scratch.path, '--name', name];
    await mustRunQuantd(['quantize', join(fixtures, name), ...words]);
    const prompt = (await readGolden(name)).find(({ text }) => text === undefined);
    if (prompt?.text !== undefined || prompt === undefined) throw new Error('no logits to compare');
    for (const type of everyType) {
      const model = join(scratch.path, `${name}-${type}.gguf`);
      const [logits = new Float32Array()] = await oracle.logits(model, [prompt.ids]);
      expect(logits.length, type).toBe(prompt.last_logits.length);
      expect(logits.every(Number.isFinite), type).toBe(true);
      expect(correlate([...logits], prompt.last_logits), type).toBeGreaterThan(atLeast(type));
    }
  });
});

/** A random model suffers more than a trained one; half of what is usual means a broken file. */
function atLeast(type: Ftype): number {
  if (/^(F|BF|Q8)/.test(type)) return 0.99;
  if (/^Q[56]/.test(type)) return 0.85;
  return type.startsWith('Q4') ? 0.6 : 0.3;
}

async function readGolden(name: string): Promise<readonly Prompt[]> {
  const text = await readFile(join(fixtures, name, 'golden.json'), 'utf8');
  return (JSON.parse(text) as { readonly prompts: readonly Prompt[] }).prompts;
}

function indexOfLargest(logits: Float32Array): number {
  return logits.indexOf(logits.reduce((largest, logit) => Math.max(largest, logit)));
}

function correlate(left: readonly number[], right: readonly number[]): number {
  const centred = (values: readonly number[]): number[] => {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return values.map((value) => value - mean);
  };
  const [a, b] = [centred(left), centred(right)];
  const dot = (x: readonly number[], y: readonly number[]): number =>
    x.reduce((sum, value, at) => sum + value * (y[at] ?? 0), 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}
