/**
 * Compare pieces: what the digests of a GGUF's pieces say.
 *
 *   GgufFile ──▶ ggufPieces ──▶ read and hashed in order ──▶ comparePieces ──▶ findings
 *
 * The pieces (pieces.ts) cover every byte of the file once: header, tensors, and the zeros behind them.
 */

import type { LockedOutput } from '../../../proto/lockfile.ts';
import type { PlacedTensor } from '../gguf/layout.ts';
import type { GgufFile } from '../gguf/reader.ts';
import { hex, type Sha256 } from '../plan/unit-id.ts';
import { releaseFaults } from './faults.ts';
import { type Finding, faulty } from './findings.ts';
import { type Piece, piecesOf } from './pieces.ts';

/** @param isLocked the header has a digest, which counts the zeros behind it too */
export function ggufPieces(gguf: GgufFile, isLocked: boolean): Generator<Piece> {
  const { fileBytes, headerEnd, dataStart } = gguf;
  // A file without tensors may end where its header does.
  return piecesOf(gguf, isLocked ? Math.min(dataStart, fileBytes) : headerEnd);
}

/**
 * @param digests SHA-256 of each piece, in order
 * @param wanted undefined where only the format is asked for
 */
export function comparePieces(
  file: string,
  pieces: readonly Piece[],
  digests: readonly Uint8Array[],
  wanted: Wanted | undefined,
  sha256: Sha256,
): Finding[] {
  return pieces.flatMap((piece, index) => {
    const found = hex(digests[index] ?? new Uint8Array(0));
    const expected = expectedDigest(piece, wanted, sha256);
    if (expected === undefined || expected === found) return [];
    const { offset: byte, bytes, tensor } = piece;
    const why = `bytes ${byte} to ${byte + bytes - 1}`;
    const kind = kinds[piece.kind];
    return [faulty(kind, { file, ...(tensor === undefined ? {} : { tensor }), byte, why })];
  });
}

const kinds = {
  header: releaseFaults.wrongHeader,
  tensor: releaseFaults.wrongTensor,
  padding: releaseFaults.wrongPadding,
} as const;

/** What a lockfile says of an output, by tensor. */
export interface Wanted {
  readonly header: string;
  readonly tensors: ReadonlyMap<string, string>;
}

export function wantedOf({ header, tensors }: LockedOutput): Wanted {
  return { header, tensors: new Map(tensors.map(([name, , digest]) => [name, digest])) };
}

function expectedDigest(
  { kind, bytes, tensor }: Piece,
  wanted: Wanted | undefined,
  sha256: Sha256,
): string | undefined {
  if (kind === 'padding') return hex(sha256(new Uint8Array(bytes)));
  return kind === 'header' ? wanted?.header : wanted?.tensors.get(tensor ?? '');
}

/** The first place where names, types or order differ from the lockfile's, if there is one. */
export function compareTable(
  file: string,
  found: readonly Pick<PlacedTensor, 'name' | 'type'>[],
  wanted: LockedOutput['tensors'],
): Finding[] {
  const length = Math.max(found.length, wanted.length);
  for (let index = 0; index < length; index++) {
    const have = found[index];
    const [name, type] = wanted[index] ?? [];
    if (have !== undefined && have.name === name && have.type === type) continue;
    const tensor = name ?? have?.name ?? '';
    const is = have === undefined ? 'there is none' : `it is ${have.name} as ${have.type}`;
    const should = name === undefined ? 'none is wanted' : `${name} as ${type} is wanted`;
    const why = `tensor ${index + 1} of ${length}: ${is}, ${should}`;
    return [faulty(releaseFaults.otherTensors, { file, tensor, why })];
  }
  return [];
}
