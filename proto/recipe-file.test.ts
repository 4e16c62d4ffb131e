/** Goal: docs/recipe.schema.json, which editors read, is the schema that recipes are checked by. */

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as z from 'zod';
import { recipeFile } from './recipe-file.ts';

test('the JSON Schema is that of the program', () => {
  const file = new URL('../docs/recipe.schema.json', import.meta.url);
  const made = JSON.stringify(z.toJSONSchema(recipeFile, { io: 'input' }), undefined, 2);
  expect(readFileSync(file, 'utf8')).toBe(`${made}\n`);
});
