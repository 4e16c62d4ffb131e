/**
 * Open recipe: what a request asks to be made, with the recipe that it names.
 *
 *   QuantizeRequest ──▶ file ──▶ TOML ──▶ Recipe ──▶ CompleteRequest (core/recipe)
 */

import { FaultError } from '../../proto/fault.ts';
import { RECIPE_BYTES_MAX } from '../../proto/recipe-file.ts';
import type { QuantizeRequest, ReleaseRequest } from '../../proto/requests.ts';
import { type CompleteRequest, completeRequest } from '../core/recipe/complete-request.ts';
import { type RecipeReading, readRecipe } from '../core/recipe/read-recipe.ts';
import type { Recipe } from '../core/recipe/recipe.ts';
import { recipeFileFaults as faults } from '../core/recipe/recipe-file-faults.ts';
import { placeIn } from '../core/recipe/recipe-schema.ts';
import { readGivenFile } from './read-given-file.ts';
import type { OpenFile } from './read-imatrix.ts';

export interface RecipePorts {
  readonly openFile: OpenFile;
  /** @throws FaultError where the bytes are no TOML; `file` is its name for that */
  readonly parseToml: (
    bytes: Uint8Array,
    file: string,
  ) => { readonly text: string; readonly document: unknown };
}

type NamedRecipe = NonNullable<QuantizeRequest['recipe']>;

/**
 * The request with what its recipe says, and the recipe with what the request says.
 * @throws FaultError QD-54xx, QD-41xx: the first thing that is wrong
 */
export async function openRecipe(
  request: QuantizeRequest,
  ports: RecipePorts,
): Promise<CompleteRequest> {
  const { recipe } = request;
  return completeRequest(request, recipe && firstFault(recipe, await readNamed(recipe, ports)));
}

/**
 * The same of a release, which is asked for again without the file: its recipe is plain values.
 * @throws FaultError as openRecipe
 */
export async function inlineRecipe(
  asked: ReleaseRequest,
  ports: RecipePorts,
): Promise<ReleaseRequest> {
  const { recipe } = asked;
  if (recipe === undefined) return asked;
  const file = firstFault(recipe, await readNamed(recipe, ports));
  const { request } = completeRequest({ ...asked, kind: 'quantize', dryRun: false }, file);
  const { dryRun, ...release } = request;
  return { ...release, kind: 'release' };
}

/** Everything that is right or wrong with a recipe. @throws FaultError where it is no TOML */
export async function readNamed(recipe: NamedRecipe, ports: RecipePorts): Promise<RecipeReading> {
  if ('plain' in recipe) return readRecipe(recipe.plain, placeIn(undefined));
  const bytes = await readBytes(recipe.path, recipe.given, ports.openFile);
  const { text, document } = ports.parseToml(bytes, recipe.given);
  return readRecipe(document, placeIn(recipe.given, text));
}

function firstFault(recipe: NamedRecipe, reading: RecipeReading): Recipe {
  if (reading.recipe !== undefined) return reading.recipe;
  const [first, ...others] = reading.faults;
  if (first === undefined || others.length === 0 || 'plain' in recipe) throw first;
  const hint = `${first.detail.hint ?? first.kind.hint}; ${others.length} more: quantd recipe check ${recipe.given}`;
  throw new FaultError(first.kind, { ...first.detail, hint }, { cause: first });
}

/** The bytes of a recipe's file. @throws FaultError fileMissing, fileTooLarge */
export function readBytes(path: string, given: string, openFile: OpenFile): Promise<Uint8Array> {
  return readGivenFile({ path, given, bytesMax: RECIPE_BYTES_MAX, faults }, openFile);
}
