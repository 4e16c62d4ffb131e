/**
 * Namespaces: several machines on one Ethernet, in network namespaces of this one. Needs root.
 *
 *   a number of hosts ──▶ makeNetwork ──▶ hosts 10.77.0.1, 10.77.0.2, … with cables to pull
 *
 * Each namespace lives as long as a process that waits at a pipe from here. It has no name and no
 * file: when this process ends, in whatever way, the kernel takes the namespaces and all that is
 * in them, and nothing is left to sweep. The network of the machine itself is not touched.
 */

import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { kill, untilWeDie, whyFails, whyNoRoot } from './privileges.ts';

/** One namespace beside the others, on the bridge. */
export interface Host {
  /** IPv4, as 10.77.0.1. */
  readonly address: string;
  /** What stands before a command so that it runs on this host. It keeps its process id. */
  readonly prefix: readonly string[];
  spawn(command: string, args: readonly string[], options?: SpawnOptions): ChildProcess;
  /** Pulls the cable: packets are lost, and neither side is told. */
  linkDown(): void;
  linkUp(): void;
}

export interface TestNetwork {
  readonly hosts: readonly Host[];
  /** Kills every process on the hosts; then they are gone. */
  remove(): Promise<void>;
}

// The last byte of an address counts the hosts.
const HOSTS_MAX = 254;

let answer: { readonly why: string | undefined } | undefined;

/** Why no namespace can be made here; undefined where one can. */
export function whyNoNamespaces(): string | undefined {
  answer ??= { why: findObstacle() };
  return answer.why;
}

function findObstacle(): string | undefined {
  const parts = 'ip link add br0 type bridge && ip link add v0 type veth && setpriv --version';
  return (
    whyNoRoot() ??
    whyFails('ip', '-V') ??
    whyFails('unshare', '--net', 'true') ??
    whyFails('unshare', '--net', 'sh', '-c', parts)
  );
}

/** Hosts that reach each other and nothing else, in a few milliseconds each. */
export async function makeNetwork(hostCount: number): Promise<TestNetwork> {
  if (hostCount > HOSTS_MAX) throw new RangeError(`${hostCount} hosts, at most ${HOSTS_MAX}`);
  const holders: ChildProcess[] = [];
  const remove = (): Promise<void> => removeAll(holders);
  try {
    const bridge = await makeNamespace(holders);
    // Without snooping the bridge floods multicast as a plain switch does, and needs no querier.
    bridge('ip link add br0 type bridge mcast_snooping 0');
    bridge('ip link set br0 up');
    const hosts: Host[] = [];
    for (let number = 1; number <= hostCount; number++) {
      hosts.push(await addHost(number, bridge, holders));
    }
    return { hosts, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

type Execute = (words: string) => void;

const enter = ({ pid }: ChildProcess): string[] => ['nsenter', `--target=${pid}`, '--net'];

/** A namespace, held by the process that it appends to `holders`. */
async function makeNamespace(holders: ChildProcess[]): Promise<Execute> {
  // It echoes a byte once it is inside, and ends with the pipe.
  const holder = spawn('unshare', ['--net', 'cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  holders.push(holder);
  holder.stdin.write('.');
  await Promise.race([
    once(holder.stdout, 'data'),
    once(holder, 'exit').then(([code]) => {
      throw new Error(`unshare ended with ${code}`);
    }),
  ]);
  const [command = '', ...args] = enter(holder);
  return (words) => {
    execFileSync(command, [...args, ...words.split(' ')], { stdio: ['ignore', 'ignore', 'pipe'] });
  };
}

async function addHost(number: number, bridge: Execute, holders: ChildProcess[]): Promise<Host> {
  const host = await makeNamespace(holders);
  const holder = holders.at(-1);
  if (holder === undefined) throw new Error('no holder');
  const address = `10.77.0.${number}`;
  // Both ends are made in namespaces of ours, never in that of the machine.
  bridge(`ip link add v${number} type veth peer name e0 netns ${holder.pid}`);
  bridge(`ip link set v${number} master br0 up`);
  host('ip link set lo up');
  host('ip link set e0 up');
  host(`ip addr add ${address}/24 dev e0`);
  // Multicast takes the way of a route like any other packet, and there is no default route.
  host('ip route add 224.0.0.0/4 dev e0');
  const prefix = [...enter(holder), ...untilWeDie];
  const [before = '', ...rest] = prefix;
  return {
    address,
    prefix,
    spawn: (command, args, options = {}) => spawn(before, [...rest, command, ...args], options),
    linkDown: () => bridge(`ip link set v${number} down`),
    linkUp: () => bridge(`ip link set v${number} up`),
  };
}

async function removeAll(holders: readonly ChildProcess[]): Promise<void> {
  const inside = new Set(holders.map(({ pid }) => networkOf(String(pid))));
  inside.delete(undefined);
  inside.delete(networkOf('self'));
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    if (inside.has(networkOf(pid))) kill(Number(pid));
  }
  await Promise.all(holders.map(ended));
}

/** Resolves when a process is no more, at once where it never was. */
async function ended(child: ChildProcess): Promise<void> {
  const { pid, exitCode, signalCode } = child;
  if (pid !== undefined && exitCode === null && signalCode === null) await once(child, 'exit');
}

/** The identity of the namespace that a process is in; undefined where the process is gone. */
function networkOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}
