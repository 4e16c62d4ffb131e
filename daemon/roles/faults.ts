/** What can go wrong while a run is planned, made and put together. */

import { exitCodes, FaultError, type FaultKind, type FaultMessage } from '../../proto/fault.ts';

export const numberFaults = {
  notFinite: {
    code: 'QD-5201',
    exit: exitCodes.input,
    what: 'SOURCE holds a number that is not finite',
    hint: 'it is damaged or was saved from a diverged training run; download it again',
  },
  scaleOverflow: {
    code: 'QD-5202',
    exit: exitCodes.input,
    what: 'a number is too large for the wanted type',
    hint: "give the tensor a wider type: --tensor-type 'PATTERN=BF16'",
  },
} as const satisfies Record<string, FaultKind>;

export const runFaults = {
  modelName: {
    code: 'QD-1201',
    exit: exitCodes.usage,
    what: 'the model name cannot be part of a file name',
    hint: 'use letters, digits, dots, dashes and underscores: --name My-Model',
  },
  noFileNamed: {
    code: 'QD-2522',
    exit: exitCodes.usage,
    what: 'a repository is named, and no file of it',
    hint: 'name one: quantd inspect org/name/model.gguf',
  },
  interrupted: {
    code: 'QD-1301',
    exit: exitCodes.interrupted,
    what: 'the run was interrupted; what is finished is kept',
    hint: 'run the same command again to continue',
  },
} as const satisfies Record<string, FaultKind>;

export const outputFaults = {
  otherPlan: {
    code: 'QD-6001',
    exit: exitCodes.usage,
    what: 'the output directory holds an unfinished or finished file of another run',
    hint: 'choose another --out, or add --overwrite to replace the file',
  },
  foreignFile: {
    code: 'QD-6002',
    exit: exitCodes.usage,
    what: 'a file that quantd did not record is in the way',
    hint: 'choose another --out, or add --overwrite to replace the file',
  },
  notEnoughDisk: {
    code: 'QD-6003',
    exit: exitCodes.environment,
    what: 'the disk has too little room for the outputs',
    hint: 'free some space or choose an --out on another disk',
  },
  changedSince: {
    code: 'QD-6005',
    exit: exitCodes.mismatch,
    what: 'a finished file is not what was written',
    hint: 'it was changed or the disk is failing; make it again with --overwrite',
  },
  keepsFailing: {
    code: 'QD-6004',
    exit: exitCodes.mismatch,
    what: 'the disk does not give back what was written',
    hint: 'the disk or the memory of this machine is failing; use another --out',
  },
} as const satisfies Record<string, FaultKind>;

export const poolFaults = {
  remote: {
    code: 'QD-8301',
    exit: exitCodes.network,
    what: 'a worker could not do its part',
    hint: 'quantd peers tells which machines take part; run the same command again to continue',
  },
} as const satisfies Record<string, FaultKind>;

/**
 * What another machine reports, as a fault of this one. Only what a worker can find out about a
 * source keeps its own code: the rest is text of a stranger.
 */
export function faultOf({ code, what, ...detail }: FaultMessage): FaultError {
  const kind = Object.values(numberFaults).find((known) => known.code === code);
  if (kind === undefined) return new FaultError(poolFaults.remote, { why: `${code} ${what}` });
  const { file, tensor, row, why } = detail;
  return new FaultError(kind, {
    ...(file === undefined ? {} : { file }),
    ...(tensor === undefined ? {} : { tensor }),
    ...(row === undefined ? {} : { row }),
    ...(why === undefined ? {} : { why }),
  });
}
