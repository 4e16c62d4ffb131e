/**
 * Read back: an output read once from its first byte to its last, in as many goes as it takes to grow.
 *
 *   pieces, as far as they are there ──▶ advance ──▶ wrong pieces, SHA-256 of all
 *
 * A run that was made here has a checksum beside its digest: that finds what a disk gets wrong, for a
 * tenth of the time. Read next: assembler.ts.
 */

import { BATCH_BYTES } from '../core/release/pieces.ts';
import type { OutputFile } from '../ports.ts';

/** Bytes of the file that are read back as one: the header, a run, or the padding behind one. */
export interface Piece {
  readonly offset: number;
  readonly bytes: number;
  /** Index of the run; the header and padding have none. */
  readonly run?: number;
}

/** What a piece has to have: its SHA-256, or the checksum of its bytes. */
export interface Expected {
  readonly kind: 'digest' | 'sum';
  readonly value: Uint8Array | undefined;
}

export interface Advancing {
  /** Whether the piece can be read already. */
  readonly isThere: (piece: Piece) => boolean;
  /** Told how many bytes more have been read. */
  readonly onBytes?: (bytes: number) => void;
  readonly signal: AbortSignal;
}

export class ReadBack {
  readonly #file: Pick<OutputFile, 'hash'>;
  readonly #pieces: readonly Piece[];
  readonly #expect: (piece: Piece) => Expected;
  /** Pieces whose bytes are not what they have to be, of those that were read. */
  readonly wrong: Piece[] = [];
  /** Read so far. */
  bytes = 0;
  /** SHA-256 of what was read so far. */
  digest: Uint8Array | undefined;
  #chain: Uint8Array | undefined;
  #next = 0;

  /** @param pieces of the file from its first byte on, without gaps */
  constructor(
    file: Pick<OutputFile, 'hash'>,
    pieces: Iterable<Piece>,
    expect: (piece: Piece) => Expected,
  ) {
    this.#file = file;
    this.#pieces = [...pieces];
    this.#expect = expect;
  }

  /** Reads on up to the first piece that is not there; one call at a time. */
  async advance({ isThere, onBytes, signal }: Advancing): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const batch = this.#batch(isThere);
      if (batch.length === 0) return;
      const expected = batch.map((piece) => this.#expect(piece));
      const sizes = batch.map(({ bytes }) => bytes);
      const sums = expected.map(({ kind }) => kind === 'sum');
      const found = await this.#file.hash(this.bytes, sizes, this.#chain, signal, sums);
      const isRight = (index: number): boolean =>
        equal(found.pieces[index], expected[index]?.value);
      this.wrong.push(...batch.filter((_, index) => !isRight(index)));
      this.#chain = found.chain;
      this.digest = found.digest.slice();
      this.#next += batch.length;
      const bytes = sizes.reduce((sum, size) => sum + size, 0);
      this.bytes += bytes;
      onBytes?.(bytes);
    }
  }

  /** What is read at once: small enough that progress is told and an abort noticed. */
  #batch(isThere: (piece: Piece) => boolean): Piece[] {
    const batch: Piece[] = [];
    let bytes = 0;
    for (let index = this.#next; ; index++) {
      const piece = this.#pieces[index];
      if (piece === undefined || !isThere(piece)) return batch;
      const isFull = bytes + piece.bytes > BATCH_BYTES || batch.length === BATCH_PIECES_MAX;
      if (batch.length > 0 && isFull) return batch;
      batch.push(piece);
      bytes += piece.bytes;
    }
  }
}

// Small runs make small pieces; their digests have to be held until they are looked at.
const BATCH_PIECES_MAX = 4096;

export function equal(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return (
    a !== undefined &&
    b !== undefined &&
    a.length === b.length &&
    a.every((byte, index) => byte === b[index])
  );
}
