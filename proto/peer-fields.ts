/**
 * Peer fields: one field of a decoded message, checked and in the shape the program uses.
 *
 *   what protobuf found ──▶ text, integer, digest … ──▶ a value within its limits, or a fault
 *
 * protobufjs tells 64-bit numbers as objects of two halves, bytes as views of the frame and
 * whatever is absent as zero or as nothing. Read next: peer-codec.ts.
 */

import { FaultError } from './fault.ts';
import { peerFaults } from './peer-faults.ts';
import { BASE_NAME_CHARACTERS_MAX, DIGEST_BYTES, RUN_ID_BYTES } from './peer-limits.ts';

/** How protobufjs tells 64-bit numbers, depending on what else is installed. */
export type WireNumber = number | { toNumber(): number } | null | undefined;
type WireText = string | null | undefined;
type WireBytes = Uint8Array | null | undefined;

export function outOfLimits(field: string, why: string): FaultError {
  return new FaultError(peerFaults.fieldOutOfLimits, { key: field, why });
}

/** A part without which the message means nothing. */
export function part<T>(value: T | null | undefined, field: string): T {
  if (value === null || value === undefined) throw outOfLimits(field, 'it is missing');
  return value;
}

export function list<T>(values: readonly T[] | null | undefined, field: string, most: number): T[] {
  const found = values ?? [];
  if (found.length > most) {
    throw outOfLimits(field, `${found.length} entries, at most ${most} are allowed`);
  }
  return [...found];
}

/** A whole number of at most 2^53 - 1; what was larger has become a float that is none. */
export function integer(value: WireNumber, field: string, least = 0, most?: number): number {
  const found = typeof value === 'object' && value !== null ? value.toNumber() : (value ?? 0);
  if (!Number.isSafeInteger(found) || found < least || (most !== undefined && found > most)) {
    throw outOfLimits(field, `${found} is outside ${least} to ${most ?? '2^53 - 1'}`);
  }
  return found;
}

/** A name: not empty, and nothing in it that would move a terminal's cursor. */
export function name(value: WireText, field: string, most: number): string {
  const found = value ?? '';
  if (found.length === 0) throw outOfLimits(field, 'it is empty');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u001f\u007f-\u009f]/.test(found)) {
    throw outOfLimits(field, 'it holds control characters');
  }
  return sentence(found, field, most);
}

/** The name of a file in a folder, and of nothing outside it on any system. */
export function baseName(value: WireText, field: string): string {
  const found = name(value, field, BASE_NAME_CHARACTERS_MAX);
  if (/^\.|[/\\:]/.test(found)) throw outOfLimits(field, 'it is no base name');
  return found;
}

export function sentence(value: WireText, field: string, most: number): string {
  const found = value ?? '';
  if (found.length > most) {
    throw outOfLimits(field, `${found.length} characters, at most ${most} are allowed`);
  }
  return found;
}

/** A copy, so that the frame it came in can go. */
export function bytes(value: WireBytes, field: string, least: number, most: number): Uint8Array {
  const found = value ?? new Uint8Array(0);
  if (found.length < least || found.length > most) {
    throw outOfLimits(field, `${found.length} bytes where ${least} to ${most} are allowed`);
  }
  return Uint8Array.from(found);
}

export function digest(value: WireBytes, field: string): Uint8Array {
  return bytes(value, field, DIGEST_BYTES, DIGEST_BYTES);
}

export function digestHex(value: WireBytes, field: string): string {
  return toHex(digest(value, field));
}

export function runId(value: WireBytes): string {
  return toHex(bytes(value, 'run', RUN_ID_BYTES, RUN_ID_BYTES));
}

const PEER_ID = /^[1-9A-HJ-NP-Za-km-z]{40,64}$/;

export function peerId(value: string, field: string): string {
  if (!PEER_ID.test(value)) throw outOfLimits(field, 'it is no peer id');
  return value;
}

/** Little-endian numbers of 64 bits, one after the other. */
export function toLongs(numbers: readonly number[]): Uint8Array {
  const longs = new Uint8Array(numbers.length * 8);
  const view = new DataView(longs.buffer);
  for (const [index, number] of numbers.entries()) {
    view.setBigUint64(index * 8, BigInt(number), true);
  }
  return longs;
}

export function fromLongs(value: WireBytes, field: string, countMax: number): number[] {
  const longs = bytes(value, field, 8, countMax * 8);
  if (longs.length % 8 !== 0) throw outOfLimits(field, 'it is cut inside a number');
  const view = new DataView(longs.buffer);
  return Array.from({ length: longs.length / 8 }, (_, index) =>
    integer(Number(view.getBigUint64(index * 8, true)), field, 1),
  );
}

/** Digests, one after the other. */
export function fromDigests(value: WireBytes, field: string, count: number): Uint8Array[] {
  const length = count * DIGEST_BYTES;
  const all = bytes(value, field, length, length);
  return Array.from({ length: count }, (_, index) =>
    all.slice(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES),
  );
}

export function toHex(value: Uint8Array): string {
  let text = '';
  for (const byte of value) text += byte.toString(16).padStart(2, '0');
  return text;
}

/** Of text that is known to be hexadecimal. */
export function fromHex(text: string): Uint8Array {
  const found = new Uint8Array(text.length / 2);
  for (let index = 0; index < found.length; index++) {
    found[index] = Number.parseInt(text.slice(index * 2, index * 2 + 2), 16);
  }
  return found;
}
