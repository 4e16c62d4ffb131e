/** What can be wrong with the folder of a release, before anything in it is understood. */

import { exitCodes, type FaultKind } from '../../proto/fault.ts';

const { mismatch, input } = exitCodes;
const again = 'get the file again from where the release is published';

export const folderFaults = {
  notFolder: {
    code: 'QD-6550',
    exit: input,
    what: 'what is to be verified is neither a folder nor a file',
    hint: 'name the folder that holds quantd.lock.json, or a file of it',
  },
  tooMany: {
    code: 'QD-6551',
    exit: input,
    what: 'the folder has more entries than any release',
    hint: 'name the folder that holds quantd.lock.json, or a file of it',
  },
  missing: {
    code: 'QD-6552',
    exit: mismatch,
    what: 'a file of the release is missing',
    hint: again,
  },
  outside: {
    code: 'QD-6553',
    exit: mismatch,
    what: 'an entry of the release is no file inside its folder',
    hint: 'put the file itself into the folder: cp --dereference',
  },
  unreadable: {
    code: 'QD-6554',
    exit: mismatch,
    what: 'a file of the release cannot be read',
    hint: 'check its permissions and the disk',
  },
  endsEarly: {
    code: 'QD-6555',
    exit: mismatch,
    what: 'a file of the release became shorter while it was read',
    hint: 'verify it again when nothing writes to it any more',
  },
  inTheWay: {
    code: 'QD-6556',
    exit: exitCodes.usage,
    what: 'a folder stands where the release would be made again',
    hint: 'choose another --out, or remove the folder',
  },
} as const satisfies Record<string, FaultKind>;
