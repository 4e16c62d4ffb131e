/** What can be wrong with where this machine is to be open. */

import { exitCodes, type FaultKind } from '../../proto/fault.ts';

export const listenFaults = {
  noLan: {
    code: 'QD-8261',
    exit: exitCodes.environment,
    what: 'this machine has no address of a private network',
    hint: 'name the address to listen on: quantd up --listen 203.0.113.5:7421',
  },
  badListen: {
    code: 'QD-8262',
    exit: exitCodes.usage,
    what: 'an address to listen on is not understood',
    hint: 'write it as 192.168.1.10:7421, [fd00::1]:7421 or /ip4/192.168.1.10/tcp/7421',
  },
} as const satisfies Record<string, FaultKind>;
