/**
 * Pattern uses: which patterns of an output do nothing for a model, and why.
 *
 *   tensors + RecipeOutput ──▶ idlePatterns ──▶ a sentence for each of them
 */

import { blockTypes } from '../gguf/block-types.ts';
import { mayBeQuantized, outputTensor, tokenEmbedding } from './categories.ts';
import { compileOverrides } from './overrides.ts';
import type { RecipeOutput } from './recipe.ts';
import type { RecipeOptions } from './type-rules.ts';

interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

/** @throws FaultError badPattern */
export function idlePatterns(
  tensors: readonly NamedTensor[],
  { name: output, ftype, options }: RecipeOutput,
): string[] {
  const overrides = compileOverrides(options.tensorTypes);
  if (overrides.length > 0 && !blockTypes[ftype.type].quantized) {
    return [`output ${output}: patterns do nothing in a file of ${ftype.name}`];
  }
  const found = overrides.map(() => false);
  const decides = overrides.map(() => false);
  for (const tensor of tensors) {
    let isFree = mayBeQuantized(tensor.name, tensor.shape) && !isForced(tensor.name, options);
    for (const [index, { expression }] of overrides.entries()) {
      if (!expression.test(tensor.name)) continue;
      found[index] = true;
      if (isFree) decides[index] = true;
      isFree = false;
    }
  }
  return options.tensorTypes.flatMap(({ pattern }, index) => {
    if (decides[index] === true) return [];
    const why =
      found[index] === true
        ? 'decides nothing: what it matches is kept, or named before it'
        : 'matches no tensor';
    return [`output ${output}: pattern ${JSON.stringify(pattern)} ${why}`];
  });
}

/** Whether an option names the tensor, before any pattern is asked. */
function isForced(name: string, options: RecipeOptions): boolean {
  if (name === tokenEmbedding) return options.tokenEmbeddingType !== undefined;
  return (
    name === outputTensor && (options.outputTensorType !== undefined || options.leaveOutputTensor)
  );
}
