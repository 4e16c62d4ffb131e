/** Goal: whoever listens sees one network, whatever nodes come and go behind it. */

import { expect, test } from 'vitest';
import type { BlobProvider, ConnectedPeer, Network, NetworkListener } from '../ports.ts';
import { StableNetwork } from './stable-network.ts';

class FalseNetwork implements Network {
  readonly self = 'self';
  readonly sent: string[] = [];
  readonly listeners = new Set<NetworkListener>();
  readonly providers = new Set<BlobProvider>();
  readonly #peers: ConnectedPeer[];

  constructor(...names: string[]) {
    this.#peers = names.map((peer) => ({ peer, role: 'worker', hello: helloOf(peer) }));
  }

  peers(): readonly ConnectedPeer[] {
    return this.#peers;
  }

  listen(listener: NetworkListener): () => void {
    this.listeners.add(listener);
    for (const peer of this.#peers) listener.connected?.(peer);
    return () => this.listeners.delete(listener);
  }

  send(to: string): void {
    this.sent.push(to);
  }

  async addressesOf(): Promise<readonly string[]> {
    return [];
  }

  meet(): void {}

  hint(): void {
    this.sent.push('hint');
  }

  async pull(): Promise<void> {
    this.sent.push('pull');
  }

  serve(provider: BlobProvider): () => void {
    this.providers.add(provider);
    return () => this.providers.delete(provider);
  }
}

function helloOf(name: string): ConnectedPeer['hello'] {
  return {
    ...{ kind: 'hello', version: '1', contract: 'det-1', name, isa: 'scalar' },
    ...{ threads: 1, ramBytes: 1, diskBytes: 1, bytesPerSecond: 1, multiplicationsPerSecond: 1 },
  };
}

const message = { kind: 'run-open', run: '0'.repeat(32) } as const;
const pull = [[], { kind: 'block-run', run: '', unit: '', bytes: 0 }, new Uint8Array()] as const;
const options = { signal: new AbortController().signal };

test('a change of nodes is peers that go and peers that come', async () => {
  const network = new StableNetwork('self');
  const events: string[] = [];
  const stop = network.listen({
    connected: ({ peer }) => events.push(`+${peer}`),
    disconnected: (peer) => events.push(`-${peer}`),
  });
  network.send('a', message);
  await expect(network.pull(...pull, options)).rejects.toThrow('QD-8231');
  expect(network.peers()).toEqual([]);

  const first = new FalseNetwork('a', 'b');
  network.use(first);
  const second = new FalseNetwork('b', 'c');
  network.use(second);
  network.send('c', message);
  await network.pull(...pull, options);
  expect(first.sent).toEqual([]);
  expect(second.sent).toEqual(['c', 'pull']);
  network.use(undefined);
  expect(events).toEqual(['+a', '+b', '-a', '-b', '+b', '+c', '-b', '-c']);
  expect([first.listeners.size, second.listeners.size]).toEqual([0, 0]);

  stop();
  network.use(new FalseNetwork('d'));
  expect(events).toHaveLength(8);
});

test('what is offered is offered by every node, until it is no more', () => {
  const network = new StableNetwork('self');
  const stop = network.serve({ read: async () => undefined });
  const first = new FalseNetwork();
  const second = new FalseNetwork();
  network.use(first);
  expect(first.providers.size).toBe(1);
  network.use(second);
  expect([first.providers.size, second.providers.size]).toEqual([0, 1]);
  stop();
  expect(second.providers.size).toBe(0);
});

test('one listener given twice hears twice, and leaves once each', () => {
  const network = new StableNetwork('self');
  let heard = 0;
  const listener: NetworkListener = { connected: () => heard++ };
  const [stop] = [network.listen(listener), network.listen(listener)];
  network.use(new FalseNetwork('a'));
  expect(heard).toBe(2);
  stop();
  network.use(new FalseNetwork('b'));
  expect(heard).toBe(3);
});

test('a listener may leave while it is told', () => {
  const network = new StableNetwork('self');
  const events: string[] = [];
  let stop = (): void => undefined;
  network.use(new FalseNetwork('a'));
  stop = network.listen({
    disconnected: (peer) => {
      events.push(peer);
      stop();
    },
    connected: ({ peer }) => events.push(`+${peer}`),
  });
  network.use(new FalseNetwork('b'));
  expect(events).toEqual(['+a', 'a']);
});
