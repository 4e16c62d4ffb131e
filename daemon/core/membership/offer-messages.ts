/**
 * Offer messages: what a coordinator and a machine that waits nearby say before either trusts the
 * other.
 *
 *   coordinator ── who ──────────▶ box: waits, name
 *   coordinator ── offer, name ──▶ box: undecided, until its owner approves: agreed
 *   coordinator ── token ────────▶ box: taken, and it joins with it
 *
 * Both have proven their peer ids. Names are what each calls itself and prove nothing: people
 * compare fingerprints. The layout is in docs/membership.md.
 */

import { FaultError } from '../../../proto/fault.ts';
import { ByteReader, ByteWriter } from './byte-cursor.ts';
import { joinFaults } from './faults.ts';
import { cleanName, NAME_BYTES_MAX } from './names.ts';

const VERSION = 1;
const TOKEN_BYTES_MAX = 2048;

export type OfferRequest =
  | { readonly kind: 'who' }
  | { readonly kind: 'offer'; readonly name: string }
  | { readonly kind: 'token'; readonly token: string };

export type OfferAnswer =
  | { readonly kind: 'waits'; readonly name: string }
  | { readonly kind: 'undecided' }
  | { readonly kind: 'agreed' }
  | { readonly kind: 'taken' };

const requestKinds = ['who', 'offer', 'token'] as const;
const answerKinds = ['waits', 'undecided', 'agreed', 'taken'] as const;

export function encodeOfferRequest(request: OfferRequest): Uint8Array {
  const writer = new ByteWriter().u8(VERSION).u8(requestKinds.indexOf(request.kind));
  if (request.kind === 'offer') writer.text(request.name);
  if (request.kind === 'token') writer.text(request.token);
  return writer.finish();
}

/** @throws FaultError `badAnswer` where it is no request */
export function decodeOfferRequest(bytes: Uint8Array): OfferRequest {
  const reader = begin(bytes);
  const kind = requestKinds[reader.u8()];
  if (kind === undefined) throw reader.fail('its kind is not known');
  const request: OfferRequest =
    kind === 'offer'
      ? { kind, name: cleanName(reader.text(NAME_BYTES_MAX)) }
      : kind === 'token'
        ? { kind, token: reader.text(TOKEN_BYTES_MAX) }
        : { kind };
  reader.end();
  return request;
}

export function encodeOfferAnswer(answer: OfferAnswer): Uint8Array {
  const writer = new ByteWriter().u8(VERSION).u8(answerKinds.indexOf(answer.kind));
  if (answer.kind === 'waits') writer.text(answer.name);
  return writer.finish();
}

/** @throws FaultError `badAnswer` */
export function decodeOfferAnswer(bytes: Uint8Array): OfferAnswer {
  const reader = begin(bytes);
  const kind = answerKinds[reader.u8()];
  if (kind === undefined) throw reader.fail('its kind is not known');
  const answer: OfferAnswer =
    kind === 'waits' ? { kind, name: cleanName(reader.text(NAME_BYTES_MAX)) } : { kind };
  reader.end();
  return answer;
}

function begin(bytes: Uint8Array): ByteReader {
  const reader = new ByteReader(bytes, (why) => new FaultError(joinFaults.badAnswer, { why }));
  if (reader.u8() !== VERSION) throw reader.fail('it is of another version');
  return reader;
}
