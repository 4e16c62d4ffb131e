/**
 * Goal: the node works in the shape in which it is shipped, bundled, and a process that
 * dies in the middle of everything takes nobody along. Method: a second process runs the bundle.
 */

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { BlobName } from '../../../proto/blob-names.ts';
import { LEAF_BYTES } from '../../../proto/peer-messages.ts';
import { connected, type Identity, madeIdentities, madeNode, until } from './made-nodes.ts';
import type { PeerNode } from './peer-node.ts';

const directory = mkdtempSync(join(tmpdir(), 'quantd-bundle-'));
const bundle = join(directory, 'node.mjs');
const cleanups: (() => unknown)[] = [];

/** A node that serves zeroes and tells its parent where it is. */
const program = `
  import './daemon/polyfill.ts';
  import { madeNode } from './daemon/adapters/network/made-nodes.ts';
  const ids = JSON.parse(process.argv[2]).map(({ peer, identity }) =>
    ({ peer, identity: Buffer.from(identity, 'hex') }));
  const node = await madeNode(ids[1], ids);
  node.network.serve({ read: async (_to, _blob, _offset, bytes) => new Uint8Array(bytes) });
  node.network.listen({ message: (from, message) => node.network.send(from.peer, message) });
  process.on('disconnect', () => process.exit());
  process.send(node.addresses());
`;

beforeAll(async () => {
  await build({
    stdin: {
      contents: program,
      resolveDir: fileURLToPath(new URL('../../..', import.meta.url)),
      loader: 'ts',
    },
    outfile: bundle,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    logLevel: 'warning',
    banner: {
      js: "import { createRequire as quantdRequire } from 'node:module'; const require = quantdRequire(import.meta.url);",
    },
  });
});
afterAll(() => rmSync(directory, { recursive: true }));
afterEach(async () => {
  await Promise.all(cleanups.splice(0).map((cleanup) => cleanup()));
});

interface Both {
  readonly node: PeerNode;
  readonly peer: string;
  readonly child: ChildProcess;
}

async function both(): Promise<Both> {
  const ids = await madeIdentities(2);
  const [a, b] = ids;
  if (!a || !b) throw new Error('two identities');
  const hex = ({ peer, identity }: Identity): object => ({
    peer,
    identity: Buffer.from(identity).toString('hex'),
  });
  const child = fork(bundle, [JSON.stringify(ids.map(hex))], { execArgv: [] });
  cleanups.push(() => child.kill('SIGKILL'));
  const [addresses]: string[][] = await once(child, 'message');
  const node = await madeNode(a, ids);
  cleanups.push(() => node.stop());
  node.keep(b.peer, addresses ?? []);
  await connected(node, b.peer);
  return { node, peer: b.peer, child };
}

const blobOf = (bytes: number): BlobName => ({
  kind: 'block-run',
  run: '0'.repeat(32),
  unit: '1'.repeat(64),
  bytes,
});

test('a node from a bundle pulls, gives and answers', async () => {
  const { node, peer } = await both();
  const heard: string[] = [];
  node.network.listen({ message: (_, { kind }) => heard.push(kind) });
  node.network.send(peer, { kind: 'run-open', run: '0'.repeat(32) });
  await until(() => heard.length === 1);
  const into = new Uint8Array(5 * LEAF_BYTES + 1).fill(7);
  await node.network.pull([peer], blobOf(into.length), into, {
    signal: new AbortController().signal,
  });
  expect(into.every((byte) => byte === 0)).toBe(true);
});

test('a process that is killed in the middle of pulls and messages is only gone', async () => {
  const { node, peer, child } = await both();
  const gone: string[] = [];
  node.network.listen({ disconnected: (who) => gone.push(who) });
  const controller = new AbortController();
  const into = new Uint8Array(64 * LEAF_BYTES);
  const pulls = Array.from({ length: 3 }, () =>
    node.network.pull([peer], blobOf(into.length), into, { signal: controller.signal }),
  );
  const ended = Promise.allSettled(pulls);
  await until(() => (node.counters().receivedBytes.get(peer) ?? 0) > 4 * LEAF_BYTES);
  const tasks = Array.from({ length: 1000 }, (_, task) => task);
  for (let count = 0; count < 100; count++) {
    node.network.send(peer, { kind: 'working', run: '0'.repeat(32), tasks });
  }
  child.kill('SIGKILL');
  await until(() => gone.length === 1, 6000);
  node.network.send(peer, { kind: 'run-open', run: '0'.repeat(32) });
  controller.abort(new Error('nobody is left'));
  const outcomes = await ended;
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
});
