/** Roles of members, in a byte. */

import type { MemberRole } from '../../../proto/peer-messages.ts';
import type { ByteReader, ByteWriter } from './byte-cursor.ts';

const roles: readonly MemberRole[] = ['worker', 'coordinator'];

export function writeRole(writer: ByteWriter, role: MemberRole): void {
  writer.u8(roles.indexOf(role));
}

export function readRole(reader: ByteReader): MemberRole {
  const number = reader.u8();
  const role = roles[number];
  if (role === undefined) throw reader.fail(`role number ${number} is not known`);
  return role;
}
