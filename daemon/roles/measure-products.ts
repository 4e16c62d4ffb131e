/**
 * Measure products: how fast this machine multiplies with matrices of bf16 and other weights.
 *
 *   Forward + where its weights lie ──▶ one product, timed ──▶ multiplications a second of a layer
 *   made weights in a file          ──▶ the same           ──▶ what machines tell each other
 *
 * Of a model one matrix of a layer is read, no more: some MiB of the source. Kernels that quantize say
 * little of products: a CPU with tiles multiplies up to eight times as fast as one without, and quantizes
 * twice as fast. As in measure-costs.ts the least time counts, and on a busy machine that of the processors.
 */

import type { Forward, Layer, Weight } from '../core/models/forward.ts';
import { LayerWriter } from '../core/models/layer-writer.ts';
import type { ForwardKernels, PlacedWeight } from '../ports.ts';
import { type BusyClock, timed } from './measure-costs.ts';
import { madeSource } from './measure-speed.ts';

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
  const product = { placed: place(weight), tokens: TOKENS, turns: TURNS, turnsMs: TURNS_MS };
  return LAYER_SHARE * (await perSecond(product, kernels, clock));
}

// A matrix that fits the caches of one core, and tokens enough for every kernel's widest tile.
const MADE_COLUMNS = 1024;
const MADE_ROWS = 256;
const MADE_TOKENS = 256;
// Each takes a moment, in which a neighbour may have the core; nobody waits long for a daemon to start.
const MADE_TURNS = 20;
const MADE_TURNS_MS = 100;

/** What a file holds that `measureMultiplying` is given. */
export function multipliedWeights(): Uint8Array {
  return madeSource(MADE_ROWS * MADE_COLUMNS);
}

/** See Hello.multiplicationsPerSecond. */
export async function measureMultiplying(
  path: string,
  kernels: ForwardKernels,
  clock: BusyClock,
): Promise<number> {
  const shape = [MADE_COLUMNS, MADE_ROWS];
  const weight: Weight = { tensor: 'made', type: 'BF16', isKeptF32: false, shape };
  const placed = { weight, pieces: [{ path, offset: 0, rows: MADE_ROWS }] };
  const product = { placed, tokens: MADE_TOKENS, turns: MADE_TURNS, turnsMs: MADE_TURNS_MS };
  return Math.round(await perSecond(product, kernels, clock));
}

interface TimedProduct {
  readonly placed: PlacedWeight;
  readonly tokens: number;
  /** At most, and in so many milliseconds; two of them however long they take. */
  readonly turns: number;
  readonly turnsMs: number;
}

/** Multiplications of a product with the matrix, in the least time of some turns. */
async function perSecond(
  { placed, tokens, turns, turnsMs }: TimedProduct,
  kernels: ForwardKernels,
  clock: BusyClock,
): Promise<number> {
  const { weight } = placed;
  const [columns = 0, rows = 1] = weight.shape;
  const writer = new LayerWriter(new Map([[weight.tensor, weight]]), '');
  writer.read('from', columns);
  writer.product('into', 'from', weight.tensor);
  writer.leave('into');
  const prepared = await kernels.prepareLayer(writer.finish(), [placed], []);
  try {
    const job = {
      ...{ chunks: 1, positions: tokens },
      state: new Map([
        ['from', new Float32Array(tokens * columns).fill(1)],
        ['into', new Float32Array(tokens * rows)],
      ]),
      scratch: new Uint8Array(prepared.scratchBytes(1, tokens)),
    };
    const startMs = clock.now();
    let leastMs = Number.POSITIVE_INFINITY;
    for (let turn = 0; turn < turns && (turn < 2 || clock.now() - startMs < turnsMs); turn++) {
      leastMs = Math.min(leastMs, await timed(clock, kernels.threads, () => prepared.run(job)));
    }
    return (tokens * columns * rows * 1000) / leastMs;
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
