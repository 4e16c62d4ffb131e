/**
 * Prune: a model without some of its layers.
 *
 *   Model + layers to drop ──▶ pruneLayers ──▶ Model
 *
 * As `llama-quantize --prune-layers` does: the layers before the first dropped one keep their
 * number, those after it follow on without a gap, and `<architecture>.block_count` counts what is
 * left. Keys that hold a value for each layer are not shortened.
 */

import { FaultError } from '../../../proto/fault.ts';
import { layerOf } from '../recipe/categories.ts';
import type { Model, ModelTensor } from './family.ts';
import { ggufModelFaults } from './gguf-faults.ts';
import { u32 } from './key-values.ts';

export interface PrunedModel {
  readonly model: Model;
  /** Keys with a value for each layer, which still speak of the dropped ones. */
  readonly perLayerKeys: readonly string[];
}

/**
 * @param layers numbers from 0, in any order; none leave the model as it is
 * @throws FaultError QD-3305 when one is no layer of the model, or no layer would be left
 */
export function pruneLayers(model: Model, layers: readonly number[]): PrunedModel {
  if (layers.length === 0) return { model, perLayerKeys: [] };
  const dropped = new Set(layers);
  checkLayers(model, dropped);
  const numbers = newNumbers(model.tensors, dropped);
  const tensors = model.tensors.flatMap((tensor) => renumbered(tensor, dropped, numbers));
  const countKey = `${model.shape.architecture}.block_count`;
  const perLayerKeys = [...model.general, ...model.parameters].flatMap(({ key, value }) =>
    value.type === 'array' && value.value.length === model.shape.layers && model.shape.layers > 1
      ? [key]
      : [],
  );
  const left = Math.max(...numbers.values()) + 1;
  return {
    model: { ...model, tensors, overrides: [...(model.overrides ?? []), u32(countKey, left)] },
    perLayerKeys,
  };
}

function checkLayers({ tensors, shape }: Model, dropped: ReadonlySet<number>): void {
  const present = new Set(tensors.map(({ name }) => layerOf(name)));
  for (const layer of dropped) {
    if (present.has(layer)) continue;
    throw new FaultError(ggufModelFaults.badLayer, { why: `${layer} of ${shape.layers}` });
  }
  present.delete(undefined);
  if (present.size === dropped.size) {
    throw new FaultError(ggufModelFaults.badLayer, { why: 'none would be left' });
  }
}

/** The new number of each layer that stays. */
function newNumbers(
  tensors: readonly ModelTensor[],
  dropped: ReadonlySet<number>,
): ReadonlyMap<number, number> {
  const present = new Set(tensors.flatMap(({ name }) => layerOf(name) ?? []));
  const first = Math.min(...dropped);
  const numbers = new Map<number, number>();
  let next = 0;
  for (const layer of [...present].sort((a, b) => a - b)) {
    if (dropped.has(layer)) continue;
    const number = layer < first ? layer : next;
    numbers.set(layer, number);
    next = number + 1;
  }
  return numbers;
}

function renumbered(
  tensor: ModelTensor,
  dropped: ReadonlySet<number>,
  numbers: ReadonlyMap<number, number>,
): ModelTensor[] {
  const layer = layerOf(tensor.name);
  if (layer === undefined) return [tensor];
  if (dropped.has(layer)) return [];
  const name = tensor.name.replace(/^blk\.\d+/, `blk.${numbers.get(layer)}`);
  return [{ ...tensor, name, originalName: tensor.name }];
}
