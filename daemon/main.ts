/**
 * The daemon: the one place where adapters are made and joined to the roles.
 *
 *   settings ──▶ kernels, source, outputs, local API ──▶ roles/run.ts
 *
 * The main thread does requests, files and decisions; arithmetic and hashing run on the addon's
 * own threads.
 */

import './polyfill.ts';
import { createHash, randomInt } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FaultError } from '../proto/fault.ts';
import type { Hello } from '../proto/peer-messages.ts';
import { loadIdentity } from './adapters/cluster-store.ts';
import { loadForward } from './adapters/forward.ts';
import { openHeldOutputs } from './adapters/held-outputs.ts';
import { openHubOrigin } from './adapters/hub-origin.ts';
import { type Addon, loadKernels } from './adapters/kernels.ts';
import { DiskLeafStore } from './adapters/leaf-store.ts';
import { serveLocalApi } from './adapters/local-api.ts';
import { takeLock } from './adapters/lock-file.ts';
import { openMeasurementFiles } from './adapters/measurement-files.ts';
import { withWeights } from './adapters/weights-file.ts';
import type { Cluster } from './cluster/cluster.ts';
import type { StartNode } from './cluster/cluster-node.ts';
import { type OpenClusterOptions, openCluster } from './cluster/open-cluster.ts';
import { planRegisters } from './core/models/registers.ts';
import type { Sha256 } from './core/plan/unit-id.ts';
import type { Clock } from './ports.ts';
import { AssemblyHolder } from './roles/assembly-holder.ts';
import { LeaseHolder } from './roles/lease-holder.ts';
import { measureMultiplying, multipliedWeights } from './roles/measure-products.ts';
import { type OpenOrigin, OriginPieces } from './roles/origin-pieces.ts';
import type { MeasureTools } from './roles/prepare-measure.ts';
import { StageHolder } from './roles/stage-holder.ts';
import { Service } from './service.ts';
import { parseSettings, type Settings, socketPath } from './settings.ts';

declare const QUANTD_VERSION: string;
declare const QUANTD_SELF_TESTS: Settings['selfTests'];

async function main(): Promise<void> {
  const buildDirectory = dirname(fileURLToPath(import.meta.url));
  const settings = parseSettings(process.argv.slice(2), process.env, {
    addonPath: join(buildDirectory, 'kernels', 'quantd.node'),
    defaultText: join(buildDirectory, 'texts', 'calibration.txt'),
    shippedRecipes: join(buildDirectory, 'recipes'),
    version: QUANTD_VERSION,
    selfTests: QUANTD_SELF_TESTS,
  });
  await mkdir(settings.dataDirectory, { recursive: true, mode: 0o700 });
  const lock = await takeLock(join(settings.dataDirectory, 'lock'));
  const kernels = loadKernels({
    addonPath: settings.addonPath,
    // Who computes nothing for others still hashes, and makes its own runs.
    threads: Math.max(1, settings.threads),
    ...(settings.isa === undefined ? {} : { isa: settings.isa }),
  });
  const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();
  const clock: Clock = {
    now: () => performance.now(),
    after: (milliseconds, work) => {
      const timer = setTimeout(work, milliseconds);
      return () => clearTimeout(timer);
    },
  };
  const openForward = forwardOpener(settings);
  const multiplicationsPerSecond = once(async () => {
    const forward = openForward();
    try {
      const cpuSeconds = (): number => {
        const { user, system } = process.cpuUsage();
        return (user + system) / 1e6;
      };
      return await withWeights(settings.dataDirectory, multipliedWeights(), (path) =>
        measureMultiplying(path, forward, { ...clock, cpuSeconds }),
      );
    } finally {
      forward.close();
    }
  });
  const opened = await openPeering(settings, { kernels, clock, multiplicationsPerSecond });
  const forwardTools = { openForward, multiplicationsPerSecond };
  const tools = await measureTools(settings, opened?.hello, forwardTools);
  const ports = { settings, kernels, clock, sha256, tools };
  const holders = opened === undefined ? [] : await holdLeases(opened, ports);
  const service = new Service({
    ...ports,
    peers: opened && {
      network: () => (opened.cluster.isCoordinator ? opened.cluster.network : undefined),
      bytesPerSecond: opened.hello.bytesPerSecond,
      multiplicationsPerSecond: opened.hello.multiplicationsPerSecond,
    },
  });
  const path = socketPath(settings.dataDirectory);
  const server = await serveLocalApi(path, service, opened?.cluster);
  const stop = once(async () => {
    await service.close();
    for (const holder of holders) await holder.stop();
    await opened?.cluster.close();
    server.closeAllConnections();
    server.close();
    kernels.close();
    await rm(path, { force: true });
    await lock.release();
  });
  endOn(settings, stop);
  if (settings.peering?.begins === 'up') {
    await opened?.cluster.up().catch(async (error: unknown) => {
      await stop();
      throw error;
    });
  }
  process.stdout.write(`${JSON.stringify({ status: service.status() })}\n`);
}

/** Undefined for a daemon of one command, which opens no port. */
async function openPeering(
  settings: Settings,
  ports: Pick<OpenClusterOptions, 'kernels' | 'clock' | 'multiplicationsPerSecond'>,
): Promise<{ cluster: Cluster; hello: Hello } | undefined> {
  const { peering } = settings;
  if (peering === undefined) return undefined;
  // A command that needs no network does not load the code for one.
  const { PeerNode } = await import('./adapters/network/peer-node.ts');
  const startNode: StartNode = (options) => PeerNode.start(options);
  return openCluster({ ...ports, settings, peering, startNode });
}

type Tools = MeasureTools & { readonly store: DiskLeafStore | undefined };

function forwardOpener({ addonPath, threads, isa }: Settings): MeasureTools['openForward'] {
  return (wanted) =>
    loadForward({
      addonPath,
      planRegisters,
      threads: wanted ?? Math.max(1, threads),
      ...(isa === undefined ? {} : { isa }),
    });
}

/** What measuring needs of this machine, for its own runs and for those of others. */
async function measureTools(
  { dataDirectory, ramBytes }: Settings,
  hello: Hello | undefined,
  forward: Pick<MeasureTools, 'openForward' | 'multiplicationsPerSecond'>,
): Promise<Tools> {
  const leaves = join(dataDirectory, 'leaves');
  // Of a machine that lends out a part of itself that part alone counts.
  const memoryBytes = Math.min(totalmem(), process.constrainedMemory() || totalmem());
  return {
    ...forward,
    openMeasurement: (id) => openMeasurementFiles(join(dataDirectory, 'measurements'), id),
    store: hello && (await DiskLeafStore.open(leaves, hello.diskBytes)),
    cacheBytes: Math.max(0, memoryBytes - ramBytes - RESERVED_BYTES),
    drawFirstLease: () => randomInt(FIRST_LEASE_MAX),
  };
}

// Numbers of leases are below 2^32 on the wire.
const FIRST_LEASE_MAX: number = 2 ** 31;
// What the process itself and the rest of the machine take beside tasks.
const RESERVED_BYTES: number = 512 * 1024 * 1024;

interface HolderPorts {
  readonly settings: Settings;
  readonly kernels: Addon;
  readonly clock: Clock;
  readonly sha256: Sha256;
  readonly tools: Tools;
}

/** Begins to work for the runs of other machines. */
async function holdLeases(
  { cluster }: { cluster: Cluster },
  { settings, tools, ...ports }: HolderPorts,
): Promise<{ stop(): void | Promise<void> }[]> {
  const { store, cacheBytes, openForward } = tools;
  if (store === undefined) return [];
  const { sign } = await loadIdentity(settings.dataDirectory);
  const openOrigin: OpenOrigin = (origin, signal) => openHubOrigin(origin, settings.hub, signal);
  const origins = new OriginPieces({ ...ports, store, hasher: ports.kernels, openOrigin });
  const parts = {
    ...{ ...ports, network: cluster.network, store, sign, origins },
    memoryBytes: settings.ramBytes,
  };
  const outputs = openHeldOutputs(join(settings.dataDirectory, 'outputs'), ports.kernels);
  const leases = new LeaseHolder(parts);
  const own = (...wanted: Parameters<LeaseHolder['made']>): Uint8Array | undefined =>
    leases.made(...wanted);
  const holders = [
    leases,
    new StageHolder({ ...parts, cacheBytes, openForward }),
    new AssemblyHolder({ ...parts, outputs, disk: store, own }),
  ];
  for (const holder of holders) await holder.start();
  return holders;
}

/** A daemon ends on the first signal; a command's child also when its parent's pipe ends. */
function endOn({ isChild }: Settings, stop: () => Promise<void>): void {
  const end = (): void => {
    void stop().then(() => process.exit(0));
  };
  if (isChild) process.stdin.resume().once('end', end).once('error', end);
  let signals = 0;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      signals++;
      // The second signal means now: finished runs are on disk, the rest is made again.
      if (signals > 1) process.exit(130);
      end();
    });
  }
}

function once<Result>(work: () => Promise<Result>): () => Promise<Result> {
  let running: Promise<Result> | undefined;
  return () => {
    running ??= work();
    return running;
  };
}

main().catch((error: unknown) => {
  const fault =
    error instanceof FaultError
      ? error.toMessage()
      : { code: 'QD-7002', exit: 1, what: 'the daemon cannot start', hint: '', why: String(error) };
  // Waiting for the end of standard input would keep the process alive.
  process.stdout.write(`${JSON.stringify({ fault })}\n`, () => process.exit(fault.exit));
});
