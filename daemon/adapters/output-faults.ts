/** What the disk can do to an output. */

import { exitCodes, FaultError, type FaultKind } from '../../proto/fault.ts';

export const diskFaults = {
  cannotWrite: {
    code: 'QD-6101',
    exit: exitCodes.environment,
    what: 'an output cannot be written',
    hint: 'check that --out can be written to; the same command continues the run',
  },
  diskFull: {
    code: 'QD-6102',
    exit: exitCodes.environment,
    what: 'the disk is full',
    hint: 'free some space and run the same command again: it continues',
  },
  locked: {
    code: 'QD-6103',
    exit: exitCodes.environment,
    what: 'another run is using this directory',
    hint: 'wait for it to end, or choose another directory',
  },
  endsEarly: {
    code: 'QD-6104',
    exit: exitCodes.mismatch,
    what: 'an output is shorter than it was made',
    hint: 'it was changed by someone; make it again with --overwrite',
  },
} as const satisfies Record<string, FaultKind>;

const fullCodes = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** The fault that a failed system call on `file` amounts to; faults pass unchanged. */
export function diskFault(error: unknown, file: string): FaultError {
  if (error instanceof FaultError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  const kind = fullCodes.has(code) ? diskFaults.diskFull : diskFaults.cannotWrite;
  return new FaultError(kind, { file, why: code }, { cause: error });
}
