/** What the cluster API itself can find wrong. */

import { exitCodes, type FaultKind } from '../../proto/fault.ts';

export const clusterApiFaults = {
  withoutCluster: {
    code: 'QD-8271',
    exit: exitCodes.environment,
    what: 'the daemon was started for one command and is on no network',
    hint: 'start one that is: quantd up --lan',
  },
} as const satisfies Record<string, FaultKind>;
