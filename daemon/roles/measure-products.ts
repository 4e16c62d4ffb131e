/**
 * Measure products: how fast this machine multiplies with a matrix of the model itself.
 *
 *   Forward + where its weights lie ──▶ one product, timed ──▶ multiplications a second of a layer
 *
 * One matrix of a layer is read, no more: some MiB of the source.
 */

import type { Forward, Layer, Weight } from '../core/models/forward.ts';
import { LayerWriter } from '../core/models/layer-writer.ts';
import type { ForwardKernels, PlacedWeight } from '../ports.ts';
import { type BusyClock, timed } from './measure-costs.ts';

// A product of a dense matrix with so many tokens is as fast as with more.
const TOKENS = 512;
const TURNS = 3;
const TURNS_MS = 400;
// Read from a disk within a moment.
const WEIGHT_BYTES_MAX: number = 64 * 1024 * 1024;
// A whole layer, with attention, norms, experts of few tokens and sums, does 0.7 of the
// multiplications that such a product alone does in the same time: docs/bench.md.
const LAYER_SHARE = 0.7;

/** Undefined where no layer has a matrix that is small enough. */
export async function measureProducts(
  { layers }: Forward,
  place: (weight: Weight) => PlacedWeight,
  kernels: ForwardKernels,
  clock: BusyClock,
): Promise<number | undefined> {
  const weight = layers.map(largestProduct).find((found) => found !== undefined);
  if (weight === undefined) return undefined;
  const [columns = 0, rows = 1] = weight.shape;
  const writer = new LayerWriter(new Map([[weight.tensor, weight]]), '');
  writer.read('from', columns);
  writer.product('into', 'from', weight.tensor);
  writer.leave('into');
  const prepared = await kernels.prepareLayer(writer.finish(), [place(weight)], []);
  try {
    const job = {
      ...{ chunks: 1, positions: TOKENS },
      state: new Map([
        ['from', new Float32Array(TOKENS * columns).fill(1)],
        ['into', new Float32Array(TOKENS * rows)],
      ]),
      scratch: new Uint8Array(prepared.scratchBytes(1, TOKENS)),
    };
    const startMs = clock.now();
    let leastMs = Number.POSITIVE_INFINITY;
    for (let turn = 0; turn < TURNS && (turn < 2 || clock.now() - startMs < TURNS_MS); turn++) {
      leastMs = Math.min(leastMs, await timed(clock, kernels.threads, () => prepared.run(job)));
    }
    return (LAYER_SHARE * TOKENS * columns * rows * 1000) / leastMs;
  } finally {
    prepared.close();
  }
}

function largestProduct({ operations, weights }: Layer): Weight | undefined {
  const multiplied = new Set(
    operations.flatMap((operation) => (operation.kind === 'product' ? [operation.weight] : [])),
  );
  return weights
    .filter((weight) => multiplied.has(weight.tensor) && bytesOf(weight) <= WEIGHT_BYTES_MAX)
    .reduce<Weight | undefined>((largest, weight) => {
      return largest === undefined || bytesOf(weight) > bytesOf(largest) ? weight : largest;
    }, undefined);
}

/** At most: no weight has more than four bytes a number. */
function bytesOf({ shape }: Weight): number {
  return shape.reduce((product, size) => product * size, 4);
}
