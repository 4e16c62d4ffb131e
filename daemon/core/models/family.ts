/**
 * Model family: what a checkpoint of one architecture becomes in a GGUF, as data.
 *
 *   Checkpoint ──▶ ModelFamily.describe ──▶ Model ──▶ recipe/, gguf/layout.ts, plan/
 *              ──▶ ModelFamily.forward ──▶ Forward (forward.ts)
 *
 * One file a family (gemma4.ts); the list of families is families.ts.
 */

import type {
  Checkpoint,
  SourceDtype,
  SourceRange,
  SourceTensor,
} from '../checkpoint/checkpoint.ts';
import type { BlockTypeName } from '../gguf/block-types.ts';
import type { KeyValue } from '../gguf/metadata.ts';
import type { Forward } from './forward.ts';

/** Where a tensor's elements come from. */
export type TensorSource =
  /** The parts one after the other, all of one dtype; the bytes are not moved. */
  | {
      readonly kind: 'checkpoint';
      readonly dtype: SourceDtype;
      readonly parts: readonly SourceTensor[];
    }
  /** A tensor of a GGUF: where an output asks for nothing else, it stays what it is. */
  | {
      readonly kind: 'gguf';
      readonly dtype: BlockTypeName;
      readonly parts: readonly SourceRange[];
      /** Which file of a split GGUF it lies in, from 0. */
      readonly shard: number;
    }
  /** Numbers that follow from the config. */
  | { readonly kind: 'generated'; readonly values: Float32Array };

/** A tensor as it stands in the GGUF. */
export interface ModelTensor {
  readonly name: string;
  /** The name before layers were dropped, by which an importance matrix knows it. */
  readonly originalName?: string;
  /** Elements per dimension, fastest first, 1 to 4 of them, without trailing ones. */
  readonly shape: readonly number[];
  /** True where a converted file holds F32 whatever its type (norms, router, scales). */
  readonly keepF32: boolean;
  readonly source: TensorSource;
}

/** What the recipe's rules ask about a model. */
export interface ModelShape {
  readonly architecture: string;
  readonly layers: number;
  /** Of layer 0, as llama.cpp's rules ask. */
  readonly heads: number;
  readonly kvHeads: number;
  readonly experts: number;
}

export interface Model {
  readonly shape: ModelShape;
  /** In the order of the checkpoint; generated tensors first. */
  readonly tensors: readonly ModelTensor[];
  /** `general.*` that every output shares, before the architecture's keys. */
  readonly general: readonly KeyValue[];
  /** `<architecture>.*`. */
  readonly parameters: readonly KeyValue[];
  /** `tokenizer.*`. */
  readonly vocabulary: readonly KeyValue[];
  /** Set after everything else, each in the place of a key of the same name. */
  readonly overrides?: readonly KeyValue[];
  /** Files of the GGUF it was read from; undefined for a checkpoint. */
  readonly shards?: number;
  /** Groups of source tensors that no output takes, with the reason, for the user to read. */
  readonly leftOut: readonly { readonly count: number; readonly reason: string }[];
}

export interface ModelFamily {
  /** `general.architecture`. */
  readonly architecture: string;
  /** The entries of config.json's `architectures` that this file understands. */
  readonly classes: readonly string[];
  /**
   * @param name the model's display name (`general.name`)
   * @throws FaultError when a tensor is missing, left over or of another shape than config.json says
   */
  describe(checkpoint: Checkpoint, name: string): Model;
  /**
   * How it computes: its layers as operations on the tensors that `describe` lists.
   * @throws FaultError as `describe` does
   */
  forward(checkpoint: Checkpoint): Forward;
  /**
   * The tensors alone, of a checkpoint whose vocabulary is not at hand.
   * @throws FaultError as `describe` does
   */
  tensors(checkpoint: Checkpoint): readonly ModelTensor[];
}
