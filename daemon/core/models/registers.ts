/**
 * Registers: where the numbers of a layer's own registers lie while it runs.
 *
 *   Layer ──▶ planRegisters ──▶ a place for each register, places used again when nothing reads them
 *
 * A register is alive from the first operation that names it to the last. Two that are alive at the
 * same time have places of their own, at one operation too: none may write over what it still reads.
 */

import { assert } from '../../../proto/assert.ts';
import type { Layer, Operation, Register } from './forward.ts';

// Numbers. With 64 bytes to a multiple of it, a register begins at a cache line for any number of tokens.
const PLACE_WIDTH = 16;

export interface RegisterPlan {
  /** Numbers a token in front of each register's own: register r begins at `at × tokens`. */
  readonly places: ReadonlyMap<Register, number>;
  /** Numbers a token of all of them together. */
  readonly width: number;
}

interface Life {
  readonly register: Register;
  readonly width: number;
  /** Indexes of operations, both included. */
  readonly first: number;
  readonly last: number;
}

/** Places for `layer.registers`; one that no operation names has none. */
export function planRegisters(layer: Layer): RegisterPlan {
  const placed: { readonly life: Life; readonly at: number }[] = [];
  for (const life of livesOf(layer)) {
    const neighbours = placed
      .filter(({ life: other }) => other.first <= life.last && life.first <= other.last)
      .sort((a, b) => a.at - b.at);
    placed.push({ life, at: lowestGap(neighbours, life.width) });
  }
  return {
    places: new Map(placed.map(({ life, at }) => [life.register, at])),
    width: Math.max(0, ...placed.map(({ life, at }) => at + life.width)),
  };
}

/** The widest first, which leaves the smallest gaps; among equals the first to live. */
function livesOf(layer: Layer): Life[] {
  const lives = new Map<Register, Life>();
  layer.operations.forEach((operation, index) => {
    for (const register of registersOf(operation)) {
      const width = layer.registers.get(register);
      if (width === undefined) continue;
      assert(Number.isSafeInteger(width) && width > 0, `register ${register} has a width`);
      const first = lives.get(register)?.first ?? index;
      const whole = Math.ceil(width / PLACE_WIDTH) * PLACE_WIDTH;
      lives.set(register, { register, width: whole, first, last: index });
    }
  });
  return [...lives.values()].sort((a, b) => b.width - a.width || a.first - b.first);
}

function lowestGap(
  neighbours: readonly { readonly life: Life; readonly at: number }[],
  width: number,
): number {
  let at = 0;
  for (const other of neighbours) {
    if (other.at - at >= width) break;
    at = Math.max(at, other.at + other.life.width);
  }
  return at;
}

/** The registers that an operation reads or writes. */
export function registersOf(operation: Operation): readonly Register[] {
  switch (operation.kind) {
    case 'norm':
    case 'product':
      return [operation.from, operation.into];
    case 'collect':
      return [operation.from];
    case 'scale':
    case 'multiply':
    case 'rotate':
      return [operation.into];
    case 'attention':
      return [operation.queries, operation.keys, operation.values, operation.into];
    case 'gate':
      return [operation.gate, operation.up, operation.into];
    case 'route':
      return [operation.logits, operation.into];
    case 'experts':
      return [operation.from, operation.routing, operation.into];
    case 'add':
      return [operation.left, operation.right, operation.into];
    case 'loss':
      return [operation.from, operation.targets, operation.into];
  }
}
