/** What can go wrong with the native kernels of this machine: QD-51xx. */

import { exitCodes, type FaultKind } from '../../proto/fault.ts';

export const kernelFaults = {
  addonMissing: {
    code: 'QD-5101',
    exit: exitCodes.environment,
    what: 'the native kernels are not built',
    hint: 'build them: npm run setup',
  },
  addonBroken: {
    code: 'QD-5102',
    exit: exitCodes.environment,
    what: 'the native kernels cannot be loaded',
    hint: 'build them on this machine: rm -r build/kernels && npm run setup',
  },
  isaUnavailable: {
    code: 'QD-5103',
    exit: exitCodes.environment,
    what: 'the wanted instruction set was not built or this CPU does not have it',
    hint: 'unset QUANTD_ISA, or build every set: node kernels/build.mjs --isa=all',
  },
  selfTestFailed: {
    code: 'QD-5104',
    exit: exitCodes.environment,
    what: 'a native kernel gives wrong bytes on this machine',
    hint: 'try QUANTD_ISA=scalar; if that helps, please report the CPU and the compiler',
  },
  weightNotFinite: {
    code: 'QD-5105',
    exit: exitCodes.input,
    what: 'a weight of the checkpoint is infinite, not a number, or far too large',
    hint: 'download that file again, or report it to the author of the model',
  },
  weightUnreadable: {
    code: 'QD-5106',
    exit: exitCodes.input,
    what: 'the weights of a layer cannot be read',
    hint: 'check that the file is complete and can be read, then run the command again',
  },
} as const satisfies Record<string, FaultKind>;
