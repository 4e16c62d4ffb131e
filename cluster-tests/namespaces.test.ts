/** That the hosts of a test network are as machines on a wire, and that nothing of them stays. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, describe, expect, test } from 'vitest';
import { connectedNames, type Daemon, endDaemons, startDaemon, untilCluster } from './cluster.ts';
import { type Host, makeNetwork, whyNoNamespaces } from './namespaces.ts';
import { requireOrSkip } from './privileges.ts';
import { makeScratch } from './quantd.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
// Longer, and a person doubts that it works.
const FOUND_MS_MAX = 5_000;

/** Says its address to everyone in a multicast group ten times a second; prints what it hears. */
const shout = (address: string): string => `
  const socket = require('node:dgram').createSocket('udp4');
  socket.on('message', (text) => console.log(String(text)));
  socket.bind(5399, () => {
    socket.addMembership('224.0.0.251');
    setInterval(() => socket.send('${address}', 5399, '224.0.0.251'), 100);
  });
`;

/** A process on a host that shouts and listens. */
class Shouter {
  readonly #host: Host;
  #heard: string[] = [];
  #wake: () => void = () => undefined;

  constructor(host: Host) {
    this.#host = host;
    const child = host.spawn(process.execPath, ['-e', shout(host.address)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (child.stdout === null) throw new Error('no output');
    createInterface(child.stdout).on('line', (line) => {
      // It hears itself too, as the sender of a multicast does.
      if (line === host.address) return;
      this.#heard.push(line);
      this.#wake();
    });
  }

  get heardCount(): number {
    return this.#heard.length;
  }

  /** Resolves when `other` is heard `times` times from now on; one such question at a time. */
  async hears(other: Shouter, times = 1): Promise<void> {
    const { address } = other.#host;
    this.#heard = [];
    while (this.#heard.filter((name) => name === address).length < times) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

const networkOf = (pid: number | string): string => readlinkSync(`/proc/${pid}/ns/net`);

/** The network namespaces in which processes are, without this one's. */
function otherNetworks(): Set<string> {
  const networks = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return [networkOf(pid)];
      } catch {
        return []; // The process has ended.
      }
    });
  return new Set(networks.filter((network) => network !== networkOf('self')));
}

/** Resolves when `holds`; a test that waits in vain ends by its own limit. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await wait(20);
}

describe.skipIf(requireOrSkip('network namespaces', whyNoNamespaces()))('a test network', () => {
  test('carries multicast between its hosts, but not over a pulled cable', async () => {
    const { hosts, remove } = await makeNetwork(3);
    try {
      const [first, second, third] = hosts.map((host) => new Shouter(host));
      if (!first || !second || !third) throw new Error('not three hosts');
      await Promise.all([first.hears(second), second.hears(third), third.hears(first)]);

      hosts[0]?.linkDown();
      // What was under way has arrived by then; the others are the witnesses of the time.
      await second.hears(third, 3);
      const { heardCount } = first;
      await Promise.all([second.hears(third, 10), third.hears(second, 10)]);
      expect(first.heardCount).toBe(heardCount);

      hosts[0]?.linkUp();
      await Promise.all([first.hears(second), second.hears(first), third.hears(first)]);
    } finally {
      await remove();
    }
  });

  test('is not seen by the machine and leaves nothing behind', async () => {
    const interfaces = Object.keys(networkInterfaces());
    const before = otherNetworks();
    const { hosts, remove } = await makeNetwork(2);
    const sleeper = hosts[0]?.spawn('sleep', ['1000'], { stdio: 'ignore' });
    if (sleeper === undefined) throw new Error('no host');
    const ended = once(sleeper, 'exit');
    const made = [...otherNetworks()].filter((network) => !before.has(network));
    // Two hosts and the bridge between them.
    expect(made.length).toBeGreaterThanOrEqual(3);
    expect(Object.keys(networkInterfaces())).toEqual(interfaces);
    await until(() => made.includes(networkOf(sleeper.pid ?? 0)));
    await remove();
    expect(await ended).toEqual([null, 'SIGKILL']);
    await until(() => made.every((network) => !otherNetworks().has(network)));
  });

  test('is gone with its processes when the test process is killed', async () => {
    const scratch = await makeScratch('namespaces');
    try {
      const crashing = await startCrashing(join(scratch.path, 'crashing.mjs'));
      const [line] = await once(createInterface(crashing.stdout ?? process.stdin), 'line');
      const sleeper = Number(line);
      await until(() => networkOf(sleeper) !== networkOf('self'));
      const network = networkOf(sleeper);
      expect(otherNetworks()).toContain(network);
      crashing.kill('SIGKILL');
      await until(() => !otherNetworks().has(network));
    } finally {
      await scratch.remove();
    }
  });
});

/** A process that makes a host with another process on it, prints that one's id, and stays. */
async function startCrashing(script: string): Promise<ChildProcess> {
  await build({
    stdin: {
      contents: `
        import { makeNetwork } from './namespaces.ts';
        const { hosts } = await makeNetwork(1);
        console.log(hosts[0].spawn('sleep', ['1000'], { stdio: 'ignore' }).pid);
        setInterval(() => undefined, 1000);
      `,
      resolveDir: join(root, 'cluster-tests'),
      loader: 'ts',
    },
    outfile: script,
    bundle: true,
    platform: 'node',
    format: 'esm',
  });
  return spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
}

describe.skipIf(requireOrSkip('daemons nearby', whyNoNamespaces()))('two daemons', () => {
  afterAll(endDaemons);

  // Goal: no address is typed, and nobody gets in whom only one side wanted. Method: neither host
  // is told of the other; what each shows is asked over its own local API.
  test('find each other and become a cluster when both owners agree', async () => {
    const scratch = await makeScratch('nearby');
    const { hosts, remove } = await makeNetwork(2);
    try {
      const [attic, cellar] = hosts;
      if (attic === undefined || cellar === undefined) throw new Error('not two hosts');
      const start = (words: readonly string[], name: string, { prefix }: Host): Promise<Daemon> =>
        startDaemon([...words, '--lan', '--name', name, '--threads', '1'], {
          data: join(scratch.path, name),
          prefix,
        });
      const coordinator = await start(['up'], 'attic', attic);
      const worker = await start(['join', '--nearby'], 'cellar', cellar);
      const startMs = performance.now();
      const { nearby } = await untilCluster(
        coordinator,
        (view) => view.nearby.length > 0,
        'heard of the worker',
      );
      const foundMs = performance.now() - startMs;
      console.log(`found in ${Math.round(foundMs)} ms`);
      expect(foundMs).toBeLessThan(FOUND_MS_MAX);
      expect(nearby.map(({ name }) => name)).toEqual(['cellar']);

      await coordinator.cluster.approve('cellar');
      const { offers, members } = await untilCluster(
        worker,
        (view) => view.offers.length > 0,
        'was offered a place',
      );
      expect(offers.map(({ name }) => name)).toEqual(['attic']);
      // One side alone lets nobody in.
      expect(members.filter(({ isSelf }) => !isSelf)).toEqual([]);
      expect(connectedNames(await coordinator.view())).toEqual([]);

      await worker.cluster.approve('attic');
      await untilCluster(worker, (view) => connectedNames(view).includes('attic'), 'joined');
      const after = await untilCluster(
        coordinator,
        (view) => connectedNames(view).includes('cellar'),
        'saw the worker join',
      );
      const member = after.members.find(({ name }) => name === 'cellar');
      expect(member?.role).toBe('worker');
    } finally {
      await remove();
      await scratch.remove();
    }
  });
});
