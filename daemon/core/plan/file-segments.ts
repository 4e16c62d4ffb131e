/**
 * File segments: a source file from its first byte to its last, as a run reads it.
 *
 *   Plan ──▶ sourcePieces ──▶ pieces of each file ──▶ fileSegments ──▶ pieces and what lies between
 *
 * The SHA-256 of a file that lies in pieces on several machines is passed along these segments in
 * their order: pieces where they are kept, the rest (headers, tensors that nobody wants) by whoever
 * asks. Read next: roles/source-proof.ts.
 */

import type { ModelTensor } from '../models/family.ts';
import { digestOf, type Plan } from './plan.ts';
import { cutRowGroups, type RowGroup } from './row-groups.ts';

/** Bytes of a source file that one row group reads. */
export interface FilePiece {
  readonly file: string;
  /** SHA-256 of the whole file, lower-case hex. */
  readonly fileDigest: string;
  readonly offset: number;
  readonly bytes: number;
}

export interface FileSegment {
  readonly offset: number;
  readonly bytes: number;
  /** Undefined of bytes that no row group reads. */
  readonly piece?: FilePiece;
}

/** SHA-256 of nothing yet: its first eight words, no bytes, an empty buffer (FIPS 180-4, 5.3.3). */
export function firstState(): Uint8Array {
  const state = new Uint8Array(104);
  const view = new DataView(state.buffer);
  const words = [
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
  ];
  for (const [index, word] of words.entries()) view.setUint32(4 * index, word);
  return state;
}

/** The name of a piece, whatever its file is called. */
export function pieceKey(piece: Pick<FilePiece, 'fileDigest' | 'offset' | 'bytes'>): string {
  return `${piece.fileDigest}/${piece.offset}/${piece.bytes}`;
}

/** The pieces that one task reads, in the order of its rows. */
export function taskPieces({ tasks, fileDigests }: Plan, task: number): FilePiece[] {
  return groupPieces(tasks[task]?.group, fileDigests);
}

function groupPieces(
  group: Pick<RowGroup, 'ranges'> | undefined,
  fileDigests: ReadonlyMap<string, string>,
): FilePiece[] {
  return (group?.ranges ?? []).map(({ file, offset, bytes }) => {
    return { file, fileDigest: digestOf(fileDigests, file), offset, bytes };
  });
}

/** The pieces that any plan reads of these tensors: their cut depends on nothing else. */
export function tensorPieces(
  tensors: readonly ModelTensor[],
  fileDigests: ReadonlyMap<string, string>,
): FilePiece[] {
  return tensors.flatMap((tensor) =>
    cutRowGroups(tensor).flatMap((group) => groupPieces(group, fileDigests)),
  );
}

/** The pieces that the tasks of a plan read, each once, by file and in their order. */
export function sourcePieces(plan: Plan): Map<string, FilePiece[]> {
  return piecesByFile([...plan.tasks.keys()].flatMap((index) => taskPieces(plan, index)));
}

/** Pieces, each once, by file and in their order. */
export function piecesByFile(all: readonly FilePiece[]): Map<string, FilePiece[]> {
  const files = new Map<string, Map<string, FilePiece>>();
  for (const piece of all) {
    const pieces = files.get(piece.file) ?? new Map<string, FilePiece>();
    files.set(piece.file, pieces.set(pieceKey(piece), piece));
  }
  const sorted = (pieces: Map<string, FilePiece>): FilePiece[] =>
    [...pieces.values()].sort((a, b) => a.offset - b.offset);
  return new Map([...files].map(([file, pieces]) => [file, sorted(pieces)]));
}

/**
 * Every byte of a file once, in order.
 * @param pieces of the file, in order
 * @param gapBytesMax the most of what lies between pieces that makes one segment
 * @returns undefined where pieces overlap or go beyond the file's end: no chain can prove them
 */
export function fileSegments(
  pieces: readonly FilePiece[],
  fileBytes: number,
  gapBytesMax: number,
): FileSegment[] | undefined {
  const segments: FileSegment[] = [];
  let end = 0;
  const fill = (until: number): void => {
    for (; end < until; end += gapBytesMax) {
      segments.push({ offset: end, bytes: Math.min(gapBytesMax, until - end) });
    }
    end = until;
  };
  for (const piece of pieces) {
    const { offset, bytes } = piece;
    if (offset < end || offset + bytes > fileBytes) return undefined;
    fill(offset);
    segments.push({ offset, bytes, piece });
    end = offset + bytes;
  }
  fill(fileBytes);
  return segments;
}
