/**
 * Goal: whatever a source is cut into and whoever keeps the parts, the chain closes if and only if
 * what was used has the digest of each file; what was wrong is forgotten by everybody.
 * Method: random cuts, holders and orders against node:crypto; a wire and stores in memory, and a
 * SHA-256 of the tests' own.
 */

import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hashInPieces } from '../../cluster-tests/hub/chain-hash.ts';
import type { PeerMessage } from '../../proto/peer-messages.ts';
import { LEAF_BYTES } from '../../proto/peer-messages.ts';
import { fileSegments, firstState, sourcePieces, taskPieces } from '../core/plan/file-segments.ts';
import { type Plan, planRun } from '../core/plan/plan.ts';
import type { LeafStore, MeasurementFiles } from '../ports.ts';
import { LOCAL_PEER } from './offers.ts';
import { OriginPieces, type OriginReader, type PieceHasher } from './origin-pieces.ts';
import { PieceRecords } from './piece-records.ts';
import { SourceProof } from './source-proof.ts';

const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();
const RUN = 'ab'.repeat(16);
const ORIGIN = { hubUrl: 'http://hub', repository: 'org/name', commit: 'cd'.repeat(20) };
const clock = { now: () => 0, after: () => () => undefined };

/** One machine's store, and the digests of what is in it. */
class Machine {
  readonly kept = new Map<string, Uint8Array>();
  readonly pieces: OriginPieces;
  readonly store: LeafStore = {
    bytes: 0,
    read: async (_, key, into) => {
      const found = this.kept.get(key);
      if (found?.length !== into.length) return false;
      into.set(found);
      return true;
    },
    readPart: async () => false,
    path: (_, key) => key,
    put: async (_, key, bytes) => void this.kept.set(key, bytes.slice()),
    remove: async (_, key) => void this.kept.delete(key),
    drop: async () => this.kept.clear(),
  } as LeafStore;
  readonly hasher: PieceHasher = {
    sha256: async (bytes) => sha256(bytes),
    sha256Pieces: async ({ path, pieces, chain = firstState() }) => {
      const bytes = this.kept.get(path);
      if (bytes === undefined) throw new Error('ENOENT');
      return hashInPieces(chain, bytes, pieces);
    },
  };

  constructor(reader: OriginReader) {
    const openOrigin = async (): Promise<OriginReader> => reader;
    this.pieces = new OriginPieces({ ...this, sha256, clock, openOrigin });
  }
}

function filesInMemory(): MeasurementFiles {
  const files = new Map<string, Uint8Array>();
  return {
    list: async () => [...files.keys()],
    read: async (name) => files.get(name),
    write: async (name, bytes) => void files.set(name, bytes),
    remove: async (name) => void files.delete(name),
    drop: async () => files.clear(),
  };
}

/** A file of tensors with gaps between them, and the plan that reads them. */
function planOf(files: ReadonlyMap<string, Uint8Array>, cuts: readonly Cut[]): Plan {
  return planRun({
    tensors: cuts.map(({ file, offset, bytes }, index) => ({
      name: `t${index}`,
      shape: [bytes / 4],
      keepF32: true,
      source: {
        kind: 'checkpoint',
        dtype: 'F32',
        parts: [{ name: `t${index}`, dtype: 'F32', shape: [bytes / 4], file, offset, bytes }],
      },
    })),
    outputs: [],
    fileDigests: new Map([...files].map(([file, bytes]) => [file, digestOf(bytes)])),
    sha256,
  });
}

const digestOf = (bytes: Uint8Array): string => Buffer.from(sha256(bytes)).toString('hex');

interface Cut {
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
}

interface Case {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly cuts: readonly Cut[];
  /** Who uses each task: this machine, one that stays, or one that goes away. */
  readonly users: readonly string[];
  readonly order: readonly number[];
}

const USERS = [LOCAL_PEER, 'a', 'b', 'gone'];

const anyCase: fc.Arbitrary<Case> = fc
  .array(
    fc.record({
      file: fc.constantFrom('one', 'two', 'three'),
      gap: fc.nat(90),
      words: fc.integer({ min: 1, max: 60 }),
      user: fc.constantFrom(...USERS),
      order: fc.nat(1000),
    }),
    { minLength: 1, maxLength: 14 },
  )
  .map((parts) => {
    const ends = new Map<string, number>();
    const cuts = parts.map(({ file, gap, words }) => {
      const offset = (ends.get(file) ?? 0) + gap;
      ends.set(file, offset + words * 4);
      return { file, offset, bytes: words * 4 };
    });
    const files = [...ends].map(([file, end]): [string, Uint8Array] => {
      const seed = file.length;
      return [file, Uint8Array.from({ length: end + seed }, (_, i) => (i * seed * 7) ^ (i >> 3))];
    });
    const order = parts.map((_, index) => index);
    order.sort((x, y) => (parts[x]?.order ?? 0) - (parts[y]?.order ?? 0));
    return { files: new Map(files), cuts, users: parts.map(({ user }) => user), order };
  });

/** Plays a run: every task is used once, by whom the case says. */
async function play(
  { files, cuts, users, order }: Case,
  reader: OriginReader,
  tamper: (kept: Map<string, Uint8Array>) => void = () => undefined,
): Promise<{ ended: Promise<void>; sent: PeerMessage[]; proof: SourceProof; mine: Machine }> {
  const plan = planOf(files, cuts);
  const machines = new Map(USERS.map((name) => [name, new Machine(reader)]));
  const mine = machines.get(LOCAL_PEER) as Machine;
  const sent: PeerMessage[] = [];
  const segments = new Map(
    [...sourcePieces(plan)].map(([file, pieces]) => {
      return [file, fileSegments(pieces, files.get(file)?.length ?? 0, 64) ?? []];
    }),
  );
  const proof = SourceProof.begin({
    ...{ run: RUN, origin: ORIGIN, plan, segments, reader, sha256 },
    ...{ pieces: mine.pieces, store: mine.store, hasher: mine.hasher },
    records: await PieceRecords.open(filesInMemory(), sha256, clock),
    network: {
      peers: () => ['a', 'b'].map((peer) => ({ peer }) as never),
      send: (_, message) => void sent.push(message),
      pull: async ([peer = ''], blob, into) => {
        if (blob.kind !== 'chain') throw new Error(`nobody asks for ${blob.kind}`);
        const { offset, pieceBytes, fileDigest, state } = blob;
        const piece = { fileDigest, offset, bytes: pieceBytes };
        const link = await machines.get(peer)?.pieces.chain(RUN, piece, state);
        if (link === undefined) throw new Error('absent');
        into.set(Buffer.concat([link.state, ...link.leaves]));
      },
    },
  });
  const failed: unknown[] = [];
  proof.start((error) => void failed.push(error));
  const byName = new Map(plan.tasks.map(({ tensor }, task) => [tensor.name, task]));
  for (const index of order) {
    const task = byName.get(`t${index}`) ?? 0;
    const user = users[index] ?? LOCAL_PEER;
    await use(proof, machines, plan, task, user, tamper);
  }
  return { ended: proof.closed(), sent, proof, mine };
}

async function use(
  proof: SourceProof,
  machines: ReadonlyMap<string, Machine>,
  plan: Plan,
  task: number,
  user: string,
  tamper: (kept: Map<string, Uint8Array>) => void,
): Promise<void> {
  const { signal } = new AbortController();
  const leaves: Uint8Array[] = [];
  for (const piece of taskPieces(plan, task)) {
    const into = new Uint8Array(piece.bytes);
    if (user === LOCAL_PEER) await proof.read(piece.file, piece.offset, into);
    else {
      const pieces = machines.get(user)?.pieces;
      const found = await pieces?.provide(RUN, ORIGIN, piece, into, undefined, signal);
      leaves.push(...(found?.leaves ?? []));
    }
  }
  if (user !== LOCAL_PEER) expect(proof.claim(user, task, leaves)).toBe(true);
  tamper(machines.get(user)?.kept ?? new Map());
  proof.used(user, task);
}

const readerOf = (files: ReadonlyMap<string, Uint8Array>): OriginReader => ({
  read: async ({ file }, offset, into) => {
    into.set(files.get(file)?.subarray(offset, offset + into.length) ?? []);
  },
});

test('any cut, any holders, any order: the chain closes on each file’s digest', async () => {
  await fc.assert(
    fc.asyncProperty(anyCase, async (each) => {
      const { ended, proof, mine } = await play(each, readerOf(each.files));
      await ended;
      // What nobody kept was fetched to be hashed, and is not kept either.
      const own = each.users.filter((user) => user === LOCAL_PEER).length;
      expect(mine.kept.size).toBe(2 * own);
      await proof.end(true);
      expect(mine.kept.size).toBe(0);
    }),
    { numRuns: 60 },
  );
});

test('one wrong bit, whoever has used it: the file is named and dropped everywhere', async () => {
  await fc.assert(
    fc.asyncProperty(anyCase, fc.nat(), async (each, at) => {
      const wrong = each.cuts[at % each.cuts.length] as Cut;
      const right = readerOf(each.files);
      let isFlipped = false;
      const reader: OriginReader = {
        read: async (file, offset, into) => {
          await right.read(file, offset, into);
          const isIt = file.file === wrong.file && offset === wrong.offset;
          if (isIt && !isFlipped) {
            into[0] = (into[0] ?? 0) ^ 1;
            isFlipped = true;
          }
        },
      };
      const { ended, sent, proof, mine } = await play(each, reader);
      await expect(ended).rejects.toMatchObject({
        kind: { code: 'QD-6801' },
        detail: { file: wrong.file },
      });
      await proof.end(false);
      const ofFile = each.cuts.filter(({ file }) => file === wrong.file);
      const digest = digestOf(each.files.get(wrong.file) ?? new Uint8Array());
      const places = ofFile.map(({ offset, bytes }) => ({ offset, bytes }));
      expect(sent).toEqual(
        ['a', 'b'].map(() => ({
          kind: 'pieces-void',
          run: RUN,
          fileDigest: digest,
          pieces: places,
        })),
      );
      const own = each.cuts.filter(
        ({ file }, index) => each.users[index] === LOCAL_PEER && file !== wrong.file,
      );
      expect(mine.kept.size).toBe(2 * own.length);
    }),
    { numRuns: 60 },
  );
});

test.each(['a', LOCAL_PEER])(
  '%s used other bytes than it keeps: the chain stays open',
  async (user) => {
    const bytes = Uint8Array.from({ length: 100 }, (_, index) => index);
    const files = new Map([['one', bytes]]);
    const cuts = [{ file: 'one', offset: 8, bytes: 80 }];
    const right = readerOf(files);
    let reads = 0;
    const reader: OriginReader = {
      read: async (file, offset, into) => {
        await right.read(file, offset, into);
        if (offset === 8 && reads++ === 0) into[5] = 255;
      },
    };
    const heal = (kept: Map<string, Uint8Array>): void => {
      for (const piece of kept.values()) if (piece.length === 80) piece.set(bytes.subarray(8, 88));
    };
    const { ended } = await play({ files, cuts, users: [user], order: [0] }, reader, heal);
    await expect(ended).rejects.toMatchObject({ detail: { file: 'one', byte: 8 } });
  },
);

test('what is kept and has changed is fetched anew', async () => {
  const bytes = Uint8Array.from({ length: LEAF_BYTES + 5 }, (_, index) => index % 251);
  const machine = new Machine(readerOf(new Map([['a', bytes]])));
  const piece = { file: 'a', fileDigest: digestOf(bytes), offset: 3, bytes: bytes.length - 3 };
  const { signal } = new AbortController();
  const into = new Uint8Array(piece.bytes);
  const first = await machine.pieces.provide(RUN, ORIGIN, piece, into, undefined, signal);
  expect(first.leaves.length).toBe(2);
  const largest = [...machine.kept.values()].find(({ length }) => length === piece.bytes);
  largest?.fill(0, 100, 200);
  const link = await machine.pieces.chain(RUN, piece, firstState());
  expect(link?.leaves).not.toEqual(first.leaves);
  const again = await machine.pieces.provide(RUN, ORIGIN, piece, into, undefined, signal);
  expect(again).toEqual(first);
  expect(Buffer.compare(into, bytes.subarray(3))).toBe(0);
});

test('who has no way to the hub takes the detour, and tries again only later', async () => {
  let tries = 0;
  const reader: OriginReader = {
    read: async () => {
      tries++;
      throw new Error('no way');
    },
  };
  const machine = new Machine(reader);
  const { signal } = new AbortController();
  for (const offset of [0, 8]) {
    const piece = { file: 'a', fileDigest: '00'.repeat(32), offset, bytes: 8 };
    const into = new Uint8Array(8);
    const detour = async (): Promise<void> => void into.fill(7);
    const found = await machine.pieces.provide(RUN, ORIGIN, piece, into, detour, signal);
    expect(found).toEqual({ leaves: [sha256(into)], detour: 'no way' });
  }
  expect(tries).toBe(1);
});
