/**
 * Open cluster: makes the Cluster of a daemon from its settings, files and kernels.
 *
 *   settings, data directory, kernels ──▶ openCluster ──▶ Cluster
 */

import { statfs } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { FaultError } from '../../proto/fault.ts';
import type { Hello } from '../../proto/peer-messages.ts';
import {
  loadIdentity,
  openClusterStore,
  readPeerPort,
  writePeerPort,
} from '../adapters/cluster-store.ts';
import { cryptography } from '../adapters/cryptography.ts';
import type { PeerNode } from '../adapters/network/peer-node.ts';
import { cleanName } from '../core/membership/names.ts';
import { CONTRACT } from '../core/plan/unit-id.ts';
import type { Clock, Kernels } from '../ports.ts';
import { measureSpeed } from '../roles/measure-speed.ts';
import { Membership } from '../roles/membership.ts';
import type { Peering, Settings } from '../settings.ts';
import { Cluster } from './cluster.ts';
import type { OpenPort, StartNode } from './cluster-node.ts';
import { isLoopback, listenAddresses } from './listen-addresses.ts';

export interface OpenClusterOptions {
  readonly settings: Settings;
  readonly peering: Peering;
  readonly kernels: Kernels;
  readonly clock: Clock;
  readonly startNode: StartNode;
  /** See Hello. */
  readonly multiplicationsPerSecond: () => Promise<number>;
}

/** The cluster, not begun; and what this machine says of itself. */
export async function openCluster(
  options: OpenClusterOptions,
): Promise<{ cluster: Cluster; hello: Hello }> {
  const { settings, peering, kernels, clock, startNode, multiplicationsPerSecond } = options;
  const { dataDirectory } = settings;
  const membership = await Membership.open({
    identity: await loadIdentity(dataDirectory),
    cryptography,
    store: openClusterStore(dataDirectory),
    wallClock: () => Date.now(),
  });
  const openPort = portOpener(dataDirectory, peering);
  const isOpen = listenAddresses(peering, 0, networkInterfaces()).some((a) => !isLoopback(a));
  const hello: Hello = {
    kind: 'hello',
    version: settings.version,
    contract: CONTRACT,
    name: cleanName(settings.name),
    isa: kernels.info.isa,
    threads: settings.threads,
    ramBytes: settings.ramBytes,
    diskBytes: settings.diskBytes ?? (await halfOfFree(dataDirectory)),
    bytesPerSecond: settings.threads === 0 ? 0 : await measureSpeed(kernels, clock),
    multiplicationsPerSecond: settings.threads === 0 ? 0 : await multiplicationsPerSecond(),
  };
  const cluster = new Cluster({
    ...{ membership, startNode, hello, clock, openPort },
    // Where no other machine can come, none is called.
    mdns: isOpen,
    sha256: (bytes) => kernels.sha256(bytes),
    log: (sentence) => process.stderr.write(`quantd: ${sentence}\n`),
  });
  return { cluster, hello };
}

/** Other programs of the machine need room too. */
async function halfOfFree(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return Math.floor((bavail * bsize) / 2);
}

/** Listens where it listened last, so that what others remember stays true. */
function portOpener(dataDirectory: string, peering: Peering): OpenPort {
  return async (start) => {
    const port = await readPeerPort(dataDirectory);
    const at = (chosen: number): string[] => listenAddresses(peering, chosen, networkInterfaces());
    const node = await start(at(port)).catch((error: unknown) => {
      // Another process has it now: any other port will do, unless the user named one.
      if (port === 0 || !(error instanceof FaultError)) throw error;
      return start(at(0));
    });
    const now = portOf(node);
    if (now !== port && now !== 0) {
      await writePeerPort(dataDirectory, now);
    }
    return node;
  };
}

function portOf(node: PeerNode): number {
  const ports = node.addresses().map((address) => /\/tcp\/(\d+)/.exec(address)?.[1]);
  return Number(ports.find((port) => port !== undefined) ?? 0);
}
