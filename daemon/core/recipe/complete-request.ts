/**
 * Complete request: a recipe from a file and what the command line says beside it, as one.
 *
 *   QuantizeRequest + Recipe of the file ──▶ completeRequest ──▶ a request that needs no file, Recipe
 *
 * What can be said in both must not be said in two ways: an option is never silently without effect.
 */

import { FaultError } from '../../../proto/fault.ts';
import {
  type CalibrationRequest,
  calibrationRequest,
  type QuantizeRequest,
} from '../../../proto/requests.ts';
import { plainRecipe } from './canonical.ts';
import { outputsOfOptions } from './options-recipe.ts';
import {
  calibrationFields,
  calibrationKeys,
  defaultCalibration,
  type Recipe,
  type RecipeCalibration,
  recipeCalibration,
} from './recipe.ts';
import { recipeFileFaults as faults } from './recipe-file-faults.ts';

export interface CompleteRequest {
  /** Its calibration is the whole one, and its recipe stands in it as plain values. */
  readonly request: QuantizeRequest;
  /** All outputs: those of the file, then one for each type. The digest of a release is of this. */
  readonly recipe: Recipe;
}

/**
 * @param file what the request's recipe holds; undefined where it names none
 * @throws FaultError optionsWithoutType, nothingAsked, calibrationTwice, textMissing, and what is
 *   wrong with the options
 */
export function completeRequest(asked: QuantizeRequest, file: Recipe | undefined): CompleteRequest {
  const { recipe: _, ...request } = asked;
  if (request.types.length === 0) {
    if (file === undefined) throw new FaultError(faults.nothingAsked);
    checkNoOptions(request);
  }
  const outputs = [...(file?.outputs ?? []), ...outputsOfOptions(request)];
  const calibration = joinCalibrations(request, file?.calibration);
  return {
    request: { ...request, calibration, ...(file === undefined ? {} : { recipe: inline(file) }) },
    recipe: {
      outputs,
      ...(file?.name === undefined ? {} : { name: file.name }),
      ...(calibration === undefined ? {} : { calibration: recipeCalibration(calibration) }),
    },
  };
}

/** How is measured is the request's own by now. */
function inline({ calibration, ...outputs }: Recipe): NonNullable<QuantizeRequest['recipe']> {
  return { plain: plainRecipe(outputs) };
}

type Options = Omit<QuantizeRequest, 'recipe'>;

/** Options that say how the outputs of `--type` are made. */
function checkNoOptions(request: Options): void {
  const given = [
    request.tensorTypes.length > 0 && '--tensor-type',
    request.outputTensorType !== undefined && '--output-tensor-type',
    request.tokenEmbeddingType !== undefined && '--token-embedding-type',
    request.leaveOutputTensor && '--leave-output-tensor',
    request.pure && '--pure',
  ].find((option) => option !== false);
  if (given !== undefined) throw new FaultError(faults.optionsWithoutType, { why: given });
}

function joinCalibrations(
  { calibration: asked, imatrix }: Options,
  stated: RecipeCalibration | undefined,
): CalibrationRequest | undefined {
  // A matrix that has been measured stands for the measuring.
  if (stated === undefined || (imatrix !== undefined && asked === undefined)) return asked;
  if (asked === undefined) {
    if (stated.default) return calibrationRequest.parse(stated);
    throw new FaultError(faults.textMissing);
  }
  for (const field of calibrationFields) {
    if (isContradiction(field, asked, stated)) {
      const why = `the recipe says ${stated[field] ?? 'nothing'}, the option ${asked[field]}`;
      throw new FaultError(faults.calibrationTwice, { key: calibrationKeys[field], why });
    }
  }
  // Through the schema, so that what is written of it has its keys in the order of every other.
  return calibrationRequest.parse({ ...asked, ...stated, default: asked.default });
}

function isContradiction(
  field: keyof RecipeCalibration,
  asked: CalibrationRequest,
  stated: RecipeCalibration,
): boolean {
  // Which text it is, is said on the command line, unless the recipe says it.
  if (field === 'default') return stated.default && !asked.default;
  // What an option leaves as it is, it does not say.
  return asked[field] !== defaultCalibration[field] && asked[field] !== stated[field];
}
