/**
 * Hash pieces: a file read once from its first byte to its last, for the digest of each of its pieces
 * and of the whole.
 *
 *   pieces, in order ──▶ as many as are read at once ──▶ OutputFile.hash ──▶ SHA-256 of the whole
 */

import { BATCH_BYTES, batchesOf } from '../core/release/pieces.ts';
import type { OutputFile } from '../ports.ts';

interface Telling<Piece> {
  /** Gets pieces that follow each other, and the SHA-256 of each. */
  readonly onPieces?: (pieces: readonly Piece[], digests: readonly Uint8Array[]) => void;
  /** Told how many bytes more have been read. */
  readonly onBytes: (bytes: number) => void;
  readonly signal: AbortSignal;
}

/**
 * @param pieces of the file from its first byte on, without gaps
 * @returns SHA-256 of all of them
 */
export async function hashPieces<Piece extends { readonly bytes: number }>(
  file: Pick<OutputFile, 'hash'>,
  pieces: Iterable<Piece>,
  { onPieces, onBytes, signal }: Telling<Piece>,
): Promise<Uint8Array> {
  let chain: Uint8Array | undefined;
  let digest: Uint8Array | undefined;
  let offset = 0;
  for (const batch of batchesOf(pieces)) {
    signal.throwIfAborted();
    const sizes = batch.map(({ bytes }) => bytes);
    const found = await file.hash(offset, sizes, chain, signal);
    onPieces?.(batch, found.pieces);
    ({ chain } = found);
    digest = found.digest.slice();
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    offset += bytes;
    onBytes(bytes);
  }
  return digest ?? (await file.hash(0, [], undefined, signal)).digest;
}

/** Of a file of which only the whole matters: as much as is read at once. */
export function* evenPieces(bytes: number): Generator<{ offset: number; bytes: number }> {
  for (let offset = 0; offset < bytes; offset += BATCH_BYTES) {
    yield { offset, bytes: Math.min(BATCH_BYTES, bytes - offset) };
  }
}
