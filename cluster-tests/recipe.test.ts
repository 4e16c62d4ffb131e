/**
 * Goal: a recipe makes what the same choices on the command line make. Method: whole runs on the
 * tiny fixture, files compared by byte; that --type and --tensor-type give llama.cpp's bytes is the
 * matter of oracle/same-bytes.test.ts, what is wrong with a recipe that of roles/open-recipe.test.ts.
 */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeScratch, mustRunQuantd, parseEvents } from './quantd.ts';

let scratch: Awaited<ReturnType<typeof makeScratch>>;
beforeAll(async () => {
  scratch = await makeScratch('recipe');
  mkdirSync(at('recipes'));
});
afterAll(() => scratch.remove());

const SOURCE = 'fixtures/tiny-gemma4-k';
const at = (...parts: string[]): string => join(scratch.path, ...parts);

function recipe(name: string, text: string): string {
  const path = at('recipes', name);
  writeFileSync(path, text);
  return path;
}

const two = `
recipe = 1

[mix.attention]                 # more bits where they cost little
tensors = [{ pattern = "attn_[qk]", type = "q6_k" }]

[[output]]
name = "Q4_K_M-attn"
ftype = "Q4_K_M"
tensors = [{ pattern = "blk.*FFN_down", type = "Q5_0" }]
use = ["attention"]
token-embedding = "Q8_0"

[[output]]
ftype = "Q4_K_M"
`;

test('two outputs of one ftype, in one run, are those of two command lines', async () => {
  const quantize = ['quantize', SOURCE, '--name', 'k', '--json'];
  const recipes = ['--recipe', recipe('two.toml', two), '--type', 'Q8_0'];
  const run = await mustRunQuantd([...quantize, ...recipes, '--out', at('both')]);
  expect(parseEvents(run).at(-1)).toMatchObject({ type: 'done', outputs: 3 });
  const files = readdirSync(at('both')).filter((file) => file.endsWith('.gguf'));
  expect(files.sort()).toEqual(['k-Q4_K_M-attn.gguf', 'k-Q4_K_M.gguf', 'k-Q8_0.gguf']);

  const changes = ['blk.*ffn_down=q5_0', 'attn_[qk]=q6_k'].flatMap((t) => ['--tensor-type', t]);
  const one = ['--type', 'Q4_K_M', ...changes, '--token-embedding-type', 'Q8_0'];
  await mustRunQuantd([...quantize, ...one, '--out', at('changed')]);
  await mustRunQuantd([...quantize, '--type', 'Q4_K_M,Q8_0', '--out', at('plain')]);
  const bytes = (...path: string[]) => readFileSync(at(...path));
  const changed = bytes('both', 'k-Q4_K_M-attn.gguf');
  expect(changed.equals(bytes('changed', 'k-Q4_K_M.gguf'))).toBe(true);
  for (const file of ['k-Q4_K_M.gguf', 'k-Q8_0.gguf']) {
    expect(bytes('both', file).equals(bytes('plain', file))).toBe(true);
    expect(bytes('both', file).equals(changed)).toBe(false);
  }
});
