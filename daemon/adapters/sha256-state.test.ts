/**
 * Goal: the state of SHA-256 that machines hand to each other is the same bytes on all of them, and
 * goes on from any cut.
 * Method: a stored state, made once by the steps of FIPS 180-4 in TypeScript (which knows nothing of
 * the kernels' words); then the same steps and the kernels in turn, over random cuts.
 */

import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { finish, goOn } from '../../cluster-tests/hub/chain-hash.ts';
import { firstState } from '../core/plan/file-segments.ts';
import { loadKernels } from './kernels.ts';

const addonPath = fileURLToPath(new URL('../../build/kernels/quantd.node', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'quantd-state-'));
const kernels = loadKernels({ addonPath, threads: 1 });
afterAll(() => {
  kernels.close();
  rmSync(directory, { recursive: true });
});

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const path = join(directory, 'message');
const message = Uint8Array.from({ length: 150 }, (_, index) => index);
// Eight words, the count 150, the 22 bytes behind the second block, zeros.
const STATE = `593253adfb4cc018be611395485e47c15a5b271dfb8da14fe8f77fb4d05eacbc0000000000000096\
808182838485868788898a8b8c8d8e8f909192939495${'00'.repeat(42)}`;

test('after the bytes 0 to 149 it is what was stored', async () => {
  writeFileSync(path, message);
  const pieces = [message.length];
  for (const chain of [undefined, firstState()]) {
    const job = { path, offset: 0, pieces, ...(chain === undefined ? {} : { chain }) };
    expect(hexOf((await kernels.sha256Pieces(job)).chain)).toBe(STATE);
  }
  expect(hexOf(goOn(firstState(), message))).toBe(STATE);
  expect(hexOf(finish(goOn(firstState(), message)))).toBe(
    createHash('sha256').update(message).digest('hex'),
  );
});

test('kernels and the plain steps go on with each other’s states', async () => {
  const anyCuts = fc.array(fc.tuple(fc.nat(200), fc.boolean()), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(anyCuts, async (cuts) => {
      const bytes = new Uint8Array(cuts.reduce((sum, [size]) => sum + size, 0)).map(
        (_, i) => i * 5,
      );
      writeFileSync(path, bytes);
      let state = firstState();
      let offset = 0;
      for (const [size, byKernels] of cuts) {
        state = byKernels
          ? (await kernels.sha256Pieces({ path, offset, pieces: [size], chain: state })).chain
          : goOn(state, bytes.subarray(offset, offset + size));
        offset += size;
      }
      const { digest } = await kernels.sha256Pieces({ path, offset: 0, pieces: [], chain: state });
      expect(hexOf(digest)).toBe(createHash('sha256').update(bytes).digest('hex'));
      expect(hexOf(finish(state))).toBe(hexOf(digest));
    }),
    { numRuns: 40 },
  );
});
