/**
 * Goal: the recipes that come along are the built-in types, and a check tells what a run would
 * make. Method: real files and sources, plans compared with those of the command line's options.
 */

import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { quantizeRequest } from '../../proto/requests.ts';
import { openSource, openSourceFile } from '../adapters/source-directory.ts';
import { parseToml } from '../adapters/toml.ts';
import { parseCompat } from '../core/importance/importance-keys.ts';
import { planOutputs } from '../core/plan/outputs.ts';
import { hex } from '../core/plan/unit-id.ts';
import { canonicalRecipe } from '../core/recipe/canonical.ts';
import { completeRequest } from '../core/recipe/complete-request.ts';
import { ftypes } from '../core/recipe/ftypes.ts';
import type { Recipe } from '../core/recipe/recipe.ts';
import { requirementsOf } from '../core/recipe/requirements.ts';
import { type DescribedSource, describeSource } from './describe-source.ts';
import { openRecipe } from './open-recipe.ts';
import { checkRecipe, listRecipes, type RecipesPorts, showRecipe } from './recipes.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const shippedRecipes = join(root, 'daemon', 'recipes');
const scratch = mkdtempSync(join(tmpdir(), 'quantd-recipes-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();
const ports: RecipesPorts = {
  openFile: openSourceFile,
  openSource: (path) =>
    openSource(path, {
      hashFile: () => Promise.reject(new Error('nothing is hashed')),
      digestCache: join(scratch, 'digests.json'),
    }),
  parseToml,
  sha256,
  kernels: { sha256: async (bytes) => sha256(bytes) },
  shippedRecipes,
};
const signal = new AbortController().signal;
const asked = (more: object) =>
  quantizeRequest.parse({ kind: 'quantize', source: '/s', out: '/o', ...more });

async function described(fixture: string): Promise<DescribedSource> {
  const source = await ports.openSource(join(root, 'fixtures', fixture));
  try {
    return await describeSource(source, asked({}), signal);
  } finally {
    await source.close();
  }
}

const plansOf = ({ model, name }: DescribedSource, { outputs }: Recipe) =>
  planOutputs(model, name, outputs, {
    ...{ allowRequantize: false, keepSplit: false, overrides: [], importance: undefined },
    ...{ compat: parseCompat(undefined), dryRun: true },
  });

test('the recipe of a type makes to the byte of the header what --type makes', async () => {
  const models = await Promise.all(
    ['tiny-gemma4', 'tiny-gemma4-e', 'tiny-gemma4-k'].map(described),
  );
  let compared = 0;
  for (const { name } of ftypes) {
    const path = join(shippedRecipes, `${name}.toml`);
    const { recipe } = await openRecipe(asked({ recipe: { path, given: path } }), ports);
    const { recipe: same } = completeRequest(asked({ types: [name] }), undefined);
    expect(canonicalRecipe(recipe)).toBe(canonicalRecipe(same));
    for (const model of models) {
      // Some rules refuse some shapes: then both must.
      const headers = attempt(() => headersOf(model, recipe));
      expect(headers).toEqual(attempt(() => headersOf(model, same)));
      compared++;
    }
  }
  expect(compared).toBe(35 * 3);
});

/** Of each output its file and everything in front of its tensors' bytes, types included. */
const headersOf = (model: DescribedSource, recipe: Recipe) =>
  plansOf(model, recipe).map(({ file, layout }) => [file, hex(sha256(layout.header))]);

function attempt<T>(work: () => T): T | string {
  try {
    return work();
  } catch (error) {
    return String(error);
  }
}

test('every type has a recipe, whose comments say what the tables say', async () => {
  expect(readdirSync(shippedRecipes).sort()).toEqual(
    ftypes.map(({ name }) => `${name}.toml`).sort(),
  );
  expect(listRecipes().map(({ name }) => name)).toEqual(ftypes.map(({ name }) => name));
  for (const ftype of ftypes) {
    const { name, id, type, aliases } = ftype;
    const { text } = await showRecipe(String(id), ports);
    expect(text).toBe(readFileSync(join(shippedRecipes, `${name}.toml`), 'utf8'));
    expect(text).toContain(`# general.file_type ${id}; what no rule names becomes ${type}\n`);
    expect(text.includes(`Also called ${aliases.join(', ')}.`)).toBe(aliases.length > 0);
    expect(text.includes('needs an importance matrix')).toBe(requirementsOf(ftype).needsImportance);
  }
});

async function checked(text: string, fixture?: string) {
  const path = join(scratch, 'r.toml');
  writeFileSync(path, text);
  const source = fixture === undefined ? {} : { source: join(root, 'fixtures', fixture) };
  return await checkRecipe({ recipe: { path, given: 'r.toml' }, ...source }, ports, signal);
}

const useful = `
recipe = 1
[mix.spare]
tensors = []
[[output]]
name = "mine"
ftype = "Q4_K_M"
output-tensor = "Q8_0"
tensors = [
  { pattern = "ffn_down_exps", type = "Q5_0" },
  { pattern = "ffn_down_exps.weight", type = "Q8_0" },
  { pattern = "_norm", type = "F16" },
  { pattern = "no such", type = "F16" },
]
`;

test('a check tells the types of a plan, and which patterns do nothing', async () => {
  const report = await checked(useful, 'tiny-gemma4-k');
  expect(report.faults).toEqual([]);
  expect(report.warnings).toEqual([
    'no output uses the mix spare',
    'these are the types without an importance matrix; with one some differ',
    expect.stringMatching(/"ffn_down_exps\.weight" decides nothing/),
    expect.stringMatching(/"_norm" decides nothing/),
    expect.stringMatching(/"no such" matches no tensor/),
  ]);
  const planned = report.outputs[0]?.planned;
  const model = await described('tiny-gemma4-k');
  const { recipe } = await openRecipe(
    asked({ recipe: { path: join(scratch, 'r.toml'), given: 'r' } }),
    ports,
  );
  const [plan] = plansOf(model, recipe);
  expect(planned?.bytes).toBe(plan?.layout.fileBytes);
  expect(planned?.files).toEqual([`${model.name}-mine.gguf`]);
  const told = (planned?.groups ?? []).flatMap(({ name, type, layers }) =>
    layersOf(layers).map((layer) => [name.replace('*', layer), type] as const),
  );
  expect(told.length).toBe(plan?.types.size);
  expect(new Map(told)).toEqual(plan?.types);
  const sum = (key: 'tensors' | 'bytes') =>
    planned?.types.reduce((total, entry) => total + entry[key], 0);
  expect(sum('tensors')).toBe(plan?.types.size);
  expect(sum('bytes')).toBe(plan?.layout.tensors.reduce((all, { bytes }) => all + bytes, 0));
});

function layersOf(layers: string | undefined): string[] {
  if (layers === undefined) return [''];
  return layers.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => String(first + index));
  });
}

test('with a calibration the types are those with an importance matrix', async () => {
  const output = '[[output]]\nftype = "IQ3_XXS"\n';
  const typesIn = async (text: string, part: string) => {
    const { outputs } = await checked(text, 'tiny-gemma4-k');
    const groups = outputs[0]?.planned?.groups ?? [];
    return groups.filter(({ name }) => name.includes(part)).map(({ type }) => type);
  };
  const measured = `recipe = 1\n[calibration]\nchunks = 5\n${output}`;
  expect(await typesIn(`recipe = 1\n${output}`, 'ffn_down_exps.weight')).toEqual(['Q3_K']);
  expect(await typesIn(measured, 'ffn_down_exps.weight')).toEqual(['IQ3_XXS']);
  const coarse = await checked('recipe = 1\n[[output]]\nftype = "IQ2_XS"', 'tiny-gemma4-k');
  expect(coarse.warnings.join()).toMatch(/output IQ2_XS: .*IQ2_XS .*which need importance/);
  const covered = await checked(`${measured}[[output]]\nftype = "IQ2_XS"`, 'tiny-gemma4-k');
  expect(covered.warnings).toEqual([]);
});

test('what cannot be made is told with the output that asks for it', async () => {
  const text = 'recipe = 1\n[[output]]\nftype = "F16"\n[[output]]\nftype = "Q4_K_M"\n';
  const forced = `${text}token-embedding = "Q8_K"`;
  const report = await checked(forced, 'tiny-gemma4');
  expect(report.faults).toMatchObject([{ file: 'r.toml', key: 'output[1]' }]);
  expect(report.outputs.map(({ planned }) => planned !== undefined)).toEqual([true, false]);
  const wrong = await checked('recipe = 1\n[[outputs]]\nftype = "F17"');
  expect(wrong.faults.map(({ code, line }) => [code, line])).toEqual([
    ['QD-5405', undefined],
    ['QD-5403', 2],
  ]);
  expect((await checked('recipe = ')).faults).toMatchObject([{ code: 'QD-5402', line: 1 }]);
});

test('the examples of docs/recipe.md are right', async () => {
  const page = readFileSync(join(root, 'docs', 'recipe.md'), 'utf8');
  const [, toml = ''] = /```toml\n([^`]*)```/.exec(page) ?? [];
  const report = await checked(toml);
  expect(report).toMatchObject({ faults: [], warnings: [], name: 'Gemma for small machines' });
  expect(report.outputs.map(({ name, tensors }) => [name, tensors.length])).toEqual([
    ['Q4_K_M', 0],
    ['Q4_K_M-attn', 2],
  ]);
  const options = asked({ types: ['Q4_K_M'], tensorTypes: ['ffn_down=q8_0'] });
  expect(page).toContain(`    ${canonicalRecipe(completeRequest(options, undefined).recipe)}\n`);
});
