/**
 * Type groups: the types of an output's tensors, told in as few lines as they need.
 *
 *   placed tensors ──▶ typeGroups ──▶ RecipeReport (proto/recipe-report.ts)
 */

import type { TensorGroup } from '../../../proto/recipe-report.ts';
import type { BlockTypeName } from '../gguf/block-types.ts';
import { layerOf } from './categories.ts';

interface TypedTensor {
  readonly name: string;
  readonly type: BlockTypeName;
}

/** In the order in which names first occur; of one name in the order of the types. */
export function typeGroups(tensors: readonly TypedTensor[]): TensorGroup[] {
  const byName = new Map<string, Map<string, number[]>>();
  for (const { name, type } of tensors) {
    const layer = layerOf(name);
    const kind = layer === undefined ? name : name.replace(/^blk\.\d+\./, 'blk.*.');
    const types = byName.get(kind) ?? new Map<string, number[]>();
    byName.set(kind, types);
    // A tensor without a layer is the only one of its name.
    types.set(type, [...(types.get(type) ?? []), layer ?? -1]);
  }
  return [...byName].flatMap(([name, types]) =>
    [...types].map(([type, layers]) => ({
      ...{ name, type, tensors: layers.length },
      ...(layers[0] === -1 ? {} : { layers: rangesText(layers) }),
    })),
  );
}

/** `0-2,5,8-9` */
function rangesText(layers: readonly number[]): string {
  const ranges: [first: number, last: number][] = [];
  for (const layer of [...layers].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && layer <= last[1] + 1) last[1] = layer;
    else ranges.push([layer, layer]);
  }
  return ranges
    .map(([first, last]) => (first === last ? String(first) : `${first}-${last}`))
    .join(',');
}
