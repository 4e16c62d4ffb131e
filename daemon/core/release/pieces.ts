/**
 * Pieces: a GGUF cut where its parts begin, so that each can have a digest of its own.
 *
 *   tensors, sizes ──▶ piecesOf ──▶ header, tensor, padding, tensor …  ──▶ batchesOf ──▶ read and hashed
 *
 * Read next: compare-pieces.ts.
 */

export interface Piece {
  readonly offset: number;
  readonly bytes: number;
  readonly kind: 'header' | 'tensor' | 'padding';
  /** Its name. */
  readonly tensor?: string;
}

/** As a layout places it, or a reader finds it: in the order of the file. */
export interface PiecedFile {
  readonly fileBytes: number;
  readonly tensors: readonly {
    readonly name: string;
    /** From the start of the file. */
    readonly offset: number;
    readonly bytes: number;
  }[];
}

/**
 * Every byte of the file once, in order.
 * @param headerBytes of the first piece: with the padding that ends the header, or without
 */
export function* piecesOf(
  { fileBytes, tensors }: PiecedFile,
  headerBytes: number,
): Generator<Piece> {
  yield { offset: 0, bytes: headerBytes, kind: 'header' };
  let end = headerBytes;
  for (const { name, offset, bytes } of tensors) {
    if (offset > end) yield { offset: end, bytes: offset - end, kind: 'padding' };
    yield { offset, bytes, kind: 'tensor', tensor: name };
    end = offset + bytes;
  }
  if (fileBytes > end) yield { offset: end, bytes: fileBytes - end, kind: 'padding' };
}

/** Bytes read at once: progress is told and an abort noticed some ten times a second. */
export const BATCH_BYTES: number = 64 * 1024 * 1024;
// Small tensors make small pieces; their digests have to be held until they are looked at.
const BATCH_PIECES_MAX = 4096;

/** The pieces in their order, as many together as are read at once; a larger one is read alone. */
export function* batchesOf<Sized extends { readonly bytes: number }>(
  pieces: Iterable<Sized>,
): Generator<readonly Sized[]> {
  let batch: Sized[] = [];
  let bytes = 0;
  for (const piece of pieces) {
    const isFull = bytes + piece.bytes > BATCH_BYTES || batch.length === BATCH_PIECES_MAX;
    if (batch.length > 0 && isFull) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(piece);
    bytes += piece.bytes;
  }
  if (batch.length > 0) yield batch;
}
