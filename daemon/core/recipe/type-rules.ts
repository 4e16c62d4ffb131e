/**
 * Type rules: the block type of every tensor of an output.
 *
 *   model shape + tensors + ftype + options ──▶ assignTypes ──▶ one TypeAssignment per tensor
 *
 * The same types as llama-quantize v0.5.0 gives, for every ftype. Which of them can be made is
 * asked afterwards (requirements.ts), so that the rules hold for types without a kernel too.
 * Read next: mixture.ts, the tables; docs/recipe.md, the order in prose.
 */

import { assert } from '../../../proto/assert.ts';
import { FaultError } from '../../../proto/fault.ts';
import { type BlockTypeName, blockTypes } from '../gguf/block-types.ts';
import type { ModelShape } from '../models/family.ts';
import {
  type Category,
  categoryOf,
  isValueLike,
  mayBeQuantized,
  outputTensor,
  tokenEmbedding,
} from './categories.ts';
import { recipeFaults } from './faults.ts';
import type { Ftype } from './ftypes.ts';
import { Mixture } from './mixture.ts';
import {
  type CompiledOverride,
  compileOverrides,
  findOverride,
  type TensorType,
} from './overrides.ts';

export interface RecipeOptions {
  /** `--tensor-type`, in the order they were given; the first whose pattern is found wins. */
  readonly tensorTypes: readonly TensorType[];
  /** `--output-tensor-type`: the output, and the embedding where that is the output. */
  readonly outputTensorType?: BlockTypeName;
  /** `--token-embedding-type`. */
  readonly tokenEmbeddingType?: BlockTypeName;
  /** `--leave-output-tensor`: output.weight keeps its source type. */
  readonly leaveOutputTensor: boolean;
  /** `--pure`: the default type everywhere, no mixture. */
  readonly pure: boolean;
}

export const defaultOptions: RecipeOptions = {
  tensorTypes: [],
  leaveOutputTensor: false,
  pure: false,
};

export interface RecipeTensor {
  readonly name: string;
  /** Elements per dimension, fastest first. */
  readonly shape: readonly number[];
  /** What the tensor has in a converted, not quantized, file. */
  readonly sourceType: BlockTypeName;
}

export interface TypeRequest {
  readonly shape: ModelShape;
  /** In output order, which the counting rules depend on. */
  readonly tensors: readonly RecipeTensor[];
  readonly ftype: Ftype;
  readonly options: RecipeOptions;
  /** Whether there is an importance matrix at all; some rules spend fewer bits with one. */
  readonly hasImportance: boolean;
}

export interface TypeAssignment {
  readonly type: BlockTypeName;
  /** `kept`: not a tensor that quantizing may touch. `fallback`: its rows were no whole blocks. */
  readonly reason: 'kept' | 'default' | 'mixture' | 'override' | 'fallback';
  /** What the rules wanted before the fallback. */
  readonly fallbackFrom?: BlockTypeName;
}

interface Rules {
  readonly ftype: Ftype;
  readonly options: RecipeOptions;
  readonly overrides: readonly CompiledOverride[];
  readonly tied: boolean;
  readonly mixture: Mixture;
}

/** What a tensor should get before its row length is looked at. */
interface Wish {
  readonly type: BlockTypeName;
  readonly reason: 'default' | 'mixture' | 'override';
}

/**
 * The type of each tensor, in the order of `tensors`; its rows are whole blocks of it.
 * @throws FaultError badPattern, rowDoesNotFit, layerUnknown
 */
export function assignTypes(request: TypeRequest): readonly TypeAssignment[] {
  const { tensors, shape, ftype, options, hasImportance } = request;
  const tied = tensors.every(({ name }) => name !== outputTensor);
  const valueLike = tensors.filter(({ name }) => isValueLike(categoryOf(name))).length;
  const rules: Rules = {
    ftype,
    options,
    overrides: compileOverrides(options.tensorTypes),
    tied,
    mixture: new Mixture({ shape, hasImportance, valueLike, tied }, ftype),
  };
  return tensors.map((tensor) => assignType(tensor, rules));
}

function assignType(tensor: RecipeTensor, rules: Rules): TypeAssignment {
  const { name, shape, sourceType } = tensor;
  const { options, ftype } = rules;
  const left = options.leaveOutputTensor && name === outputTensor;
  if (left || !mayBeQuantized(name, shape)) return { type: sourceType, reason: 'kept' };

  const category = categoryOf(name);
  const found = findOverride(rules.overrides, name);
  const forced = forcedType(name, category, found, options);
  // A type given for exactly this tensor is meant as it stands: it has no fallback.
  if (forced !== undefined) return { type: fitting(forced, tensor), reason: 'override' };
  if (!blockTypes[ftype.type].quantized) return { type: ftype.type, reason: 'default' };
  const wish: Wish =
    found === undefined ? ruledType(tensor, category, rules) : { type: found, reason: 'override' };
  return withFallback(wish, tensor);
}

function forcedType(
  name: string,
  category: Category,
  found: BlockTypeName | undefined,
  { tokenEmbeddingType, outputTensorType }: RecipeOptions,
): BlockTypeName | undefined {
  if (category === 'output') return outputTensorType;
  if (category !== 'embedding') return undefined;
  // Of the two embeddings only the tokens' own is out of reach of the patterns.
  return name === tokenEmbedding || found === undefined ? tokenEmbeddingType : undefined;
}

function ruledType({ name, shape }: RecipeTensor, category: Category, rules: Rules): Wish {
  const { ftype, options, tied, mixture } = rules;
  if (options.pure) return { type: ftype.type, reason: 'default' };
  if (tied && category === 'embedding' && options.outputTensorType !== undefined) {
    return { type: options.outputTensorType, reason: 'override' };
  }
  const type = mixture.typeFor(name, shape, category);
  return { type, reason: type === ftype.type ? 'default' : 'mixture' };
}

function withFallback({ type, reason }: Wish, tensor: RecipeTensor): TypeAssignment {
  if (isWholeBlocks(type, tensor)) return { type, reason };
  const smaller = fallbacks[type];
  if (smaller === undefined) throw misfit(type, tensor);
  const fallback = isWholeBlocks(smaller, tensor) ? smaller : 'F16';
  return { type: fallback, reason: 'fallback', fallbackFrom: type };
}

// The type of 32-element blocks with about as many bits; where even those do not fit, and for
// types that have such blocks themselves, F16. The few others have none and are refused.
const fallbacks: Readonly<Partial<Record<BlockTypeName, BlockTypeName>>> = {
  Q4_0: 'F16',
  Q4_1: 'F16',
  Q5_0: 'F16',
  Q5_1: 'F16',
  Q8_0: 'F16',
  Q8_1: 'F16',
  IQ4_NL: 'F16',
  MXFP4: 'F16',
  IQ1_S: 'IQ4_NL',
  IQ1_M: 'IQ4_NL',
  IQ2_XXS: 'IQ4_NL',
  IQ2_XS: 'IQ4_NL',
  IQ2_S: 'IQ4_NL',
  IQ3_XXS: 'IQ4_NL',
  IQ3_S: 'IQ4_NL',
  IQ4_XS: 'IQ4_NL',
  TQ1_0: 'Q4_0',
  TQ2_0: 'Q4_0',
  Q2_0: 'Q4_0',
  Q2_K: 'Q4_0',
  Q3_K: 'Q4_0',
  Q4_K: 'Q5_0',
  Q5_K: 'Q5_1',
  Q6_K: 'Q8_0',
};

function fitting(type: BlockTypeName, tensor: RecipeTensor): BlockTypeName {
  if (!isWholeBlocks(type, tensor)) throw misfit(type, tensor);
  return type;
}

function isWholeBlocks(type: BlockTypeName, { shape }: RecipeTensor): boolean {
  const columns = shape[0];
  assert(columns !== undefined, 'a tensor that may be quantized has dimensions');
  return columns % blockTypes[type].blockElements === 0;
}

function misfit(type: BlockTypeName, { name, shape }: RecipeTensor): FaultError {
  const why = `${type} has blocks of ${blockTypes[type].blockElements}, a row has ${shape[0]}`;
  return new FaultError(recipeFaults.rowDoesNotFit, { tensor: name, why });
}
