/**
 * Goal: who has no business in a cluster gets nowhere, who has gets in with one command, and who
 * is put out stays out while the others go on.
 *
 * Method: real processes over the loopback, as a user starts them; the strangers are nodes of our
 * own with keys that are wrong in one way each.
 */

import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ReportedFault } from '../cli/client.ts';
import { ClusterClient } from '../cli/cluster-client.ts';
import type { Connection } from '../cli/daemon.ts';
import { cryptography, identityOf } from '../daemon/adapters/cryptography.ts';
import { PeerNode } from '../daemon/adapters/network/peer-node.ts';
import { JOIN_PROTOCOL, LEAVE_PROTOCOL } from '../daemon/cluster/cluster-node.ts';
import { peerIdOf } from '../daemon/core/membership/peer-id.ts';
import { decodeToken, encodeToken, type InviteToken } from '../daemon/core/membership/token.ts';
import {
  connectedNames,
  type Daemon,
  endDaemons,
  openPorts,
  startDaemon,
  untilCluster,
} from './cluster.ts';
import { connectQuantd, makeScratch, parseEvents, runQuantd } from './quantd.ts';

const { sha256 } = cryptography;
const OPEN = ['--listen', '127.0.0.1:0', '--threads', '1'];
const CLOSED = ['--threads', '1'];

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let directories = 0;
const fresh = (): string => join(scratch.path, `data-${++directories}`);
beforeAll(async () => {
  scratch = await makeScratch('membership');
});
afterAll(async () => {
  await endDaemons();
  await scratch.remove();
});

const up = (name: string, data = fresh()): Promise<Daemon> =>
  startDaemon(['up', '--name', name, ...OPEN], { data });
const join1 = (token: string, name: string, data = fresh()): Promise<Daemon> =>
  startDaemon(['join', token, '--name', name, ...CLOSED], { data });

/** The code that a join with these words ends with. */
async function refusal(words: readonly string[], data = fresh()): Promise<unknown> {
  const run = await runQuantd(['join', ...words, ...CLOSED, '--json'], { data });
  expect(run.code, run.stdout).not.toBe(0);
  return parseEvents(run).at(-1)?.['code'];
}

/** The same of a daemon that waits to be told what to join, for many tokens in little time. */
async function refusalBy(joiner: Connection, token: string): Promise<unknown> {
  const answer = await new ClusterClient(joiner.client)
    .join(token)
    .catch((error: unknown) => error);
  return answer instanceof ReportedFault ? answer.fault.code : answer;
}

const waitingDaemon = (): Promise<Connection> =>
  connectQuantd(fresh(), ['--peering', 'join', '--name', 'stranger', '--threads', '1']);

const invite = async (
  coordinator: Daemon,
  options: { uses?: number; ttlSeconds?: number } = {},
): Promise<{ token: string; id: string }> =>
  coordinator.cluster.invite({ uses: 1, ttlSeconds: 3600, role: 'worker', ...options });

describe('a daemon', () => {
  test('of one command opens no port at all', async () => {
    const solo = await connectQuantd(fresh());
    try {
      expect(openPorts((await solo.client.status()).pid)).toEqual([]);
      await expect(solo.client.ask('GET', '/v1/cluster')).rejects.toThrow('for one command');
    } finally {
      await solo.close();
    }
  });

  test('without --lan or --listen listens on the loopback alone', async () => {
    const data = fresh();
    const daemon = await startDaemon(['up', ...CLOSED], { data });
    const ports = openPorts(daemon.pid);
    expect(ports).toHaveLength(1);
    expect(ports[0]).toMatch(/^tcp 127\.0\.0\.1:\d+$/);
    expect(daemon.token).toBe('');
    expect(statSync(data).mode & 0o077).toBe(0);
    for (const file of ['identity', 'cluster', 'api.sock']) {
      expect(statSync(join(data, file)).mode & 0o077, file).toBe(0);
    }
    await daemon.stop();
    // Its address stays what it was.
    const again = await startDaemon(['up', ...CLOSED], { data });
    expect(openPorts(again.pid)).toEqual(ports);
    await again.stop();
  });
});

test('a port that cannot be opened ends the daemon, with a reason', async () => {
  // Of the network that is reserved for documentation: no machine has it.
  const words = ['up', '--listen', '198.51.100.7:0', '--json', ...CLOSED];
  const run = await runQuantd(words, { data: fresh() });
  expect(parseEvents(run)).toMatchObject([{ type: 'fault', code: 'QD-8120' }]);
  expect(run.code).toBe(3);
});

describe('with one coordinator', () => {
  let nas: Daemon;
  const joined: Daemon[] = [];
  beforeAll(async () => {
    nas = await up('nas');
  });
  afterEach(async () => {
    await Promise.all(joined.splice(0).map((daemon) => daemon.stop()));
  });
  afterAll(() => nas.stop());

  test('the printed line makes a worker', async () => {
    const tower = await join1(nas.token, 'tower');
    joined.push(tower);
    expect(tower.first).toMatchObject({ type: 'joined', coordinator: 'nas', role: 'worker' });
    console.log(`joined in ${tower.first['seconds']} s`);
    await untilCluster(nas, (view) => connectedNames(view).includes('tower'), 'tower is there');
    const peers = parseEvents(await runQuantd(['peers', '--json'], { data: nas.data }))[0];
    expect(peers).toMatchObject({ type: 'peers', state: 'coordinator', name: 'nas' });
    const shown = await runQuantd(['peers'], { data: tower.data });
    expect(shown.stdout).toMatch(/nas +[0-9a-z]{4}-[0-9a-z]{4} +coordinator +connected +\w+/);
    // The member that it is already goes on without a token.
    await tower.stop();
    const again = await startDaemon(['join', ...CLOSED], { data: tower.data });
    joined.push(again);
    expect(again.first).toMatchObject({ type: 'joined', coordinator: 'nas' });
    await untilCluster(nas, (view) => connectedNames(view).includes('tower'), 'tower is back');
  });

  test('a token in capitals and lines, on standard input, is as good', async () => {
    const { token } = await invite(nas);
    const wrapped = token.toUpperCase().replace(/.{40}/g, '$&\n    ');
    const daemon = await startDaemon(['join', '-', '--name', 'wrapped', ...CLOSED], {
      data: fresh(),
      input: `quantd join ${wrapped}\n`,
    });
    joined.push(daemon);
    expect(daemon.first).toMatchObject({ type: 'joined', coordinator: 'nas' });
  });

  test('an invite lets in as many as it says, each as often as it asks', async () => {
    const { token, id } = await invite(nas);
    const first = await join1(token, 'first');
    await first.stop();
    const again = await join1(token, 'first', first.data);
    joined.push(again);
    expect(again.first).toMatchObject({ type: 'joined' });
    // Another invite is open, so the coordinator answers and says why not.
    await invite(nas);
    expect(await refusal([token])).toBe('QD-8213');
    const invites = await nas.cluster.invites();
    expect(invites.find((other) => other.id === id)).toMatchObject({ usesLeft: 0, state: 'spent' });
  });

  test('an invite that was revoked, has expired or was never given opens nothing', async () => {
    const stranger = await waitingDaemon();
    const revoked = await invite(nas);
    expect((await runQuantd(['revoke', revoked.id], { data: nas.data })).code).toBe(0);
    expect(await refusalBy(stranger, revoked.token)).toBe('QD-8214');

    const short = await invite(nas, { ttlSeconds: 1 });
    const real = decodeToken(short.token, sha256, 0);
    // Whoever writes another hour into the token is told by the coordinator, which kept its own.
    const longer = encodeToken({ ...real, expiresMs: Date.now() + 3_600_000 }, sha256);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect(await refusalBy(stranger, short.token)).toBe('QD-8207');
    expect(await refusalBy(stranger, longer)).toBe('QD-8212');

    const good = decodeToken((await invite(nas)).token, sha256, 0);
    const forge = (changed: Partial<InviteToken>): string =>
      encodeToken({ ...good, ...changed }, sha256);
    expect(await refusalBy(stranger, forge({ secret: randomBytes(32) }))).toBe('QD-8211');
    expect(await refusalBy(stranger, forge({ invite: randomBytes(8) }))).toBe('QD-8211');
    expect(await refusalBy(stranger, forge({ networkKey: randomBytes(32) }))).toBe('QD-8216');
    // Another machine at the coordinator's address cannot pass for it.
    const other = peerIdOf(identityOf(randomBytes(32)).publicKey);
    expect(await refusalBy(stranger, forge({ coordinator: other, cluster: other }))).toBe(
      'QD-8216',
    );
    await stranger.close();
    expect((await nas.view()).members.map(({ name }) => name)).not.toContain('stranger');
  });

  test('text that is no token is refused before anyone is called', async () => {
    const stranger = await waitingDaemon();
    const { token } = await invite(nas);
    expect(await refusalBy(stranger, token.slice(0, -9))).toBe('QD-8204');
    expect(
      await refusalBy(
        stranger,
        token.replace(/.$/, (last) => (last === 'x' ? 'y' : 'x')),
      ),
    ).toBe('QD-8205');
    expect(await refusalBy(stranger, `qd2${token.slice(3)}`)).toBe('QD-8202');
    expect(await refusalBy(stranger, token.replace(/.$/, 'а'))).toBe('QD-8203');
    expect(await refusalBy(stranger, 'hello')).toBe('QD-8201');
    await stranger.close();
    // The command says the same.
    expect(await refusal([token.slice(0, -9)])).toBe('QD-8204');
    const own = await runQuantd(['join', token, '--json'], { data: nas.data });
    expect(parseEvents(own).at(-1)).toMatchObject({ code: 'QD-8233', exit: 2 });
    expect(await refusal([])).toBe('QD-8241');
  });

  test('a stranger gets nowhere, with the network key or without', async () => {
    const real = decodeToken((await invite(nas)).token, sha256, 0);
    const target = { peer: real.coordinator, addresses: real.addresses };
    const ask = async (key: Uint8Array, protocol: string, request: Uint8Array): Promise<string> => {
      const node = await PeerNode.start({
        identity: identityOf(randomBytes(32)).privateKey,
        networkKeys: [{ epoch: 1, key }],
        ...{ listen: [], mdns: false, serviceTag: '_none._udp.local' },
        hello: {
          ...{ kind: 'hello', version: '0.1.0', contract: 'det-1', name: 'x', isa: 'scalar' },
          ...{
            threads: 1,
            ramBytes: 1,
            diskBytes: 1,
            bytesPerSecond: 1,
            multiplicationsPerSecond: 1,
          },
        },
        roleOf: () => undefined,
        admitsStrangers: () => false,
        sha256: async (bytes) => sha256(bytes),
      });
      try {
        const answer = await node.ask(target, protocol, request, AbortSignal.timeout(5000));
        return `answered ${answer.length}`;
      } catch (error) {
        return error instanceof Error ? error.name : 'error';
      } finally {
        await node.stop();
      }
    };
    const nothing = new Uint8Array();
    expect(await ask(randomBytes(32), JOIN_PROTOCOL, nothing)).toBe('FaultError');
    // With the key of a token it may knock, and learns no more than that it is not let in.
    expect(await ask(real.networkKey, JOIN_PROTOCOL, randomBytes(59))).toMatch(
      /^answered \d{1,3}$/,
    );
    expect(await ask(real.networkKey, JOIN_PROTOCOL, randomBytes(60_000))).toMatch(
      /^answered \d{1,3}$/,
    );
    expect(await ask(real.networkKey, LEAVE_PROTOCOL, nothing)).toBe('FaultError');
    expect(await ask(real.networkKey, '/quantd/control/1', nothing)).toBe('FaultError');
    // Without an open invite not even that.
    for (const { id, state } of await nas.cluster.invites()) {
      if (state === 'open') await nas.cluster.revoke(id);
    }
    expect(await ask(real.networkKey, JOIN_PROTOCOL, nothing)).toBe('FaultError');
  });
});

test('who is revoked is dropped by all, and cannot come back; the others go on', async () => {
  const nas = await up('nas');
  const [tower, laptop, away] = await Promise.all([
    join1(nas.token, 'tower'),
    join1(nas.token, 'laptop'),
    join1(nas.token, 'away'),
  ]);
  const all = ['away', 'laptop', 'tower'];
  await untilCluster(nas, (view) => connectedNames(view).join() === all.join(), 'all are there');
  await away.stop();

  const revoked = await runQuantd(['revoke', 'laptop', '--json'], { data: nas.data });
  expect(parseEvents(revoked)[0]).toMatchObject({
    kind: 'member',
    which: 'laptop',
    invitesEnded: 1,
  });
  await untilCluster(
    nas,
    (view) => view.epoch === 2 && connectedNames(view).join() === 'tower',
    'tower alone is left under the new key',
  );
  const seen = await untilCluster(
    tower,
    (view) => view.epoch === 2 && connectedNames(view).join() === 'nas',
    'tower goes on under the new key',
  );
  expect(seen.members.map(({ name }) => name)).not.toContain('laptop');
  await untilCluster(laptop, (view) => view.state === 'revoked', 'laptop has been told');

  // What was away comes back by itself and is told the key it missed.
  const back = await startDaemon(['join', ...CLOSED], { data: away.data });
  await untilCluster(
    back,
    (view) => view.epoch === 2 && connectedNames(view).includes('nas'),
    'who was away is back under the new key',
  );
  // The revoked one has its old key, its old membership, and the old token.
  await laptop.stop();
  expect(await refusal([], laptop.data)).toBe('QD-8241');
  expect(await refusal([nas.token], laptop.data)).toBe('QD-8216');
  expect(await refusal([nas.token])).toBe('QD-8216');
  const names = (await nas.view()).members.map(({ name }) => name);
  expect(names.sort()).toEqual(['away', 'nas', 'tower']);

  // After a power cut the coordinator comes back with the members it had, and they with it.
  await nas.kill();
  const again = await up('nas', nas.data);
  await untilCluster(
    again,
    (view) => view.epoch === 2 && connectedNames(view).join() === 'away,tower',
    'all are back',
  );
  await Promise.all([again, tower, back].map((daemon) => daemon.stop()));
});

test('who leaves is no member any more, and may come again', async () => {
  const nas = await up('nas');
  const tower = await join1(nas.token, 'tower');
  await untilCluster(nas, (view) => connectedNames(view).join() === 'tower', 'tower is there');
  const founder = await runQuantd(['leave', '--json'], { data: nas.data });
  expect(parseEvents(founder)[0]).toMatchObject({ type: 'fault', code: 'QD-8244', exit: 2 });
  const left = await runQuantd(['leave', '--json'], { data: tower.data });
  expect(parseEvents(left)[0]).toMatchObject({ type: 'left', wasTold: true });
  const alone = await untilCluster(nas, (view) => view.members.length === 1, 'tower has gone');
  expect(alone.epoch).toBe(1);
  expect((await tower.view()).state).toBe('none');
  await tower.stop();

  const again = await join1(nas.token, 'tower again', tower.data);
  await untilCluster(nas, (view) => connectedNames(view).join() === 'tower again', 'it is back');
  // Without a daemon the coordinator is told all the same; without a coordinator it is said.
  await again.stop();
  const told = await runQuantd(['leave', '--json'], { data: tower.data });
  expect(parseEvents(told)[0]).toMatchObject({ wasTold: true });
  const last = await join1((await invite(nas)).token, 'tower', tower.data);
  await nas.stop();
  const untold = await runQuantd(['leave', '--json'], { data: last.data });
  expect(parseEvents(untold)[0]).toMatchObject({ wasTold: false });
  await last.stop();
});
