/**
 * Join messages: what a joiner and a coordinator say before the joiner is a member.
 *
 *   joiner ── invite id, nonce, proof, name ──▶ coordinator
 *   joiner ◀── records, network key, or the code of a fault ──
 *
 * Both have proven their peer ids to each other by then. The layout is in docs/membership.md.
 */

import { FaultError } from '../../../proto/fault.ts';
import type { PeerId } from '../../../proto/peer-messages.ts';
import { hex } from '../plan/unit-id.ts';
import { ByteReader, ByteWriter, unhex } from './byte-cursor.ts';
import type { NetworkKey } from './cluster-state.ts';
import { joinFaults } from './faults.ts';
import { cleanName, NAME_BYTES_MAX } from './names.ts';
import { RECORD_BYTES_MAX } from './records.ts';
import { INVITE_ID_BYTES, NETWORK_KEY_BYTES } from './token.ts';

export const NONCE_BYTES = 16;
const PROOF_BYTES = 32;
const VERSION = 1;
// The joiner's record and the coordinator's; the other ones follow between members.
const RECORDS_MAX = 2;
const VERSION_BYTES_MAX = 64;
const CODE_BYTES_MAX = 16;
const WHY_BYTES_MAX = 512;

export interface JoinRequest {
  readonly invite: string;
  readonly nonce: Uint8Array;
  readonly proof: Uint8Array;
  readonly name: string;
  /** Of quantd: machines of different versions do not work together. */
  readonly version: string;
}

export type JoinAnswer =
  | {
      readonly kind: 'admitted';
      readonly records: readonly Uint8Array[];
      readonly networkKey: NetworkKey;
    }
  | { readonly kind: 'refused'; readonly code: string; readonly why: string };

/** What the proof is a keyed digest of. It holds for these two peers and this invite's key. */
export function proofMessage(
  cluster: PeerId,
  joiner: PeerId,
  coordinator: PeerId,
  nonce: Uint8Array,
): Uint8Array {
  return new ByteWriter()
    .text('quantd-join-1')
    .text(cluster)
    .text(joiner)
    .text(coordinator)
    .fixed(nonce, NONCE_BYTES)
    .finish();
}

export function encodeJoinRequest(request: JoinRequest): Uint8Array {
  return new ByteWriter()
    .u8(VERSION)
    .fixed(unhex(request.invite), INVITE_ID_BYTES)
    .fixed(request.nonce, NONCE_BYTES)
    .fixed(request.proof, PROOF_BYTES)
    .text(request.name)
    .text(request.version)
    .finish();
}

/** @throws FaultError `badAnswer` where it is no request */
export function decodeJoinRequest(bytes: Uint8Array): JoinRequest {
  const reader = new ByteReader(bytes, badMessage);
  if (reader.u8() !== VERSION) throw reader.fail('it is of another version');
  const invite = hex(reader.fixed(INVITE_ID_BYTES));
  const nonce = reader.fixed(NONCE_BYTES);
  const proof = reader.fixed(PROOF_BYTES);
  const name = cleanName(reader.text(NAME_BYTES_MAX));
  const version = cleanName(reader.text(VERSION_BYTES_MAX));
  reader.end();
  return { invite, nonce, proof, name, version };
}

export function encodeJoinAnswer(answer: JoinAnswer): Uint8Array {
  const writer = new ByteWriter().u8(VERSION);
  if (answer.kind === 'refused') {
    return writer.u8(0).text(answer.code).text(answer.why.slice(0, 120)).finish();
  }
  writer.u8(1).u32(answer.networkKey.epoch).fixed(answer.networkKey.key, NETWORK_KEY_BYTES);
  writer.u8(answer.records.length);
  for (const record of answer.records) writer.sized(record);
  return writer.finish();
}

/** @throws FaultError `badAnswer` */
export function decodeJoinAnswer(bytes: Uint8Array): JoinAnswer {
  const reader = new ByteReader(bytes, badMessage);
  if (reader.u8() !== VERSION) throw reader.fail('it is of another version');
  if (reader.u8() === 0) {
    const code = reader.text(CODE_BYTES_MAX);
    const why = cleanName(reader.text(WHY_BYTES_MAX));
    reader.end();
    return { kind: 'refused', code, why };
  }
  const networkKey = { epoch: reader.u32(), key: reader.fixed(NETWORK_KEY_BYTES) };
  const count = reader.u8();
  if (count > RECORDS_MAX) throw reader.fail(`it has ${count} records`);
  const records = Array.from({ length: count }, () => reader.sized(RECORD_BYTES_MAX));
  reader.end();
  return { kind: 'admitted', records, networkKey };
}

function badMessage(why: string): FaultError {
  return new FaultError(joinFaults.badAnswer, { why });
}
