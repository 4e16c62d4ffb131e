/**
 * Goal: an estimate keeps what it says about itself, whatever is offered.
 * Method: small models of large rows, random offers; the remedies are followed and the work placed
 * again, by the schedules that a run has.
 */

import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { BlockTypeName } from '../gguf/block-types.ts';
import { layoutGguf } from '../gguf/layout.ts';
import type { ModelTensor } from '../models/family.ts';
import { planRun } from '../plan/plan.ts';
import { estimateRun } from './estimate-run.ts';
import { estimateFaults } from './faults.ts';
import { faultsOf, RESERVE_BYTES, withRemedy } from './fit.ts';
import { placeWork } from './place-work.ts';
import { type EstimateOffer, type EstimateRequest, withoutOutputs } from './request.ts';
import { stageTimes } from './times.ts';

const MIB = 2 ** 20;
const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();

// A row of 8 KiB: 1024 of them are a row group.
const COLUMNS = 4096;
const ROW_BYTES = 2 * COLUMNS;

function tensor(name: string, rows: number, offset: number): ModelTensor {
  const part = { name, dtype: 'BF16', shape: [], file: 'model', offset } as const;
  return {
    name,
    shape: [COLUMNS, rows],
    keepF32: false,
    source: { kind: 'checkpoint', dtype: 'BF16', parts: [{ ...part, bytes: rows * ROW_BYTES }] },
  };
}

const rope: ModelTensor = {
  name: 'rope_freqs.weight',
  shape: [16],
  keepF32: true,
  source: { kind: 'generated', values: new Float32Array(16) },
};

type Types = readonly BlockTypeName[];

function planOf(layerRows: readonly number[], embeddingRows: number, types: Types) {
  let offset = 8;
  const next = (name: string, rows: number): ModelTensor => {
    const made = tensor(name, rows, offset);
    offset += rows * ROW_BYTES;
    return made;
  };
  const layers = layerRows.map((rows, n) => next(`blk.${n}.ffn_up.weight`, rows));
  const tensors = [...layers, next('token_embd.weight', embeddingRows), rope];
  const outputs = types.map((type) => {
    const typed = tensors.map(({ name, shape, keepF32 }) => {
      return { name, shape, type: keepF32 ? ('F32' as const) : type };
    });
    const layout = layoutGguf({ metadata: [], tensors: typed, alignment: 32 });
    const named = new Map(typed.map((each) => [each.name, each.type]));
    return { file: `${type}.gguf`, layout, types: named };
  });
  return planRun({ tensors, outputs, fileDigests: new Map([['model', 'aa']]), sha256 });
}

const allTypes: Types = ['Q4_K', 'Q8_0', 'F32', 'IQ4_NL', 'Q2_K'];
/** Some of what a type costs, a second for some GiB. */
const secondsOf = (type: BlockTypeName): number => (1 + allTypes.indexOf(type)) * 1e-9;

const offers = {
  name: fc.constant(''),
  leasesMax: fc.integer({ min: 3, max: 10 }),
  memoryBytes: fc.constantFrom(1, 9 * MIB, 20 * MIB, 64 * MIB, 4096 * MIB),
  speed: fc.constantFrom(0, 1e6, 5e7, 8e7, 1e8, 1e9),
  diskBytes: fc.constantFrom(0, 5 * MIB, 30 * MIB, 70 * MIB, 4096 * MIB),
};
/** Layers take a machine as long as row groups do. */
type WishedOffer = Omit<EstimateOffer, 'peer' | 'isLocal' | 'multiplicationsPerSecond'>;
const anyOffer: fc.Arbitrary<WishedOffer> = fc.record(offers);

interface Wish {
  readonly layerRows: readonly number[];
  readonly embeddingRows: number;
  readonly types: Types;
  readonly offers: readonly WishedOffer[];
  readonly chunks: number;
  readonly freeBytes: number;
}

const anyWish: fc.Arbitrary<Wish> = fc.record({
  layerRows: fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 5 }),
  embeddingRows: fc.integer({ min: 1, max: 3000 }),
  types: fc.subarray([...allTypes], { minLength: 1 }),
  offers: fc.array(anyOffer, { minLength: 1, maxLength: 5 }),
  // 0: nothing is measured.
  chunks: fc.constantFrom(0, 1, 16, 40, 200),
  freeBytes: fc.constantFrom(0, 70 * MIB, 200 * MIB, 4096 * MIB),
});

function requestOf({ layerRows, embeddingRows, types, chunks, ...wish }: Wish): EstimateRequest {
  const costs = layerRows.map((rows) => {
    return { sourceBytes: rows * ROW_BYTES, multiplications: rows * COLUMNS };
  });
  const stageRam = (from: number, to: number): number => 8 * MIB + (to - from) * MIB;
  const measuring = {
    ...{ layers: costs, mayCut: () => true, replicas: 1, chunks, positions: 512, stageRam },
    multiplicationsPerSecond: 1e10,
    speed: 2e10,
  };
  return {
    plan: planOf(layerRows, embeddingRows, types),
    names: types,
    peers: wish.offers.map((offer, at) => {
      const multiplicationsPerSecond = 200 * offer.speed;
      const named = { peer: `p${at}`, name: `box ${at}`, isLocal: at === 0 };
      return { ...offer, ...named, multiplicationsPerSecond };
    }),
    costs: { speed: 1e8, reading: () => 1e-9, making: ({ type }) => secondsOf(type) },
    hashing: { bytesPerSecond: 1e9, threads: 2, files: [1e8] },
    measuring: chunks === 0 ? undefined : measuring,
    room: { freeBytes: wish.freeBytes, allocatedBytes: 0 },
    downloadBytes: 0,
  };
}

const anyRequest = anyWish.map(requestOf);
const RUNS = { numRuns: 40 };

test('the parts of the machines are the whole, where there is room for it', () => {
  fc.assert(
    fc.property(anyRequest, (request) => {
      const estimate = estimateRun(request);
      const { plan } = request;
      expect(estimate.sourceBytes).toBe(plan.sourceBytes);
      expect(estimate.outputBytes).toBe(
        plan.outputs.reduce((sum, { layout }) => sum + layout.fileBytes, 0),
      );
      const share = estimate.peers.reduce((sum, peer) => sum + peer.share, 0);
      const codes: string[] = estimate.faults.map(({ code }) => code);
      const isPlaced =
        !codes.includes(estimateFaults.source.code) && !codes.includes(estimateFaults.nobody.code);
      if (isPlaced) expect(share).toBeCloseTo(1, 9);
      else expect(estimate.seconds).toBeNull();
      for (const { isLocal, diskBytes, diskOffered, seconds } of estimate.peers) {
        if (!isLocal) expect(diskBytes).toBeLessThanOrEqual(diskOffered ?? 0);
        if (estimate.seconds !== null) expect(seconds).toBeLessThanOrEqual(estimate.seconds + 1e-6);
      }
    }),
    RUNS,
  );
});

test('what does not fit fits with any of the remedies that are told', () => {
  let followed = 0;
  fc.assert(
    fc.property(anyRequest, (request) => {
      for (const { kind, peer, remedies } of faultsOf(request, placeWork(request))) {
        for (const remedy of remedies) {
          followed++;
          const after = withRemedy(request, remedy);
          const left = faultsOf(after, placeWork(after));
          expect(left.filter((fault) => fault.kind === kind && fault.peer === peer)).toEqual([]);
        }
        expect(remedies.length).toBeGreaterThan(0);
      }
    }),
    RUNS,
  );
  expect(followed).toBeGreaterThan(30);
});

test('who follows one remedy after the other comes to an end', () => {
  fc.assert(
    fc.property(anyRequest, fc.nat(), (first, choice) => {
      let request = first;
      for (let round = 0; ; round++) {
        const [fault] = faultsOf(request, placeWork(request));
        if (fault === undefined) break;
        expect(round).toBeLessThan(12);
        const remedy = fault.remedies[choice % fault.remedies.length];
        if (remedy !== undefined) request = withRemedy(request, remedy);
      }
      expect(estimateRun(request).seconds).not.toBeNull();
    }),
    RUNS,
  );
});

const secondsIn =
  (name: 'quantize' | 'measure') =>
  (request: EstimateRequest): number => {
    const times = stageTimes(request, placeWork(request));
    return times.find(({ stage }) => stage === name)?.seconds ?? Number.POSITIVE_INFINITY;
  };
const quantizing = secondsIn('quantize');
const measuring = secondsIn('measure');
// Two sums of the same numbers in another order.
const SLACK = 1 + 1e-9;

test('one more machine makes quantizing no slower, one more type no faster', () => {
  fc.assert(
    fc.property(anyWish, anyOffer, (wish, offer) => {
      const request = requestOf(wish);
      const joined = requestOf({ ...wish, offers: [...wish.offers, offer] });
      expect(quantizing(joined)).toBeLessThanOrEqual(quantizing(request) * SLACK);
      const [left] = request.names;
      if (left === undefined || request.names.length < 2) return;
      const fewer = withoutOutputs(request, new Set([left]));
      expect(quantizing(fewer)).toBeLessThanOrEqual(quantizing(request) * SLACK);
      // As if it had never been asked for.
      const planned = requestOf({ ...wish, types: wish.types.slice(1) });
      expect(quantizing(fewer)).toBeCloseTo(quantizing(planned), 9);
      expect(estimateRun(fewer).outputBytes).toBe(estimateRun(planned).outputBytes);
    }),
    RUNS,
  );
});

test('one more equal machine makes measuring no slower, more chunks no faster', () => {
  const roomy = { name: '', leasesMax: 4, memoryBytes: 4096 * MIB, diskBytes: 4096 * MIB };
  fc.assert(
    fc.property(anyWish, fc.integer({ min: 1, max: 5 }), (wish, count) => {
      const chunks = wish.chunks + 1;
      const at = (machines: number, more = 0): number =>
        measuring(
          requestOf({
            ...wish,
            chunks: chunks + more,
            offers: Array.from({ length: machines }, () => ({ ...roomy, speed: 1e8 })),
          }),
        );
      expect(at(count + 1)).toBeLessThanOrEqual(at(count) * SLACK);
      // Up to one group each, replicas of all layers end together.
      expect(at(count, 17)).toBeGreaterThanOrEqual(at(count));
      // All of the work, by machines that are as fast as the one that was measured.
      const work = wish.layerRows.reduce((sum, rows) => sum + rows * COLUMNS, 0);
      expect(at(1)).toBeCloseTo((work * chunks * 512) / 1e10, 6);
    }),
    RUNS,
  );
});

test('layers are shared out by how fast machines multiply, whatever they quantize', () => {
  const layers = { layerRows: Array.from({ length: 9 }, () => 1000), types: ['Q4_K'] as Types };
  const roomy = { name: '', leasesMax: 4, memoryBytes: 4096 * MIB, diskBytes: 4096 * MIB };
  const wish = { embeddingRows: 1, chunks: 160, freeBytes: 4096 * MIB, ...layers };
  const offers = [1e8, 1e8].map((speed) => ({ ...roomy, speed }));
  const request = requestOf({ ...wish, offers });
  const rates = [1e10, 8e10];
  const peers = request.peers.map((peer, at) => ({
    ...peer,
    multiplicationsPerSecond: 2 * (rates[at] ?? 0),
  }));
  const work = 1000 * COLUMNS * 512;
  // One layer and eight; and the first group through both.
  const longest = Math.max(1 / 1e10, 8 / 8e10) * work * 160;
  const fill = Math.min(1 / 1e10, 8 / 8e10) * work * 16;
  expect(measuring({ ...request, peers })).toBeCloseTo(longest + fill, 6);
});

const one: Wish = {
  layerRows: [1024, 1024],
  embeddingRows: 1024,
  types: ['Q8_0', 'Q4_K'],
  offers: [{ name: '', leasesMax: 4, memoryBytes: 4096 * MIB, diskBytes: 0, speed: 1e8 }],
  chunks: 0,
  freeBytes: 4096 * MIB,
};

// 3 × 8 MiB: as Q8_0 12.75 MiB, as Q4_K 6.75.
test('a full disk is told, and what is to be left out', () => {
  const request = requestOf({ ...one, freeBytes: RESERVE_BYTES + 10 * MIB });
  const [fault] = estimateRun(request).faults;
  expect(fault).toMatchObject({ code: 'QD-6401' });
  expect(fault?.remedies).toEqual([
    { kind: 'room', bytes: 10 * MIB },
    { kind: 'fewer-types', names: ['Q8_0'] },
  ]);
});

test('outputs that are left on all disks need room on some, and not on this one', () => {
  const [nas = one.offers[0]] = one.offers;
  if (nas === undefined) throw new Error('there is a machine');
  const box = { ...nas, diskBytes: 100 * MIB };
  const request = requestOf({ ...one, offers: [nas, box, box], freeBytes: 0 });
  expect(estimateRun(request).faults).toMatchObject([{ code: 'QD-6401' }]);
  const spread = estimateRun({ ...request, isSpread: true });
  expect(spread.faults).toEqual([]);
  const disks = spread.peers.map(({ isLocal, diskBytes, fetchBytes }) => {
    expect(isLocal && diskBytes > 0).toBe(false);
    return diskBytes - fetchBytes;
  });
  expect(disks.reduce((sum, bytes) => sum + bytes, 0)).toBe(spread.outputBytes);
  // 12.75 MiB are the larger of the two, beside a share of the source.
  const small = { ...nas, diskBytes: 20 * MIB };
  const tight = requestOf({ ...one, offers: [nas, small], freeBytes: RESERVE_BYTES });
  const [fault] = estimateRun({ ...tight, isSpread: true }).faults;
  expect(fault).toMatchObject({ code: 'QD-6401', why: expect.stringContaining('on no machine') });
  expect(fault?.remedies.map(({ kind }) => kind)).toContain('room');
  // Nor is there what has to stay free here.
  const full = { ...tight, room: { freeBytes: 0, allocatedBytes: 0 } };
  const more = estimateRun({ ...full, isSpread: true }).faults[0]?.remedies ?? [];
  expect(more).toContainEqual({ kind: 'room', bytes: expect.any(Number) });
});

test('what an earlier run has left on the disk counts as made', () => {
  const request = requestOf({ ...one, freeBytes: RESERVE_BYTES });
  const room = { freeBytes: RESERVE_BYTES, allocatedBytes: 20 * MIB };
  expect(estimateRun(request).faults).toHaveLength(1);
  expect(estimateRun({ ...request, room }).faults).toEqual([]);
});

test('what a hub has to send takes its time', () => {
  const request = requestOf(one);
  const { stages, seconds, downloadBytes } = estimateRun({ ...request, downloadBytes: 22e6 });
  expect(stages[0]).toEqual({ stage: 'download', seconds: 2 });
  expect(downloadBytes).toBe(22e6);
  expect(seconds).toBeCloseTo(2 + (estimateRun(request).seconds ?? 0), 9);
});

test('where each machine has its own part from a hub, the largest part is waited for', () => {
  const [nas = one.offers[0]] = one.offers;
  if (nas === undefined) throw new Error('there is a machine');
  const alike = { ...nas, memoryBytes: 4096 * MIB, diskBytes: 4096 * MIB, speed: 1e8 };
  const layerRows = [2000, 2000, 2000, 2000];
  const two = requestOf({ ...one, chunks: 0, layerRows, offers: [alike, alike] });
  const request = { ...two, downloadBytes: 22e6 };
  const together = estimateRun(request);
  const apart = estimateRun({ ...request, isFetchedApart: true });
  const largest = Math.max(...apart.peers.map(({ share }) => share));
  expect(largest).toBeLessThan(0.9);
  expect(apart.stages[0]).toEqual({ stage: 'download', seconds: expect.closeTo(2 * largest, 4) });
  expect(together.stages[0]).toEqual({ stage: 'download', seconds: 2 });
  expect([together.fetchBytes > 0, apart.fetchBytes]).toEqual([true, 0]);
  const held = apart.peers.reduce((sum, { fetchBytes }) => sum + fetchBytes, 0);
  expect(held).toBe(apart.sourceBytes);
  // Measured before, each has the weights of its layers, and they cross no network between machines.
  const measuring = {
    ...requestOf({ ...one, chunks: 32, layerRows, offers: [alike, alike] }),
    downloadBytes: 22e6,
  };
  const measured = estimateRun({ ...measuring, isFetchedApart: true });
  expect(measured.peers.reduce((sum, { fetchBytes }) => sum + fetchBytes, 0)).toBe(
    measured.sourceBytes,
  );
  expect(measured.stages.map(({ stage }) => stage)).not.toContain('fetch');
  expect(estimateRun(measuring).stages.map(({ stage }) => stage)).toContain('fetch');
});

test('too little memory is told with the size that is enough, and a weak machine with its reason', () => {
  const [nas = one.offers[0]] = one.offers;
  if (nas === undefined) throw new Error('there is a machine');
  const small = { ...nas, memoryBytes: 10 * MIB, diskBytes: 4096 * MIB };
  const request = requestOf({ ...one, offers: [nas, small, { ...small, memoryBytes: 64 * MIB }] });
  const { weak, peers, faults } = estimateRun(request);
  expect(weak).toEqual([
    {
      name: 'box 1',
      why: 'it offers 10.0 MiB of RAM, the smallest piece of the work needs 14.5 MiB',
    },
  ]);
  expect(peers.map(({ name }) => name)).toEqual(['box 0', 'box 2']);
  expect(faults).toEqual([]);
  const alone = estimateRun(requestOf({ ...one, offers: [small] }));
  expect(alone.faults[0]).toMatchObject({
    code: 'QD-6404',
    remedies: [{ kind: 'ram', name: 'box 0', bytes: 15 * MIB }],
  });
});

test('row groups that fall between two disks are nowhere, and nobody says when they are made', () => {
  const [nas = one.offers[0]] = one.offers;
  if (nas === undefined) throw new Error('there is a machine');
  const box = { ...nas, leasesMax: 3, memoryBytes: 64 * MIB, diskBytes: 30 * MIB };
  const offers = [{ ...nas, speed: 0 }, { ...box, speed: 1e9 }, box];
  // 52.7 MiB of 60, in pieces of up to 8.
  const rows = { layerRows: [1, 2898, 2899], embeddingRows: 942 };
  const estimate = estimateRun(requestOf({ ...one, ...rows, types: ['Q2_K'], offers }));
  expect(estimate.faults).toMatchObject([{ code: 'QD-6402' }]);
  expect(estimate.seconds).toBeNull();
});

test('a machine that gives all work away needs others', () => {
  const [nas = one.offers[0]] = one.offers;
  if (nas === undefined) throw new Error('there is a machine');
  const away = { ...nas, speed: 0 };
  const nobody = estimateRun(requestOf({ ...one, offers: [away] }));
  expect(nobody.faults).toMatchObject([{ code: 'QD-6403' }]);
  expect(nobody.faults[0]?.remedies.map(({ kind }) => kind)).toEqual(['machine', 'compute-here']);
  const full = estimateRun(requestOf({ ...one, offers: [away, { ...nas, diskBytes: 8 * MIB }] }));
  expect(full.faults).toMatchObject([
    { code: 'QD-6402', why: 'there is room for all but 16.0 MiB' },
  ]);
  expect(full.faults[0]?.remedies).toContainEqual({ kind: 'disk', name: 'box 1', bytes: 16 * MIB });
});
