/**
 * Canonical: the one form in which equal recipes are equal texts, and its digest.
 *
 *   Recipe ──▶ plainRecipe ──▶ canonicalRecipe ──▶ recipeDigest
 *
 * It is a recipe file again, as JSON: mixes are written out, patterns are in small letters, names
 * of types as the program spells them, and what is as it would be without being said is left out.
 * So neither comments, the order of keys nor the way of writing count, and a field that a later
 * version adds changes the digest of no recipe that does not use it.
 */

import {
  RECIPE_SCHEMA,
  type RecipeFile,
  type RecipeFileCalibration,
  type RecipeFileOutput,
} from '../../../proto/recipe-file.ts';
import { hex, type Sha256 } from '../plan/unit-id.ts';
import { canonicalJson } from '../release/canonical.ts';
import { lowerCase } from './overrides.ts';
import {
  calibrationFields,
  calibrationKeys,
  defaultCalibration,
  type Recipe,
  type RecipeCalibration,
  type RecipeOutput,
} from './recipe.ts';

const encoder = new TextEncoder();

/** The recipe as the plain values of its file; `readRecipe` makes the same recipe of them. */
export function plainRecipe({ name, outputs, calibration }: Recipe): RecipeFile {
  return {
    recipe: RECIPE_SCHEMA,
    ...(name === undefined ? {} : { name }),
    ...(calibration === undefined ? {} : { calibration: plainCalibration(calibration) }),
    output: outputs.map(plainOutput),
  };
}

/** `plainRecipe` as JSON with sorted keys and without spaces. */
export function canonicalRecipe(recipe: Recipe): string {
  return canonicalJson(plainRecipe(recipe));
}

/** SHA-256 of the canonical form in UTF-8, in lower-case hex. */
export function recipeDigest(recipe: Recipe, sha256: Sha256): string {
  return hex(sha256(encoder.encode(canonicalRecipe(recipe))));
}

function plainOutput({ name, ftype, options, note }: RecipeOutput): RecipeFileOutput {
  const { tensorTypes, outputTensorType, tokenEmbeddingType, leaveOutputTensor, pure } = options;
  return {
    name,
    ftype: ftype.name,
    ...(tensorTypes.length === 0
      ? {}
      : {
          tensors: tensorTypes.map(({ pattern, type }) => ({ pattern: lowerCase(pattern), type })),
        }),
    ...(outputTensorType === undefined ? {} : { 'output-tensor': outputTensorType }),
    ...(tokenEmbeddingType === undefined ? {} : { 'token-embedding': tokenEmbeddingType }),
    ...(leaveOutputTensor ? { 'leave-output-tensor': true } : {}),
    ...(pure ? { pure } : {}),
    ...(note === undefined ? {} : { note }),
  };
}

function plainCalibration(calibration: RecipeCalibration): RecipeFileCalibration {
  const said = calibrationFields.filter(
    (field) => calibration[field] !== defaultCalibration[field],
  );
  return Object.fromEntries(said.map((field) => [calibrationKeys[field], calibration[field]]));
}
