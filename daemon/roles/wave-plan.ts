/**
 * Wave plan: how many chunks pass a stage together, and how many of them a layer takes at a time.
 *
 *   sizes of the stage + memory that is offered ──▶ planWaves ──▶ chunks a wave, chunks a slice
 *
 * A slice is what one call of the kernels works on, and wants scratch memory; a wave is what is kept
 * from the first layer of the stage to its last. Neither changes a bit of the result.
 */

import { FaultError } from '../../proto/fault.ts';
import { measureFaults } from './measure-faults.ts';

export interface WaveSizes {
  /** Chunks of the lease. */
  readonly chunks: number;
  /** Tokens a chunk. */
  readonly positions: number;
  /** Of the registers that pass from layer to layer, for one chunk. */
  readonly stateBytes: number;
  /** Of the layer that wants the most, for so many chunks at a time. */
  readonly scratchBytes: (chunks: number) => number;
  /** Sums of the largest layer that is collected, and of all of them. */
  readonly sumsBytesLargest: number;
  readonly sumsBytes: number;
  /** What waves, scratch memory and sums may take together. */
  readonly memoryBytes: number;
  /** The weights are read from the disk for each wave: it should be as large as it can be. */
  readonly isStreamed: boolean;
  /** At most so many chunks a wave. */
  readonly waveChunksMax: number;
}

export interface WavePlan {
  readonly waveChunks: number;
  readonly sliceChunks: number;
  readonly scratchBytes: number;
}

// One is computed while the next is fetched, and another lease may wait for its first.
export const WAVES_IN_MEMORY = 3;
// As many as core/schedule/measuring-peer.ts gives to a peer.
export const LEASES_AT_A_TIME = 2;
// Experts get a few hundred tokens each of so many, and weights are read once for all of them.
const SLICE_TOKENS = 4096;

/** @throws FaultError notEnoughMemory */
export function planWaves(sizes: WaveSizes): WavePlan {
  const { chunks, positions, isStreamed, waveChunksMax, memoryBytes } = sizes;
  const sliceMax = Math.max(
    1,
    Math.min(chunks, waveChunksMax, Math.ceil(SLICE_TOKENS / positions)),
  );
  const waveMax = Math.max(1, Math.min(chunks, waveChunksMax));
  for (let slice = sliceMax; slice >= 1; slice--) {
    const waves = isStreamed ? [waveMax, slice] : [slice, waveMax];
    const fitting = waves.find((wave) => neededBytes(sizes, wave, slice) <= memoryBytes);
    if (fitting === undefined) continue;
    // A streamed wave that is too large as a whole is as large as it may be.
    const wave = isStreamed ? largestWave(sizes, slice, waveMax) : fitting;
    return { waveChunks: wave, sliceChunks: slice, scratchBytes: sizes.scratchBytes(slice) };
  }
  const why = `a chunk of ${positions} tokens needs ${leastWaveBytes(sizes)} bytes, ${memoryBytes} are offered`;
  throw new FaultError(measureFaults.notEnoughMemory, { why });
}

/** The least memory with which there is a plan. */
export function leastWaveBytes(sizes: LeastSizes): number {
  return Math.min(neededBytes(sizes, 1, 1), neededBytes(sizes, sizes.chunks, 1));
}

type LeastSizes = Pick<
  WaveSizes,
  'chunks' | 'stateBytes' | 'scratchBytes' | 'sumsBytesLargest' | 'sumsBytes'
>;

function largestWave(sizes: WaveSizes, slice: number, most: number): number {
  for (let wave = most; wave > slice; wave--) {
    if (neededBytes(sizes, wave, slice) <= sizes.memoryBytes) return wave;
  }
  return slice;
}

function neededBytes(sizes: LeastSizes, wave: number, slice: number): number {
  const { chunks, stateBytes, scratchBytes, sumsBytesLargest, sumsBytes } = sizes;
  // Where all chunks pass a layer before the next begins, one layer's sums are open at a time;
  // else waves of two leases may take turns.
  const sums = wave >= chunks ? sumsBytesLargest : LEASES_AT_A_TIME * sumsBytes;
  return WAVES_IN_MEMORY * wave * stateBytes + scratchBytes(slice) + sums;
}
