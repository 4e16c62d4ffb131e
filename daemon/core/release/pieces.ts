/**
 * Pieces: a GGUF cut where its parts begin, so that each can have a digest of its own.
 *
 *   layout ──▶ piecesOf ──▶ header, tensor, padding, tensor …  in the order of the file
 */

import type { GgufLayout } from '../gguf/layout.ts';

export interface Piece {
  readonly bytes: number;
  /** Its name; undefined of the header and of padding. */
  readonly tensor?: string;
}

/** Every byte of the file once; the header first, with the padding that ends it. */
export function piecesOf({ dataStart, tensors, fileBytes }: PiecedLayout): Piece[] {
  const pieces: Piece[] = [{ bytes: dataStart }];
  let end = dataStart;
  const pad = (until: number): void => {
    if (until > end) pieces.push({ bytes: until - end });
  };
  for (const { name, offset, bytes } of tensors) {
    pad(offset);
    pieces.push({ bytes, tensor: name });
    end = offset + bytes;
  }
  pad(fileBytes);
  return pieces;
}

export type PiecedLayout = Pick<GgufLayout, 'dataStart' | 'fileBytes'> & {
  readonly tensors: readonly {
    readonly name: string;
    /** From the start of the file. */
    readonly offset: number;
    readonly bytes: number;
  }[];
};
