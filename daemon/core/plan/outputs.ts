/**
 * Outputs: what each file of a run will be, header and all, before a single block exists.
 *
 *   Model + RecipeOutputs + options ──▶ planOutputs ──▶ OutputPlan[] ──▶ plan.ts
 */

import { assert } from '../../../proto/assert.ts';
import { FaultError } from '../../../proto/fault.ts';
import { type BlockTypeName, blockTypes } from '../gguf/block-types.ts';
import { cutTensors, type PartLimit } from '../gguf/cut-parts.ts';
import { layoutGguf, mergeMetadata, quantizedOrder } from '../gguf/layout.ts';
import { ALIGNMENT_DEFAULT } from '../gguf/limits.ts';
import type { KeyValue } from '../gguf/metadata.ts';
import { checkSizes, type Importance } from '../importance/importance.ts';
import { type Compat, importanceKeys } from '../importance/importance-keys.ts';
import type { Model, ModelTensor } from '../models/family.ts';
import { checkSources } from '../models/gguf-source.ts';
import { estimateData } from '../recipe/estimate.ts';
import type { Ftype } from '../recipe/ftypes.ts';
import type { RecipeOutput } from '../recipe/recipe.ts';
import { checkImportance, checkMakeable, missingImportance } from '../recipe/requirements.ts';
import { assignTypes, type TypeAssignment } from '../recipe/type-rules.ts';
import { planFaults } from './faults.ts';
import type { OutputRequest } from './plan.ts';
import { cutBy, cutShards, type Shard } from './shards.ts';

export interface OutputPlan extends OutputRequest {
  /** As the recipe calls it; the same for every part of a split output. */
  readonly name: string;
  readonly ftype: Ftype;
  /** Of the tensor data, without header and padding. */
  readonly bitsPerWeight: number;
  /** Tensors whose rows are no whole blocks of the wanted type. */
  readonly fallbacks: number;
  /** What the user should know of it, one sentence each. */
  readonly notices: readonly string[];
}

/** What holds for every output of a run. */
export interface OutputOptions {
  /** `--allow-requantize`: tensors that are quantized already may change their type. */
  readonly allowRequantize: boolean;
  /** `--keep-split`: an output is split where its source is. */
  readonly keepSplit: boolean;
  /** `--split-max-size`, `--split-max-tensors`: outputs of more than `above` bytes are cut. */
  readonly parts?: { readonly limit: PartLimit; readonly above: number };
  /** `--override-kv`, in the order they were given. */
  readonly overrides: readonly KeyValue[];
  readonly importance: Importance | undefined;
  readonly compat: Compat;
  /** `--dry-run`: an output that lacks importance is told of and not refused. */
  readonly dryRun: boolean;
}

// The version of the block layouts, as llama.cpp counts them.
const QUANTIZATION_VERSION = 2;

/**
 * The outputs that llama-quantize would make of the converted model, one for each of the recipe.
 * @param modelName begins each file name: `<modelName>-<output's name>.gguf`
 * @throws FaultError when a type cannot be made or a rule cannot be applied
 */
export function planOutputs(
  model: Model,
  modelName: string,
  outputs: readonly RecipeOutput[],
  options: OutputOptions,
): OutputPlan[] {
  const { keepSplit, importance } = options;
  if (keepSplit && model.shards === undefined) throw new FaultError(planFaults.nothingSplit);
  checkNames(outputs);
  const native = nativeType(model.tensors);
  const tensors = keepSplit ? model.tensors : quantizedOrder(model.tensors);
  const recipeTensors = tensors.map((tensor) => ({
    name: tensor.name,
    shape: tensor.shape,
    sourceType: storedType(tensor, native),
  }));
  const importanceText = importance === undefined ? [] : importanceKeys(importance, options.compat);
  return outputs.flatMap(({ name, ftype, options: choices }) => {
    const assignments = assignTypes({
      shape: model.shape,
      tensors: recipeTensors,
      ftype,
      options: choices,
      hasImportance: importance !== undefined,
    });
    const changes = checkSources(assignments, recipeTensors, options.allowRequantize);
    checkMakeable(changes, tensors, ftype);
    if (importance !== undefined) checkSizes(importance, recipeTensors, changes);
    const measured = new Set(importance?.tensors.keys());
    const missing = missingImportance(changes, tensors, ftype, measured);
    if (!options.dryRun) checkImportance(changes, tensors, ftype, measured);
    const notices = missing === undefined ? [] : [`${missing.why}, which need importance`];
    const metadata = mergeMetadata(
      [
        ...model.general,
        ...model.parameters,
        ...model.vocabulary,
        quantizationVersion,
        fileType(ftype),
      ],
      [...options.overrides, ...importanceText, ...(model.overrides ?? [])],
    );
    const stem = `${modelName}-${name}`;
    const planOf = (shard: Shard): OutputPlan => ({
      ...outputPlan(shard.file, ftype, shard.tensors, shard.pick(assignments), shard.metadata),
      name,
      notices,
    });
    if (keepSplit) return cutShards(stem, tensors, metadata, model.shards).map(planOf);
    const [only] = cutShards(stem, tensors, metadata, undefined);
    assert(only !== undefined, 'what is not split is one file');
    const whole = planOf(only);
    const parts = partsOf(whole, metadata, options);
    return parts.length > 1 ? cutBy(stem, tensors, metadata, parts).map(planOf) : [whole];
  });
}

/** How many tensors each part of an output has; one part where it is not to be cut. */
function partsOf(
  { layout }: OutputPlan,
  metadata: readonly KeyValue[],
  { parts }: OutputOptions,
): number[] {
  if (parts === undefined || layout.fileBytes <= parts.above) return [layout.tensors.length];
  const cut = cutTensors(layout.tensors, parts.limit, alignmentOf(metadata));
  return cut.map(({ length }) => length);
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

function checkNames(outputs: readonly RecipeOutput[]): void {
  const names = new Set<string>();
  for (const { name } of outputs) {
    // On some file systems names that differ by capitals alone are one.
    const folded = name.toUpperCase();
    if (names.has(folded)) throw new FaultError(planFaults.typeTwice, { why: name });
    names.add(folded);
  }
}

/** What a tensor has in a file that loses nothing: in a GGUF what it is. */
function storedType({ source, keepF32 }: ModelTensor, native: BlockTypeName): BlockTypeName {
  if (source.kind === 'gguf') return source.dtype;
  return keepF32 ? 'F32' : native;
}

/** The type the model's matrices have in a conversion that loses nothing. */
function nativeType(tensors: readonly ModelTensor[]): BlockTypeName {
  const dtypes = new Set(
    tensors.flatMap(({ keepF32, source }) =>
      keepF32 || source.kind !== 'checkpoint' ? [] : [source.dtype],
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

/** That of the key, as a GGUF that was read states it; the default where there is none. */
function alignmentOf(metadata: readonly KeyValue[]): number {
  const stated = metadata.find(({ key }) => key === 'general.alignment')?.value;
  return stated?.type === 'u32' ? stated.value : ALIGNMENT_DEFAULT;
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
    name: ftype.name,
    ftype,
    types,
    layout: layoutGguf({ metadata, tensors: placed, alignment: alignmentOf(metadata) }),
    bitsPerWeight: estimateData(tensors, assignments).bitsPerWeight,
    fallbacks: assignments.filter(({ reason }) => reason === 'fallback').length,
    notices: [],
  };
}
