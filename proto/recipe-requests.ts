/**
 * Recipe requests: what commands ask about recipes. Read next: recipe-report.ts, the answers.
 *
 *   POST /v1/recipes/check ──▶ RecipeReport
 *   POST /v1/recipes/show  ──▶ ShippedRecipe
 *   GET /v1/recipes        ──▶ RecipeListing[]
 */

import * as z from 'zod';
import { imatrixRequest, inspectRequest } from './requests.ts';

export const recipeCheckRequest = z.strictObject({
  recipe: imatrixRequest,
  /** Absolute path of a checkpoint or GGUF, for which the types of all tensors are told. */
  source: inspectRequest.shape.file.optional(),
});
export const recipeShowRequest = z.strictObject({
  /** Name, alias or number of an ftype. */
  ftype: inspectRequest.shape.file,
});

export type RecipeCheckRequest = z.infer<typeof recipeCheckRequest>;
export type RecipeShowRequest = z.infer<typeof recipeShowRequest>;
