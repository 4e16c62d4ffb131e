/**
 * Goal: a run goes on when the link to its only worker was down for a while.
 * Method: two machines on a wire of their own; the cable is pulled in the middle of a run, until
 * the coordinator has noticed, and put back.
 */

import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectedNames, endDaemons, startDaemon, untilCluster } from './cluster.ts';
import { digestsOf, past, shareOf, startRun } from './cluster-run.ts';
import { makeNetwork, whyNoNamespaces } from './namespaces.ts';
import { requireOrSkip } from './privileges.ts';
import { makeScratch, mustRunQuantd } from './quantd.ts';

// The slowest kernels, so that there is a middle of the run; the bytes are the same.
const SLOW = { QUANTD_ISA: 'scalar' };

let scratch: Awaited<ReturnType<typeof makeScratch>>;
beforeAll(async () => {
  scratch = await makeScratch('link');
});
afterAll(async () => {
  await endDaemons();
  await scratch.remove();
});

const quantizeWords = (out: string): string[] => [
  ...['quantize', 'fixtures/tiny-gemma4', '--type', 'Q2_K,Q3_K_M,Q4_K_M,Q5_K_M,Q6_K,IQ4_XS'],
  ...['--out', join(scratch.path, out), '--name', 'tiny', '--json'],
];

test.skipIf(requireOrSkip('a link that goes down', whyNoNamespaces()))(
  'a run whose only worker was cut off for a while ends in the bytes of one machine',
  async () => {
    const { hosts, remove } = await makeNetwork(2);
    const [near, far] = hosts;
    if (near === undefined || far === undefined) throw new Error('not two hosts');
    try {
      const data = (name: string): string => join(scratch.path, name);
      const up = ['up', '--name', 'nas', '--threads', '0', '--lan'];
      const coordinator = await startDaemon(up, { data: data('nas'), prefix: near.prefix });
      const joining = ['join', coordinator.token, '--name', 'tower', '--threads', '1', '--lan'];
      const worker = { data: data('tower'), prefix: far.prefix, environment: SLOW };
      await startDaemon(joining, worker);
      const isThere = (view: Parameters<typeof connectedNames>[0]): boolean =>
        connectedNames(view).includes('tower');
      await untilCluster(coordinator, isThere, 'connected');

      const run = startRun(quantizeWords('cut'), coordinator.data);
      await run.until(past(0.2));
      far.linkDown();
      await untilCluster(coordinator, (view) => !isThere(view), 'without the worker');
      expect(shareOf(run.events.findLast(({ type }) => type === 'progress'))).toBeLessThan(0.9);
      far.linkUp();
      const done = await run.done;

      await mustRunQuantd([...quantizeWords('alone'), '--solo']);
      expect(digestsOf(join(scratch.path, 'cut'))).toEqual(digestsOf(join(scratch.path, 'alone')));
      expect(done.peers.find(({ name }) => name === 'tower')?.tasks).toBeGreaterThan(100);
    } finally {
      await endDaemons();
      await remove();
    }
  },
);
