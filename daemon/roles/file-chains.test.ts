/**
 * Goal: what a machine keeps for all is fetched once, promised only when it has been read, and given
 * from its own disk; a measurement of wrong bytes leaves nothing.
 */

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { finish, goOn } from '../../cluster-tests/hub/chain-hash.ts';
import { type FilePiece, fileSegments, firstState, pieceKey } from '../core/plan/file-segments.ts';
import { hex } from '../core/plan/unit-id.ts';
import type { LeafStore, MeasurementFiles } from '../ports.ts';
import { FileChains } from './file-chains.ts';
import { OriginPieces, type OriginReader, type PieceHasher } from './origin-pieces.ts';
import { PieceRecords } from './piece-records.ts';

const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();
const clock = { now: () => 0, after: () => () => undefined };
const RUN = 'ab'.repeat(16);
const ORIGIN = { hubUrl: 'https://hub', repository: 'org/name', commit: 'cd'.repeat(20) };
const FILE = Uint8Array.from({ length: 300 }, (_, at) => at);
const fileDigest = hex(sha256(FILE));
const OWN: FilePiece = { file: 'a', fileDigest, offset: 10, bytes: 100 };
const LAYER: FilePiece = { file: 'a', fileDigest, offset: 150, bytes: 100 };

/** Chains of one file with a piece that this machine keeps for all, and one that others use. */
async function chainsOf(): Promise<{
  chains: FileChains;
  kept: Map<string, Uint8Array>;
  fetched: number[];
  dropped: string[];
}> {
  const kept = new Map<string, Uint8Array>();
  const fetched: number[] = [];
  const dropped: string[] = [];
  const reader: OriginReader = {
    read: async (_, offset, into) => {
      fetched.push(offset);
      into.set(FILE.subarray(offset, offset + into.length));
    },
  };
  const part = (key: string, offset: number, into: Uint8Array): boolean => {
    const found = kept.get(key)?.subarray(offset, offset + into.length);
    if (found?.length === into.length) into.set(found);
    return found?.length === into.length;
  };
  const store = {
    read: async (_, key, into) => part(key, 0, into),
    readPart: async (_, key, offset, into) => part(key, offset, into),
    path: (_, key) => key,
    put: async (_, key, bytes) => void kept.set(key, bytes.slice()),
    remove: async (_, key) => void kept.delete(key),
    drop: async () => void dropped.push('store'),
  } as Partial<LeafStore> as LeafStore;
  const hasher: PieceHasher = {
    sha256: async (bytes) => sha256(bytes),
    sha256Pieces: async ({ path, chain = firstState() }) => {
      const bytes = kept.get(path) ?? new Uint8Array(0);
      const state = goOn(chain, bytes);
      const pieces = bytes.length === 0 ? [] : [sha256(bytes)];
      return { pieces, digest: finish(state), chain: state };
    },
  };
  const files = {
    list: async () => [],
    write: async () => undefined,
    drop: async () => void dropped.push('records'),
  } as Partial<MeasurementFiles> as MeasurementFiles;
  const openOrigin = async (): Promise<OriginReader> => reader;
  const chains = new FileChains({
    ...{ run: RUN, origin: ORIGIN, reader, store, hasher, sha256 },
    fileDigests: new Map([['a', fileDigest]]),
    segments: new Map([['a', fileSegments([OWN, LAYER], FILE.length, 1000) ?? []]]),
    pieces: new OriginPieces({ store, hasher, sha256, clock, openOrigin }),
    records: await PieceRecords.open(files, sha256, clock),
    network: {
      peers: () => [],
      pull: () => Promise.reject(new Error('absent')),
      send: () => undefined,
    },
    own: new Set([pieceKey(OWN)]),
    dropMade: async () => void dropped.push('sums'),
  });
  return { chains, kept, fetched, dropped };
}

const leavesOf = ({ offset, bytes }: FilePiece): Uint8Array[] => [
  sha256(FILE.subarray(offset, offset + bytes)),
];

test('a piece for all is fetched once, and given from the own disk; others are not kept', async () => {
  const { chains, fetched, dropped } = await chainsOf();
  chains.start((error) => {
    throw error;
  });
  await chains.keep(OWN);
  expect(await chains.kept(OWN)).toEqual(leavesOf(OWN));
  expect(await chains.kept(LAYER)).toBeUndefined();
  const into = new Uint8Array(30);
  await chains.relay('a', 50, into);
  expect(into).toEqual(FILE.slice(50, 80));
  chains.note('peer', LAYER, leavesOf(LAYER));
  await chains.closed();
  expect(chains.isClosed).toBe(true);
  expect(fetched.filter((offset) => offset === OWN.offset || offset === 50)).toEqual([OWN.offset]);
  await chains.end(true);
  expect(dropped).toEqual(['records', 'store']);
});

test('what an earlier process has kept and a crash has torn is fetched anew before it is promised', async () => {
  const { chains, kept, fetched } = await chainsOf();
  await chains.keep(OWN);
  const again = await chainsOf();
  for (const [key, bytes] of kept) again.kept.set(key, bytes);
  expect(await again.chains.kept(OWN)).toEqual(leavesOf(OWN));
  expect([fetched.length, again.fetched.length]).toEqual([1, 0]);
  const torn = await chainsOf();
  for (const [key, bytes] of kept) torn.kept.set(key, bytes.slice().fill(0, 5));
  expect(await torn.chains.kept(OWN)).toEqual(leavesOf(OWN));
  expect(torn.fetched.length).toBe(1);
});

test('where machines have used different bytes, sums go before the records of them', async () => {
  const { chains, dropped } = await chainsOf();
  chains.note('peer', LAYER, leavesOf(LAYER));
  expect(() => chains.note('other', LAYER, leavesOf(OWN))).toThrow(/QD-6801/);
  expect(chains.isWorthless).toBe(true);
  await chains.end(false);
  expect(dropped).toEqual(['sums', 'records', 'store']);
});
