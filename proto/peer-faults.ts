/** The ways a peer's bytes can be wrong. */

import { exitCodes, type FaultKind } from './fault.ts';

export const peerFaults = {
  frameTooLong: {
    code: 'QD-8101',
    exit: exitCodes.network,
    what: 'a peer sent a frame that is longer than the protocol allows',
    hint: 'run the same version of quantd on every machine; `quantd --version` tells it',
  },
  notDecodable: {
    code: 'QD-8102',
    exit: exitCodes.network,
    what: 'a peer sent bytes that are no message',
    hint: 'run the same version of quantd on every machine; `quantd --version` tells it',
  },
  fieldOutOfLimits: {
    code: 'QD-8103',
    exit: exitCodes.network,
    what: 'a peer sent a message with a field outside its limits',
    hint: 'run the same version of quantd on every machine; `quantd --version` tells it',
  },
} as const satisfies Record<string, FaultKind>;
