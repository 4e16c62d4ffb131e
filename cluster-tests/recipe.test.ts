/**
 * Goal: a recipe makes what the same choices on the command line make, in a run and in a release.
 * Method: whole runs on the tiny fixture, files compared by byte; that --type and --tensor-type
 * give llama.cpp's bytes is the matter of oracle/same-bytes.test.ts, what is wrong with a recipe
 * that of roles/open-recipe.test.ts.
 */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Connection } from '../cli/daemon.ts';
import { lockFile } from '../proto/lockfile.ts';
import { connectQuantd, makeScratch, mustRunQuantd, parseEvents, runQuantd } from './quantd.ts';

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let daemon: Connection;
beforeAll(async () => {
  scratch = await makeScratch('recipe');
  // One for all commands: none has to start its own.
  daemon = await connectQuantd(at('data'));
});
afterAll(async () => {
  await daemon.close();
  await scratch.remove();
});

const SOURCE = 'fixtures/tiny-gemma4-k';
const at = (...parts: string[]): string => join(scratch.path, ...parts);
const must = (...words: string[]) => mustRunQuantd(words, { data: at('data') });
const bytes = (...path: string[]) => readFileSync(join(...path));

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
  writeFileSync(at('two.toml'), two);
  const quantize = ['quantize', SOURCE, '--name', 'k', '--json'];
  const recipes = ['--recipe', at('two.toml'), '--type', 'Q8_0'];
  const run = await must(...quantize, ...recipes, '--out', at('both'));
  expect(parseEvents(run).at(-1)).toMatchObject({ type: 'done', outputs: 3 });
  const files = readdirSync(at('both')).filter((file) => file.endsWith('.gguf'));
  expect(files.sort()).toEqual(['k-Q4_K_M-attn.gguf', 'k-Q4_K_M.gguf', 'k-Q8_0.gguf']);

  const changes = ['blk.*ffn_down=q5_0', 'attn_[qk]=q6_k'].flatMap((t) => ['--tensor-type', t]);
  const one = ['--type', 'Q4_K_M', ...changes, '--token-embedding-type', 'Q8_0'];
  await must(...quantize, ...one, '--out', at('changed'));
  await must(...quantize, '--type', 'Q4_K_M,Q8_0', '--out', at('plain'));
  const changed = bytes(at('both'), 'k-Q4_K_M-attn.gguf');
  expect(changed.equals(bytes(at('changed'), 'k-Q4_K_M.gguf'))).toBe(true);
  for (const file of ['k-Q4_K_M.gguf', 'k-Q8_0.gguf']) {
    expect(bytes(at('both'), file).equals(bytes(at('plain'), file))).toBe(true);
    expect(bytes(at('both'), file).equals(changed)).toBe(false);
  }
});

test('a release by a recipe holds it, and is made again with what it holds', async () => {
  const measured = two.replace(/recipe = 1/, 'recipe = 1\n[calibration]\nctx = 64\nchunks = 2');
  writeFileSync(at('measured.toml'), measured);
  writeFileSync(at('text.txt'), 'One text of a few words. '.repeat(60));
  const release = ['release', 'fixtures/tiny-gemma4', '--name', 'k', '--json', '--calibration'];
  mkdirSync(at('first'));
  mkdirSync(at('again'));
  const words = [at('text.txt'), '--recipe', at('measured.toml'), '--out', at('first')];
  await must(...release, ...words);
  const folder = at('first', 'k-GGUF');
  const locked = bytes(folder, 'quantd.lock.json').toString();
  const { lock } = lockFile.parse(JSON.parse(locked));
  expect(lock.wishes.recipe?.plain.output.map(({ name }) => name)).toEqual([
    'Q4_K_M-attn',
    'Q4_K_M',
  ]);
  expect(lock.calibration?.options).toMatchObject({ ctx: 64, chunks: 2 });
  // Nothing of it says where it lay.
  expect(locked).not.toContain('measured.toml');

  await must('verify', folder);
  // As REPRODUCE.md has it.
  const kept = [join(folder, 'calibration', 'text.txt'), '--recipe', join(folder, 'recipe.toml')];
  const ways = ['--ctx', '64', '--chunks', '2'];
  expect(bytes(folder, 'REPRODUCE.md').toString()).toContain(' --recipe recipe.toml ');
  await must(...release, ...kept, ...ways, '--out', at('again'));
  expect(bytes(at('again'), 'k-GGUF', 'SHA256SUMS')).toEqual(bytes(folder, 'SHA256SUMS'));
});

test('a recipe that comes along is one that can be checked', async () => {
  const { stdout } = await must('recipe', 'show', 'q4_k');
  writeFileSync(at('shown.toml'), stdout);
  const check = ['recipe', 'check', at('shown.toml'), '--source', SOURCE];
  const report = parseEvents(await must(...check, '--json'))[0];
  expect(report).toMatchObject({ v: 1, type: 'recipe', faults: [], outputs: [{ name: 'Q4_K_M' }] });
  expect((await must(...check)).stdout).toMatch(/Q6_K +1 +blk\.\*\.attn_v\.weight +layers 1\n/);
  expect((await must('recipe', 'list')).stdout).toMatch(/\nIQ2_XS +20 .*needs an importance/);

  writeFileSync(at('wrong.toml'), `${stdout}puer = true\nnote = "\\u001b[2J\\u202e"\n`);
  const wrong = await runQuantd(['recipe', 'check', at('wrong.toml')], { data: at('data') });
  expect(wrong.code).toBe(2);
  expect(wrong.stderr).toMatch(/QD-5403[\s\S]*line 13 {2}key output\[0\]\.puer[\s\S]*QD-5404/);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
  expect(wrong.stdout + wrong.stderr).not.toMatch(/[\u001b\u202e]/);
});
