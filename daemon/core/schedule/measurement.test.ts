import { expect, test } from 'vitest';
import { Measurement, type MeasurementPlan } from './measurement.ts';
import type { MeasurementEffect, MeasurementEvent, MeasuringPeer } from './measurement-events.ts';

// What holds under any order of events stands in measurement-world.test.ts; here is what one sees.

const peer = (name: string, offer: Partial<MeasuringPeer> = {}): MeasuringPeer => ({
  peer: name,
  speed: 1,
  roomBytes: 1e9,
  isLocal: false,
  ...offer,
});

const rowOf = (layers: number, groups: number, replicas = 1): MeasurementPlan => ({
  layers: Array.from({ length: layers }, () => ({ sourceBytes: 1, multiplications: 1 })),
  mayCut: () => true,
  groups: Array.from({ length: groups }, () => 16),
  replicas,
});

const leasesOf = (effects: readonly MeasurementEffect[]): string[] =>
  effects.flatMap((effect) =>
    effect.kind === 'lease' ? [`${effect.group}: ${effect.from}-${effect.to} ${effect.peer}`] : [],
  );
const kindsOf = (effects: readonly MeasurementEffect[]): string[] =>
  effects.map(({ kind }) => kind);

test('the pipe is full from the beginning: a lease is given while its input is being made', () => {
  const measurement = new Measurement(rowOf(6, 9));
  const effects = measurement.step(
    { kind: 'peers-joined', peers: [peer('a'), peer('b'), peer('c')] },
    0,
  );
  expect(effects[0]).toMatchObject({
    kind: 'placed',
    stages: [
      { from: 0, to: 2, peers: ['a'] },
      { from: 2, to: 4, peers: ['b'] },
      { from: 4, to: 6, peers: ['c'] },
    ],
  });
  expect(leasesOf(effects)).toEqual([
    '0: 0-2 a',
    '0: 2-4 b',
    '0: 4-6 c',
    '1: 0-2 a',
    '1: 2-4 b',
    '1: 4-6 c',
  ]);
  expect(effects[2]).toMatchObject({ inputs: [{ peer: 'a', lease: 0 }], collect: [2, 3] });
  const next = measurement.step({ kind: 'stage-done', peer: 'a', lease: 0 }, 1);
  expect(leasesOf(next)).toEqual(['2: 0-2 a']);
});

test('a state is released when the sums after it are stored and the next stage has taken over', () => {
  const measurement = new Measurement(rowOf(3, 1));
  measurement.step({ kind: 'peers-joined', peers: [peer('a'), peer('b'), peer('c')] }, 0);
  const releases = (event: MeasurementEvent): string[] =>
    measurement
      .step(event, 1)
      .flatMap((effect) =>
        effect.kind === 'release' ? [`${effect.peer} at ${effect.boundary}`] : [],
      );
  const stored = (layer: number): MeasurementEvent => ({
    kind: 'sums-stored',
    layer,
    group: 0,
    excluded: [],
  });
  expect(releases({ kind: 'stage-done', peer: 'a', lease: 0 })).toEqual([]);
  expect(releases(stored(0))).toEqual([]);
  expect(releases({ kind: 'stage-done', peer: 'b', lease: 1 })).toEqual([]);
  // If b were lost now, c would lack the state behind layer 1, and it is made of that of a.
  expect(releases(stored(1))).toEqual([]);
  // Were c lost now, its layer would be run from the state of b.
  expect(releases({ kind: 'stage-done', peer: 'c', lease: 2 })).toEqual(['a at 1']);
  expect(releases(stored(2))).toEqual(['b at 2']);
});

test('groups are spread over the replicas of a stage, each of them whole', () => {
  const measurement = new Measurement(rowOf(4, 9, 2));
  const effects = measurement.step(
    { kind: 'peers-joined', peers: ['a', 'b', 'c', 'd'].map((name) => peer(name)) },
    0,
  );
  expect(leasesOf(effects)).toEqual([
    ...['0: 0-2 a', '0: 2-4 c', '1: 0-2 b', '1: 2-4 d'],
    ...['2: 0-2 a', '2: 2-4 c', '3: 0-2 b', '3: 2-4 d'],
  ]);
});

test('a peer is idle when its layers are complete, until a bad chunk gives it more to run', () => {
  const measurement = new Measurement(rowOf(2, 1));
  const step = (event: MeasurementEvent): string[] => {
    measurement.step(event, 1);
    return [...measurement.idle];
  };
  expect(step({ kind: 'peers-joined', peers: [peer('a'), peer('b'), peer('idler', { speed: 0 })] }))
    // It has no stage.
    .toEqual(['idler']);
  // Its sums are still on their way.
  expect(step({ kind: 'stage-done', peer: 'a', lease: 0 })).toEqual(['idler']);
  const stored = { kind: 'sums-stored', group: 0, excluded: [] } as const;
  expect(step({ ...stored, layer: 0 })).toEqual(['a', 'idler']);
  // Nothing is waited for any more of the lease that b has.
  expect(step({ ...stored, layer: 1 })).toEqual(['a', 'b', 'idler']);
  expect(step({ kind: 'bad-chunks', group: 0, chunks: [3] })).toEqual(['idler']);
});

test('what an earlier run stored is only run through, and only as far as must be', () => {
  const measurement = new Measurement(rowOf(6, 2));
  for (const layer of [0, 1, 2, 4, 5]) {
    measurement.step({ kind: 'sums-stored', layer, group: 0, excluded: [] }, 0);
  }
  for (let layer = 0; layer < 6; layer++) {
    measurement.step({ kind: 'sums-stored', layer, group: 1, excluded: [] }, 0);
  }
  const effects = measurement.step({ kind: 'peers-joined', peers: [peer('a')] }, 0);
  expect(leasesOf(effects)).toEqual(['0: 0-4 a']);
  expect(effects.at(-1)).toMatchObject({ collect: [3] });
  expect(measurement.missing).toBe(1);
});

test('a bad chunk voids what its group had, and reopens layers that were complete', () => {
  const measurement = new Measurement(rowOf(2, 1));
  measurement.step({ kind: 'peers-joined', peers: [peer('a')] }, 0);
  const first = measurement.step({ kind: 'sums-stored', layer: 0, group: 0, excluded: [] }, 1);
  expect(first).toEqual([{ kind: 'layer-complete', layer: 0 }]);
  const again = measurement.step({ kind: 'bad-chunks', group: 0, chunks: [7, 99] }, 2);
  expect(kindsOf(again)).toEqual(['layer-reopened', 'cancel', 'lease']);
  expect(again.at(-1)).toMatchObject({ excluded: [7], collect: [0, 1] });
  expect(measurement.step({ kind: 'bad-chunks', group: 0, chunks: [7] }, 3)).toEqual([]);
  // Sums that still hold the chunk are no longer wanted.
  measurement.step({ kind: 'sums-stored', layer: 1, group: 0, excluded: [] }, 4);
  expect(measurement.missing).toBe(2);
  const chunks = Array.from({ length: 16 }, (_, chunk) => chunk);
  const empty = measurement.step({ kind: 'bad-chunks', group: 0, chunks }, 5);
  expect(kindsOf(empty)).toEqual(['cancel', 'layer-complete', 'layer-complete', 'finished']);
});

test('a lease that waits for a state goes on where another peer makes the state again', () => {
  const measurement = new Measurement(rowOf(4, 1));
  measurement.step({ kind: 'peers-joined', peers: [peer('a'), peer('b')] }, 0);
  const effects = measurement.step({ kind: 'peers-joined', peers: [peer('c'), peer('a')] }, 1);
  expect(leasesOf(effects)).toEqual(['0: 0-2 a']);
  expect(effects).toContainEqual({
    kind: 'inputs',
    peer: 'b',
    lease: 1,
    inputs: [{ peer: 'a', lease: 2 }],
  });
});

test('a lease that waits gives its place to the one it waits for', () => {
  const measurement = new Measurement(rowOf(4, 9));
  measurement.step({ kind: 'peers-joined', peers: [peer('a'), peer('b')] }, 0);
  measurement.step({ kind: 'peer-left', peer: 'a' }, 1);
  const effects = measurement.step({ kind: 'tick' }, 5001);
  expect(effects.filter(({ kind }) => kind === 'cancel')).toHaveLength(1);
  expect(leasesOf(effects)).toEqual(['0: 0-2 b']);
});

test('a peer that declines waits ten seconds, and loses its stage when it declines again', () => {
  const measurement = new Measurement(rowOf(4, 9));
  measurement.step({ kind: 'peers-joined', peers: [peer('a'), peer('b')] }, 0);
  expect(measurement.step({ kind: 'declined', peer: 'b', lease: 1 }, 1000)).toEqual([]);
  expect(measurement.step({ kind: 'tick' }, 10_999)).toEqual([]);
  expect(leasesOf(measurement.step({ kind: 'tick' }, 11_000))).toEqual(['0: 2-4 b']);
  measurement.step({ kind: 'declined', peer: 'b', lease: 4 }, 12_000);
  expect(measurement.stages).toEqual([{ from: 0, to: 4, peers: ['a'] }]);
  measurement.step({ kind: 'tick' }, 22_000);
  expect(measurement.stages.map(({ peers }) => peers)).toEqual([['a'], ['b']]);
});

test('a peer that runs a lease after it has lost its stage gets the stage again', () => {
  const measurement = new Measurement(rowOf(2, 9));
  measurement.step({ kind: 'peers-joined', peers: [peer('a')] }, 0);
  measurement.step({ kind: 'declined', peer: 'a', lease: 0 }, 1000);
  expect(leasesOf(measurement.step({ kind: 'tick' }, 11_000))).toEqual(['0: 0-2 a']);
  // The answer to the second of the first two leases comes late; it is at work on the third.
  measurement.step({ kind: 'declined', peer: 'a', lease: 1 }, 12_000);
  expect(measurement.stages).toEqual([]);
  measurement.step({ kind: 'stage-done', peer: 'a', lease: 2 }, 13_000);
  expect(measurement.stages).toEqual([{ from: 0, to: 2, peers: ['a'] }]);
  expect(leasesOf(measurement.step({ kind: 'tick' }, 22_000))).not.toEqual([]);
});

test('layers for which nobody has room are named, and those before them are measured', () => {
  const measurement = new Measurement(rowOf(4, 9));
  const small = peer('a', { roomBytes: 3 });
  const effects = measurement.step({ kind: 'peers-joined', peers: [small] }, 0);
  expect(effects).toContainEqual({ kind: 'stuck', from: 3, to: 4, sourceBytes: 1 });
  expect(leasesOf(effects)).toEqual(['0: 0-3 a', '1: 0-3 a']);
  const other = measurement.step({ kind: 'peers-joined', peers: [peer('b')] }, 1);
  expect(leasesOf(other)).toEqual(['0: 3-4 b', '1: 3-4 b']);
  expect(measurement.step({ kind: 'peer-left', peer: 'nobody' }, 1)).toEqual([]);
});

test('a drained measurement ends when what is out is through and its sums are stored', () => {
  const measurement = new Measurement(rowOf(2, 9));
  measurement.step({ kind: 'peers-joined', peers: [peer('a', { leasesMax: 1 })] }, 0);
  expect(measurement.step({ kind: 'drain' }, 0)).toEqual([]);
  expect(measurement.step({ kind: 'stage-done', peer: 'a', lease: 0 }, 0)).toEqual([]);
  measurement.step({ kind: 'sums-stored', layer: 0, group: 0, excluded: [] }, 0);
  expect(measurement.step({ kind: 'sums-stored', layer: 1, group: 0, excluded: [] }, 0)).toEqual([
    { kind: 'drained' },
  ]);
});

test('a fast first stage does not run ahead of a slow one without end', () => {
  const measurement = new Measurement(rowOf(2, 99));
  let effects = measurement.step({ kind: 'peers-joined', peers: [peer('a'), peer('b')] }, 0);
  let given = 0;
  for (let step = 0; step < 99 && effects.length > 0; step++) {
    const leases = effects.flatMap((effect) =>
      effect.kind === 'lease' && effect.peer === 'a' ? [effect.lease] : [],
    );
    given += leases.length;
    effects = leases.flatMap((lease) =>
      measurement.step({ kind: 'stage-done', peer: 'a', lease }, 0),
    );
  }
  // Two leases each, and one group each whose sums are on their way.
  expect(given).toBe(6);
});

test('a peer that is away for a moment keeps its stage, whoever comes meanwhile', () => {
  const measurement = new Measurement(rowOf(4, 99));
  measurement.step({ kind: 'peers-joined', peers: [peer('a'), peer('b')] }, 0);
  const before = measurement.stages;
  const left = measurement.step({ kind: 'peer-left', peer: 'a' }, 1000);
  expect(leasesOf(left)).toEqual([]);
  measurement.step({ kind: 'tick' }, 5999);
  expect(measurement.stages).toEqual(before);
  const back = measurement.step({ kind: 'peers-joined', peers: [peer('a')] }, 5999);
  expect(measurement.stages).toEqual(before);
  expect(leasesOf(back)).toEqual(['0: 0-2 a', '1: 0-2 a']);
  expect(kindsOf(measurement.step({ kind: 'tick' }, 60_000))).toEqual([]);
  measurement.step({ kind: 'peer-left', peer: 'a' }, 61_000);
  measurement.step({ kind: 'peers-joined', peers: [peer('c')] }, 62_000);
  const names = (): string[] => measurement.stages.map(({ peers }) => peers.join());
  expect(names()).toEqual(['a', 'b']);
  measurement.step({ kind: 'tick' }, 66_000);
  expect(names().sort()).toEqual(['b', 'c']);
});

test('what was through before it was cancelled counts, what was lost with its peer does not', () => {
  const measurement = new Measurement(rowOf(4, 9));
  measurement.step({ kind: 'peers-joined', peers: [peer('a'), peer('b')] }, 0);
  measurement.step({ kind: 'peer-left', peer: 'a' }, 1);
  const effects = measurement.step({ kind: 'tick' }, 5001);
  const cancelled = effects.find(({ kind }) => kind === 'cancel');
  expect(cancelled).toEqual({ kind: 'cancel', peer: 'b', lease: 3 });
  // Group 1 was through at b, only its sums are not stored: it is not run again.
  measurement.step({ kind: 'stage-done', peer: 'b', lease: 3 }, 5002);
  for (const layer of [0, 1]) {
    measurement.step({ kind: 'sums-stored', layer, group: 1, excluded: [] }, 5003);
  }
  const back = measurement.step({ kind: 'peers-joined', peers: [peer('a')] }, 5004);
  expect(leasesOf(back).filter((text) => text.startsWith('1:'))).toEqual([]);
  expect(measurement.step({ kind: 'stage-done', peer: 'a', lease: 0 }, 5005)).toEqual([
    { kind: 'release', peer: 'a', lease: 0, group: 0, boundary: 2 },
  ]);
});

test('a peer that comes late gets a stage while there is much to do, and none for the last groups', () => {
  const stagesAfter = (groups: number): string[] => {
    const measurement = new Measurement(rowOf(4, groups));
    measurement.step({ kind: 'peers-joined', peers: [peer('a')] }, 0);
    measurement.step({ kind: 'stage-done', peer: 'a', lease: 0 }, 1);
    measurement.step({ kind: 'peers-joined', peers: [peer('b')] }, 2);
    return measurement.stages.map(({ from, to, peers }) => `${from}-${to} ${peers.join()}`);
  };
  expect(stagesAfter(4)).toEqual(['0-2 a', '2-4 b']);
  expect(stagesAfter(3)).toEqual(['0-4 a']);
});

/** Everybody runs its first lease, in so many milliseconds. */
function firstLeases(
  measurement: Measurement,
  computeMs: Readonly<Record<string, number>>,
): MeasurementEffect[] {
  const joined = measurement.step(
    { kind: 'peers-joined', peers: Object.keys(computeMs).map((name) => peer(name)) },
    0,
  );
  return Object.entries(computeMs).flatMap(([name, ms]) => {
    const first = joined.find((effect) => effect.kind === 'lease' && effect.peer === name);
    if (first?.kind !== 'lease') throw new Error(`${name} has a lease`);
    const done = { kind: 'stage-done', peer: name, lease: first.lease, computeMs: ms } as const;
    return measurement.step(done, 1);
  });
}

test('layers of a peer that is much slower than it said go to others, with what it has begun', () => {
  const measurement = new Measurement(rowOf(9, 9));
  const effects = firstLeases(measurement, { a: 2000, b: 40_000, c: 2000 });
  expect(effects).toContainEqual({ kind: 'slow', peer: 'b', times: 20 });
  expect(measurement.stages).toEqual([
    { from: 0, to: 4, peers: ['a'] },
    { from: 4, to: 9, peers: ['c'] },
  ]);
  expect(effects.filter(({ kind }) => kind === 'cancel')).toEqual([
    { kind: 'cancel', peer: 'b', lease: 4 },
  ]);
  const next = measurement.step({ kind: 'stage-done', peer: 'a', lease: 3 }, 2);
  expect(leasesOf(next)).toEqual(['1: 3-4 a', '1: 4-6 c']);
});

test('a slow peer keeps layers for which nobody else has room', () => {
  const measurement = new Measurement({ ...rowOf(9, 9), mayCut: (at) => at % 3 === 0 });
  const peers = ['a', 'b', 'c'].map((name) => peer(name, { roomBytes: 3 }));
  measurement.step({ kind: 'peers-joined', peers }, 0);
  const before = measurement.stages;
  measurement.step({ kind: 'stage-done', peer: 'a', lease: 0, computeMs: 2000 }, 1);
  const effects = measurement.step(
    { kind: 'stage-done', peer: 'b', lease: 1, computeMs: 40_000 },
    1,
  );
  expect(measurement.stages).toEqual(before);
  expect(kindsOf(effects)).not.toContain('cancel');
  expect(leasesOf(effects).filter((text) => text.endsWith(' b'))).toHaveLength(1);
});

test('of the machines that share a stage a slow one gets nothing while others are there', () => {
  const measurement = new Measurement(rowOf(2, 9, 2));
  const effects = firstLeases(measurement, { a: 2000, b: 40_000 });
  expect(measurement.stages).toEqual([{ from: 0, to: 2, peers: ['a', 'b'] }]);
  expect(leasesOf(effects).filter((text) => text.endsWith(' b'))).toEqual([]);
  const alone = measurement.step({ kind: 'peer-left', peer: 'a' }, 2);
  expect(leasesOf(alone).filter((text) => text.endsWith(' b'))).toHaveLength(2);
});

test('the fewer groups are to go, the slower a peer has to be for its layers to move', () => {
  const isMoved = (groups: number, slowMs: number): boolean => {
    const measurement = new Measurement(rowOf(9, groups));
    const effects = firstLeases(measurement, { a: 2000, b: slowMs, c: 2000 });
    return kindsOf(effects).includes('placed');
  };
  expect([isMoved(2, 10_000), isMoved(1, 10_000)]).toEqual([true, false]);
  expect(isMoved(1, 20_000)).toBe(true);
});
