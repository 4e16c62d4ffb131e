/**
 * Header cursor: reads numbers and texts of a GGUF header, never past its bounds.
 *
 * It knows two ends: that of the file, past which reading is a fault, and that of the prefix that
 * was read so far, past which it asks for more. So the same file gives the same fault however
 * short the prefixes are that its reader is fed with.
 */

import { FaultError } from '../../../proto/fault.ts';
import { ggufFaults } from './faults.ts';
import { HEADER_BYTES_MAX, STRING_BYTES_MAX } from './limits.ts';
import { readUtf8, readUtf8Leniently } from './utf8.ts';

/** Thrown, and caught by the reader, when the prefix ends before `bytes`. */
export class PrefixEnds extends Error {
  override readonly name = 'PrefixEnds';
  readonly bytes: number;

  constructor(bytes: number) {
    super(`the prefix ends before byte ${bytes}`);
    this.bytes = bytes;
  }
}

export class HeaderCursor {
  readonly file: string;
  readonly fileBytes: number;
  /** Where the next value begins. */
  at = 0;
  /** Set when a text held bytes that are no UTF-8; the reader clears it. */
  repaired = false;
  readonly #prefix: Uint8Array;
  readonly #view: DataView;

  constructor(file: string, fileBytes: number, prefix: Uint8Array) {
    this.file = file;
    this.fileBytes = fileBytes;
    this.#prefix = prefix;
    this.#view = new DataView(prefix.buffer, prefix.byteOffset, prefix.byteLength);
  }

  get left(): number {
    return this.fileBytes - this.at;
  }

  /** Steps over `bytes` bytes and returns where they begin; all of them are there to be read. */
  take(bytes: number): number {
    const start = this.at;
    if (bytes > this.left) {
      const why = `${bytes} more bytes are needed, ${this.left} are left`;
      throw new FaultError(ggufFaults.truncated, { file: this.file, byte: start, why });
    }
    const end = start + bytes;
    if (end > HEADER_BYTES_MAX) {
      const why = `it does not end within ${HEADER_BYTES_MAX} bytes`;
      throw new FaultError(ggufFaults.overLimit, { file: this.file, byte: start, why });
    }
    if (end > this.#prefix.length) throw new PrefixEnds(end);
    this.at = end;
    return start;
  }

  u8(): number {
    return this.#view.getUint8(this.take(1));
  }

  i8(): number {
    return this.#view.getInt8(this.take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.take(2), true);
  }

  i16(): number {
    return this.#view.getInt16(this.take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.take(4), true);
  }

  i32(): number {
    return this.#view.getInt32(this.take(4), true);
  }

  f32(): number {
    return this.#view.getFloat32(this.take(4), true);
  }

  f64(): number {
    return this.#view.getFloat64(this.take(8), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.take(8), true);
  }

  i64(): bigint {
    return this.#view.getBigInt64(this.take(8), true);
  }

  /** The next bytes as they are; the array is a view. */
  raw(bytes: number): Uint8Array {
    const start = this.take(bytes);
    return this.#prefix.subarray(start, start + bytes);
  }

  /** What has been read since `start`; the array is a view. */
  since(start: number): Uint8Array {
    return this.#prefix.subarray(start, this.at);
  }

  /**
   * A length, u64, that must not exceed `most`. Undefined where it does: `u64At` has the number.
   * Two halves instead of a BigInt, because a tokenizer has a million of them.
   */
  length(most: number): number | undefined {
    const start = this.take(8);
    // Rounding above 2^53 keeps the sum above every limit.
    const size =
      this.#view.getUint32(start + 4, true) * 2 ** 32 + this.#view.getUint32(start, true);
    return size <= most ? size : undefined;
  }

  /** The u64 at a position that has been stepped over, exactly. */
  u64At(start: number): bigint {
    return this.#view.getBigUint64(start, true);
  }

  /** A value's text. Bytes that are no UTF-8 become U+FFFD and set `repaired`. */
  text(key: string): string {
    const start = this.at;
    const bytes = this.length(STRING_BYTES_MAX);
    if (bytes === undefined) {
      const why = `a text of ${this.u64At(start)} bytes; the most is ${STRING_BYTES_MAX}`;
      throw new FaultError(ggufFaults.overLimit, { file: this.file, key, byte: start, why });
    }
    const encoded = this.raw(bytes);
    const text = readUtf8Leniently(encoded);
    // U+FFFD may also stand in the file itself; one repaired text is enough to know.
    if (!this.repaired && text.includes('\ufffd')) this.repaired = readUtf8(encoded) === undefined;
    return text;
  }
}
