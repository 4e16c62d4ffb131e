/**
 * Recipe API: what commands ask about recipes.
 *
 *   proto/recipe-requests.ts ──▶ LocalRecipes ──▶ proto/recipe-report.ts
 */

import { Hono } from 'hono';
import type { RecipeListing, RecipeReport, ShippedRecipe } from '../../proto/recipe-report.ts';
import {
  type RecipeCheckRequest,
  recipeCheckRequest,
  recipeShowRequest,
} from '../../proto/recipe-requests.ts';
import { parseBody } from './api-faults.ts';

/** What the daemon knows of recipes. Every method may throw a FaultError. */
export interface LocalRecipes {
  list(): RecipeListing[];
  /** That of an ftype. */
  show(ftype: string): Promise<ShippedRecipe>;
  check(request: RecipeCheckRequest): Promise<RecipeReport>;
}

/** Routes below /v1/recipes. */
export function recipeRoutes(recipes: LocalRecipes): Hono {
  const app = new Hono();
  app.get('/', (context) => context.json(recipes.list()));
  app.post('/show', async (context) => {
    const { ftype } = await parseBody(recipeShowRequest, context);
    return context.json(await recipes.show(ftype));
  });
  app.post('/check', async (context) =>
    context.json(await recipes.check(await parseBody(recipeCheckRequest, context))),
  );
  return app;
}
