/**
 * Repeated weights: random numbers for tensors too large to draw each of them.
 *
 *   TensorSpec ──▶ one run of random numbers, again and again ──▶ pieces for safetensors.ts
 *
 * Of a tensor with a matrix for each expert only the first rows of each matrix are written (of gate
 * and up together: of both halves), which is enough for every expert to compute something.
 */

import type { Random } from './random.ts';
import { encodeWeights, type TensorPiece, tensorBytes } from './safetensors.ts';
import { drawWeights, type TensorSpec } from './tensors.ts';

// A prime, so that no two rows of a matrix begin at the same number.
const RUN_NUMBERS = 1_000_003;
const EXPERT_ROWS = 16;

export class RepeatedWeights {
  readonly #random: Random;
  /** Runs by type, mean and deviation. */
  readonly #runs = new Map<string, Uint8Array>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** What is not zero of a tensor, in ascending order. */
  *pieces(tensor: TensorSpec): Generator<TensorPiece> {
    const [matrices = 1, rows = 1, ...columns] = tensor.shape;
    if (columns.length === 0) {
      yield* this.#repeat(tensor, 0, tensorBytes(tensor));
      return;
    }
    const rowBytes = tensorBytes({ ...tensor, shape: columns });
    const parts = tensor.name.endsWith('gate_up_proj') ? 2 : 1;
    for (let part = 0; part < matrices * parts; part++) {
      const offset = ((part * rows) / parts) * rowBytes;
      yield* this.#repeat(tensor, offset, EXPERT_ROWS * rowBytes);
    }
  }

  *#repeat(tensor: TensorSpec, first: number, bytes: number): Generator<TensorPiece> {
    const run = this.#run(tensor);
    const itemBytes = run.length / RUN_NUMBERS;
    let at = this.#random.below(RUN_NUMBERS) * itemBytes;
    for (let done = 0; done < bytes; ) {
      const part = run.subarray(at, at + bytes - done);
      yield { offset: first + done, bytes: part };
      done += part.length;
      at = 0;
    }
  }

  #run(tensor: TensorSpec): Uint8Array {
    const { dtype, mean, deviation } = tensor;
    const key = `${dtype} ${mean} ${deviation}`;
    const known = this.#runs.get(key);
    if (known !== undefined) return known;
    const run = encodeWeights(
      drawWeights({ ...tensor, shape: [RUN_NUMBERS] }, this.#random),
      dtype,
    );
    this.#runs.set(key, run);
    return run;
  }
}
