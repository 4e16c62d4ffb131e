/**
 * Goal: a machine that was never told an address is found, and becomes a member when both owners
 * have agreed, and not before. Method: two machines on one Ethernet, in network namespaces.
 */

import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectedNames, endDaemons, openPorts, startDaemon, untilCluster } from './cluster.ts';
import { makeNetwork, type TestNetwork, whyNoNamespaces } from './namespaces.ts';
import { requireOrSkip } from './privileges.ts';
import { makeScratch } from './quantd.ts';

const isLeftOut = requireOrSkip('machines on one network', whyNoNamespaces());
let scratch: Awaited<ReturnType<typeof makeScratch>>;
let network: TestNetwork | undefined;
beforeAll(async () => {
  scratch = await makeScratch('approval');
  if (!isLeftOut) network = await makeNetwork(2);
});
afterAll(async () => {
  await endDaemons();
  await network?.remove();
  await scratch.remove();
});

test.skipIf(isLeftOut)('a machine nearby joins when both owners agree', async () => {
  const [first, second] = network?.hosts ?? [];
  const nas = await startDaemon(['up', '--lan', '--name', 'nas', '--threads', '0'], {
    data: join(scratch.path, 'nas'),
    prefix: first?.prefix ?? [],
  });
  const tower = await startDaemon(['join', '--nearby', '--lan', '--name', 'to\u001b[2Jwer'], {
    data: join(scratch.path, 'tower'),
    prefix: second?.prefix ?? [],
  });
  expect(tower.first).toMatchObject({ type: 'nearby', state: 'nearby' });
  expect(openPorts(nas.pid).filter((port) => port.startsWith('tcp '))).toEqual([
    expect.stringMatching(new RegExp(`^tcp ${first?.address}:\\d+$`)),
  ]);

  // Nothing is offered, and nothing can be approved there, before somebody approves here.
  const { nearby } = await untilCluster(nas, (view) => view.nearby.length > 0, 'tower is found');
  const { fingerprint } = await tower.view();
  expect(nearby).toEqual([{ name: 'to [2Jwer', fingerprint, isApproved: false }]);
  expect((await tower.view()).offers).toEqual([]);
  await expect(tower.cluster.approve('nas')).rejects.toThrow('no machine of that name');
  await expect(nas.cluster.approve('laptop')).rejects.toThrow('no machine of that name');
  expect((await nas.view()).members).toHaveLength(1);

  await nas.cluster.approve(fingerprint);
  const offered = await untilCluster(tower, (view) => view.offers.length > 0, 'nas has offered');
  expect(offered.offers).toEqual([
    { name: 'nas', fingerprint: (await nas.view()).fingerprint, isApproved: false },
  ]);
  expect((await nas.view()).members).toHaveLength(1);

  await tower.cluster.approve('nas');
  const joined = await untilCluster(
    tower,
    (view) => view.state === 'member' && connectedNames(view).join() === 'nas',
    'tower is a member',
  );
  expect(joined.offers).toEqual([]);
  await untilCluster(nas, (view) => connectedNames(view).join() === 'to [2Jwer', 'nas sees it');
  // The invite of the approval was for one machine and is used up; the one that `up` made is not.
  expect((await nas.cluster.invites()).map(({ state }) => state).sort()).toEqual(['open', 'spent']);

  // By mDNS they also find each other again, whatever became of the addresses.
  await tower.stop();
  const again = await startDaemon(['join', '--lan'], {
    data: tower.data,
    prefix: second?.prefix ?? [],
  });
  await untilCluster(again, (view) => connectedNames(view).join() === 'nas', 'tower is back');
});
