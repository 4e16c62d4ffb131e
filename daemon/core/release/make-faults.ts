/** What can be wrong with what is asked of a release while it is made: QD-66xx. */

import { exitCodes, type FaultKind } from '../../../proto/fault.ts';

export const makeFaults = {
  fileName: {
    code: 'QD-6602',
    exit: exitCodes.usage,
    what: 'a given file cannot stand in a release',
    hint: 'rename it to letters, digits, dots, dashes and underscores; no two may be the same',
  },
  changed: {
    code: 'QD-6603',
    exit: exitCodes.mismatch,
    what: 'a file was changed while the release was made',
    hint: 'leave it alone and run the same command again',
  },
  fileTooLarge: {
    code: 'QD-6605',
    exit: exitCodes.usage,
    what: 'a given file is too large for a release',
    hint: 'a release holds texts of up to 64 MiB and a matrix of up to 2 GiB',
  },
  badCard: {
    code: 'QD-6604',
    exit: exitCodes.input,
    what: "the head of the source's README.md cannot be read",
    hint: 'it is YAML between two lines of three dashes: mend it, or move the file away',
  },
} as const satisfies Record<string, FaultKind>;
