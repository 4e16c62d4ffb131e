/**
 * Invite token: one line of text that lets a machine into a cluster.
 *
 *   InviteToken ──▶ encodeToken ──▶ qd1… ──▶ decodeToken ──▶ InviteToken
 *
 * It names the coordinator by its key, so the joiner knows whom it speaks to before it says
 * anything; the secret in it never travels: the joiner proves that it has it (join-messages.ts).
 * The layout is in docs/membership.md.
 */

import { assert } from '../../../proto/assert.ts';
import { FaultError } from '../../../proto/fault.ts';
import type { MemberRole, PeerId } from '../../../proto/peer-messages.ts';
import type { Sha256 } from '../plan/unit-id.ts';
import { readAddress, writeAddress } from './address.ts';
import { decodeBase32, encodeBase32, foreignCharacter } from './base32.ts';
import { ByteReader, ByteWriter, compareBytes, concatBytes } from './byte-cursor.ts';
import { tokenFaults } from './faults.ts';
import { PUBLIC_KEY_BYTES, peerIdOf, publicKeyOf } from './peer-id.ts';
import { readRole, writeRole } from './roles.ts';

export const SECRET_BYTES = 32;
export const NETWORK_KEY_BYTES = 32;
export const INVITE_ID_BYTES = 8;
/** More interfaces than a machine of a home has; a token stays a few lines long. */
export const TOKEN_ADDRESSES_MAX = 8;
/** More machines than a cluster is made for. */
export const INVITE_USES_MAX = 1000;

const VERSION = 1;
const MARK = 'qd1';
const CHECKSUM_BYTES = 4;
// The fields of a token with eight long addresses have some 700 characters; blanks are free.
const TEXT_CHARACTERS_MAX = 8192;
// Version and length.
const HEAD_BYTES = 3;

export interface InviteToken {
  /** The peer that founded the cluster; its key signs the records of members. */
  readonly cluster: PeerId;
  readonly networkKey: Uint8Array;
  readonly epoch: number;
  /** Whom to ask. */
  readonly coordinator: PeerId;
  /** As multiaddr text without a peer id; empty where the local network has to find it. */
  readonly addresses: readonly string[];
  readonly invite: Uint8Array;
  readonly secret: Uint8Array;
  /** Milliseconds since 1970. */
  readonly expiresMs: number;
  readonly uses: number;
  readonly role: MemberRole;
}

export function encodeToken(token: InviteToken, sha256: Sha256): string {
  assert(token.addresses.length <= TOKEN_ADDRESSES_MAX, 'a token has few addresses');
  const fields = new ByteWriter()
    .fixed(keyOf(token.cluster), PUBLIC_KEY_BYTES)
    .u32(token.epoch)
    .fixed(token.networkKey, NETWORK_KEY_BYTES)
    .fixed(keyOf(token.coordinator), PUBLIC_KEY_BYTES)
    .u8(token.addresses.length);
  for (const address of token.addresses) writeAddress(fields, address);
  fields
    .fixed(token.invite, INVITE_ID_BYTES)
    .fixed(token.secret, SECRET_BYTES)
    .u64(token.expiresMs)
    .u16(token.uses);
  writeRole(fields, token.role);
  const body = new ByteWriter().u8(VERSION).sized(fields.finish()).finish();
  const checksum = sha256(body).subarray(0, CHECKSUM_BYTES);
  return MARK + encodeBase32(concatBytes(body, checksum));
}

function keyOf(peer: PeerId): Uint8Array {
  const key = publicKeyOf(peer);
  assert(key !== undefined, 'a peer of the cluster has an Ed25519 key');
  return key;
}

/**
 * Reads what a person pasted: in capitals, wrapped, indented, or the whole line of the command.
 * @throws FaultError of tokenFaults
 */
export function decodeToken(text: string, sha256: Sha256, nowMs: number): InviteToken {
  const token = parseFields(bodyOf(digitsOf(text), sha256));
  if (token.expiresMs > nowMs) return token;
  throw new FaultError(tokenFaults.tokenExpired, {
    why: `it was good until ${Math.ceil((nowMs - token.expiresMs) / 60_000)} minutes ago`,
  });
}

/** What follows the mark, as base 32. */
function digitsOf(text: string): string {
  if (text.length > TEXT_CHARACTERS_MAX) {
    throw new FaultError(tokenFaults.notAToken, { why: `it has ${text.length} characters` });
  }
  const compact = text.replace(/^\s*quantd\s+join\s+/i, '').replace(/[\s\u200b\ufeff]+/g, '');
  const mark = /^qd([0-9il])/i.exec(compact);
  if (mark === null) throw new FaultError(tokenFaults.notAToken);
  if (!/[1il]/i.test(mark[1] ?? '')) {
    throw new FaultError(tokenFaults.otherVersion, { why: `it begins with qd${mark[1]}` });
  }
  return compact.slice(MARK.length);
}

/** The fields between head and checksum, once both are right. */
function bodyOf(digits: string, sha256: Sha256): Uint8Array {
  const foreign = foreignCharacter(digits);
  if (foreign !== undefined) {
    const code = foreign.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0');
    throw new FaultError(tokenFaults.foreignCharacter, { why: `${show(foreign)} is U+${code}` });
  }
  const { bytes, isExact } = decodeBase32(digits);
  if (bytes.length < HEAD_BYTES) throw new FaultError(tokenFaults.truncated);
  if (bytes[0] !== VERSION) {
    throw new FaultError(tokenFaults.otherVersion, { why: `its layout is number ${bytes[0]}` });
  }
  const end = HEAD_BYTES + (bytes[1] ?? 0) + (bytes[2] ?? 0) * 256;
  if (bytes.length < end + CHECKSUM_BYTES) throw new FaultError(tokenFaults.truncated);
  const checksum = sha256(bytes.subarray(0, end)).subarray(0, CHECKSUM_BYTES);
  if (!isExact || compareBytes(checksum, bytes.subarray(end)) !== 0) {
    throw new FaultError(tokenFaults.badChecksum);
  }
  return bytes.subarray(HEAD_BYTES, end);
}

function show(character: string): string {
  return /\p{C}/u.test(character) ? 'a character that cannot be shown' : `"${character}"`;
}

function parseFields(fields: Uint8Array): InviteToken {
  const reader = new ByteReader(fields, (why) => new FaultError(tokenFaults.malformed, { why }));
  const cluster = peerIdOf(reader.fixed(PUBLIC_KEY_BYTES));
  const epoch = reader.u32();
  const networkKey = reader.fixed(NETWORK_KEY_BYTES);
  const coordinator = peerIdOf(reader.fixed(PUBLIC_KEY_BYTES));
  const count = reader.u8();
  if (count > TOKEN_ADDRESSES_MAX) throw reader.fail(`it has ${count} addresses`);
  const addresses = Array.from({ length: count }, () => readAddress(reader));
  const invite = reader.fixed(INVITE_ID_BYTES);
  const secret = reader.fixed(SECRET_BYTES);
  const expiresMs = reader.u64();
  const uses = reader.u16();
  if (uses < 1 || uses > INVITE_USES_MAX) throw reader.fail(`it has ${uses} uses`);
  const role = readRole(reader);
  reader.end();
  return {
    ...{ cluster, networkKey, epoch, coordinator, addresses },
    ...{ invite, secret, expiresMs, uses, role },
  };
}
