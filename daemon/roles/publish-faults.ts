/** What can go wrong when a folder is published: QD-63xx. */

import { exitCodes, type FaultKind } from '../../proto/fault.ts';

export const publishFaults = {
  notConfirmed: {
    code: 'QD-6301',
    exit: exitCodes.usage,
    what: 'nothing was sent',
    hint: 'the same command with --yes sends what is listed; --dry-run lists it alone',
  },
  unfinished: {
    code: 'QD-6302',
    exit: exitCodes.input,
    what: 'the folder is not finished',
    hint: 'let the run that makes it end: the command that began it goes on',
  },
  badCard: {
    code: 'QD-6303',
    exit: exitCodes.input,
    what: 'the head of the card would be refused or misread',
    hint: 'correct the YAML at the beginning of README.md',
  },
  empty: {
    code: 'QD-6304',
    exit: exitCodes.input,
    what: 'the folder holds nothing to publish',
    hint: 'give the folder that quantd release made',
  },
  notRegular: {
    code: 'QD-6305',
    exit: exitCodes.input,
    what: 'the folder holds something that is no file of its own',
    hint: 'put the file itself there, or take it away',
  },
  otherSums: {
    code: 'QD-6306',
    exit: exitCodes.mismatch,
    what: 'a file is not what SHA256SUMS says',
    hint: 'quantd verify FOLDER tells all that differs',
  },
  noToken: {
    code: 'QD-6307',
    exit: exitCodes.usage,
    what: 'nobody may write to a hub without a token',
    hint: 'HF_TOKEN=hf_… quantd publish …, or --hub-token-file FILE',
  },
  notReceived: {
    code: 'QD-6308',
    exit: exitCodes.mismatch,
    what: 'the repository does not list a file as it was sent',
    hint: 'run the same command again: it sends what differs',
  },
} as const satisfies Record<string, FaultKind>;
