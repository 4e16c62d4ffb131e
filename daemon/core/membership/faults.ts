/** Faults of membership: tokens, invites, records, and who may do what. */

import { exitCodes, type FaultKind } from '../../../proto/fault.ts';

export const tokenFaults = {
  notAToken: {
    code: 'QD-8201',
    exit: exitCodes.usage,
    what: 'this text is no invite of quantd',
    hint: 'an invite begins with qd1; quantd invite on the coordinator prints one',
  },
  otherVersion: {
    code: 'QD-8202',
    exit: exitCodes.usage,
    what: 'the invite was made by another version of quantd',
    hint: 'install the same version on both machines: quantd --version shows it',
  },
  foreignCharacter: {
    code: 'QD-8203',
    exit: exitCodes.usage,
    what: 'the invite has a character that no invite has',
    hint: 'copy it again as plain text from the terminal where quantd invite printed it',
  },
  truncated: {
    code: 'QD-8204',
    exit: exitCodes.usage,
    what: 'the invite is not whole',
    hint: 'copy all of it; line breaks and blanks inside do no harm',
  },
  badChecksum: {
    code: 'QD-8205',
    exit: exitCodes.usage,
    what: 'the invite was changed on its way: its checksum is wrong',
    hint: 'copy it again from the terminal where quantd invite printed it',
  },
  malformed: {
    code: 'QD-8206',
    exit: exitCodes.usage,
    what: 'the invite says what no coordinator writes',
    hint: 'make a new one on the coordinator: quantd invite',
  },
  tokenExpired: {
    code: 'QD-8207',
    exit: exitCodes.usage,
    what: 'the invite has expired',
    hint: 'make a new one on the coordinator: quantd invite --ttl 24h; compare the clocks of both machines',
  },
} as const satisfies Record<string, FaultKind>;

/** What a coordinator says to whoever asks to join. */
export const joinFaults = {
  unknownInvite: {
    code: 'QD-8211',
    exit: exitCodes.network,
    what: 'the coordinator knows no such invite',
    hint: 'make a new one on the coordinator: quantd invite',
  },
  inviteExpired: {
    code: 'QD-8212',
    exit: exitCodes.network,
    what: 'the invite has expired',
    hint: 'make a new one on the coordinator: quantd invite --ttl 24h',
  },
  inviteSpent: {
    code: 'QD-8213',
    exit: exitCodes.network,
    what: 'the invite has been used as often as it may be',
    hint: 'make a new one on the coordinator: quantd invite --uses 4',
  },
  inviteRevoked: {
    code: 'QD-8214',
    exit: exitCodes.network,
    what: 'the invite has been revoked',
    hint: 'make a new one on the coordinator: quantd invite',
  },
  inviteOutdated: {
    code: 'QD-8215',
    exit: exitCodes.network,
    what: 'the network key has changed since the invite was made',
    hint: 'make a new one on the coordinator: quantd invite',
  },
  unreachable: {
    code: 'QD-8216',
    exit: exitCodes.network,
    what: 'the coordinator of the invite cannot be reached',
    hint: 'is quantd up --lan running there? An invite that is used up, revoked or older than the network key finds the door closed: quantd invite makes a new one',
  },
  badAnswer: {
    code: 'QD-8217',
    exit: exitCodes.network,
    what: 'the coordinator gave an answer that proves nothing',
    hint: 'install the same version on both machines: quantd --version shows it',
  },
  tooManyAttempts: {
    code: 'QD-8218',
    exit: exitCodes.network,
    what: 'too many attempts to join came from this machine',
    hint: 'wait a minute, then: quantd join TOKEN',
  },
  otherRelease: {
    code: 'QD-8219',
    exit: exitCodes.network,
    what: 'the two machines run different versions of quantd',
    hint: 'install the same version on both: quantd --version shows it',
  },
} as const satisfies Record<string, FaultKind>;

export const recordFaults = {
  badRecord: {
    code: 'QD-8221',
    exit: exitCodes.network,
    what: 'a record of membership is not what the coordinator signs',
    hint: 'install the same version on all machines: quantd --version shows it',
  },
  badClusterFile: {
    code: 'QD-8222',
    exit: exitCodes.environment,
    what: 'the file that tells of the cluster is damaged',
    hint: 'restore it from a copy, or move it away and join again: quantd join TOKEN',
  },
} as const satisfies Record<string, FaultKind>;

export const clusterFaults = {
  noCluster: {
    code: 'QD-8231',
    exit: exitCodes.usage,
    what: 'this daemon is on no network',
    hint: 'start it with: quantd up --lan',
  },
  notCoordinator: {
    code: 'QD-8232',
    exit: exitCodes.usage,
    what: 'only the machine that founded the cluster admits and revokes members',
    hint: 'run the command there; quantd peers shows which it is',
  },
  ownInvite: {
    code: 'QD-8233',
    exit: exitCodes.usage,
    what: 'the invite is of this very machine',
    hint: 'run the line on the machine that shall help this one',
  },
  otherCluster: {
    code: 'QD-8234',
    exit: exitCodes.usage,
    what: 'this machine is a member of another cluster',
    hint: 'quantd leave, then join again; or give it a second data directory with --data',
  },
  nothingFound: {
    code: 'QD-8235',
    exit: exitCodes.usage,
    what: 'there is neither a member nor an invite of that name',
    hint: 'quantd peers and quantd invites list them',
  },
  ambiguousName: {
    code: 'QD-8236',
    exit: exitCodes.usage,
    what: 'more than one machine has that name',
    hint: 'name it by its fingerprint, such as ab12-cd34: quantd peers shows them',
  },
  revokesItself: {
    code: 'QD-8237',
    exit: exitCodes.usage,
    what: 'the coordinator cannot be revoked',
    hint: 'quantd leave --end ends the cluster for all its members',
  },
  nobodyWaits: {
    code: 'QD-8238',
    exit: exitCodes.usage,
    what: 'no machine of that name is nearby and waits',
    hint: 'start quantd join --nearby there; both machines must be on one local network',
  },
  invitesMax: {
    code: 'QD-8239',
    exit: exitCodes.usage,
    what: 'there are as many open invites as there may be',
    hint: 'revoke one: quantd invites, quantd revoke ID',
  },
  badOption: {
    code: 'QD-8240',
    exit: exitCodes.usage,
    what: 'an option of the command is not understood',
    hint: 'quantd invite --help lists the options',
  },
  nothingToResume: {
    code: 'QD-8241',
    exit: exitCodes.usage,
    what: 'this machine is a member of no cluster yet',
    hint: 'quantd join TOKEN, with the line that quantd invite prints on the coordinator',
  },
  endsCluster: {
    code: 'QD-8244',
    exit: exitCodes.usage,
    what: 'this machine founded the cluster: without it nobody is admitted or revoked any more',
    hint: 'quantd leave --end ends the cluster for all its members',
  },
  notApproved: {
    code: 'QD-8243',
    exit: exitCodes.network,
    what: 'the approved coordinator sent the invite of another one',
    hint: 'somebody may be interfering: join with a token instead, quantd join TOKEN',
  },
  membersMax: {
    code: 'QD-8242',
    exit: exitCodes.usage,
    what: 'the cluster has as many members as it may have',
    hint: 'revoke one that is gone: quantd peers, quantd revoke NAME',
  },
} as const satisfies Record<string, FaultKind>;
