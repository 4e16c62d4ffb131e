/** Goal: a person reads what changed, once, and can copy what to type. */

import { expect, test } from 'vitest';
import type { ClusterView, InviteView, MemberView } from '../proto/cluster.ts';
import {
  nearbyLine,
  renderChange,
  renderInvite,
  renderInvites,
  renderPeers,
} from './cluster-view.ts';

const member = (name: string, more: Partial<MemberView> = {}): MemberView => ({
  ...{ peer: `peer-${name}`, fingerprint: 'ab12-cd34', name, role: 'worker' },
  ...{ isSelf: false, isConnected: true, addresses: ['/ip4/10.0.0.2/tcp/7421'] },
  ...{ isa: 'avx2', threads: 8, ramBytes: 2 ** 33, bytesPerSecond: 2 ** 29 },
  ...more,
});
const view = (...members: MemberView[]): ClusterView => ({
  ...{
    state: 'coordinator',
    name: 'nas',
    fingerprint: 'zzzz-0000',
    cluster: 'zzzz-0000',
    epoch: 1,
  },
  ...{ listens: [], mdns: true, nearby: [], offers: [] },
  members: [member('nas', { isSelf: true, role: 'coordinator' }), ...members],
});

test('peers are a table, with what waits for the owner below it', () => {
  const waiting = { name: 'laptop', fingerprint: 'yyyy-1111', isApproved: false };
  const away = { peer: 'p', fingerprint: 'xxxx-2222', name: 'old', role: 'worker' } as const;
  const lines = renderPeers({
    ...view(member('tower'), { ...away, isSelf: false, isConnected: false, addresses: [] }),
    nearby: [waiting],
  });
  expect(lines[0]).toBe('nas (zzzz-0000) · coordinator · cluster zzzz-0000');
  expect(lines[3]).toMatch(
    /^tower +ab12-cd34 +worker +connected +avx2 +8 +8\.00 GiB +512 MiB\/s +\/ip4/,
  );
  expect(lines[4]).toMatch(/^old +xxxx-2222 +worker +away$/);
  expect(lines[5]).toBe('laptop (yyyy-1111) is nearby and waits: quantd approve laptop');
});

test('a name that a shell would take apart is not what to type', () => {
  const line = nearbyLine({ name: 'a; rm -rf ~', fingerprint: 'yyyy-1111', isApproved: false });
  expect(line).toMatch(/: quantd approve yyyy-1111$/);
  const option = nearbyLine({ name: '--solo', fingerprint: 'yyyy-1111', isApproved: false });
  expect(option).toMatch(/: quantd approve yyyy-1111$/);
});

test('what changed is said once', () => {
  const away = member('tower', { isConnected: false });
  const there = member('tower');
  expect(renderChange(view(), view(away))).toEqual([]);
  expect(renderChange(view(away), view(there))).toEqual([
    'tower (ab12-cd34) is connected · avx2 · 8 threads · 512 MiB/s',
  ]);
  expect(renderChange(view(there), view(there))).toEqual([]);
  expect(renderChange(view(there), view(away))).toEqual(['tower (ab12-cd34) is away']);
  expect(renderChange(view(there), view())).toEqual(['tower (ab12-cd34) is a member no more']);
  const offer = { name: 'nas', fingerprint: 'ab12-cd34', isApproved: false };
  expect(renderChange(view(), { ...view(), offers: [offer] })).toEqual([
    'nas (ab12-cd34) offers to take this machine: quantd approve nas',
  ]);
  expect(renderChange(view(), { ...view(), state: 'revoked' })).toEqual([
    'this machine is now: was put out of its cluster',
  ]);
});

test('invites tell how long and how often, and the token stands on a line of its own', () => {
  const invite: InviteView = {
    id: '0011223344556677',
    role: 'worker',
    uses: 3,
    usesLeft: 2,
    created: '2026-01-01T00:00:00.000Z',
    expires: '2026-01-02T00:00:00.000Z',
    state: 'open',
  };
  const nowMs = Date.parse('2026-01-01T12:00:00.000Z');
  expect(renderInvites([invite], nowMs)[1]).toMatch(
    /^0011223344556677 +worker +2 of 3 +in 12 h 00 m +open$/,
  );
  expect(renderInvite({ ...invite, token: 'qd1abc' }, nowMs)).toContain('  quantd join qd1abc');
  expect(renderInvites([], nowMs)).toEqual(['no invites', '  hint: quantd invite']);
});
