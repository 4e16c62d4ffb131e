/**
 * Goal: a lease that comes once more when it is over is nothing: run again, its end would take along
 * the states that it has left.
 */

import { expect, test } from 'vitest';
import type { PeerMessage, StageLease } from '../../proto/peer-messages.ts';
import type { Network } from '../ports.ts';
import { HeldMeasurement, type MeasurePorts } from './held-measurement.ts';

const RUN = 'ab'.repeat(16);
const LEASE: StageLease = {
  ...{ kind: 'stage-lease', run: RUN, lease: 7, from: 0, to: 1, group: 0, chunks: [0] },
  ...{ leftOut: [], waveChunks: 0, collect: [0], inputs: [], leavesState: true },
  ...{ description: new Uint8Array(32), descriptionBytes: 1 },
};

test('what is over is not run again', async () => {
  const sent: PeerMessage[] = [];
  let pulls = 0;
  const network = {
    self: 'me',
    send: (_, message) => void sent.push(message),
    pull: async () => {
      pulls++;
      throw new Error('there is no description');
    },
  } satisfies Partial<Network>;
  const clock = { now: () => 0, after: () => () => undefined };
  const ports = { network, clock } as unknown as MeasurePorts;
  const held = new HeldMeasurement(RUN, 'coordinator', 1, ports);
  held.take(LEASE);
  await expect.poll(() => sent.length).toBe(1);
  expect(sent[0]).toMatchObject({ kind: 'stage-answer', declined: 'there is no description' });
  held.take(LEASE);
  expect(sent.length).toBe(2);
  held.forget([7]);
  held.take(LEASE);
  await new Promise((resolve) => setTimeout(resolve, 10));
  expect({ sent: sent.length, pulls }).toEqual({ sent: 2, pulls: 1 });
  held.take({ ...LEASE, lease: 8 });
  await expect.poll(() => pulls).toBe(2);
});
