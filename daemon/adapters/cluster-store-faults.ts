/** What can happen to the files that tell of the cluster. */

import { exitCodes, type FaultKind } from '../../proto/fault.ts';

export const clusterStoreFaults = {
  badIdentity: {
    code: 'QD-8251',
    exit: exitCodes.environment,
    what: 'the file with the key of this machine is damaged',
    hint: 'restore it from a copy, or move it away and join again: quantd join TOKEN',
  },
  cannotKeep: {
    code: 'QD-8252',
    exit: exitCodes.environment,
    what: 'what tells of the cluster cannot be written to the data directory',
    hint: 'make room and check who owns the directory; quantd status shows which it is',
  },
  notReadable: {
    code: 'QD-8253',
    exit: exitCodes.environment,
    what: 'the file that tells of the cluster cannot be read',
    hint: 'restore it from a copy, or move it away and join again: quantd join TOKEN',
  },
} as const satisfies Record<string, FaultKind>;
