/**
 * Byte cursor: the small binary layouts of membership, written and read field by field.
 *
 *   fields ──▶ ByteWriter ──▶ bytes ──▶ ByteReader ──▶ fields
 *
 * Integers are little endian; what has no fixed length is preceded by it (u16). Each layout has
 * one encoding only, so bytes can be signed and compared. Read next: token.ts, records.ts.
 */

import { assert } from '../../../proto/assert.ts';

const U16_MAX = 0xffff;
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export class ByteWriter {
  readonly #bytes: number[] = [];

  u8(value: number): this {
    return this.#integer(value, 1);
  }

  u16(value: number): this {
    return this.#integer(value, 2);
  }

  u32(value: number): this {
    return this.#integer(value, 4);
  }

  /** A safe integer in eight bytes. */
  u64(value: number): this {
    return this.#integer(value, 8);
  }

  /** Bytes whose number the layout says. */
  fixed(bytes: Uint8Array, length: number): this {
    assert(bytes.length === length, `the field has ${bytes.length} bytes, not ${length}`);
    for (const byte of bytes) this.#bytes.push(byte);
    return this;
  }

  /** Length and bytes. */
  sized(bytes: Uint8Array): this {
    assert(bytes.length <= U16_MAX, `the field has ${bytes.length} bytes`);
    return this.u16(bytes.length).fixed(bytes, bytes.length);
  }

  text(text: string): this {
    return this.sized(encoder.encode(text));
  }

  finish(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  #integer(value: number, bytes: number): this {
    assert(Number.isSafeInteger(value) && value >= 0, `${value} is no count`);
    let rest = value;
    for (let at = 0; at < bytes; at++) {
      this.#bytes.push(rest % 256);
      rest = Math.floor(rest / 256);
    }
    assert(rest === 0, `${value} has no place in ${bytes} bytes`);
    return this;
  }
}

export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #fault: (why: string) => Error;
  #at = 0;

  /** @param fault makes what is thrown where the bytes are not what the layout says */
  constructor(bytes: Uint8Array, fault: (why: string) => Error) {
    this.#bytes = bytes;
    this.#fault = fault;
  }

  u8(): number {
    return this.#integer(1);
  }

  u16(): number {
    return this.#integer(2);
  }

  u32(): number {
    return this.#integer(4);
  }

  u64(): number {
    return this.#integer(8);
  }

  /** A copy, so that the field may be kept longer than the message. */
  fixed(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw this.fail(`it ends inside a field of ${length} bytes`);
    const field = this.#bytes.slice(this.#at, end);
    this.#at = end;
    return field;
  }

  sized(lengthMax: number): Uint8Array {
    const length = this.u16();
    if (length > lengthMax) throw this.fail(`a field of ${length} bytes exceeds ${lengthMax}`);
    return this.fixed(length);
  }

  text(bytesMax: number): string {
    const bytes = this.sized(bytesMax);
    try {
      return decoder.decode(bytes);
    } catch {
      throw this.fail('a text is not UTF-8');
    }
  }

  /** Claims that everything has been read. */
  end(): void {
    const left = this.#bytes.length - this.#at;
    if (left > 0) throw this.fail(`${left} bytes follow its end`);
  }

  /** The fault of these bytes, for fields that are of the right length and wrong. */
  fail(why: string): Error {
    return this.#fault(why);
  }

  #integer(bytes: number): number {
    const field = this.fixed(bytes);
    let value = 0n;
    for (let at = bytes - 1; at >= 0; at--) value = value * 256n + BigInt(field[at] ?? 0);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.fail(`${value} is beyond any count`);
    return Number(value);
  }
}

/** Less than, equal or greater than zero, as the bytes order. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let at = 0; at < shared; at++) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** The bytes of hexadecimal digits that have been checked. */
export function unhex(digits: string): Uint8Array {
  assert(/^([0-9a-f]{2})*$/.test(digits), 'hexadecimal digits come in pairs');
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
