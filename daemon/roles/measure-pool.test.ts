/**
 * Goal: a worker forgets a measurement only when its coordinator is gone, and where it has forgotten one
 * the coordinator gets to know of it, whatever was lost on the way.
 * Method: both ends of the wire over a clock that the test moves; leases wait for a description that
 * never comes.
 */

import { beforeEach, expect, test } from 'vitest';
import type { PeerMessage, StageLease } from '../../proto/peer-messages.ts';
import type { Clock, ConnectedPeer, Network, NetworkListener } from '../ports.ts';
import type { MeasurePorts } from './held-measurement.ts';
import { MeasurePool, type MeasurePoolParts } from './measure-pool.ts';
import { StageHolder } from './stage-holder.ts';

const MINUTE = 60_000;
const RUN = 'ab'.repeat(16);
const LEASE: StageLease = {
  ...{ kind: 'stage-lease', run: RUN, lease: 0, from: 1, to: 2, group: 0, chunks: [0] },
  ...{ leftOut: [], waveChunks: 0, collect: [1], inputs: ['before'], leavesState: true },
  ...{ description: new Uint8Array(32), descriptionBytes: 1 },
};
const COORDINATOR = { peer: 'nas', role: 'coordinator', hello: {} };
const WORKER = { peer: 'w', role: 'worker', hello: { name: 'w', threads: 1 } };

let nowMs: number;
let timers: { readonly atMs: number; readonly run: () => void }[];
let isSilent: boolean;
let underWay: (() => void)[];
let listeners: Map<string, NetworkListener>;
let toWorker: PeerMessage[];
let pulls: number;
let joins: number;
let pull: () => Promise<void>;

const clock: Clock = {
  now: () => nowMs,
  after: (delayMs, run) => {
    const timer = { atMs: nowMs + delayMs, run };
    timers.push(timer);
    return () => {
      timers = timers.filter((other) => other !== timer);
    };
  },
};

function networkOf(self: string): Network {
  const sender = self === 'nas' ? COORDINATOR : WORKER;
  return {
    self,
    serve: () => () => undefined,
    listen: (listener: NetworkListener) => {
      listeners.set(self, listener);
      return () => undefined;
    },
    send: (to: string, message: PeerMessage) => {
      if (isSilent || !listeners.has(to)) return;
      if (to === 'w') toWorker.push(message);
      underWay.push(() => listeners.get(to)?.message?.(sender as ConnectedPeer, message));
    },
    addressesOf: async () => [],
    pull: () => {
      pulls++;
      return pull();
    },
  } as unknown as Network;
}

/** Seconds pass, and with each what is due: timers, the coordinator's tick, what is on the wire. */
function pass(forMs: number, pool: MeasurePool): void {
  for (const endMs = nowMs + forMs; nowMs < endMs; ) {
    nowMs += 1000;
    const due = timers.filter(({ atMs }) => atMs <= nowMs);
    timers = timers.filter((timer) => !due.includes(timer));
    for (const { run } of due) run();
    pool.tick();
    while (underWay.length > 0) underWay.shift()?.();
  }
}

function start(): { pool: MeasurePool; holder: StageHolder } {
  const holder = new StageHolder({
    ...{ network: networkOf('w'), clock, store: {}, kernels: {} },
  } as unknown as MeasurePorts);
  holder.start();
  const pool = new MeasurePool({
    ...{ network: networkOf('nas'), clock, run: RUN, firstLease: 5 },
    onJoined: () => joins++,
    onPassed: () => undefined,
    onAnswer: (from: string, { lease }: { lease: number }) => pool.end(from, lease),
  } as unknown as MeasurePoolParts);
  pool.start();
  listeners.get('nas')?.connected?.(WORKER as ConnectedPeer);
  pass(1000, pool);
  return { pool, holder };
}

beforeEach(() => {
  nowMs = 0;
  timers = [];
  isSilent = false;
  underWay = [];
  listeners = new Map();
  toWorker = [];
  pulls = 0;
  joins = 0;
  pull = () => new Promise(() => undefined);
});

test('a lease that takes longer than a silence may is begun once', () => {
  const { pool, holder } = start();
  pool.lease('w', LEASE);
  pass(35 * MINUTE, pool);
  expect({ leases: holder.leases, pulls, joins }).toEqual({ leases: 1, pulls: 1, joins: 1 });
});

test('who heard nothing for ten minutes and forgot the run has joined anew, once', () => {
  const { pool, holder } = start();
  pool.lease('w', LEASE);
  pass(MINUTE, pool);
  isSilent = true;
  pass(11 * MINUTE, pool);
  expect(holder.leases).toBe(0);
  isSilent = false;
  pass(2 * MINUTE, pool);
  expect(joins).toBe(2);
  // What it had been given is nobody's, though that was said again meanwhile: it gets others.
  expect(holder.leases).toBe(0);
});

test('who has only states left and forgot the run has joined anew', async () => {
  const { pool, holder } = start();
  pull = () => Promise.reject(new Error('there is no description'));
  pool.lease('w', LEASE);
  pass(1000, pool);
  await expect.poll(() => underWay.length).toBeGreaterThan(0);
  pass(MINUTE, pool);
  expect({ leases: holder.leases, joins }).toEqual({ leases: 0, joins: 1 });
  isSilent = true;
  pass(11 * MINUTE, pool);
  isSilent = false;
  pass(MINUTE, pool);
  expect(joins).toBe(2);
});

test('a word from before the run was taken up anew, which comes late, is none', () => {
  const { pool } = start();
  const say = (begun: number, passed: number): void => {
    const message = { kind: 'stage-working', run: RUN, leases: [5], passed, begun } as const;
    listeners.get('nas')?.message?.(WORKER as ConnectedPeer, message);
  };
  pool.lease('w', LEASE);
  say(1, 10);
  say(2, 0);
  expect(joins).toBe(2);
  pool.lease('w', LEASE);
  say(2, 3);
  say(1, 11);
  say(2, 4);
  expect({ joins, passed: pool.share('w')?.passed }).toEqual({ joins: 2, passed: 14 });
});

test('where an input comes from now is said again though the lease is alive', () => {
  const { pool } = start();
  pool.lease('w', LEASE);
  pass(MINUTE, pool);
  isSilent = true;
  pool.inputs('w', 0, ['other']);
  isSilent = false;
  toWorker.length = 0;
  pass(10_000, pool);
  const said = toWorker.filter(({ kind }) => kind === 'stage-lease');
  expect(said[0]).toMatchObject({ lease: 5, inputs: ['other'] });
});
