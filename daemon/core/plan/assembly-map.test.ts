/** Goal: what a coordinator says of an output is understood, or refused, and never believed. */

import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Assemble } from '../../../proto/peer-messages.ts';
import {
  assemblyMap,
  BadAssembly,
  type MappedOutput,
  outputId,
  readAssemblyMap,
} from './assembly-map.ts';
import { hex, type UnitId } from './unit-id.ts';

const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();

const anyOutput = fc
  .record({
    header: fc.uint8Array({ minLength: 1, maxLength: 50 }),
    runs: fc.array(
      fc.record({ gap: fc.nat(40), bytes: fc.integer({ min: 1, max: 1000 }), seed: fc.nat() }),
      { maxLength: 8 },
    ),
    tail: fc.nat(40),
  })
  .map(({ header, runs, tail }): MappedOutput => {
    let end = header.length;
    const placed = runs.map(({ gap, bytes, seed }) => {
      const offset = end + gap;
      end = offset + bytes;
      return { offset, bytes, unit: hex(sha256(Uint8Array.of(seed, seed >> 8))) as UnitId };
    });
    const fileBytes = end + tail;
    const id = outputId(sha256, header, fileBytes, placed);
    return { file: 'model-Q4_0.gguf', layout: { header, fileBytes }, runs: placed, id };
  });

function claimOf(output: MappedOutput, map: Uint8Array): Assemble {
  return {
    kind: 'assemble',
    ...{ run: '0'.repeat(32), output: 0, opening: 1, release: '1'.repeat(32) },
    file: output.file,
    id: output.id,
    fileBytes: output.layout.fileBytes,
    headerBytes: output.layout.header.length,
    runCount: output.runs.length,
    map: sha256(map),
  };
}

test('a map tells all that an assembler needs', () => {
  fc.assert(
    fc.property(anyOutput, (output) => {
      const map = assemblyMap(output);
      expect(readAssemblyMap(claimOf(output, map), map, sha256)).toEqual(output);
    }),
  );
});

test('a map or a message in which anything is changed is refused', () => {
  fc.assert(
    fc.property(anyOutput, fc.nat(), fc.integer({ min: 1, max: 255 }), (output, at, change) => {
      const map = assemblyMap(output);
      const claim = claimOf(output, map);
      const other = map.slice();
      other[at % map.length] = (map[at % map.length] ?? 0) ^ change;
      const { headerBytes, runCount, fileBytes } = claim;
      const isOffset =
        at % map.length >= headerBytes && ((at % map.length) - headerBytes) % 48 < 16;
      // Another place of the same runs has the same id, and is as good a place where it is one.
      if (!isOffset) expect(() => readAssemblyMap(claim, other, sha256)).toThrow(BadAssembly);
      const wrong = [
        { ...claim, id: sha256(claim.id) },
        { ...claim, runCount: runCount + 1 },
        { ...claim, headerBytes: headerBytes + 1 },
        { ...claim, fileBytes: fileBytes + 1 },
      ];
      for (const each of wrong)
        expect(() => readAssemblyMap(each, map, sha256)).toThrow(BadAssembly);
    }),
  );
});

test('runs lie inside the file, one behind the other', () => {
  const header = new Uint8Array(10);
  const unit = hex(sha256(header)) as UnitId;
  const bad: [number, number][][] = [
    [[9, 5]],
    [[10, 0]],
    [[10, 91]],
    [[200, 1]],
    [
      [10, 20],
      [29, 5],
    ],
    [[10, Number.MAX_SAFE_INTEGER]],
  ];
  for (const places of bad) {
    const runs = places.map(([offset, bytes]) => ({ offset, bytes, unit }));
    const id = outputId(sha256, header, 100, runs);
    const output = { file: 'a.gguf', layout: { header, fileBytes: 100 }, runs, id };
    const map = assemblyMap(output);
    expect(() => readAssemblyMap(claimOf(output, map), map, sha256)).toThrow(BadAssembly);
  }
});
