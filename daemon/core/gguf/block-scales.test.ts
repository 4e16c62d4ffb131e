import { expect, test } from 'vitest';
import { firstBadBlock } from './block-scales.ts';
import { type BlockTypeName, blockTypes } from './block-types.ts';

const names = Object.keys(blockTypes) as BlockTypeName[];

// Goal: damage of a scale is seen wherever it is. Method: blocks of zeros but one of ones, in which
// every scale is not finite; only NVFP4's scales have no such value.
test.each(names.filter((name) => blockTypes[name].quantized && !/^Q8_[1K]$|^NVFP4$/.test(name)))(
  '%s: the first bad block is found',
  (name) => {
    const { blockBytes } = blockTypes[name];
    const bytes = new Uint8Array(5 * blockBytes);
    expect(firstBadBlock(name, bytes)).toBeUndefined();
    bytes.fill(0xff, 3 * blockBytes);
    expect(firstBadBlock(name, bytes)).toBe(3);
    bytes.fill(0xff, 2 * blockBytes);
    expect(firstBadBlock(name, bytes)).toBe(2);
  },
);

test('the largest scales there are pass', () => {
  const { blockBytes } = blockTypes.Q4_K;
  // 0x7bff is the largest half, 0xfbff its negative.
  const bytes = new Uint8Array(blockBytes).fill(0xff);
  bytes.set([0xff, 0x7b, 0xff, 0xfb]);
  expect(firstBadBlock('Q4_K', bytes)).toBeUndefined();
  bytes.set([0x00, 0x7c], 2);
  expect(firstBadBlock('Q4_K', bytes)).toBe(0);
});

test('each half of the exponent of IQ1_M alone is a number', () => {
  for (const at of [53, 55]) {
    const bytes = new Uint8Array(blockTypes.IQ1_M.blockBytes);
    bytes[at] = 0xf0;
    expect(firstBadBlock('IQ1_M', bytes)).toBeUndefined();
  }
});
