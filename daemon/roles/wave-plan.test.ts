/** Goal: what is planned fits into what is offered, and nothing is refused that would fit. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FaultError } from '../../proto/fault.ts';
import { LEASES_AT_A_TIME, planWaves, WAVES_IN_MEMORY, type WaveSizes } from './wave-plan.ts';

const MIB = 2 ** 20;

const anySizes: fc.Arbitrary<WaveSizes> = fc
  .record({
    chunks: fc.integer({ min: 1, max: 16 }),
    positions: fc.integer({ min: 16, max: 4096 }),
    stateBytes: fc.integer({ min: 1, max: 64 * MIB }),
    perChunk: fc.integer({ min: 1, max: 64 * MIB }),
    sumsBytesLargest: fc.integer({ min: 0, max: 8 * MIB }),
    layers: fc.integer({ min: 1, max: 30 }),
    memoryBytes: fc.integer({ min: 1, max: 2048 * MIB }),
    isStreamed: fc.boolean(),
    waveChunksMax: fc.integer({ min: 1, max: 16 }),
  })
  .map(({ perChunk, layers, ...sizes }) => ({
    ...sizes,
    sumsBytes: sizes.sumsBytesLargest * layers,
    scratchBytes: (chunks) => chunks * perChunk,
  }));

/** What a plan holds at most, by the rule of the page above it. */
function heldBytes(sizes: WaveSizes, wave: number, slice: number): number {
  const open = LEASES_AT_A_TIME * sizes.sumsBytes;
  const sums = wave >= sizes.chunks ? sizes.sumsBytesLargest : open;
  return WAVES_IN_MEMORY * wave * sizes.stateBytes + sizes.scratchBytes(slice) + sums;
}

test('a plan keeps to the memory, and only what cannot fit is refused', () => {
  fc.assert(
    fc.property(anySizes, (sizes) => {
      try {
        const { waveChunks, sliceChunks, scratchBytes } = planWaves(sizes);
        expect(sliceChunks).toBeGreaterThanOrEqual(1);
        expect(sliceChunks).toBeLessThanOrEqual(waveChunks);
        expect(waveChunks).toBeLessThanOrEqual(Math.min(sizes.chunks, sizes.waveChunksMax));
        expect(scratchBytes).toBe(sizes.scratchBytes(sliceChunks));
        expect(heldBytes(sizes, waveChunks, sliceChunks)).toBeLessThanOrEqual(sizes.memoryBytes);
      } catch (error) {
        expect(error).toBeInstanceOf(FaultError);
        expect(heldBytes(sizes, 1, 1)).toBeGreaterThan(sizes.memoryBytes);
      }
    }),
  );
});

test('a stage whose weights do not stay in memory gets the largest waves', () => {
  const sizes = {
    ...{ chunks: 16, positions: 512, stateBytes: MIB, scratchBytes: (n: number) => n * MIB },
    ...{ sumsBytesLargest: MIB, sumsBytes: 4 * MIB, memoryBytes: 200 * MIB, waveChunksMax: 16 },
  };
  expect(planWaves({ ...sizes, isStreamed: false })).toMatchObject({ waveChunks: 8 });
  expect(planWaves({ ...sizes, isStreamed: true })).toMatchObject({ waveChunks: 16 });
});

test('who offers too little is told how much is needed, and that is enough', () => {
  const sizes = {
    ...{
      chunks: 4,
      positions: 512,
      stateBytes: 6 * MIB,
      scratchBytes: (n: number) => n * 90 * MIB,
    },
    ...{ sumsBytesLargest: 7 * MIB, sumsBytes: 14 * MIB, isStreamed: true, waveChunksMax: 4 },
  };
  const refusal = /^QD-5301 .*: a chunk of 512 tokens needs (\d+) bytes, 67108864 are offered$/;
  const refused = (): unknown => planWaves({ ...sizes, memoryBytes: 64 * MIB });
  expect(refused).toThrow(refusal);
  let said = '';
  try {
    refused();
  } catch (error) {
    said = error instanceof Error ? error.message : '';
  }
  const memoryBytes = Number(refusal.exec(said)?.[1]);
  expect(() => planWaves({ ...sizes, memoryBytes })).not.toThrow();
  expect(() => planWaves({ ...sizes, memoryBytes: memoryBytes - 1 })).toThrow(
    refusal.source.slice(1, 8),
  );
});
