import fc from 'fast-check';
import { expect, test } from 'vitest';
import { placeStages, type Stage, type StagePeer, type StageRequest } from './stages.ts';

const everywhere = (): boolean => true;
const anyPeer: StagePeer = {
  peer: 'p',
  speed: 1,
  roomBytes: 1e9,
  isLocal: false,
  holds: () => false,
};
const peersOf = (...peers: readonly Partial<StagePeer>[]): StagePeer[] =>
  peers.map((peer, index) => ({ ...anyPeer, peer: 'abcdefghij'[index] ?? '', ...peer }));
const equalLayers = (count: number): StageRequest['layers'] =>
  Array.from({ length: count }, () => ({ sourceBytes: 10, multiplications: 10 }));
const told = (stages: readonly Stage[]): string[] =>
  stages.map(({ from, to, peers }) => `${from}-${to} ${peers.join('')}`);
const heldIn =
  (from: number, to: number) =>
  (layer: number): boolean =>
    layer >= from && layer < to;

const anyRequest: fc.Arbitrary<StageRequest> = fc
  .record({
    layers: fc.array(
      fc.record({
        sourceBytes: fc.integer({ min: 1, max: 9 }),
        multiplications: fc.integer({ min: 1, max: 9 }),
      }),
      { minLength: 1, maxLength: 7 },
    ),
    cuts: fc.array(fc.boolean(), { minLength: 7, maxLength: 7 }),
    peers: fc.array(
      fc.record({
        speed: fc.nat({ max: 4 }),
        roomBytes: fc.nat({ max: 60 }),
        isLocal: fc.boolean(),
        held: fc.integer({ min: -1, max: 6 }),
      }),
      { maxLength: 9 },
    ),
    replicas: fc.integer({ min: 1, max: 4 }),
  })
  .map(({ layers, cuts, peers, replicas }) => ({
    layers,
    mayCut: (boundary) => cuts[boundary] === true,
    peers: peers.map(({ held, ...peer }, index) => ({
      ...peer,
      peer: `p${index}`,
      holds: heldIn(held, held + 2),
    })),
    replicas,
  }));

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
const bytesOf = ({ layers }: StageRequest, from: number, to: number): number =>
  sum(layers.slice(from, to).map(({ sourceBytes }) => sourceBytes));
const workOf = ({ layers }: StageRequest, from: number, to: number): number =>
  sum(layers.slice(from, to).map(({ multiplications }) => multiplications));

test('stages follow one another, cut where it is allowed, each peer once and with room', () => {
  fc.assert(
    fc.property(anyRequest, (request) => {
      const { stages, unplaced } = placeStages(request);
      let next = 0;
      for (const { from, to, peers } of stages) {
        expect(from).toBe(next);
        expect(to).toBeGreaterThan(from);
        expect(peers.length).toBeGreaterThan(0);
        if (from > 0) expect(request.mayCut(from)).toBe(true);
        for (const id of peers) {
          const peer = request.peers.find((candidate) => candidate.peer === id);
          expect(peer?.speed).toBeGreaterThan(0);
          const room = peer?.isLocal === true ? 1e9 : (peer?.roomBytes ?? 0);
          expect(bytesOf(request, from, to)).toBeLessThanOrEqual(room);
        }
        next = to;
      }
      expect(unplaced?.from ?? request.layers.length).toBe(next);
      const ids = stages.flatMap(({ peers }) => peers);
      expect(new Set(ids).size).toBe(ids.length);
      expect(placeStages(request)).toEqual({ stages, ...(unplaced && { unplaced }) });
    }),
    { numRuns: 1000 },
  );
});

/** The furthest that layers can be placed, and the least slowest stage, by trying everything. */
function tryAll(
  request: StageRequest,
  from: number,
  peers: readonly StagePeer[],
): [number, number] {
  let best: [number, number] = [from, 0];
  peers.forEach((peer, index) => {
    for (let to = from + 1; to <= request.layers.length; to++) {
      const isCut = to === request.layers.length || request.mayCut(to);
      if (!isCut || (!peer.isLocal && bytesOf(request, from, to) > peer.roomBytes)) continue;
      const [end, slowest] = tryAll(request, to, peers.toSpliced(index, 1));
      const time = Math.max(slowest, workOf(request, from, to) / peer.speed);
      if (end > best[0] || (end === best[0] && time < best[1])) best = [end, time];
    }
  });
  return best;
}

test('of all ways the furthest is taken, and no stage is slower than the best way has it', () => {
  fc.assert(
    fc.property(anyRequest, (any) => {
      const peers = any.peers.slice(0, 4).map((peer) => ({ ...peer, holds: () => false }));
      const request = { ...any, peers, replicas: 1 };
      const { stages } = placeStages(request);
      // Two speeds that count as equal, such as 3 and 4, are equal to the search.
      const fastest = Math.max(...peers.map(({ speed }) => speed));
      const level = peers
        .filter(({ speed }) => speed > 0)
        .map((peer) => ({ ...peer, speed: fastest / peer.speed < 1.5 ? fastest : peer.speed }));
      const [end, slowest] = tryAll(request, 0, level);
      expect(stages.at(-1)?.to ?? 0).toBe(end);
      const times = stages.map(({ from, to, peers: ids }) => {
        const speed = sum(level.filter(({ peer }) => ids.includes(peer)).map((peer) => peer.speed));
        return workOf(request, from, to) / speed;
      });
      expect(Math.max(0, ...times)).toBeLessThanOrEqual(slowest + 1e-9);
    }),
    { numRuns: 400 },
  );
});

test('equal peers get equal parts, one twice as fast twice as much', () => {
  const place = (...peers: readonly Partial<StagePeer>[]): string[] =>
    told(
      placeStages({ layers: equalLayers(12), mayCut: everywhere, peers: peersOf(...peers) }).stages,
    );
  expect(place({}, { speed: 1.4 }, {})).toEqual(['0-4 a', '4-8 b', '8-12 c']);
  expect(place({ speed: 2 }, {})).toEqual(['0-8 a', '8-12 b']);
  expect(place({ speed: 0 }, {})).toEqual(['0-12 b']);
});

test('replicas: two to a stage, or everything at everybody; who is over helps the slowest', () => {
  const place = (replicas: number, layers: number, count: number): string[] =>
    told(
      placeStages({
        layers: equalLayers(layers),
        mayCut: everywhere,
        peers: peersOf(...Array.from({ length: count }, () => ({}))),
        replicas,
      }).stages,
    );
  expect(place(2, 12, 4)).toEqual(['0-6 ab', '6-12 cd']);
  expect(place(9, 12, 3)).toEqual(['0-12 abc']);
  expect(place(2, 12, 5)).toEqual(['0-6 abe', '6-12 cd']);
  // Without replicas no weight lies twice, though one peer has nothing to do.
  expect(place(1, 2, 3)).toEqual(['0-1 a', '1-2 b']);
});

test('replicas that have no room for so large a stage make smaller ones', () => {
  const peers = peersOf({ roomBytes: 60 }, { roomBytes: 60 });
  const { stages } = placeStages({
    layers: equalLayers(12),
    mayCut: everywhere,
    peers,
    replicas: 2,
  });
  expect(told(stages)).toEqual(['0-6 a', '6-12 b']);
});

test('layers that fit nowhere are named', () => {
  const layers = equalLayers(12);
  const peers = peersOf({ roomBytes: 45 }, { roomBytes: 29 });
  expect(placeStages({ layers, mayCut: everywhere, peers })).toMatchObject({
    unplaced: { from: 6, to: 12, sourceBytes: 60 },
  });
  expect(placeStages({ layers, mayCut: () => false, peers })).toEqual({
    stages: [],
    unplaced: { from: 0, to: 12, sourceBytes: 120 },
  });
});

test('when a peer goes the others keep what they hold, and one that comes takes over', () => {
  const layers = equalLayers(12);
  const [a, b, c] = peersOf(
    { holds: heldIn(0, 4) },
    { holds: heldIn(4, 8) },
    { holds: heldIn(8, 12) },
  );
  const place = (...peers: readonly (StagePeer | undefined)[]): string[] =>
    told(
      placeStages({ layers, mayCut: everywhere, peers: peers.flatMap((peer) => peer ?? []) })
        .stages,
    );
  expect(place(a, c)).toEqual(['0-6 a', '6-12 c']);
  expect(place(c, b, a)).toEqual(['0-4 a', '4-8 b', '8-12 c']);
  expect(place(a, c, { ...anyPeer, peer: 'new' })).toEqual(['0-4 a', '4-8 new', '8-12 c']);
});

test('more peers than can be tried in every order still get even parts', () => {
  const { stages } = placeStages({
    layers: equalLayers(30),
    mayCut: everywhere,
    peers: peersOf(...Array.from({ length: 10 }, () => ({}))),
  });
  expect(stages.map(({ from, to }) => to - from)).toEqual(Array.from({ length: 10 }, () => 3));
});

test('what is held already never makes a stage more than a quarter slower', () => {
  const peers = peersOf({ holds: heldIn(0, 12) }, {});
  const { stages } = placeStages({ layers: equalLayers(12), mayCut: everywhere, peers });
  expect(told(stages)).toEqual(['0-7 a', '7-12 b']);
});
