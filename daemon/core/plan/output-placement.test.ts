/** Goal: outputs lie whole, on machines that have room for them, and on all of those. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { placeOutputs } from './output-placement.ts';

const anyOutputs = fc.array(fc.record({ bytes: fc.nat(100) }), { maxLength: 12 });
const anyRooms = fc
  .array(fc.nat(300), { maxLength: 6 })
  .map((rooms) => rooms.map((bytes, index) => ({ peer: `machine-${index}`, bytes })));

test('no machine gets more than it has room for, and what fits somewhere alone is not refused all', () => {
  fc.assert(
    fc.property(anyOutputs, anyRooms, (outputs, rooms) => {
      const placed = placeOutputs(outputs, rooms);
      expect(placed).toHaveLength(outputs.length);
      const left = new Map(rooms.map(({ peer, bytes }) => [peer, bytes]));
      placed.forEach((peer, output) => {
        if (peer === undefined) return;
        const bytes = (left.get(peer) ?? Number.NaN) - (outputs[output]?.bytes ?? 0);
        expect(bytes).toBeGreaterThanOrEqual(0);
        left.set(peer, bytes);
      });
      // Nothing is refused for which there is room in the end.
      const most = Math.max(-1, ...left.values());
      placed.forEach((peer, output) => {
        if (peer === undefined) expect(outputs[output]?.bytes ?? 0).toBeGreaterThan(most);
      });
      expect(placeOutputs(outputs, rooms)).toEqual(placed);
    }),
  );
});

test('where there is room for all, no machine has more than the others and its largest output', () => {
  fc.assert(
    fc.property(anyOutputs, fc.integer({ min: 1, max: 6 }), (outputs, count) => {
      const rooms = Array.from({ length: count }, (_, index) => {
        return { peer: `machine-${index}`, bytes: 10_000 + index };
      });
      const placed = placeOutputs(outputs, rooms);
      const loads = rooms.map(({ peer }) => outputs.filter((_, at) => placed[at] === peer));
      const sums = loads.map((load) => load.reduce((sum, { bytes }) => sum + bytes, 0));
      loads.forEach((load, index) => {
        const last = Math.min(...load.map(({ bytes }) => bytes));
        if (load.length > 0)
          expect((sums[index] ?? 0) - last).toBeLessThanOrEqual(Math.min(...sums));
      });
    }),
  );
});

test('an output that fits only the largest disk finds it free', () => {
  const rooms = [
    { peer: 'nas', bytes: 100 },
    { peer: 'laptop', bytes: 60 },
  ];
  const sizes = [{ bytes: 50 }, { bytes: 60 }, { bytes: 50 }];
  expect(placeOutputs(sizes, rooms)).toEqual(['nas', 'laptop', 'nas']);
});
