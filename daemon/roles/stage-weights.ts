/**
 * Stage weights: layers in memory, ready to run.
 *
 *   layer number ──▶ where its weights lie (own disk, else pulled) ──▶ mapped ──▶ PreparedLayer
 *
 * What is mapped stays mapped: pages that nobody needs now go by themselves.
 */

import { assert } from '../../proto/assert.ts';
import type { ModelTensor } from '../core/models/family.ts';
import type { Layer } from '../core/models/forward.ts';
import { type WeightSource, weightSources } from '../core/plan/layer-source.ts';
import type { ForwardKernels, PreparedLayer, RotationAngles, WeightPiece } from '../ports.ts';

export interface StageWeightsParts {
  /** Every layer that is measured, the head among them where it is. */
  readonly layers: readonly Layer[];
  readonly tensors: ReadonlyMap<string, ModelTensor>;
  readonly fileDigests: ReadonlyMap<string, string>;
  readonly angles: readonly RotationAngles[];
  readonly kernels: ForwardKernels;
  /** Where the pieces of one layer's weights lie on this machine's disk, once they do. */
  readonly locate: (
    layer: number,
    sources: readonly WeightSource[],
    signal: AbortSignal,
  ) => Promise<readonly (readonly WeightPiece[])[]>;
}

export class StageWeights {
  readonly #parts: StageWeightsParts;
  readonly #closing = new AbortController();
  readonly #prepared = new Map<number, Promise<PreparedLayer>>();

  constructor(parts: StageWeightsParts) {
    this.#parts = parts;
  }

  /**
   * The layer, mapped once; a failure is tried anew the next time. It is nobody's to cancel: a lease
   * that ends while its weights come is mostly followed by another of the same stage.
   */
  layer(index: number): Promise<PreparedLayer> {
    const known = this.#prepared.get(index);
    if (known !== undefined) return known;
    const preparing = this.#prepare(index, this.#closing.signal);
    this.#prepared.set(index, preparing);
    preparing.catch(() => this.#prepared.delete(index));
    return preparing;
  }

  close(): void {
    this.#closing.abort();
    for (const preparing of this.#prepared.values()) {
      preparing.then((layer) => layer.close()).catch(() => undefined);
    }
    this.#prepared.clear();
  }

  async #prepare(index: number, signal: AbortSignal): Promise<PreparedLayer> {
    const { layers, tensors, fileDigests, angles, kernels, locate } = this.#parts;
    const layer = layers[index];
    assert(layer !== undefined, `there is no layer ${index} to prepare`);
    const sources = weightSources(layer.weights, tensors, fileDigests);
    const pieces = await locate(index, sources, signal);
    const placed = layer.weights.map((weight, at) => ({ weight, pieces: pieces[at] ?? [] }));
    return await kernels.prepareLayer(layer, placed, angles, signal);
  }
}
