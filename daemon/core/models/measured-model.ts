/**
 * Measured model: the layers that a measurement runs, with what is summed in each.
 *
 *   Forward + what is asked of the head ──▶ measuredModel ──▶ MeasuredModel
 *
 * The head is one more layer where perplexity or the statistic of the output matrix is wanted, and
 * is left out where neither is: its product is the largest of all.
 */

import { assert } from '../../../proto/assert.ts';
import type { Forward, Layer, Register, StateRegister, Statistic } from './forward.ts';

export interface MeasuredModel {
  /** Those of the model, then the head where it is measured. */
  readonly layers: readonly Layer[];
  /** What the sums of each layer hold; of the head with its losses last. */
  readonly statistics: readonly (readonly Statistic[])[];
  /** As Forward.cuts, for `layers`; nothing crosses the last. */
  readonly cuts: readonly (readonly StateRegister[] | undefined)[];
  /** Tokens a chunk. */
  readonly positions: number;
  /** The layer that leaves losses, and in which register. */
  readonly loss?: { readonly layer: number; readonly register: Register };
}

export interface HeadWishes {
  readonly perplexity: boolean;
  /** The statistic of the output matrix too. */
  readonly output: boolean;
}

/** Σ loss and Σ loss² over the tokens that count: no entry of an importance matrix. */
export const lossStatistic: Statistic = { names: [], matrices: 1, columns: 2 };

export function measuredModel(
  forward: Forward,
  positions: number,
  wishes: HeadWishes,
): MeasuredModel {
  const head = headOf(forward.head, wishes);
  const layers = [...forward.layers, ...(head === undefined ? [] : [head])];
  const own = layers.map(({ statistics }) => statistics);
  const hasLoss = head !== undefined && wishes.perplexity;
  const [register] = forward.head.leaves;
  assert(!hasLoss || register !== undefined, 'the head leaves its losses');
  return {
    layers,
    statistics: hasLoss ? [...own.slice(0, -1), [...(own.at(-1) ?? []), lossStatistic]] : own,
    cuts: [...forward.cuts.slice(0, layers.length).map((cut) => withoutInputs(forward, cut)), []],
    positions,
    ...(hasLoss && register !== undefined
      ? { loss: { layer: layers.length - 1, register: register.register } }
      : {}),
  };
}

/** What comes from the tokens alone, each stage gets from where the tokens are. */
function withoutInputs(
  { front }: Forward,
  cut: readonly StateRegister[] | undefined,
): readonly StateRegister[] | undefined {
  return cut?.filter(({ register }) => register !== front.slices?.from);
}

/** The head without what nobody asks for; undefined where that is everything. */
function headOf(head: Layer, { perplexity, output }: HeadWishes): Layer | undefined {
  if (perplexity && output) return head;
  if (perplexity) {
    const operations = head.operations.filter(({ kind }) => kind !== 'collect');
    return { ...head, operations, statistics: [] };
  }
  if (!output) return undefined;
  const losses = head.operations.filter((operation) => operation.kind === 'loss');
  const unused = new Set(losses.map(({ weight }) => weight));
  return {
    ...head,
    operations: head.operations.filter(({ kind }) => kind !== 'loss'),
    weights: head.weights.filter(({ tensor }) => !unused.has(tensor)),
    inputs: [],
    leaves: [],
    multiplications: 0,
  };
}
