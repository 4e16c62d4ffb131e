/**
 * Listen addresses: where this machine is open to other machines.
 *
 *   --lan, --listen, the port of last time ──▶ listenAddresses ──▶ multiaddrs
 *
 * Without either option that is the loopback alone.
 */

import { isIP } from 'node:net';
import type { networkInterfaces } from 'node:os';
import { FaultError } from '../../proto/fault.ts';
import { listenFaults } from './listen-faults.ts';

const PORT_MAX = 65_535;
// More than a machine has interfaces for.
export const LISTEN_MAX = 8;
// Networks inside one machine, where no other machine is.
const INNER = /^(docker|br-|veth|virbr|vmnet|lxc|cni|flannel|podman)/;

export interface ListenOptions {
  readonly lan: boolean;
  /** As the user wrote them. */
  readonly listen: readonly string[];
}

/** @param port of the last time, for every address without one; 0 for any. @throws FaultError of listenFaults */
export function listenAddresses(
  { lan, listen }: ListenOptions,
  port: number,
  interfaces: ReturnType<typeof networkInterfaces>,
): string[] {
  const chosen = listen.map((text) => parseListen(text).replace(/\/tcp\/0$/, `/tcp/${port}`));
  const lanAddresses = lan ? privateAddresses(interfaces) : [];
  if (lan && lanAddresses.length === 0 && chosen.length === 0) {
    throw new FaultError(listenFaults.noLan);
  }
  const all = [...chosen, ...lanAddresses.map((host) => multiaddrText(host, port))];
  return all.length > 0 ? all.slice(0, LISTEN_MAX) : [multiaddrText('127.0.0.1', port)];
}

/** Whether nobody but this machine can reach it. */
export function isLoopback(address: string): boolean {
  return /^\/ip4\/127\.|^\/ip6\/::1\//.test(address);
}

/** `HOST:PORT` or a multiaddr, as a multiaddr. @throws FaultError `badListen` */
export function parseListen(text: string): string {
  const [, family, host = '', port = ''] =
    /^\/ip([46])\/([^/]+)\/tcp\/(\d{1,5})$/.exec(text) ??
    /^()\[?([0-9a-fA-F:.]+?)\]?:(\d{1,5})$/.exec(text) ??
    [];
  const version = isIP(host);
  const isFamily = family === undefined || family === '' || Number(family) === version;
  if (version === 0 || !isFamily || Number(port) > PORT_MAX) {
    throw new FaultError(listenFaults.badListen, { why: text.slice(0, 100) });
  }
  return multiaddrText(host.toLowerCase(), Number(port));
}

function multiaddrText(host: string, port: number): string {
  return `/ip${isIP(host)}/${host}/tcp/${port}`;
}

/** Of the interfaces that lead to other machines, those that routers do not forward. */
function privateAddresses(interfaces: ReturnType<typeof networkInterfaces>): string[] {
  return Object.entries(interfaces)
    .filter(([name]) => !INNER.test(name))
    .flatMap(([, entries = []]) => entries)
    .filter(({ address, internal }) => !internal && isPrivate(address))
    .map(({ address }) => address)
    .sort((a, b) => isIP(a) - isIP(b));
}

// RFC 1918, link-local and shared (carrier, overlay networks) of IPv4; unique local of IPv6. An
// IPv6 link-local address needs the name of an interface, which means nothing elsewhere.
function isPrivate(address: string): boolean {
  return (
    /^(10\.|192\.168\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.)/.test(address) ||
    /^100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./.test(address) ||
    /^f[cd][0-9a-f]{2}:/i.test(address)
  );
}
