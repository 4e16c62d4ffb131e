import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Layer, Operation } from './forward.ts';
import { planRegisters, registersOf } from './registers.ts';

const names = ['a', 'b', 'c', 'd', 'e', 'f'];
const anyName = fc.constantFrom(...names, 'hidden');
const anyOperation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ kind: fc.constant('add'), into: anyName, left: anyName, right: anyName }),
  fc.record({ kind: fc.constant('scale'), into: anyName, factor: fc.constant(2) }),
  fc.record({ kind: fc.constant('collect'), from: anyName, statistic: fc.constant(0) }),
  fc.record({
    kind: fc.constant('product'),
    into: anyName,
    from: anyName,
    weight: fc.constant('w'),
  }),
);
const anyLayer: fc.Arbitrary<Layer> = fc
  .tuple(
    fc.array(anyOperation, { maxLength: 20 }),
    fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 6, maxLength: 6 }),
  )
  .map(([operations, widths]) => ({
    operations,
    weights: [],
    statistics: [],
    registers: new Map(names.map((name, index) => [name, widths[index] ?? 1])),
    reads: [{ register: 'hidden', width: 8 }],
    leaves: [{ register: 'hidden', width: 8 }],
    inputs: [],
    multiplications: 0,
  }));

/** Whether at some operation each of the two was named already and will be named (again). */
function liveTogether(layer: Layer, a: string, b: string): boolean {
  const named = (register: string): number[] =>
    layer.operations.flatMap((operation, index) =>
      registersOf(operation).includes(register) ? [index] : [],
    );
  return layer.operations.some((_, index) =>
    [a, b].every(
      (register) =>
        named(register).some((at) => at <= index) && named(register).some((at) => at >= index),
    ),
  );
}

// Goal: nothing is overwritten that is still wanted, and every register that is used has a place.
// Method: random lists of operations; whether two live together is looked up operation by operation.
test('registers that are alive at the same time never overlap', () => {
  fc.assert(
    fc.property(anyLayer, (layer) => {
      const { places, width } = planRegisters(layer);
      const used = names.filter((name) =>
        layer.operations.some((operation) => registersOf(operation).includes(name)),
      );
      expect([...places.keys()].sort()).toEqual(used);
      const rangeOf = (name: string): [number, number] => {
        const at = places.get(name) ?? Number.NaN;
        return [at, at + (layer.registers.get(name) ?? 0)];
      };
      for (const a of used) {
        const [start, end] = rangeOf(a);
        expect(start % 16).toBe(0);
        expect(end).toBeLessThanOrEqual(width);
        for (const b of used.filter((other) => other < a && liveTogether(layer, a, other))) {
          const [otherStart, otherEnd] = rangeOf(b);
          expect(end <= otherStart || otherEnd <= start, `${a} and ${b}`).toBe(true);
        }
      }
    }),
  );
});

test('a place is used again when nothing reads it any more', () => {
  const product = (into: string, from: string): Operation => ({
    kind: 'product',
    into,
    from,
    weight: 'w',
  });
  const layer: Layer = {
    operations: [product('a', 'hidden'), product('b', 'a'), product('c', 'b'), product('d', 'c')],
    weights: [],
    statistics: [],
    registers: new Map([
      ['a', 32],
      ['b', 32],
      ['c', 32],
      ['d', 32],
      ['e', 1000],
    ]),
    reads: [],
    leaves: [],
    inputs: [],
    multiplications: 0,
  };
  const { places, width } = planRegisters(layer);
  expect(width).toBe(64);
  expect(places.get('c')).toBe(places.get('a'));
  expect(places.has('e')).toBe(false);
});
