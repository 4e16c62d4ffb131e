import fc from 'fast-check';
import { expect, test } from 'vitest';
import { blockTypes } from '../gguf/block-types.ts';
import { estimateData } from './estimate.ts';

test('padding counts for the bytes and not for the bits per weight', () => {
  const tensors = [{ shape: [32, 3] }, { shape: [5] }, { shape: [256, 2, 2] }];
  const estimate = estimateData(tensors, [
    { type: 'Q8_0', reason: 'default' },
    { type: 'F32', reason: 'kept' },
    { type: 'Q6_K', reason: 'mixture' },
  ]);
  // 3 × 34 = 102 → 128; 20 → 32; 4 × 210 = 840 → 864.
  expect(estimate.bytes).toBe(128 + 32 + 864);
  expect(estimate.elements).toBe(96 + 5 + 1024);
  expect(estimate.bitsPerWeight).toBe(((102 + 20 + 840) * 8) / 1125);
});

test('one type throughout costs what its blocks cost', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('Q4_K', 'Q8_0', 'F16', 'IQ1_S'),
      fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 })), {
        minLength: 1,
      }),
      (type, sizes) => {
        const tensors = sizes.map(([columns, rows]) => ({ shape: [columns * 256, rows] }));
        const estimate = estimateData(
          tensors,
          tensors.map(() => ({ type, reason: 'default' })),
        );
        const { blockBytes, blockElements } = blockTypes[type];
        expect(estimate.bitsPerWeight).toBe((blockBytes * 8) / blockElements);
        expect(estimate.bytes % 32).toBe(0);
      },
    ),
  );
});

test('no tensors are no bytes', () => {
  expect(estimateData([], [])).toEqual({ bytes: 0, elements: 0, bitsPerWeight: 0 });
});
