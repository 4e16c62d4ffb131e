/**
 * Recipe: everything about a release that is a choice: its outputs, and how importance is measured.
 *
 *   command line (options-recipe.ts) or file (read-recipe.ts) ──▶ Recipe ──▶ core/plan/outputs.ts
 *                                                                  └──▶ canonical.ts, its digest
 */

import type { RecipeFileCalibration } from '../../../proto/recipe-file.ts';
import { type CalibrationRequest, calibrationRequest } from '../../../proto/requests.ts';
import type { Ftype } from './ftypes.ts';
import type { RecipeOptions } from './type-rules.ts';

/** The name of the layer-dependent rules (mixture.ts), which recipes state with `rules`. */
export const RULE_SET = 'llama.cpp';

/** One output, and the type of each of its tensors as far as it is no rule. */
export interface RecipeOutput {
  /** What stands in the file's name: `<model>-<name>.gguf`. */
  readonly name: string;
  /** Whose rules decide what no pattern names; `general.file_type`. */
  readonly ftype: Ftype;
  readonly options: RecipeOptions;
  /** What a model card says of it. */
  readonly note?: string;
}

/** A calibration but for its texts, and for what only says which machines do how much of it. */
export type RecipeCalibration = Omit<
  CalibrationRequest,
  'files' | 'ppl' | 'replicas' | 'waveChunks'
>;

export interface Recipe {
  /** What people call it. */
  readonly name?: string;
  /** In the order they are made and listed; their names differ by more than capitals. */
  readonly outputs: readonly RecipeOutput[];
  /** Undefined where nothing is measured. */
  readonly calibration?: RecipeCalibration;
}

/** How a recipe's file calls the fields of a calibration. */
export const calibrationKeys = {
  default: 'default',
  chat: 'chat',
  parseSpecial: 'parse-special',
  ctx: 'ctx',
  chunks: 'chunks',
  fromChunk: 'from-chunk',
  processOutput: 'process-output',
  minExpertTokens: 'min-expert-tokens',
} as const satisfies Record<keyof RecipeCalibration, keyof RecipeFileCalibration>;

// `Object.keys` widens the keys it has just been given.
export const calibrationFields = Object.keys(
  calibrationKeys,
) as readonly (keyof RecipeCalibration)[];

/** What of a calibration stands in a recipe. */
export function recipeCalibration(request: CalibrationRequest): RecipeCalibration {
  const { files, ppl, replicas, waveChunks, ...calibration } = request;
  return calibration;
}

/** How is measured where nothing is said. */
export const defaultCalibration: RecipeCalibration = recipeCalibration(
  calibrationRequest.parse({}),
);
