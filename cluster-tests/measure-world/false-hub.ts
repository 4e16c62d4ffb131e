/**
 * False hub: a repository with the files of the made-up model, and what machines fetch of it.
 *
 *   files, misfortunes ──▶ FalseHub ──▶ readers by ranges, remote files; a flipped bit now and then
 *
 * What comes as a whole is verified by the real adapter, and right. A range that one machine fetches
 * by itself may have a wrong bit until all is calm: the roles have to find it.
 */

import type { RemoteFiles } from '../../daemon/ports.ts';
import type { OriginReader, PieceHasher } from '../../daemon/roles/origin-pieces.ts';
import { assert } from '../../proto/assert.ts';
import type { SourceOrigin } from '../../proto/peer-messages.ts';
import { hashInPieces } from '../hub/chain-hash.ts';
import type { LeafDisk } from '../simulator/false-leaf-store.ts';
import type { Process, World } from '../simulator/world.ts';

export const ORIGIN: SourceOrigin = {
  hubUrl: 'http://hub',
  repository: 'org/world',
  commit: 'ab'.repeat(20),
};

export interface HubTrouble {
  /** The share of ranges that come with a wrong bit. */
  readonly flips: number;
  readonly calmFromMs: number;
}

export class FalseHub {
  readonly #world: World;
  readonly #files: ReadonlyMap<string, Uint8Array>;
  readonly #trouble: HubTrouble;
  /** The coordinator has fetched all of it, with no machine to share it with. */
  #isHere = false;
  /** Ranges that were fetched. */
  ranges = 0;

  constructor(world: World, files: ReadonlyMap<string, Uint8Array>, trouble: HubTrouble) {
    this.#world = world;
    this.#files = files;
    this.#trouble = trouble;
  }

  reader(process: Process): OriginReader {
    const { dice } = this.#world;
    return {
      read: async ({ file }, offset, into, signal) => {
        signal?.throwIfAborted();
        await process.later(dice.skewed(1, 60), `fetch ${file}`, () => {
          const bytes = this.#files.get(file)?.subarray(offset, offset + into.length);
          assert(bytes?.length === into.length, `${file} has what is fetched`);
          into.set(bytes);
          this.ranges++;
          if (this.#world.nowMs >= this.#trouble.calmFromMs) return;
          if (!dice.chance(this.#trouble.flips)) return;
          const at = dice.between(0, into.length - 1);
          into[at] = (into[at] ?? 0) ^ 1;
        });
      },
    };
  }

  remote(process: Process): RemoteFiles {
    const reader = this.reader(process);
    return {
      ...ORIGIN,
      missingBytes: async () => (this.#isHere ? 0 : 1),
      fetch: () =>
        process.later(100, 'fetch all', () => {
          this.#isHere = true;
        }),
      read: (file, offset, into, signal) =>
        reader.read({ file, fileDigest: '' }, offset, into, signal),
      forget: async () => undefined,
    };
  }
}

/** Hashes what lies in the store of a machine. */
export function falseHasher(process: Process, { runs }: LeafDisk): PieceHasher['sha256Pieces'] {
  return ({ path, pieces, chain }) =>
    process.later(1, 'sha256 pieces', () => {
      const [run = '', key = ''] = path.split('/');
      const bytes = runs.get(run)?.get(key);
      const length = pieces.reduce((sum, size) => sum + size, 0);
      if (bytes?.length !== length) throw new Error('ENOENT');
      assert(chain !== undefined, 'a chain goes on from a state');
      return hashInPieces(chain, bytes, pieces);
    });
}
