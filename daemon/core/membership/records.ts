/**
 * Records: who is a member, as statements that the cluster's founder signed.
 *
 *   MemberRecord ──▶ sealRecord ──▶ bytes ──▶ openRecord ──▶ MemberRecord   (read next: roster.ts)
 *
 * The cluster is named by its founder's peer id, which is a public key: whoever knows the name can
 * check every record, from whomever it came. The layout is in docs/membership.md.
 */

import { assert } from '../../../proto/assert.ts';
import { FaultError } from '../../../proto/fault.ts';
import type { MemberRole, PeerId } from '../../../proto/peer-messages.ts';
import { hex } from '../plan/unit-id.ts';
import { ByteReader, ByteWriter, compareBytes, concatBytes, unhex } from './byte-cursor.ts';
import { recordFaults } from './faults.ts';
import { cleanName, NAME_BYTES_MAX } from './names.ts';
import { PUBLIC_KEY_BYTES, peerIdOf, publicKeyOf } from './peer-id.ts';
import { readRole, writeRole } from './roles.ts';
import { INVITE_ID_BYTES } from './token.ts';

/** The invite that admitted the founder itself: none. */
export const NO_INVITE: string = '00'.repeat(INVITE_ID_BYTES);

const SIGNATURE_BYTES = 64;
// No signature made for another purpose can be read as a record, nor the other way round.
const DOMAIN = new TextEncoder().encode('quantd-record-1');
/** Far above what the fields can have. */
export const RECORD_BYTES_MAX = 1024;

interface Numbered {
  readonly cluster: PeerId;
  /** The founder counts its records: of two about one subject the later one holds. */
  readonly sequence: number;
}
export interface AdmitRecord extends Numbered {
  readonly kind: 'admit';
  readonly peer: PeerId;
  readonly name: string;
  readonly role: MemberRole;
  /** Lower-case hex. */
  readonly invite: string;
}
export interface RevokeRecord extends Numbered {
  readonly kind: 'revoke';
  readonly peer: PeerId;
}
export interface RevokeInviteRecord extends Numbered {
  readonly kind: 'revoke-invite';
  readonly invite: string;
}
export type MemberRecord = AdmitRecord | RevokeRecord | RevokeInviteRecord;

/** Ed25519. */
export type Sign = (message: Uint8Array) => Uint8Array;
export type Verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;

const kinds: readonly MemberRecord['kind'][] = ['admit', 'revoke', 'revoke-invite'];

export function sealRecord(record: MemberRecord, sign: Sign): Uint8Array {
  const body = encodeRecord(record);
  return concatBytes(body, sign(concatBytes(DOMAIN, body)));
}

/**
 * The record in `bytes`, if the founder of `cluster` signed it.
 * @throws FaultError `badRecord`
 */
export function openRecord(bytes: Uint8Array, cluster: PeerId, verify: Verify): MemberRecord {
  const fail = (why: string): FaultError => new FaultError(recordFaults.badRecord, { why });
  if (bytes.length > RECORD_BYTES_MAX) throw fail(`it has ${bytes.length} bytes`);
  if (bytes.length <= SIGNATURE_BYTES) throw fail('it is too short for a signature');
  const body = bytes.subarray(0, -SIGNATURE_BYTES);
  const signature = bytes.subarray(-SIGNATURE_BYTES);
  const founder = publicKeyOf(cluster);
  assert(founder !== undefined, 'a cluster is named by an Ed25519 key');
  if (!verify(founder, concatBytes(DOMAIN, body), signature)) throw fail('its signature is wrong');
  const record = decodeRecord(new ByteReader(body, fail));
  if (record.cluster !== cluster) throw fail('it is of another cluster');
  // A record has one encoding, so that equal records are equal bytes.
  if (compareBytes(encodeRecord(record), body) !== 0) throw fail('it is written in another way');
  return record;
}

function encodeRecord(record: MemberRecord): Uint8Array {
  const writer = new ByteWriter()
    .u8(kinds.indexOf(record.kind))
    .fixed(keyOf(record.cluster), PUBLIC_KEY_BYTES)
    .u64(record.sequence);
  if (record.kind === 'revoke-invite') {
    return writer.fixed(unhex(record.invite), INVITE_ID_BYTES).finish();
  }
  writer.fixed(keyOf(record.peer), PUBLIC_KEY_BYTES);
  if (record.kind === 'admit') {
    writeRole(writer, record.role);
    writer.fixed(unhex(record.invite), INVITE_ID_BYTES).text(record.name);
  }
  return writer.finish();
}

function decodeRecord(reader: ByteReader): MemberRecord {
  const kind = kinds[reader.u8()];
  const cluster = peerIdOf(reader.fixed(PUBLIC_KEY_BYTES));
  const sequence = reader.u64();
  if (kind === undefined) throw reader.fail('its kind is not known');
  if (kind === 'revoke-invite') {
    const invite = hex(reader.fixed(INVITE_ID_BYTES));
    reader.end();
    return { kind, cluster, sequence, invite };
  }
  const peer = peerIdOf(reader.fixed(PUBLIC_KEY_BYTES));
  if (kind === 'revoke') {
    reader.end();
    return { kind, cluster, sequence, peer };
  }
  const role = readRole(reader);
  const invite = hex(reader.fixed(INVITE_ID_BYTES));
  const name = reader.text(NAME_BYTES_MAX);
  if (name !== cleanName(name)) throw reader.fail('its name is not one that can be shown');
  reader.end();
  return { kind, cluster, sequence, peer, role, invite, name };
}

function keyOf(peer: PeerId): Uint8Array {
  const key = publicKeyOf(peer);
  assert(key !== undefined, 'a peer of the cluster has an Ed25519 key');
  return key;
}
