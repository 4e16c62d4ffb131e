/**
 * Fit tensors: which entries of an importance matrix the tensors of a model can use.
 *
 *   entries, one by one ──▶ TensorFit.fit ──▶ weights of a tensor
 *                       ──▶ TensorFit.findings ──▶ what fits nothing, and the notices
 *
 * A matrix that was read from a file and one that was measured a moment ago go through here, so
 * both mean the same. docs/imatrix.md lists what is not as it should be.
 */

import type { ModelTensor } from '../models/family.ts';
import { type Importance, sentence, weightsWanted } from './importance.ts';
import { weightsOf } from './weights.ts';

export type WeightedTensor = Pick<ModelTensor, 'name' | 'originalName' | 'shape'>;

export interface FittedWeights {
  /** The name in the output, which pruning of layers may have changed. */
  readonly tensor: string;
  /** (slices, columns). */
  readonly weights: Float32Array;
  readonly slices: number;
}

/** Takes the entries one by one; holds no numbers. */
export class TensorFit {
  readonly #file: string;
  /** By the name that the file knows them by. */
  readonly #wanted: ReadonlyMap<string, WeightedTensor>;
  readonly #misfits = new Map<string, { values: number; wanted: number }>();
  readonly #unknown: string[] = [];
  readonly #unmeasured: string[] = [];

  /** @param file for faults */
  constructor(file: string, tensors: readonly WeightedTensor[]) {
    this.#file = file;
    this.#wanted = new Map(tensors.map((tensor) => [tensor.originalName ?? tensor.name, tensor]));
  }

  /**
   * The weights of the tensor that an entry is for; undefined where it fits none. Every entry is
   * checked, the unknown too: llama-quantize refuses the file as a whole.
   * @param divisor as `weightsOf` takes it
   * @throws FaultError badCount, badWeight
   */
  fit(name: string, sums: Float32Array, divisor: Float32Array | number): FittedWeights | undefined {
    const { values, unmeasured } = weightsOf({ file: this.#file, tensor: name, sums, divisor });
    const tensor = this.#wanted.get(name);
    if (tensor === undefined) {
      this.#unknown.push(name);
      return undefined;
    }
    const wanted = weightsWanted(tensor.shape);
    if (values.length !== wanted) {
      this.#misfits.set(tensor.name, { values: values.length, wanted });
      return undefined;
    }
    const slices = wanted / (tensor.shape[0] ?? 1);
    if (unmeasured > 0) this.#unmeasured.push(`${name} (${unmeasured} of ${slices})`);
    return { tensor: tensor.name, weights: values, slices };
  }

  findings(): Pick<Importance, 'misfits' | 'notices'> {
    return {
      misfits: this.#misfits,
      notices: [
        ...sentence('the importance matrix has entries that are no tensors here:', this.#unknown),
        ...sentence(
          'no token of the calibration text reached some experts of',
          this.#unmeasured,
          'all their columns weigh 1',
        ),
      ],
    };
  }
}
