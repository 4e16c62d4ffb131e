/** What can go wrong while the importance matrix is measured. */

import { exitCodes, type FaultKind } from '../../proto/fault.ts';

export const measureFaults = {
  notEnoughMemory: {
    code: 'QD-5301',
    exit: exitCodes.environment,
    what: 'the memory that is offered does not hold one chunk on its way through a layer',
    hint: 'offer more of it: --ram 1GiB; or take shorter chunks: --ctx 256',
  },
  weightsMissing: {
    code: 'QD-5302',
    exit: exitCodes.network,
    what: 'the weights of a layer cannot be had',
    hint: 'look at quantd peers: the machine that reads SOURCE must stay connected',
  },
  noStage: {
    code: 'QD-5303',
    exit: exitCodes.environment,
    what: 'no machine has room for a layer of the model',
    hint: 'offer more disk (quantd join --disk 50GiB) or invite another machine: quantd invite',
  },
  nothingLeft: {
    code: 'QD-5304',
    exit: exitCodes.input,
    what: 'every chunk of the calibration has a number that is not finite',
    hint: 'the model diverges on this text: choose another, or look at the checkpoint',
  },
  gguf: {
    code: 'QD-5305',
    exit: exitCodes.usage,
    what: 'an importance matrix is measured on a checkpoint, not on a GGUF',
    hint: 'name the directory that the GGUF was made from',
  },
  keepsFailing: {
    code: 'QD-5306',
    exit: exitCodes.failed,
    what: 'sums of another machine are not those of their digest, again and again',
    hint: 'take that machine out of the cluster: quantd revoke, and look at its memory',
  },
} as const satisfies Record<string, FaultKind>;
