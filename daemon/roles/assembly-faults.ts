/** What can go wrong with outputs that grow on the disks of other machines. */

import { exitCodes, type FaultKind } from '../../proto/fault.ts';

export const assemblyFaults = {
  noRoom: {
    code: 'QD-6701',
    exit: exitCodes.environment,
    what: 'no machine has room for an output',
    hint: 'free some space, or offer more of it on some machine: quantd up --disk 200GiB',
  },
  declined: {
    code: 'QD-6702',
    exit: exitCodes.environment,
    what: 'a machine could not go on with the output that it puts together',
    hint: 'see to its disk, then run the same command again to continue',
  },
  away: {
    code: 'QD-6703',
    exit: exitCodes.network,
    what: 'the machine that puts an output together is away',
    hint: 'start it again (quantd join) and run the same command; without it, what it has is made again',
  },
  otherBytes: {
    code: 'QD-6704',
    exit: exitCodes.mismatch,
    what: 'an output that was collected is not what its machine has sealed',
    hint: 'the disk or the memory of that machine is failing; run the same command again to collect anew',
  },
  underWay: {
    code: 'QD-6705',
    exit: exitCodes.usage,
    what: 'another run has the same outputs on other machines now',
    hint: 'wait until it has ended; quantd status tells what runs',
  },
  leftAway: {
    code: 'QD-6706',
    exit: exitCodes.network,
    what: 'an output that was left on another machine cannot be had from there',
    hint: 'start that machine again (quantd join) and run the same command; quantd release without --leave brings outputs here, and makes again what it does not find',
  },
  leftOther: {
    code: 'QD-6707',
    exit: exitCodes.mismatch,
    what: 'an output that was left on another machine is not what was sealed there',
    hint: 'the disk or the memory of that machine is failing; quantd release with --overwrite makes it anew',
  },
} as const satisfies Record<string, FaultKind>;
