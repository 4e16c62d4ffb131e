/**
 * Show statistics: what an importance matrix says of a model's tensors, in a few numbers each.
 *
 *   ImportanceMatrix ──▶ statisticsOf ──▶ ImportanceStatistics (proto) ──▶ cli/statistics-view.ts
 *
 * The numbers of llama-imatrix --show-statistics (v0.5.0), by the definitions in docs/imatrix.md.
 * They are for reading: nothing is made from them.
 */

import type {
  ImportanceStatistics,
  LayerStatistics,
  TensorStatistics,
} from '../../../proto/importance-statistics.ts';
import { type ImportanceMatrix, type MatrixEntry, sortedByName } from './importance-matrix.ts';

// Below it a column is as good as unused.
const ACTIVE_LEAST = 1e-5;

/** @param file its name without folders */
export function statisticsOf(file: string, matrix: ImportanceMatrix): ImportanceStatistics {
  const { datasets, chunkCount, chunkSize } = matrix;
  const means = new Map(matrix.entries.map((entry) => [entry.name, meanSquares(entry)]));
  const tensors = sortedByName(matrix.entries)
    .map((entry) => statisticsOfTensor(entry, means))
    // Sorting is stable, so within a layer the names stay sorted.
    .sort((a, b) => placeOf(a) - placeOf(b));
  const layers = new Map<number, TensorStatistics[]>();
  for (const tensor of tensors) {
    if (tensor.layer === undefined) continue;
    layers.set(tensor.layer, [...(layers.get(tensor.layer) ?? []), tensor]);
  }
  return {
    file,
    datasets,
    chunks: chunkCount,
    chunkSize,
    tensors,
    layers: [...layers].map(([layer, ofLayer]) => statisticsOfLayer(layer, ofLayer)),
  };
}

function placeOf({ layer = Number.MAX_SAFE_INTEGER }: TensorStatistics): number {
  return layer;
}

interface MeanSquares {
  /** (matrices, columns); 0 in matrices that no token has reached. */
  readonly all: Float64Array;
  /** The columns of the other matrices alone. */
  readonly reached: Float64Array;
}

function meanSquares({ columns, sums, counts }: MatrixEntry): MeanSquares {
  const isReached = (index: number): boolean => (counts[Math.floor(index / columns)] ?? 0) > 0;
  const all = Float64Array.from(sums, (sum, index) =>
    isReached(index) ? sum / (counts[Math.floor(index / columns)] ?? 1) : 0,
  );
  return { all, reached: all.filter((_, index) => isReached(index)) };
}

// Nine digits stay below 2^31; a longer number is no layer.
const LAYER_PATTERN = /^blk\.(\d{1,9})\.(.*)$/s;

function statisticsOfTensor(
  { name }: MatrixEntry,
  means: ReadonlyMap<string, MeanSquares>,
): TensorStatistics {
  const [, digits, rest] = LAYER_PATTERN.exec(name) ?? [];
  const layer = digits === undefined ? undefined : Number(digits);
  const own = means.get(name);
  const before = layer === undefined ? undefined : means.get(`blk.${layer - 1}.${rest}`);
  const similarity = own && before && cosine(own.all, before.all);
  return {
    tensor: name,
    ...(layer === undefined ? {} : { layer }),
    ...spread(own?.reached ?? new Float64Array()),
    ...(similarity === undefined ? {} : { similarity }),
  };
}

function spread(values: Float64Array): Omit<TensorStatistics, 'tensor' | 'layer' | 'similarity'> {
  const columns = values.length;
  if (columns === 0) {
    const nothing = { sum: 0, least: 0, most: 0, mean: 0, deviation: 0 };
    return { columns, ...nothing, active: 0, entropy: 0, evenness: 0, outliers: 0 };
  }
  const sum = total(values, (value) => value);
  const mean = sum / columns;
  const deviation = Math.sqrt(total(values, (value) => (value - mean) ** 2) / columns);
  const share = (counts: (value: number) => boolean): number =>
    (100 * total(values, (value) => (counts(value) ? 1 : 0))) / columns;
  const entropy = total(values, (value) =>
    value > 0 && sum > 0 ? -(value / sum) * Math.log2(value / sum) : 0,
  );
  return {
    columns,
    sum,
    least: values.reduce((least, value) => Math.min(least, value)),
    most: values.reduce((most, value) => Math.max(most, value)),
    mean,
    deviation,
    active: share((value) => value > ACTIVE_LEAST),
    entropy,
    evenness: columns > 1 ? (100 * entropy) / Math.log2(columns) : 0,
    outliers: deviation > 0 ? share((value) => (value - mean) / deviation > 1) : 0,
  };
}

function total(values: Float64Array, of: (value: number) => number): number {
  let sum = 0;
  for (const value of values) sum += of(value);
  return sum;
}

/** Undefined where sizes differ or one has no direction. */
function cosine(a: Float64Array, b: Float64Array): number | undefined {
  if (a.length !== b.length) return undefined;
  let dot = 0;
  for (let i = 0; i < a.length; i++) dot += (a[i] ?? 0) * (b[i] ?? 0);
  const sizes =
    Math.sqrt(total(a, (value) => value ** 2)) * Math.sqrt(total(b, (value) => value ** 2));
  return sizes > 0 ? dot / sizes : undefined;
}

function statisticsOfLayer(layer: number, tensors: readonly TensorStatistics[]): LayerStatistics {
  const similar = tensors.filter(({ similarity }) => similarity !== undefined);
  return {
    layer,
    sum: weightedMean(tensors, ({ sum }) => sum),
    outliers: weightedMean(tensors, ({ outliers }) => outliers),
    ...(similar.length === 0
      ? {}
      : { similarity: weightedMean(similar, ({ similarity = 0 }) => similarity) }),
  };
}

function weightedMean(
  tensors: readonly TensorStatistics[],
  of: (tensor: TensorStatistics) => number,
): number {
  const columns = tensors.reduce((sum, tensor) => sum + tensor.columns, 0);
  if (columns === 0) return 0;
  return tensors.reduce((sum, tensor) => sum + tensor.columns * of(tensor), 0) / columns;
}
