/** What can go wrong with a source that machines fetch from a hub by themselves: QD-68xx. */

import { exitCodes, type FaultKind } from '../../proto/fault.ts';

export const originFaults = {
  chainOpen: {
    code: 'QD-6801',
    exit: exitCodes.mismatch,
    what: 'what the machines fetched of a file is not what the repository says; it is dropped',
    hint: 'run the same command again: it fetches this file anew; nothing was sealed with it',
  },
} as const satisfies Record<string, FaultKind>;
