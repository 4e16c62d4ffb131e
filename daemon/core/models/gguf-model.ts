/**
 * GGUF model: a GGUF of any architecture as the source of other GGUFs.
 *
 *   headers of all its files ──▶ describeGguf ──▶ Model  (read next: plan/outputs.ts)
 *
 * Nothing is converted: every key and tensor comes through under its own name, and what the recipe
 * asks about the model stands in the keys `<architecture>.*`. Format: docs/gguf.md.
 */

import { FaultError } from '../../../proto/fault.ts';
import type { SourceRange } from '../checkpoint/checkpoint.ts';
import { ALIGNMENT_DEFAULT } from '../gguf/limits.ts';
import type { KeyValue, MetadataValue } from '../gguf/metadata.ts';
import type { GgufPart } from '../gguf/reader.ts';
import { byKey, checkParts } from '../gguf/split.ts';
import { layerOf } from '../recipe/categories.ts';
import type { Model, ModelShape, ModelTensor } from './family.ts';
import { ggufModelFaults } from './gguf-faults.ts';

/**
 * The model in the files of one GGUF, which is whole or split; they may come in any order.
 * @throws FaultError QD-3120 when they are not all the parts of one, QD-33xx when it is no model
 */
export function describeGguf(files: readonly GgufPart[]): Model {
  const parts = inOrder(files);
  const [first] = parts;
  if (first === undefined) throw new FaultError(ggufModelFaults.noModel, { why: 'no file' });
  const tensors = parts.flatMap(({ file, gguf }, shard) =>
    gguf.tensors.map(({ name, shape, type, offset, bytes }): ModelTensor => {
      const range: SourceRange = { file, offset, bytes };
      const source = { kind: 'gguf' as const, dtype: type, parts: [range], shard };
      return { name, shape, keepF32: false, source };
    }),
  );
  return {
    shape: shapeOf(first, tensors),
    tensors,
    general: metadataOf(first),
    parameters: [],
    vocabulary: [],
    leftOut: [],
    shards: parts.length,
  };
}

function inOrder(files: readonly GgufPart[]): readonly GgufPart[] {
  const [only] = files;
  if (files.length === 1 && only?.gguf.split === undefined) return files;
  checkParts(files.map(({ file, gguf: { split, tensors } }) => ({ file, split, tensors })));
  return [...files].sort((a, b) => (a.gguf.split?.part ?? 0) - (b.gguf.split?.part ?? 0));
}

// What every output says of itself: its parts, its ftype and the version of its blocks.
const ownKeys: readonly string[] = [
  'split.no',
  'split.count',
  'split.tensors.count',
  'general.quantization_version',
  'general.file_type',
];

/** The keys in their order, each with the bytes of its value, without those that outputs set. */
function metadataOf({ gguf }: GgufPart): KeyValue[] {
  return gguf.metadata.flatMap(({ key, value }, index) => {
    const encoded = gguf.encoded[index];
    if (ownKeys.includes(key) || isTooNarrow(key, value)) return [];
    return [{ key, value, ...(encoded === undefined ? {} : { encoded }) }];
  });
}

/**
 * Whether this is an alignment below the format's own. llama.cpp cannot map a file that has it, so
 * an output goes without the key and has the usual one; a wider one is kept and kept to.
 */
function isTooNarrow(key: string, value: MetadataValue): boolean {
  return key === 'general.alignment' && Number(value.value) < ALIGNMENT_DEFAULT;
}

// More than any model has; a million layers would only make the rules' arithmetic meaningless.
const FACT_MAX = 2 ** 20;

function shapeOf({ file, gguf }: GgufPart, tensors: readonly ModelTensor[]): ModelShape {
  const values = byKey(gguf.metadata);
  const architecture = values.get('general.architecture');
  // The reader has seen to it that whatever is not an importance matrix names its architecture.
  if (architecture?.type !== 'string') throw new FaultError(ggufModelFaults.noModel, { file });
  const fact = (name: string): number | undefined =>
    factOf(file, `${architecture.value}.${name}`, values);
  const heads = fact('attention.head_count') ?? 0;
  return {
    architecture: architecture.value,
    layers: fact('block_count') ?? layersOf(tensors),
    heads,
    kvHeads: fact('attention.head_count_kv') ?? heads,
    experts: fact('expert_count') ?? 0,
  };
}

/** A count, or that of layer 0 where each layer has its own; undefined where there is no key. */
function factOf(
  file: string,
  key: string,
  values: ReadonlyMap<string, MetadataValue>,
): number | undefined {
  const value = values.get(key);
  if (value === undefined) return undefined;
  const stated = value.type === 'array' ? value.value[0] : value.value;
  const count = typeof stated === 'bigint' ? Number(stated) : stated;
  if (typeof count === 'number' && Number.isInteger(count) && count >= 0 && count <= FACT_MAX) {
    return count;
  }
  const why = `${value.type} ${String(stated).slice(0, 40)}`;
  throw new FaultError(ggufModelFaults.badFact, { file, key, why });
}

/** One more than the highest layer that a tensor names, for files that do not count them. */
function layersOf(tensors: readonly ModelTensor[]): number {
  return tensors.reduce((most, { name }) => Math.max(most, (layerOf(name) ?? -1) + 1), 0);
}

/**
 * What the outputs' names begin with: as asked for, else `general.name`, else the architecture.
 * Never the file's own name, which says nothing that can be relied on.
 */
export function fileStem({ general, shape }: Model): string {
  const stated = general.find(({ key }) => key === 'general.name')?.value;
  const name = stated?.type === 'string' ? stated.value : '';
  return asStem(name) ?? asStem(shape.architecture) ?? 'model';
}

// Long enough for every name in use, short enough that an ftype and a part's number still fit.
const STEM_LENGTH_MAX = 128;

/** The text with a dash for each run of characters that a file name should not have. */
function asStem(text: string): string | undefined {
  const stem = text
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, STEM_LENGTH_MAX)
    .replace(/[-.]+$/, '');
  return stem === '' ? undefined : stem;
}
