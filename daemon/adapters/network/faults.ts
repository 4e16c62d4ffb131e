/** The ways a connection, a question or a pull can fail. */

import { exitCodes, type FaultKind } from '../../../proto/fault.ts';

export const networkFaults = {
  cannotListen: {
    code: 'QD-8120',
    exit: exitCodes.environment,
    what: 'the port for other machines cannot be opened',
    hint: 'name another address with --listen, or stop what holds this one: `ss -ltnp` tells',
  },
  badAddress: {
    code: 'QD-8121',
    exit: exitCodes.usage,
    what: 'an address of a peer cannot be read',
    hint: 'addresses look like /ip4/192.168.1.20/tcp/4001; `quantd status` on that machine shows its own',
  },
  unreachable: {
    code: 'QD-8122',
    exit: exitCodes.network,
    what: 'a peer cannot be reached',
    hint: 'check that `quantd up` runs there and that its port is open; `quantd status` there shows its addresses',
  },
  noAnswer: {
    code: 'QD-8123',
    exit: exitCodes.network,
    what: 'a peer gave no answer',
    hint: 'look at the log of `quantd up` on that machine: it says why it refused',
  },
  noSource: {
    code: 'QD-8124',
    exit: exitCodes.network,
    what: 'no peer could give all of a blob',
    hint: 'run the same command again when the peers are back; `quantd status` shows them',
  },
  badIdentity: {
    code: 'QD-8125',
    exit: exitCodes.environment,
    what: 'the identity of this machine cannot be read',
    hint: 'restore the identity file of the data directory, or remove it and join the cluster anew',
  },
} as const satisfies Record<string, FaultKind>;
