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
  const all = new Float64Array(sums.length);
  const reached = new Float64Array(columns * counts.filter((count) => count > 0).length);
  let next = 0;
  for (const [matrix, count] of counts.entries()) {
    if (count === 0) continue;
    const start = matrix * columns;
    for (let i = start; i < start + columns; i++) all[i] = (sums[i] ?? 0) / count;
    reached.set(all.subarray(start, start + columns), next);
    next += columns;
  }
  return { all, reached };
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
  const range = { least: Infinity, most: -Infinity };
  let sum = 0;
  let active = 0;
  for (const value of values) {
    sum += value;
    if (value < range.least) range.least = value;
    if (value > range.most) range.most = value;
    if (value > ACTIVE_LEAST) active++;
  }
  const mean = sum / columns;
  const deviation = Math.sqrt(squaresAround(values, mean) / columns);
  const entropy = entropyOf(values, sum);
  return {
    columns,
    sum,
    ...range,
    mean,
    deviation,
    active: (100 * active) / columns,
    entropy,
    evenness: columns > 1 ? (100 * entropy) / Math.log2(columns) : 0,
    outliers: (100 * countOutliers(values, mean, deviation)) / columns,
  };
}

function squaresAround(values: Float64Array, middle: number): number {
  let sum = 0;
  for (const value of values) sum += (value - middle) * (value - middle);
  return sum;
}

function entropyOf(values: Float64Array, sum: number): number {
  let entropy = 0;
  for (const value of values) {
    const share = value / sum;
    if (share > 0) entropy -= share * Math.log2(share);
  }
  return entropy;
}

function countOutliers(values: Float64Array, mean: number, deviation: number): number {
  let count = 0;
  for (const value of values) if ((value - mean) / deviation > 1) count++;
  return count;
}

/** Undefined where sizes differ or one has no direction. */
function cosine(a: Float64Array, b: Float64Array): number | undefined {
  if (a.length !== b.length) return undefined;
  let dot = 0;
  for (let i = 0; i < a.length; i++) dot += (a[i] ?? 0) * (b[i] ?? 0);
  const sizes = Math.sqrt(squaresAround(a, 0)) * Math.sqrt(squaresAround(b, 0));
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
