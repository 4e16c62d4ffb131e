/**
 * Unit ids: the name of a piece of work, known before the work is done.
 *
 *   contract + kind + parameters + inputs ──▶ unitId ──▶ plan.ts
 *
 * An id is the SHA-256 of one canonical encoding, so it is the same on every machine and a
 * restarted run finds its finished units by id. Everything the result depends on must be in it.
 */

import { joinBytes } from '../../../proto/bytes.ts';
import type { RunId } from '../../../proto/peer-messages.ts';

/** The number contract every kernel of this version keeps; a part of each id. */
export const CONTRACT = 'det-1';

export type UnitId = string & { readonly unitId: true };

/** The core hashes only what it is given to hash with: lengths of some hundred bytes. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array;

export type Field = string | number | Uint8Array;

const encoder = new TextEncoder();

/**
 * The SHA-256 of `fields`, each written as a tag byte, its length (u32, little endian) and its
 * bytes: `s` UTF-8 text, `n` a u64 in little endian, `b` bytes. No two lists share an encoding.
 */
export function digestFields(sha256: Sha256, fields: readonly Field[]): Uint8Array {
  return sha256(joinBytes(fields.map(encodeField)));
}

function encodeField(field: Field): Uint8Array {
  const [tag, body] =
    typeof field === 'string'
      ? ['s', encoder.encode(field)]
      : typeof field === 'number'
        ? ['n', encodeInteger(field)]
        : ['b', field];
  const bytes = new Uint8Array(5 + body.length);
  bytes[0] = tag.charCodeAt(0);
  new DataView(bytes.buffer).setUint32(1, body.length, true);
  bytes.set(body, 5);
  return bytes;
}

function encodeInteger(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}

/** The id of a unit of `kind` with these parameters and inputs, under the current contract. */
export function unitId(sha256: Sha256, kind: string, fields: readonly Field[]): UnitId {
  return hex(digestFields(sha256, [CONTRACT, kind, ...fields])) as UnitId;
}

// Sixteen bytes tell all the runs apart that a cluster will ever see.
const RUN_ID_DIGITS = 32;

/** The name of a run among machines, the same for whoever begins it again. */
export function runId(sha256: Sha256, fields: readonly Field[]): RunId {
  return hex(digestFields(sha256, fields)).slice(0, RUN_ID_DIGITS);
}

export function hex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}
