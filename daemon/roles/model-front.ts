/**
 * Model front: what the first layer gets of a chunk's tokens, and what later layers get beside it.
 *
 *   token ids ──▶ embedding rows ──▶ state in front of layer 0, per-layer inputs, targets
 *
 * Only the coordinator has the tokens and the embedding, whose rows it reads where they lie.
 */

import { assert } from '../../proto/assert.ts';
import type { Forward, Register } from '../core/models/forward.ts';
import type { MeasuredModel } from '../core/models/measured-model.ts';
import type { ForwardKernels, PlacedWeight, PreparedLayer } from '../ports.ts';

export interface ModelFrontParts {
  readonly forward: Forward;
  readonly model: MeasuredModel;
  /** Ids of a chunk's tokens, by its number. */
  readonly tokens: (chunk: number) => Int32Array;
  /** Where a weight lies on this machine, once it does. */
  readonly place: (tensor: string) => Promise<PlacedWeight>;
  readonly kernels: ForwardKernels;
}

interface Begun {
  readonly registers: ReadonlyMap<Register, Float32Array>;
  readonly bytes: number;
}

// Several stages ask for one chunk in their own time; what has gone by then is made again.
const CACHE_BYTES = 64 * 1024 * 1024;

export class ModelFront {
  readonly #parts: ModelFrontParts;
  readonly #begun = new Map<number, Promise<Begun>>();
  #layer: Promise<PreparedLayer> | undefined;
  #bytes = 0;

  constructor(parts: ModelFrontParts) {
    this.#parts = parts;
  }

  /** The registers of the cut in front of layer 0, in its order. */
  async state(chunk: number): Promise<readonly Float32Array[]> {
    const { registers } = await this.#begin(chunk);
    const cut = this.#parts.model.cuts[0] ?? [];
    return cut.map(({ register }) => {
      const numbers = registers.get(register);
      assert(numbers !== undefined, `the front leaves ${register}`);
      return numbers;
    });
  }

  /** The inputs of a layer, in their order. */
  async inputs(layer: number, chunk: number): Promise<readonly Float32Array[]> {
    const { model, forward } = this.#parts;
    const inputs = model.layers[layer]?.inputs ?? [];
    // Behind the model's own layers stands the head, which compares with what follows.
    if (layer >= forward.layers.length) return inputs.map(() => this.#targets(chunk));
    const { slices } = forward.front;
    if (inputs.length === 0 || slices === undefined) return [];
    const { registers } = await this.#begin(chunk);
    const whole = registers.get(slices.from);
    assert(whole !== undefined, `the front leaves ${slices.from}`);
    return [cutSlice(whole, slices.width, layer, model.positions)];
  }

  close(): void {
    this.#layer?.then((layer) => layer.close()).catch(() => undefined);
    this.#begun.clear();
  }

  #targets(chunk: number): Float32Array {
    const tokens = this.#parts.tokens(chunk);
    return Float32Array.from(tokens, (_, at) => tokens[at + 1] ?? 0);
  }

  #begin(chunk: number): Promise<Begun> {
    const known = this.#begun.get(chunk);
    if (known !== undefined) return known;
    const beginning = this.#make(chunk);
    this.#begun.set(chunk, beginning);
    beginning.then(
      ({ bytes }) => this.#keep(chunk, bytes),
      () => this.#begun.delete(chunk),
    );
    return beginning;
  }

  #keep(chunk: number, bytes: number): void {
    this.#bytes += bytes;
    for (const [oldest, begun] of this.#begun) {
      if (this.#bytes <= CACHE_BYTES || oldest === chunk) break;
      this.#begun.delete(oldest);
      void begun.then((gone) => {
        this.#bytes -= gone.bytes;
      });
    }
  }

  async #make(chunk: number): Promise<Begun> {
    const { forward, kernels, tokens, place } = this.#parts;
    const { lookups, layer } = forward.front;
    const ids = tokens(chunk);
    const positions = ids.length;
    const registers = new Map<Register, Float32Array>();
    for (const { register, width } of [...layer.reads, ...layer.leaves]) {
      registers.set(register, new Float32Array(positions * width));
    }
    for (const { into, table, factor } of lookups) {
      const rows = registers.get(into);
      assert(rows !== undefined, `the front reads ${into}`);
      await kernels.embed(await place(table.tensor), ids, factor, rows);
    }
    if (layer.operations.length > 0) {
      const prepared = await this.#prepare();
      const scratch = new Uint8Array(prepared.scratchBytes(1, positions));
      await prepared.run({ chunks: 1, positions, state: registers, scratch });
    }
    let bytes = 0;
    for (const { byteLength } of registers.values()) bytes += byteLength;
    return { registers, bytes };
  }

  #prepare(): Promise<PreparedLayer> {
    const { forward, kernels, place } = this.#parts;
    const { layer } = forward.front;
    this.#layer ??= Promise.all(layer.weights.map((weight) => place(weight.tensor))).then(
      (placed) => kernels.prepareLayer(layer, placed, []),
    );
    return this.#layer;
  }
}

/** Numbers [layer · width, (layer + 1) · width) of every token. */
function cutSlice(
  whole: Float32Array,
  width: number,
  layer: number,
  positions: number,
): Float32Array {
  const stride = whole.length / positions;
  const slice = new Float32Array(positions * width);
  for (let position = 0; position < positions; position++) {
    const start = position * stride + layer * width;
    slice.set(whole.subarray(start, start + width), position * width);
  }
  return slice;
}
