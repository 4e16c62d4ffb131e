import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeCheckpoint } from '../checkpoints/generate.ts';
import { drawSpec } from '../checkpoints/spec.ts';
import { makeScratch, mustRunQuantd } from '../quantd.ts';
import { openOracle, whyNoOracle } from './llama.ts';

describe.skipIf(whyNoOracle() !== undefined)('the oracle', () => {
  const oracle = openOracle();
  let scratch: Awaited<ReturnType<typeof makeScratch>>;
  beforeAll(async () => {
    scratch = await makeScratch('oracle');
  });
  afterAll(async () => {
    await oracle.close();
    await scratch.remove();
  });

  // Goal: a refusal tells why, and the next call is not harmed. Method: ask for what cannot be.
  test('says what llama.cpp said', async () => {
    const missing = join(scratch.path, 'missing.gguf');
    const request = { input: missing, output: `${missing}.out`, ftype: 'F16' } as const;
    await expect(oracle.quantize(request)).rejects.toThrow(/missing\.gguf/);
    const garbage = join(scratch.path, 'garbage.gguf');
    await writeFile(garbage, 'GGUF and then nothing');
    await expect(oracle.tokenize(garbage, ['he'])).rejects.toThrow(/refuses to load/);
    await expect(oracle.quantize(request)).rejects.toThrow(/missing\.gguf/);
  });

  // Goal: llama.cpp may abort without taking the tests along. Method: make it decode no tokens at
  // all, which it asserts never happens, then ask again.
  test('outlives the death of its process', async () => {
    const model = join(scratch.path, 'checkpoint.gguf');
    const checkpoint = join(scratch.path, 'checkpoint');
    await writeCheckpoint(checkpoint, drawSpec(1));
    await mustRunQuantd(['convert', checkpoint, '--type', 'BF16', '--out', model]);
    const [before] = await oracle.tokenize(model, ['he']);
    await expect(oracle.logits(model, [[]])).rejects.toThrow(/died .*\n[\s\S]*ASSERT/);
    expect(await oracle.tokenize(model, ['he'])).toEqual([before]);
  });
});
