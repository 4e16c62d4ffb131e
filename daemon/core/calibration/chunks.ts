/**
 * Chunks: the tokens of a calibration text, cut as llama-imatrix cuts them.
 *
 *   ids of each file ──▶ cutFile, chooseChunks ──▶ Calibration (chunks, digest)
 *
 * A chunk is a context of its own: the model begins anew in front of each. A group is 16
 * consecutive chunks, the smallest part of a measurement that leaves a machine. The rules stand in
 * docs/calibration.md. Read next: vocabulary.ts, samples.ts.
 */

import { assert } from '../../../proto/assert.ts';
import { FaultError } from '../../../proto/fault.ts';
import { digestFields, type Sha256 } from '../plan/unit-id.ts';
import { calibrationFaults as faults } from './faults.ts';

/** Chunks of a group; the last group may have fewer. */
export const GROUP_CHUNKS = 16;

// As many chunks as llama-imatrix wants: one alone says too little to be of use.
const CHUNKS_MIN = 2;

// A part of the digest: raised when the same ids would be measured in another way.
const VERSION = 1;

export interface Calibration {
  readonly chunkTokens: number;
  /** Ids of `chunkTokens` tokens each; these are measured. */
  readonly chunks: readonly Int32Array[];
  /**
   * The chunks that come next in the texts, for experts that got too few tokens; empty unless that
   * was asked for. They are added in whole groups.
   */
  readonly reserve: readonly Int32Array[];
  /** Base names of the texts. */
  readonly datasets: readonly string[];
  /** SHA-256 of everything above but the names. */
  readonly digest: Uint8Array;
  /** What every chunk begins with; undefined where the vocabulary adds nothing. */
  readonly bos?: number;
}

export interface ChunkOptions {
  readonly chunkTokens: number;
  /** At most so many; all where absent. */
  readonly chunksMax?: number;
  /** How many are left out at the beginning. */
  readonly fromChunk: number;
  /** Whether what is left over is kept as the reserve. */
  readonly keepReserve: boolean;
}

/** One file's text as ids, with what its vocabulary puts in front of a text. */
export interface FileTokens {
  readonly name: string;
  /** The file as the user wrote it, for faults. */
  readonly given: string;
  readonly ids: Int32Array;
}

/**
 * Cuts one file's ids; what is left at its end is in no chunk. The first id of each chunk becomes
 * `bos` where there is one.
 * @throws FaultError QD-8406 below two chunks
 */
export function cutFile(
  { given, ids }: FileTokens,
  chunkTokens: number,
  bos: number | undefined,
): Int32Array[] {
  const least = CHUNKS_MIN * chunkTokens;
  if (ids.length < least) {
    const why = `it has ${ids.length} tokens; two chunks of ${chunkTokens} need ${least - ids.length} more`;
    throw new FaultError(faults.tooShort, { file: given, why });
  }
  return Array.from({ length: Math.floor(ids.length / chunkTokens) }, (_, index) => {
    const chunk = ids.slice(index * chunkTokens, (index + 1) * chunkTokens);
    if (bos !== undefined) chunk[0] = bos;
    return chunk;
  });
}

/** How many chunks of each file are measured, and the calibration they make. */
export interface CutCalibration {
  readonly calibration: Calibration;
  /** In the order of the files. */
  readonly chunksOfFiles: readonly number[];
}

/**
 * Cuts every file for itself, so that no chunk holds text of two; their chunks follow each other,
 * and it is among all of them that `fromChunk` and `chunksMax` count.
 * @throws FaultError QD-8406, QD-8407
 */
export function cutCalibration(
  files: readonly FileTokens[],
  bos: number | undefined,
  options: ChunkOptions,
  sha256: Sha256,
): CutCalibration {
  const { chunkTokens, fromChunk } = options;
  assert(chunkTokens > 0 && fromChunk >= 0, 'lengths of a calibration are positive');
  const cut = files.map((file) => cutFile(file, chunkTokens, bos));
  const all = cut.flat();
  if (all.length - fromChunk < CHUNKS_MIN) {
    const why = `there are ${all.length} chunks of ${chunkTokens} tokens`;
    throw new FaultError(faults.nothingLeft, { why });
  }
  const end = lastChunk(all.length, options);
  const chunks = all.slice(fromChunk, end);
  const reserve = options.keepReserve ? all.slice(end) : [];
  const calibration = {
    chunkTokens,
    chunks,
    reserve,
    datasets: files.map(({ name }) => name),
    digest: digestOf(sha256, chunkTokens, chunks, reserve),
    ...(bos === undefined ? {} : { bos }),
  };
  let first = 0;
  const chunksOfFiles = cut.map(({ length }) => {
    const [start, stop] = [first, first + length];
    first = stop;
    return Math.max(0, Math.min(stop, end) - Math.max(start, fromChunk));
  });
  return { calibration, chunksOfFiles };
}

/** Where the chunks that are measured end; at the end of a group where more may follow them. */
function lastChunk(all: number, { chunksMax, fromChunk, keepReserve }: ChunkOptions): number {
  if (chunksMax === undefined) return all;
  const wanted = keepReserve ? GROUP_CHUNKS * Math.ceil(chunksMax / GROUP_CHUNKS) : chunksMax;
  return Math.min(all, fromChunk + wanted);
}

function digestOf(
  sha256: Sha256,
  chunkTokens: number,
  chunks: readonly Int32Array[],
  reserve: readonly Int32Array[],
): Uint8Array {
  const fields = ['calibration', VERSION, chunkTokens, chunks.length];
  return digestFields(sha256, [...fields, ...[...chunks, ...reserve].map(idBytes)]);
}

/** Ids as i32, little endian, whatever the machine's own order is. */
function idBytes(ids: Int32Array): Uint8Array {
  const bytes = new Uint8Array(4 * ids.length);
  const view = new DataView(bytes.buffer);
  for (const [index, id] of ids.entries()) view.setInt32(4 * index, id, true);
  return bytes;
}

/** The group that a chunk belongs to, both counted from 0. */
export function groupOf(chunk: number): number {
  return Math.floor(chunk / GROUP_CHUNKS);
}

/** The chunks [first, end) of a group. */
export interface ChunkGroup {
  readonly group: number;
  readonly first: number;
  readonly end: number;
}

/** The groups of the chunks that are measured, in their order. */
export function groups({ chunks }: Pick<Calibration, 'chunks'>): ChunkGroup[] {
  return Array.from({ length: Math.ceil(chunks.length / GROUP_CHUNKS) }, (_, group) => {
    const first = group * GROUP_CHUNKS;
    return { group, first, end: Math.min(chunks.length, first + GROUP_CHUNKS) };
  });
}

/** How many chunks each group has: all but the last are whole. */
export function groupSizes(chunks: number): number[] {
  return Array.from({ length: Math.ceil(chunks / GROUP_CHUNKS) }, (_, group) =>
    Math.min(GROUP_CHUNKS, chunks - group * GROUP_CHUNKS),
  );
}
