/** Goal: a file that is no recipe is told as what it is. The files are real, the parser too. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { quantizeRequest } from '../../proto/requests.ts';
import { openSourceFile } from '../adapters/source-directory.ts';
import { parseToml } from '../adapters/toml.ts';
import { openRecipe } from './open-recipe.ts';

const scratch = mkdtempSync(join(tmpdir(), 'quantd-open-recipe-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const ports = { openFile: openSourceFile, parseToml };
const path = join(scratch, 'r.toml');

function asked(more: object = {}) {
  const recipe = { path, given: 'given/r.toml' };
  return quantizeRequest.parse({ kind: 'quantize', source: '/s', out: '/o', recipe, ...more });
}

const right = '\uFEFFrecipe = 1\r\n[[output]]\r\nftype = "Q4_K_M"\r\n';

test.each<[string, string | Uint8Array, RegExp]>([
  ['no TOML', 'recipe = 1\n[[output]\n', /^QD-5402 .*\(given\/r\.toml, line 2\): column \d/],
  ['a key that would reach the prototype', '[a.__proto__]\nx = 1', /^QD-5402 .*line 1/],
  ['a key twice', 'recipe = 1\nrecipe = 1', /^QD-5402 .*line 2/],
  ['brackets without end', `recipe = ${'['.repeat(200_000)}`, /^QD-5402 .*nested/],
  ['no UTF-8', Uint8Array.of(0x61, 0xff), /^QD-5401 .*\(given\/r\.toml\)/],
  ['too large', '#'.repeat(256 * 1024 + 1), /^QD-5416 .*262145 bytes, where 262144 are/],
  ['nothing', '', /^QD-5405 .*key recipe/],
  ['tables as deep as the file', `[${'a.'.repeat(100_000)}b]\nx = 1`, /^QD-5405 .*key recipe/],
])('%s', async (_, content, said) => {
  writeFileSync(path, content);
  await expect(openRecipe(asked(), ports)).rejects.toThrow(said);
});

test('a file that is not there, and a directory', async () => {
  rmSync(path, { force: true });
  await expect(openRecipe(asked(), ports)).rejects.toThrow(/^QD-5415 .*\(given\/r\.toml\)/);
  const directory = asked({ recipe: { path: scratch, given: 'dir' } });
  await expect(openRecipe(directory, ports)).rejects.toThrow(/^QD-5415 .*\(dir\)/);
});

test('of several faults the first is told, and the command that tells all', async () => {
  writeFileSync(path, `${right}puer = true\nfast = 1`);
  const told = await openRecipe(asked(), ports).catch((error) => error.toMessage());
  expect(told).toMatchObject({ code: 'QD-5403', line: 4, key: 'output[0].puer' });
  expect(told.hint).toMatch(/; 1 more: quantd recipe check given\/r\.toml$/);
});

test('a recipe as plain values is that of the file', async () => {
  writeFileSync(path, right);
  const plain = asked({ recipe: { plain: { recipe: 1, output: [{ ftype: 'Q4_K_M' }] } } });
  const { request, recipe } = await openRecipe(plain, ports);
  // What is measured for a run is known by its request: it tells the recipe, not where it lay.
  expect(await openRecipe(asked(), ports)).toEqual({ request, recipe });
  expect(await openRecipe(request, ports)).toEqual({ request, recipe });
});
