/**
 * Chain hash: SHA-256 that can be stopped and gone on with, written out step by step from FIPS 180-4
 * for the tests: nothing of it is shared with the kernels.
 *
 *   state of 104 bytes, more bytes ──▶ goOn ──▶ state      state ──▶ finish ──▶ digest
 */

import { createHash } from 'node:crypto';

// Cube roots of the first 64 primes, the first 32 bits of their fractions.
const ROUNDS = primes().map((prime) => {
  const root = Math.cbrt(prime);
  return Math.floor((root - Math.floor(root)) * 2 ** 32) >>> 0;
});
const STATE_BYTES = 104;
const BLOCK = 64;

export function goOn(state: Uint8Array, more: Uint8Array): Uint8Array {
  const view = new DataView(state.buffer, state.byteOffset, STATE_BYTES);
  const words = Array.from({ length: 8 }, (_, index) => view.getUint32(4 * index));
  const count = Number(view.getBigUint64(32));
  const waiting = state.subarray(40, 40 + (count % BLOCK));
  const bytes = Buffer.concat([waiting, more]);
  const end = bytes.length - (bytes.length % BLOCK);
  for (let at = 0; at < end; at += BLOCK) compress(words, bytes.subarray(at, at + BLOCK));
  const next = new Uint8Array(STATE_BYTES);
  const into = new DataView(next.buffer);
  for (const [index, word] of words.entries()) into.setUint32(4 * index, word);
  into.setBigUint64(32, BigInt(count + more.length));
  next.set(bytes.subarray(end), 40);
  return next;
}

/** What the addon says of bytes that are hashed in pieces. */
export function hashInPieces(
  chain: Uint8Array,
  bytes: Uint8Array,
  sizes: readonly number[],
): { pieces: Uint8Array[]; digest: Uint8Array; chain: Uint8Array } {
  let at = 0;
  const pieces = sizes.map((size) => {
    at += size;
    return createHash('sha256')
      .update(bytes.subarray(at - size, at))
      .digest();
  });
  const state = goOn(chain, bytes);
  return { pieces, digest: finish(state), chain: state };
}

export function finish(state: Uint8Array): Uint8Array {
  const count = Number(new DataView(state.buffer, state.byteOffset).getBigUint64(32));
  const tail = Buffer.alloc(1 + ((2 * BLOCK - 9 - (count % BLOCK)) % BLOCK) + 8);
  tail[0] = 0x80;
  tail.writeBigUInt64BE(BigInt(count) * 8n, tail.length - 8);
  return goOn(state, tail).slice(0, 32);
}

function compress(words: number[], block: Uint8Array): void {
  const view = new DataView(block.buffer, block.byteOffset, BLOCK);
  const w = Array.from({ length: 16 }, (_, index) => view.getUint32(4 * index));
  for (let t = 16; t < 64; t++) {
    const [a = 0, b = 0, c = 0, d = 0] = [w[t - 2], w[t - 7], w[t - 15], w[t - 16]];
    const s1 = turn(a, 17) ^ turn(a, 19) ^ (a >>> 10);
    const s0 = turn(c, 7) ^ turn(c, 18) ^ (c >>> 3);
    w.push((s1 + b + s0 + d) >>> 0);
  }
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = words;
  for (let t = 0; t < 64; t++) {
    const s1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + (ROUNDS[t] ?? 0) + (w[t] ?? 0)) >>> 0;
    const s0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) >>> 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) >>> 0, c, b, a, (t1 + t2) >>> 0];
  }
  for (const [index, more] of [a, b, c, d, e, f, g, h].entries()) {
    words[index] = ((words[index] ?? 0) + more) >>> 0;
  }
}

function turn(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by));
}

function primes(): number[] {
  const found: number[] = [];
  for (let n = 2; found.length < 64; n++)
    if (found.every((prime) => n % prime !== 0)) found.push(n);
  return found;
}
