/** What can go wrong with a repository that SOURCE names: QD-25xx. */

import { exitCodes, type FaultKind } from '../../proto/fault.ts';

export const hubFaults = {
  badName: {
    code: 'QD-2501',
    exit: exitCodes.usage,
    what: 'SOURCE is no path that exists, and no name of a repository',
    hint: 'write org/name or org/name@revision; for a directory, a path that exists',
  },
  repositoryMissing: {
    code: 'QD-2502',
    exit: exitCodes.input,
    what: 'the hub has no such repository, or shows it to its owners alone',
    hint: 'check the spelling (did you mean a path?); for a private one: HF_TOKEN=hf_… quantd …',
  },
  revisionMissing: {
    code: 'QD-2503',
    exit: exitCodes.input,
    what: 'the repository has no such revision',
    hint: 'name a branch, a tag or a commit: org/name@main',
  },
  tokenWanted: {
    code: 'QD-2504',
    exit: exitCodes.input,
    what: 'the repository is gated, and no token was given',
    hint: 'accept its licence on its page, then: HF_TOKEN=hf_… quantd …, or --hub-token-file FILE',
  },
  licenceNotAccepted: {
    code: 'QD-2505',
    exit: exitCodes.input,
    what: 'the repository is gated, and the account of this token has not been let in',
    hint: 'accept its licence on its page, then run the same command again',
  },
  tokenRefused: {
    code: 'QD-2506',
    exit: exitCodes.input,
    what: 'the hub refuses the token',
    hint: 'make a token that may read (or write, to publish) in the settings of your account',
  },
  unreachable: {
    code: 'QD-2507',
    exit: exitCodes.network,
    what: 'the hub cannot be reached',
    hint: 'check the connection, or name a mirror with --hub-url; the same command goes on',
  },
  busy: {
    code: 'QD-2508',
    exit: exitCodes.network,
    what: 'the hub turns requests away',
    hint: 'wait a while; the same command goes on where this one stopped',
  },
  unexpectedReply: {
    code: 'QD-2509',
    exit: exitCodes.network,
    what: 'the hub answers what it should not',
    hint: 'check --hub-url; where it is right, the same command may succeed later',
  },
  wrongRange: {
    code: 'QD-2510',
    exit: exitCodes.network,
    what: 'the hub sent other bytes than were asked for',
    hint: 'a proxy or mirror may be at fault: try --hub-url; what is right so far is kept',
  },
  wrongLength: {
    code: 'QD-2511',
    exit: exitCodes.network,
    what: 'the hub sent more or fewer bytes than it said',
    hint: 'a proxy or mirror may be at fault: try --hub-url; what is right so far is kept',
  },
  changed: {
    code: 'QD-2512',
    exit: exitCodes.network,
    what: 'the hub answers from another version of the file than was asked for',
    hint: 'a mirror may lag behind: try --hub-url; what is right so far is kept',
  },
  encoded: {
    code: 'QD-2513',
    exit: exitCodes.network,
    what: 'the hub sent a range in an encoding that nobody asked for',
    hint: 'a proxy or mirror may be at fault: try --hub-url; what is right so far is kept',
  },
  digestMismatch: {
    code: 'QD-2514',
    exit: exitCodes.mismatch,
    what: 'what was fetched is not what the repository says; it has been removed',
    hint: 'run the same command again: it fetches this file anew',
  },
  fileMissing: {
    code: 'QD-2515',
    exit: exitCodes.input,
    what: 'the repository has no such file',
    hint: 'look at its list of files, and name one of them',
  },
  badListing: {
    code: 'QD-2516',
    exit: exitCodes.input,
    what: 'the list of files is not one that a repository can have',
    hint: 'check --hub-url',
  },
  badUrl: {
    code: 'QD-2517',
    exit: exitCodes.usage,
    what: '--hub-url (or HF_ENDPOINT) cannot be used',
    hint: 'give the address of a hub: https://huggingface.co',
  },
  badToken: {
    code: 'QD-2518',
    exit: exitCodes.usage,
    what: 'this is no token',
    hint: 'a token is one line of letters and digits: HF_TOKEN=hf_…',
  },
  noRoom: {
    code: 'QD-2519',
    exit: exitCodes.environment,
    what: 'the data directory has no room for the files of the repository',
    hint: 'free some space, or choose another place with --data; what is fetched is kept',
  },
  storeFailed: {
    code: 'QD-2520',
    exit: exitCodes.environment,
    what: 'what was fetched cannot be kept in the data directory',
    hint: 'check its permissions and its disk; the same command goes on',
  },
  otherBytes: {
    code: 'QD-2523',
    exit: exitCodes.mismatch,
    what: 'a machine sends other bytes of an output than were sealed there',
    hint: 'its disk or its memory is failing; quantd release with --overwrite makes the output anew',
  },
  inUse: {
    code: 'QD-2521',
    exit: exitCodes.environment,
    what: 'another run of this daemon is reading the same repository',
    hint: 'wait for it to end: quantd status',
  },
} as const satisfies Record<string, FaultKind>;
