/** What can stand in the way of a run before it begins. */

import { exitCodes, type FaultKind } from '../../../proto/fault.ts';

export const estimateFaults = {
  outputs: {
    code: 'QD-6401',
    exit: exitCodes.environment,
    what: 'the outputs do not fit on the disk that they go to',
    hint: 'free some space, choose an --out on another disk, or name fewer types in --type',
  },
  source: {
    code: 'QD-6402',
    exit: exitCodes.environment,
    what: 'the machines together offer too little disk for the source',
    hint: 'offer more of it: quantd join --disk 50GiB; or invite another machine: quantd invite',
  },
  nobody: {
    code: 'QD-6403',
    exit: exitCodes.environment,
    what: 'no machine computes',
    hint: 'invite one: quantd invite; or compute here too: quantd up --threads 4',
  },
  memory: {
    code: 'QD-6404',
    exit: exitCodes.environment,
    what: 'a machine offers less memory than its part of the run needs',
    hint: 'start its daemon with more of it: quantd join --ram 2GiB',
  },
} as const satisfies Record<string, FaultKind>;
