/**
 * Outputs: what each file of a run will be, header and all, before a single block exists.
 *
 *   Model + ftypes + options ──▶ planOutputs ──▶ OutputPlan[] ──▶ plan.ts
 */

import { FaultError } from '../../../proto/fault.ts';
import { type BlockTypeName, blockTypes } from '../gguf/block-types.ts';
import { layoutGguf, quantizedOrder } from '../gguf/layout.ts';
import type { KeyValue } from '../gguf/metadata.ts';
import type { Model, ModelTensor } from '../models/family.ts';
import { estimateData } from '../recipe/estimate.ts';
import type { Ftype } from '../recipe/ftypes.ts';
import { checkImportance, checkMakeable } from '../recipe/requirements.ts';
import { assignTypes, type RecipeOptions, type TypeAssignment } from '../recipe/type-rules.ts';
import { planFaults } from './faults.ts';
import type { OutputRequest } from './plan.ts';

export interface OutputPlan extends OutputRequest {
  readonly ftype: Ftype;
  /** Of the tensor data, without header and padding. */
  readonly bitsPerWeight: number;
  /** Tensors whose rows are no whole blocks of the wanted type. */
  readonly fallbacks: number;
}

// The version of the block layouts, as llama.cpp counts them.
const QUANTIZATION_VERSION = 2;

/**
 * The outputs that llama-quantize would make of the converted model, one for each ftype.
 * @param modelName begins each file name: `<modelName>-<ftype>.gguf`
 * @throws FaultError when a type cannot be made or a rule cannot be applied
 */
export function planOutputs(
  model: Model,
  modelName: string,
  ftypes: readonly Ftype[],
  options: RecipeOptions,
): OutputPlan[] {
  const names = new Set<string>();
  for (const { name } of ftypes) {
    if (names.has(name)) throw new FaultError(planFaults.typeTwice, { why: name });
    names.add(name);
  }
  const native = nativeType(model.tensors);
  const tensors = quantizedOrder(model.tensors);
  const recipeTensors = tensors.map((tensor) => ({
    name: tensor.name,
    shape: tensor.shape,
    sourceType: tensor.keepF32 ? 'F32' : native,
  }));
  return ftypes.map((ftype) => {
    const assignments = assignTypes({
      shape: model.shape,
      tensors: recipeTensors,
      ftype,
      options,
      hasImportance: false,
    });
    checkMakeable(assignments, tensors, ftype);
    checkImportance(assignments, tensors, ftype, new Set());
    const metadata = [
      ...model.general,
      ...model.parameters,
      ...model.vocabulary,
      quantizationVersion,
      fileType(ftype),
    ];
    return outputPlan(`${modelName}-${ftype.name}.gguf`, ftype, tensors, assignments, metadata);
  });
}

/**
 * The output of a plain conversion: every tensor in the order of the checkpoint, of one type save
 * for those that a converted file always holds as F32.
 * @throws FaultError when `ftype` packs its elements in blocks
 */
export function planConversion(model: Model, file: string, ftype: Ftype): OutputPlan {
  if (blockTypes[ftype.type].quantized) {
    throw new FaultError(planFaults.notPlain, { why: ftype.name });
  }
  const assignments = model.tensors.map(({ keepF32 }): TypeAssignment => {
    return { type: keepF32 ? 'F32' : ftype.type, reason: 'default' };
  });
  const metadata = [
    ...model.general,
    ...model.parameters,
    fileType(ftype),
    quantizationVersion,
    ...model.vocabulary,
  ];
  return outputPlan(file, ftype, model.tensors, assignments, metadata);
}

/** The type the model's matrices have in a conversion that loses nothing. */
function nativeType(tensors: readonly ModelTensor[]): BlockTypeName {
  const dtypes = new Set(
    tensors.flatMap(({ keepF32, source }) =>
      keepF32 || source.kind === 'generated' ? [] : [source.dtype],
    ),
  );
  const [only] = dtypes;
  return dtypes.size === 1 && only !== undefined ? only : 'F32';
}

const quantizationVersion: KeyValue = {
  key: 'general.quantization_version',
  value: { type: 'u32', value: QUANTIZATION_VERSION },
};

function fileType({ id }: Ftype): KeyValue {
  return { key: 'general.file_type', value: { type: 'u32', value: id } };
}

function outputPlan(
  file: string,
  ftype: Ftype,
  tensors: readonly ModelTensor[],
  assignments: readonly TypeAssignment[],
  metadata: readonly KeyValue[],
): OutputPlan {
  const types = new Map<string, BlockTypeName>();
  const placed = tensors.map(({ name, shape }, index) => {
    const type = assignments[index]?.type ?? ftype.type;
    types.set(name, type);
    return { name, shape, type };
  });
  return {
    file,
    ftype,
    types,
    layout: layoutGguf({ metadata, tensors: placed }),
    bitsPerWeight: estimateData(tensors, assignments).bitsPerWeight,
    fallbacks: assignments.filter(({ reason }) => reason === 'fallback').length,
  };
}
