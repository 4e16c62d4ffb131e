/**
 * Goal: a machine that keeps a part of a hub's files is not let forget the run, though it has no
 * lease left: it is asked about that part at the end.
 */

import { expect, test } from 'vitest';
import type { PeerMessage } from '../../proto/peer-messages.ts';
import type { Plan } from '../core/plan/plan.ts';
import type { ConnectedPeer, Network, NetworkListener } from '../ports.ts';
import { Pool } from './pool.ts';

const MINUTE = 60_000;
const origin = { hubUrl: 'https://hub', repository: 'org/name', commit: 'ab'.repeat(20) };

test.each([
  ['from a hub', origin, 3],
  ['from the coordinator', undefined, 1],
])('a run whose source comes %s', (_, from, times) => {
  let nowMs = 0;
  const said: PeerMessage[] = [];
  const listeners: NetworkListener[] = [];
  const network = {
    serve: () => () => undefined,
    listen: (listener: NetworkListener) => {
      listeners.push(listener);
      return () => undefined;
    },
    send: (_to: string, message: PeerMessage) => void said.push(message),
  } as unknown as Network;
  const pool = new Pool({
    ...{ network, run: 'cd'.repeat(16), origin: from, source: { read: async () => undefined } },
    clock: { now: () => nowMs, after: () => () => undefined },
    plan: { tasks: [], outputs: [], sourceBytes: 0, fileDigests: new Map() } satisfies Plan,
    leaves: undefined as never,
    assemblers: [],
    onJoined: () => undefined,
    onLeft: () => undefined,
    onAnswer: () => undefined,
    onFailure: () => undefined,
  });
  pool.start();
  const peer = { peer: 'w', role: 'worker', hello: { name: 'w', threads: 1 } };
  listeners[0]?.connected?.(peer as ConnectedPeer);
  for (nowMs = 0; nowMs < 2 * MINUTE + 1; nowMs += 1000) pool.tick();
  expect(said.filter(({ kind }) => kind === 'run-open').length).toBe(times);
  listeners[0]?.disconnected?.('w');
  for (; nowMs < 5 * MINUTE; nowMs += 1000) pool.tick();
  expect(said.length).toBe(times);
});
