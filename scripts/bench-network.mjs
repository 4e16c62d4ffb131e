// Network bench: how fast one peer pulls from another, both on this machine, every block hashed at
// both ends and compared.
//   node scripts/bench-network.mjs [--smoke]
// MB is 10^6 bytes; a core-second is CPU time of one end, so it holds on a busy machine too.
import { fork } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const smoke = process.argv.includes('--smoke');
const LEAF_BYTES = 1024 * 1024;
const GOAL = 400;
const bundle = join(root, 'build/bench/network.mjs');

/** The node as the daemon runs it: from a bundle. */
async function bundleNode() {
  const { build } = await import('esbuild');
  await build({
    absWorkingDir: root,
    stdin: {
      contents: `import './daemon/polyfill.ts';
        export { PeerNode } from './daemon/adapters/network/peer-node.ts';
        export { loadKernels } from './daemon/adapters/kernels.ts';
        export { generateKeyPair, privateKeyToProtobuf } from '@libp2p/crypto/keys';`,
      resolveDir: root,
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
}

/** A node whose members are whoever is in `members`, and how it hashes. */
async function startNode(members) {
  const { PeerNode, loadKernels, generateKeyPair, privateKeyToProtobuf } = await import(
    pathToFileURL(bundle).href
  );
  const addonPath = join(root, 'build/kernels/quantd.node');
  const kernels = existsSync(addonPath) ? loadKernels({ addonPath, threads: 2 }) : undefined;
  const node = await PeerNode.start({
    identity: privateKeyToProtobuf(await generateKeyPair('Ed25519')),
    networkKeys: [{ epoch: 1, key: new Uint8Array(32) }],
    listen: ['/ip4/127.0.0.1/tcp/0'],
    mdns: false,
    serviceTag: '_quantd-bench._udp.local',
    hello: {
      kind: 'hello',
      version: 'bench',
      contract: 'bench',
      name: 'bench',
      isa: 'none',
      threads: 0,
      ramBytes: 0,
      diskBytes: 0,
      bytesPerSecond: 0,
      multiplicationsPerSecond: 0,
    },
    roleOf: (peer) => (members.has(peer) ? 'worker' : undefined),
    admitsStrangers: () => false,
    sha256: kernels
      ? (bytes) => kernels.sha256(bytes)
      : async (bytes) => createHash('sha256').update(bytes).digest(),
  });
  return { node, hashes: kernels ? "the addon's threads" : 'node:crypto' };
}

/** The end that gives: one random array for every blob that is asked for. */
async function serve() {
  const members = new Set();
  const { node } = await startNode(members);
  const bytes = randomBytes(Number(process.argv[3]));
  const digests = [];
  for (let offset = 0; offset < bytes.length; offset += LEAF_BYTES) {
    const leaf = bytes.subarray(offset, offset + LEAF_BYTES);
    digests.push(createHash('sha256').update(leaf).digest('hex'));
  }
  node.network.serve({
    read: async (_to, _blob, offset, length) => bytes.subarray(offset, offset + length),
  });
  process.on('message', ({ member }) => {
    if (member) members.add(member);
    process.send({ cpu: process.cpuUsage(), rss: process.memoryUsage().rss });
  });
  process.on('disconnect', () => process.exit(0));
  process.send({ peer: node.self, addresses: node.addresses(), digests });
}

const cpuSeconds = ({ user, system }) => (user + system) / 1e6;

async function ask(child, question) {
  child.send(question);
  return (await once(child, 'message'))[0];
}

/** One measurement: blobs of `blobBytes`, so many at a time, `totalBytes` in all. */
async function measure({ node, child, peer, digests, blobBytes, atOnce, totalBytes }) {
  const { signal } = new AbortController();
  const before = await ask(child, {});
  const cpu = process.cpuUsage();
  const start = process.hrtime.bigint();
  let left = Math.max(1, Math.round(totalBytes / blobBytes));
  const pulled = left * blobBytes;
  const lane = async () => {
    const into = new Uint8Array(blobBytes);
    while (left > 0) {
      left -= 1;
      const blob = {
        kind: 'source',
        run: '0'.repeat(32),
        fileDigest: '0'.repeat(64),
        offset: 0,
        bytes: blobBytes,
      };
      await node.network.pull([peer], blob, into, {
        digests: digests.slice(0, Math.ceil(blobBytes / LEAF_BYTES)),
        signal,
      });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const own = cpuSeconds(process.cpuUsage(cpu));
  const after = await ask(child, {});
  const other = cpuSeconds(after.cpu) - cpuSeconds(before.cpu);
  const megabytes = pulled / 1e6;
  return {
    rate: megabytes / seconds,
    received: megabytes / own,
    sent: megabytes / other,
    rss: Math.max(after.rss, process.memoryUsage().rss) / 1e6,
  };
}

/** Runs the bench and prints it; resolves to the best MB/s. */
export async function benchNetwork({ small = false } = {}) {
  await bundleNode();
  const blobMax = 64 * LEAF_BYTES;
  const child = fork(fileURLToPath(import.meta.url), ['--serve', String(blobMax)]);
  try {
    const [hello] = await once(child, 'message');
    const digests = hello.digests.map((digest) => Buffer.from(digest, 'hex'));
    const { node, hashes } = await startNode(new Set([hello.peer]));
    await ask(child, { member: node.self });
    node.keep(hello.peer, hello.addresses);
    while (node.network.peers().length === 0) await new Promise((done) => setTimeout(done, 20));

    const totalBytes = small ? 2e8 : 2e9;
    console.log(`network: two processes, loopback, SHA-256 on ${hashes}; goal ${GOAL} MB/s`);
    console.log('blobs               MB/s   MB/core-s pull   MB/core-s serve   RSS MB');
    let best = 0;
    for (const [mebibytes, atOnce] of [
      [64, 1],
      [8, 1],
      [8, 4],
    ]) {
      const blobBytes = mebibytes * LEAF_BYTES;
      const found = await measure({
        node,
        child,
        ...hello,
        digests,
        blobBytes,
        atOnce,
        totalBytes,
      });
      const { rate, received, sent, rss } = found;
      best = Math.max(best, rate);
      const what = `${mebibytes} MiB, ${atOnce} at once`.padEnd(18);
      const columns = [rate.toFixed(0).padStart(5), received.toFixed(0).padStart(12)];
      console.log(what, ...columns, sent.toFixed(0).padStart(16), rss.toFixed(0).padStart(12));
    }
    await node.stop();
    return best;
  } finally {
    child.disconnect();
  }
}

if (process.argv[2] === '--serve') await serve();
else if (process.argv[1] === fileURLToPath(import.meta.url)) await benchNetwork({ small: smoke });
