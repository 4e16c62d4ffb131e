/**
 * Goal: the segments of a file are each of its bytes once, in order, whatever pieces a run reads; no
 * chain is begun that could not prove all of them.
 */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type FilePiece, fileSegments } from './file-segments.ts';

const piece = (offset: number, bytes: number): FilePiece => {
  return { file: 'a', fileDigest: '00'.repeat(32), offset, bytes };
};

test('pieces and gaps cover a file once', () => {
  const anyCut = fc.array(fc.tuple(fc.nat(50), fc.integer({ min: 1, max: 50 })), { maxLength: 12 });
  fc.assert(
    fc.property(anyCut, fc.nat(100), fc.integer({ min: 1, max: 40 }), (cut, rest, gapMax) => {
      let end = 0;
      const pieces = cut.map(([gap, bytes]) => {
        end += gap + bytes;
        return piece(end - bytes, bytes);
      });
      const segments = fileSegments(pieces, end + rest, gapMax) ?? [];
      let at = 0;
      for (const segment of segments) {
        expect(segment.offset).toBe(at);
        if (segment.piece === undefined) expect(segment.bytes).toBeLessThanOrEqual(gapMax);
        expect(segment.bytes).toBeGreaterThan(0);
        at += segment.bytes;
      }
      expect(at).toBe(end + rest);
      expect(segments.flatMap((segment) => segment.piece ?? [])).toEqual(pieces);
    }),
  );
});

test.each([
  ['overlap', [piece(0, 10), piece(9, 5)], 20],
  ['go beyond the end', [piece(15, 10)], 20],
])('pieces that %s have no segments', (_, pieces, bytes) => {
  expect(fileSegments(pieces, bytes, 8)).toBe(undefined);
});
