/**
 * Addresses: where a peer listens, as multiaddr text and in few bytes.
 *
 *   /ip4/192.168.1.10/tcp/7421 ◀──▶ kind, 4 bytes, port
 *
 * Only numbers: a name would let whoever answers for it choose whom we call.
 */

import type { ByteReader, ByteWriter } from './byte-cursor.ts';

const IP4 = 4;
const IP6 = 6;
// Eight groups of four digits and seven colons.
const IP6_TEXT_BYTES_MAX = 39;
const PORT_MAX = 65_535;

interface Address {
  readonly kind: typeof IP4 | typeof IP6;
  readonly host: string;
  readonly port: number;
}

/** Whether one machine can be called there over TCP; a peer's id may follow in the text. */
export function isDialable(text: string): boolean {
  return parseAddress(text) !== undefined;
}

/** The address without what follows the port; undefined for what cannot be called. */
export function plainAddress(text: string): string | undefined {
  const address = parseAddress(text);
  return address === undefined ? undefined : addressText(address);
}

/** `text` has been found dialable. */
export function writeAddress(writer: ByteWriter, text: string): void {
  const address = parseAddress(text);
  if (address === undefined) throw new Error('assertion failed: only dialable addresses are kept');
  writer.u8(address.kind);
  if (address.kind === IP4) writer.fixed(Uint8Array.from(address.host.split('.'), Number), 4);
  else writer.text(address.host);
  writer.u16(address.port);
}

export function readAddress(reader: ByteReader): string {
  const kind = reader.u8();
  if (kind !== IP4 && kind !== IP6) throw reader.fail(`an address of kind ${kind} is not known`);
  const host = kind === IP4 ? reader.fixed(4).join('.') : reader.text(IP6_TEXT_BYTES_MAX);
  const text = addressText({ kind, host, port: reader.u16() });
  if (parseAddress(text) === undefined) throw reader.fail('an address is not of one machine');
  return text;
}

function addressText({ kind, host, port }: Address): string {
  return `/ip${kind}/${host}/tcp/${port}`;
}

function parseAddress(text: string): Address | undefined {
  const match = /^\/ip([46])\/([0-9a-f.:]{2,39})\/tcp\/([1-9]\d{0,4})(?:\/p2p\/\w{1,128})?$/.exec(
    text,
  );
  if (match === null) return undefined;
  const host = match[2] ?? '';
  const port = Number(match[3]);
  if (port > PORT_MAX) return undefined;
  if (match[1] === '4') return isHost4(host) ? { kind: IP4, host, port } : undefined;
  return isHost6(host) ? { kind: IP6, host, port } : undefined;
}

/** Not the unspecified network, nor many machines at once (224.0.0.0 and above). */
function isHost4(host: string): boolean {
  const parts = host.split('.');
  const isNumber = (part: string): boolean => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256;
  const first = Number(parts[0]);
  return parts.length === 4 && parts.every(isNumber) && first > 0 && first < 224;
}

function isHost6(host: string): boolean {
  const groups = host.split(':');
  const isShort = host.split('::').length === 2;
  return (
    !host.startsWith('ff') &&
    groups.every((group) => /^[0-9a-f]{0,4}$/.test(group)) &&
    (isShort ? groups.length >= 3 && groups.length <= 8 : groups.length === 8) &&
    (isShort || !groups.includes('')) &&
    host !== '::'
  );
}
