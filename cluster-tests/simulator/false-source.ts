/**
 * False source: the bytes of a made-up model, as a directory that takes time to read.
 */

import type { Source } from '../../daemon/ports.ts';
import { assert } from '../../proto/assert.ts';
import type { Dice } from './dice.ts';
import { sha256Hex } from './sha256.ts';
import type { Process } from './world.ts';

export function falseSource(
  process: Process,
  dice: Dice,
  files: ReadonlyMap<string, Uint8Array>,
): Source {
  const contentOf = (file: string): Uint8Array => {
    const content = files.get(file);
    assert(content !== undefined, `the source has ${file}`);
    return content;
  };
  return {
    list: () =>
      process.later(1, 'list source', () =>
        [...files].map(([file, { length }]) => ({ file, bytes: length })),
      ),
    read: async (file, offset, into, signal) => {
      signal?.throwIfAborted();
      const content = contentOf(file);
      assert(offset + into.length <= content.length, `${file} ends after what is read`);
      await process.later(dice.skewed(0, 20), `read ${file}`, () => {
        into.set(content.subarray(offset, offset + into.length));
      });
    },
    digest: (file) => process.later(5, `digest ${file}`, () => sha256Hex(contentOf(file))),
    checkUnchanged: () => process.later(1, 'check source', () => undefined),
    close: () => Promise.resolve(),
  };
}
