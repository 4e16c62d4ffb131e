/**
 * Recipe requests: what commands ask about recipes. Read next: recipe-report.ts, the answers.
 *
 *   POST /v1/recipes/check ──▶ RecipeReport
 *   POST /v1/recipes/show  ──▶ ShippedRecipe
 *   GET /v1/recipes        ──▶ RecipeListing[]
 */

import * as z from 'zod';
import { hubAccess } from './hub-access.ts';
import { namedFile } from './requests.ts';

// Longer than any path or name of a type that a person types.
const text = z.string().min(1).max(4096);

export const recipeCheckRequest = z.strictObject({
  recipe: namedFile,
  /** As a run has it: for this the types of all tensors are told. */
  source: text.optional(),
  hub: hubAccess.optional(),
});
export const recipeShowRequest = z.strictObject({
  /** Name, alias or number of an ftype. */
  ftype: text,
});

export type RecipeCheckRequest = z.infer<typeof recipeCheckRequest>;
export type RecipeShowRequest = z.infer<typeof recipeShowRequest>;
