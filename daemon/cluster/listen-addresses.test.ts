import type { networkInterfaces } from 'node:os';
import { expect, test } from 'vitest';
import { isLoopback, listenAddresses, parseListen } from './listen-addresses.ts';

type Interfaces = ReturnType<typeof networkInterfaces>;
const entry = (address: string, internal = false): NonNullable<Interfaces[string]>[number] => ({
  ...{ address, internal, netmask: '', mac: '', cidr: null },
  ...(address.includes(':') ? { family: 'IPv6', scopeid: 0 } : { family: 'IPv4' }),
});
const home: Interfaces = {
  lo: [entry('127.0.0.1', true), entry('::1', true)],
  eth0: [entry('192.168.1.10'), entry('fe80::1'), entry('fd00::10'), entry('203.0.113.5')],
  docker0: [entry('172.17.0.1')],
  tailscale0: [entry('100.101.102.103')],
};

test('without an option only this machine is let in', () => {
  const addresses = listenAddresses({ lan: false, listen: [] }, 0, home);
  expect(addresses).toEqual(['/ip4/127.0.0.1/tcp/0']);
  expect(addresses.every(isLoopback)).toBe(true);
});

test('--lan opens the private addresses, and no public one', () => {
  expect(listenAddresses({ lan: true, listen: [] }, 7421, home)).toEqual([
    '/ip4/192.168.1.10/tcp/7421',
    '/ip4/100.101.102.103/tcp/7421',
    '/ip6/fd00::10/tcp/7421',
  ]);
  expect(() => listenAddresses({ lan: true, listen: [] }, 0, { eth0: [entry('8.8.8.8')] })).toThrow(
    'QD-8261',
  );
});

test('--listen takes hosts with ports and multiaddrs, and nothing else', () => {
  expect(parseListen('192.168.1.10:7421')).toBe('/ip4/192.168.1.10/tcp/7421');
  expect(parseListen('[FD00::1]:7421')).toBe('/ip6/fd00::1/tcp/7421');
  expect(parseListen('0.0.0.0:0')).toBe('/ip4/0.0.0.0/tcp/0');
  const again = listenAddresses({ lan: false, listen: ['127.0.0.1:0', '127.0.0.1:9'] }, 7421, home);
  expect(again).toEqual(['/ip4/127.0.0.1/tcp/7421', '/ip4/127.0.0.1/tcp/9']);
  expect(parseListen('/ip6/::1/tcp/9')).toBe('/ip6/::1/tcp/9');
  const bad = ['', '7421', 'nas:7421', '1.2.3.4', '1.2.3.4:65536', '1.2.3.4:-1', '1.2.3:4'];
  for (const text of [...bad, '/ip4/::1/tcp/1', '/dns4/nas/tcp/1', '/ip4/1.2.3.4/udp/1']) {
    expect(() => parseListen(text), text).toThrow('QD-8262');
  }
});
