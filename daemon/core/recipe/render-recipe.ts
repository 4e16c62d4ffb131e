/**
 * Render recipe: the plain values of a recipe as the TOML that a person would write.
 *
 *   RecipeFile ──▶ renderRecipe ──▶ text, of which a parser makes the same values
 */

import type { RecipeFile, RecipeFileOutput } from '../../../proto/recipe-file.ts';

/** Of plain values as `plainRecipe` makes them: without mixes, which it has written out. */
export function renderRecipe({ recipe, name, calibration, output }: RecipeFile): string {
  return [
    ...keyLines({ recipe, name }),
    ...(calibration === undefined ? [] : ['', '[calibration]', ...keyLines(calibration)]),
    ...output.flatMap((one) => ['', '[[output]]', ...outputLines(one)]),
    '',
  ].join('\n');
}

function outputLines({ tensors, use, ...keys }: RecipeFileOutput): string[] {
  const entries = (tensors ?? []).map(
    ({ pattern, type }) => `  { pattern = ${valueText(pattern)}, type = ${valueText(type)} },`,
  );
  return [...keyLines(keys), ...(entries.length === 0 ? [] : ['tensors = [', ...entries, ']'])];
}

function keyLines(keys: Readonly<Record<string, string | number | boolean | undefined>>): string[] {
  return Object.entries(keys).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key} = ${valueText(value)}`],
  );
}

/** TOML's basic strings are JSON's, as long as the schema lets no control character pass. */
function valueText(value: string | number | boolean): string {
  return JSON.stringify(value);
}
