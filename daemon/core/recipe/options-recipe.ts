/**
 * Options recipe: what `--type` and the options beside it ask for, as a recipe.
 *
 *   QuantizeRequest ──▶ outputsOfOptions ──▶ RecipeOutput[]
 */

import type { QuantizeRequest } from '../../../proto/requests.ts';
import { parseBlockType, parseFtype } from './ftypes.ts';
import { parseTensorTypeOption } from './overrides.ts';
import type { RecipeOutput } from './recipe.ts';
import type { RecipeOptions } from './type-rules.ts';

export type RecipeRequest = Pick<
  QuantizeRequest,
  'types' | 'tensorTypes' | 'outputTensorType' | 'tokenEmbeddingType' | 'leaveOutputTensor' | 'pure'
>;

/**
 * One output for each type, all with the same options.
 * @throws FaultError unknownFtype, unknownBlockType, badTensorTypeOption, badPattern
 */
export function outputsOfOptions(request: RecipeRequest): RecipeOutput[] {
  const options = optionsOf(request);
  return request.types.map(parseFtype).map((ftype) => ({ name: ftype.name, ftype, options }));
}

function optionsOf(request: RecipeRequest): RecipeOptions {
  const { outputTensorType, tokenEmbeddingType } = request;
  return {
    tensorTypes: request.tensorTypes.map(parseTensorTypeOption),
    leaveOutputTensor: request.leaveOutputTensor,
    pure: request.pure,
    ...(outputTensorType === undefined
      ? {}
      : { outputTensorType: parseBlockType(outputTensorType) }),
    ...(tokenEmbeddingType === undefined
      ? {}
      : { tokenEmbeddingType: parseBlockType(tokenEmbeddingType) }),
  };
}
