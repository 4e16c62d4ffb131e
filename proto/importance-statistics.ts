/**
 * Importance statistics: what `--show-statistics` tells of an importance matrix, as plain JSON.
 *
 *   daemon/core/importance/show-statistics.ts ──▶ ImportanceStatistics ──▶ cli/statistics-view.ts
 *
 * All of them are taken over the mean squares of the columns that some token has reached.
 */

export interface TensorStatistics {
  readonly tensor: string;
  /** Absent where the tensor belongs to none. */
  readonly layer?: number;
  /** Columns of all slices that were reached. */
  readonly columns: number;
  readonly sum: number;
  readonly least: number;
  readonly most: number;
  readonly mean: number;
  /** The root of the mean squared distance from the mean. */
  readonly deviation: number;
  /** Per cent of the columns above 1e-5. */
  readonly active: number;
  /** In bits, of the columns' shares of the sum. */
  readonly entropy: number;
  /** The entropy as per cent of what equal columns would have. */
  readonly evenness: number;
  /** Per cent of the columns more than one deviation above the mean. */
  readonly outliers: number;
  /** The cosine with the same tensor of the layer before; absent where there is none of the size. */
  readonly similarity?: number;
}

/** Means over a layer's tensors, each weighing as much as it has columns. */
export interface LayerStatistics {
  readonly layer: number;
  readonly sum: number;
  readonly outliers: number;
  /** Of the tensors that have one. */
  readonly similarity?: number;
}

export interface ImportanceStatistics {
  readonly file: string;
  readonly datasets: readonly string[];
  readonly chunks: number;
  readonly chunkSize: number;
  /** By layer, then by name; those of no layer last. */
  readonly tensors: readonly TensorStatistics[];
  readonly layers: readonly LayerStatistics[];
}
