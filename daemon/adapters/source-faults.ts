/** What can go wrong with the directory that SOURCE names: QD-62xx. */

import { exitCodes, type FaultKind } from '../../proto/fault.ts';

export const sourceFaults = {
  sourceMissing: {
    code: 'QD-6201',
    exit: exitCodes.input,
    what: 'SOURCE does not exist',
    hint: 'check the path, or download the model: hf download REPO --local-dir SOURCE',
  },
  sourceNotDirectory: {
    code: 'QD-6202',
    exit: exitCodes.input,
    what: 'SOURCE is no directory',
    hint: 'give the directory that holds config.json and the .safetensors files, or a GGUF',
  },
  notRegular: {
    code: 'QD-6204',
    exit: exitCodes.input,
    what: 'SOURCE holds a pipe, a socket or a device',
    hint: 'remove it: a checkpoint consists of files only',
  },
  brokenLink: {
    code: 'QD-6205',
    exit: exitCodes.input,
    what: 'SOURCE holds a link to a file that is not there',
    hint: 'the download is not complete: run it again with hf download REPO',
  },
  readFailed: {
    code: 'QD-6206',
    exit: exitCodes.input,
    what: 'the operating system refuses to read SOURCE',
    hint: 'check the permissions, and dmesg for disk errors',
  },
  fileShorter: {
    code: 'QD-6207',
    exit: exitCodes.input,
    what: 'file is shorter than what is to be read of it',
    hint: 'the download is not complete: run it again with hf download REPO --local-dir SOURCE',
  },
  sourceChanged: {
    code: 'QD-6208',
    exit: exitCodes.input,
    what: 'a file of SOURCE changed while it was in use',
    hint: 'let the download or the copy finish, then run the command again',
  },
  tooManyFiles: {
    code: 'QD-6209',
    exit: exitCodes.input,
    what: 'SOURCE holds more files or folders than any checkpoint has',
    hint: 'give the directory of one model, not one that is above it',
  },
  fileMissing: {
    code: 'QD-6210',
    exit: exitCodes.input,
    what: 'SOURCE has no such file',
    hint: 'the download is not complete: run it again with hf download REPO --local-dir SOURCE',
  },
  notFile: {
    code: 'QD-6211',
    exit: exitCodes.input,
    what: 'this is not a file',
    hint: 'give the path of one file',
  },
} as const satisfies Record<string, FaultKind>;
