/**
 * Recipe file: what a recipe holds, as a schema. The file is TOML; docs/recipe.md tells the fields.
 *
 *   TOML ──▶ plain values ──▶ recipeFile ──▶ daemon/core/recipe/read-recipe.ts
 */

import * as z from 'zod';
import { calibrationRequest } from './requests.ts';

/** Raised when a field changes its meaning, or the rules behind the ftypes do. */
export const RECIPE_SCHEMA = 1;
/** A recipe with every list at its limit, and room for comments. */
export const RECIPE_BYTES_MAX: number = 256 * 1024;

// There are some forty ftypes; a release with more outputs than this is a mistake.
const OUTPUTS_MAX = 64;
const MIXES_MAX = 64;
/** Patterns of an output, with those of the mixes that it uses. */
export const PATTERNS_MAX = 256;
/** A pattern over names of at most 63 characters; longer ones are accidents or attacks. */
export const PATTERN_CHARACTERS_MAX = 512;
// Names of types have at most 9 characters.
const TYPE_CHARACTERS_MAX = 32;
const NAME_CHARACTERS_MAX = 64;
// A cell of a table in the model card.
const NOTE_CHARACTERS_MAX = 300;

// One line of text as people write it: nothing that moves a cursor or turns the line around.
const line = z
  .string()
  .min(1)
  .regex(/^[^\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]*$/u, 'holds a character that cannot be printed');
const type = z.string().min(1).max(TYPE_CHARACTERS_MAX);
const tensors = z
  .array(z.strictObject({ pattern: z.string().min(1).max(PATTERN_CHARACTERS_MAX), type }))
  .max(PATTERNS_MAX);
const mixName = z
  .string()
  .max(NAME_CHARACTERS_MAX)
  .regex(/^[A-Za-z0-9_-]+$/, 'is made of letters, digits, - and _');

/** A list of types that several outputs may use. */
export const recipeMix = z.strictObject({ tensors });

export const recipeFileOutput = z.strictObject({
  /** What stands in the file's name; by default the name of the ftype. */
  name: z
    .string()
    .max(NAME_CHARACTERS_MAX)
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'is made of letters, digits, - and _ and .')
    .optional(),
  ftype: type,
  /** The rules for what no pattern names. */
  rules: z.literal('llama.cpp').optional(),
  /** The first whose pattern is found in a tensor's name wins. */
  tensors: tensors.optional(),
  /** Mixes, whose tensors come after its own, in this order. */
  use: z.array(mixName).max(MIXES_MAX).optional(),
  'output-tensor': type.optional(),
  'token-embedding': type.optional(),
  'leave-output-tensor': z.boolean().optional(),
  pure: z.boolean().optional(),
  note: line.max(NOTE_CHARACTERS_MAX).optional(),
});

const ways = calibrationRequest.shape;
/** How importance is measured; the texts stand on the command line. */
export const recipeFileCalibration = z.strictObject({
  default: z.boolean().optional(),
  chat: z.boolean().optional(),
  'parse-special': z.boolean().optional(),
  ctx: ways.ctx.unwrap().optional(),
  chunks: ways.chunks,
  'from-chunk': ways.fromChunk.unwrap().optional(),
  'process-output': z.boolean().optional(),
  'min-expert-tokens': ways.minExpertTokens,
});

export const recipeFile = z.strictObject({
  recipe: z.literal(RECIPE_SCHEMA),
  name: line.max(NAME_CHARACTERS_MAX).optional(),
  mix: z.record(mixName, recipeMix).optional(),
  calibration: recipeFileCalibration.optional(),
  output: z.array(recipeFileOutput).min(1).max(OUTPUTS_MAX),
});

export type RecipeFile = z.infer<typeof recipeFile>;
export type RecipeFileOutput = z.infer<typeof recipeFileOutput>;
export type RecipeFileCalibration = z.infer<typeof recipeFileCalibration>;
/** One thing that the schema finds wrong. */
export type RecipeIssue = z.core.$ZodIssue;
