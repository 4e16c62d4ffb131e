/**
 * Recipe report: what a recipe asks for, or all that is wrong with it.
 *
 *   daemon/roles/recipes.ts ──▶ RecipeReport ──▶ cli/recipe-view.ts
 */

import type { FaultMessage } from './fault.ts';
import type { InspectTypeTotal } from './inspect.ts';
import type { RecipeFileCalibration } from './recipe-file.ts';

/** An ftype that comes along as a recipe. */
export interface RecipeListing {
  readonly name: string;
  /** `general.file_type`. */
  readonly id: number;
  readonly aliases: readonly string[];
  /** What a tensor gets that no rule names. */
  readonly type: string;
  readonly needsImportance: boolean;
}

export interface ShippedRecipe {
  readonly ftype: string;
  /** TOML. */
  readonly text: string;
}

export interface RecipeReport {
  readonly file: string;
  readonly name?: string;
  /** SHA-256 of the canonical form; undefined where there is something wrong with the file. */
  readonly digest?: string;
  /** What stands in it, as far as it is not as it would be without being said. */
  readonly calibration?: RecipeFileCalibration;
  readonly outputs: readonly RecipeOutputReport[];
  /** What should be known and need not be acted on, one sentence each. */
  readonly warnings: readonly string[];
  /** Everything that keeps it from being used. */
  readonly faults: readonly FaultMessage[];
}

export interface RecipeOutputReport {
  readonly name: string;
  readonly ftype: string;
  readonly note?: string;
  readonly pure: boolean;
  readonly leaveOutputTensor: boolean;
  readonly outputTensor?: string;
  readonly tokenEmbedding?: string;
  /** With those of the mixes that it uses. */
  readonly tensors: readonly { readonly pattern: string; readonly type: string }[];
  /** What it would be for the source that was named. */
  readonly planned?: PlannedOutput;
}

export interface PlannedOutput {
  readonly files: readonly string[];
  /** Of all its files, headers included. */
  readonly bytes: number;
  readonly bitsPerWeight: number;
  /** Tensors whose rows are no whole blocks of the wanted type. */
  readonly fallbacks: number;
  /** Without padding; that with the most bytes first. */
  readonly types: readonly InspectTypeTotal[];
  readonly groups: readonly TensorGroup[];
}

/** Tensors that differ by their layer alone and have one type. */
export interface TensorGroup {
  /** With an asterisk where the number of the layer stands. */
  readonly name: string;
  readonly type: string;
  readonly tensors: number;
  /** `0-2,5,8`; undefined of a tensor that belongs to no layer. */
  readonly layers?: string;
}
