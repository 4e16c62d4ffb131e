/**
 * Forward: a model's layers as lists of operations over registers, as data.
 *
 *   ModelFamily.forward(checkpoint) ──▶ Forward ──▶ native executor (kernels/executor.h), plan of stages
 *
 * A register holds some numbers a token (row-major: token after token, binary32). Operations are
 * carried out in order; what each one computes, to the bit, is kernels/DET-1.md (the paragraphs named
 * below). Read next: gemma4-forward.ts, which writes such lists.
 */

/** The name of a register. */
export type Register = string;

/** The name of a tensor of the model (as in its GGUF). */
export type TensorName = string;

export type Operation =
  /** Of each run of `width` numbers; without a weight only divided by its size. §5 */
  | {
      readonly kind: 'norm';
      readonly into: Register;
      readonly from: Register;
      readonly width: number;
      readonly weight?: TensorName;
      readonly epsilon: number;
    }
  /** In place. §11 */
  | { readonly kind: 'scale'; readonly into: Register; readonly factor: number }
  /** In place, by a weight of as many numbers, or of one. §11 */
  | { readonly kind: 'multiply'; readonly into: Register; readonly weight: TensorName }
  /** §6; the mode follows the type of the weight. */
  | {
      readonly kind: 'product';
      readonly into: Register;
      readonly from: Register;
      readonly weight: TensorName;
    }
  /** Σx² of the columns of `from` goes to a statistic of the layer. §12 */
  | { readonly kind: 'collect'; readonly from: Register; readonly statistic: number }
  /** In place, on each head of `width` numbers, by a table of rotations. §7 */
  | {
      readonly kind: 'rotate';
      readonly into: Register;
      readonly width: number;
      readonly table: number;
    }
  /** `into` may be `queries`. §8 */
  | {
      readonly kind: 'attention';
      readonly into: Register;
      readonly queries: Register;
      readonly keys: Register;
      readonly values: Register;
      readonly heads: number;
      readonly keyHeads: number;
      /** Numbers a head. */
      readonly width: number;
      /** Keys that a query sees, itself among them; 0 sees all before it. */
      readonly window: number;
      readonly scale: number;
    }
  /** §3; `into` may be either. */
  | {
      readonly kind: 'gate';
      readonly into: Register;
      readonly gate: Register;
      readonly up: Register;
      readonly activation: Activation;
    }
  /** `into` holds, for each chosen expert in ascending order, its number and its weight. §9 */
  | {
      readonly kind: 'route';
      readonly into: Register;
      readonly logits: Register;
      readonly used: number;
      readonly scales?: TensorName;
    }
  /** §10. `gateUp` has the rows of the gate, then those of the other half, for each expert. */
  | {
      readonly kind: 'experts';
      readonly into: Register;
      readonly from: Register;
      readonly routing: Register;
      readonly used: number;
      readonly gateUp: TensorName;
      readonly down: TensorName;
      readonly activation: Activation;
      /** Statistic of what enters `gateUp`, and of what enters `down`. */
      readonly statistics: readonly [number, number];
    }
  /** `into` may be either. §11 */
  | {
      readonly kind: 'add';
      readonly into: Register;
      readonly left: Register;
      readonly right: Register;
    }
  /**
   * Of the row of logits `weight` · `from`: the largest, the sum of exp over it, and the logit of the
   * target, three numbers a token. `targets` holds the id of the token that follows. §11
   */
  | {
      readonly kind: 'loss';
      readonly into: Register;
      readonly from: Register;
      readonly weight: TensorName;
      readonly targets: Register;
      /** 0 is none. */
      readonly softcap: number;
    };

export type Activation = 'gelu' | 'silu';

/** The inputs of some products, which share their columns' sums. */
export interface Statistic {
  /** The tensors that are multiplied by it, each a name of an importance matrix. */
  readonly names: readonly TensorName[];
  /** How many matrices a tensor has, each with sums of its own: the experts, else 1. */
  readonly matrices: number;
  readonly columns: number;
}

/** Cosine and sine of every position and pair. */
export interface RotationTable {
  /** Numbers a head. */
  readonly width: number;
  readonly base: number;
  /** What the angle of each pair is divided by, `width / 2` of them; none is 1. */
  readonly factors?: Float32Array;
}

/** How the numbers of a tensor are stored, and so how they are multiplied. */
export type WeightType = 'BF16' | 'F16' | 'F32';

export interface Weight {
  readonly tensor: TensorName;
  /** As it lies in the source. */
  readonly type: WeightType;
  /** A BF16 GGUF holds it in F32, so that it is multiplied in mode A whatever `type` is. */
  readonly isKeptF32: boolean;
  /** Elements a dimension, fastest first: columns, rows, matrices. */
  readonly shape: readonly number[];
}

/** Numbers a token that pass from layer to layer. */
export interface StateRegister {
  readonly register: Register;
  readonly width: number;
}

export interface Layer {
  readonly operations: readonly Operation[];
  readonly weights: readonly Weight[];
  readonly statistics: readonly Statistic[];
  /** Numbers a token of each register that is neither state (`reads`, `leaves`) nor in `inputs`. */
  readonly registers: ReadonlyMap<Register, number>;
  /** What it reads of the layers before it; the hidden state first. Each stays in its register. */
  readonly reads: readonly StateRegister[];
  /** What it leaves to those after it, in place of or beside what it read; the hidden state first. */
  readonly leaves: readonly StateRegister[];
  /** Numbers a token that come from the tokens alone: a slice of per-layer inputs, targets. */
  readonly inputs: readonly StateRegister[];
  /** Multiplications of one token with weights, for the plan. */
  readonly multiplications: number;
}

/** The token's row of a table, each number times `factor`. §11 */
export interface Lookup {
  readonly into: Register;
  /** Columns, rows: as many rows as tokens there are. */
  readonly table: Weight;
  readonly factor: number;
}

/** What stands before the first layer. */
export interface Front {
  /** One for each of `layer.reads`, in its order: the hidden state first. */
  readonly lookups: readonly Lookup[];
  /** Works on what was looked up; no operations where the hidden state is all there is. */
  readonly layer: Layer;
  /**
   * Per-layer inputs, where there are any: `from`, the second of what `layer` leaves, has
   * `width` numbers for each layer, and layer n finds those from n · width on as its input `into`.
   */
  readonly slices?: { readonly from: Register; readonly into: Register; readonly width: number };
}

export interface Forward {
  readonly hiddenWidth: number;
  /** Rows of the embedding: a token is below it. */
  readonly vocabulary: number;
  readonly front: Front;
  readonly layers: readonly Layer[];
  /**
   * What stands behind the last layer, for perplexity and the statistic of the output matrix: norm,
   * collect, loss. Its one input holds the targets; it leaves the loss's three numbers alone.
   */
  readonly head: Layer;
  /** What `rotate` names by number; they belong to no layer and are made, not stored. */
  readonly tables: readonly RotationTable[];
  /**
   * What crosses the cut in front of layer n (from 0; behind the last is `layers.length`): the hidden
   * state first, then what a later layer still reads, last of it `slices.from` with the slices of
   * layers from n on alone, so that layer m finds its own at (m − n) · width. In front of layer 0 this
   * is what the front leaves. Undefined where no cut is allowed.
   */
  readonly cuts: readonly (readonly StateRegister[] | undefined)[];
}
