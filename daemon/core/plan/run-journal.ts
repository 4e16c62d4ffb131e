/**
 * Run journal: which runs of an output are on disk, and their digests, as a file of records.
 *
 *   begin: magic, output id, run count ── then one record a stored run ──▶ readRunJournal
 *
 * Records are appended after the runs they speak of are durable. A torn tail (a crash while
 * appending) is dropped; a journal of another output is told apart by its id.
 *
 *   head    "QDRUNS1\n" (8) · output id (32) · run count (u32) · check (4)
 *   record  run index (u32) · SHA-256 of the run's bytes (32) · check (4)
 *
 * `check` is the first four bytes of the SHA-256 of what stands before it in the record.
 */

import type { Sha256 } from './unit-id.ts';

const MAGIC = new TextEncoder().encode('QDRUNS1\n');
const HEAD_BYTES = 8 + 32 + 4 + 4;
const RECORD_BYTES = 4 + 32 + 4;

export interface StoredRun {
  readonly run: number;
  readonly digest: Uint8Array;
}

export function journalHead(sha256: Sha256, id: Uint8Array, runCount: number): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES);
  bytes.set(MAGIC, 0);
  bytes.set(id, 8);
  new DataView(bytes.buffer).setUint32(40, runCount, true);
  return withCheck(sha256, bytes);
}

export function journalRecords(sha256: Sha256, runs: readonly StoredRun[]): Uint8Array {
  const bytes = new Uint8Array(runs.length * RECORD_BYTES);
  runs.forEach(({ run, digest }, index) => {
    const record = bytes.subarray(index * RECORD_BYTES, (index + 1) * RECORD_BYTES);
    new DataView(record.buffer, record.byteOffset).setUint32(0, run, true);
    record.set(digest, 4);
    withCheck(sha256, record);
  });
  return bytes;
}

function withCheck(sha256: Sha256, bytes: Uint8Array): Uint8Array {
  const body = bytes.subarray(0, bytes.length - 4);
  bytes.set(sha256(body).subarray(0, 4), body.length);
  return bytes;
}

function isWhole(sha256: Sha256, bytes: Uint8Array): boolean {
  const body = bytes.subarray(0, bytes.length - 4);
  const check = sha256(body);
  return bytes.subarray(body.length).every((byte, index) => byte === check[index]);
}

export interface RunJournal {
  /** The digest of each stored run, by its index; the last record of a run counts. */
  readonly runs: Map<number, Uint8Array>;
  /** Length of the head and the whole records: what follows is a torn tail. */
  readonly wholeBytes: number;
}

/** The id of the output that a journal tells of; undefined where it is none of ours, or torn. */
export function journalOutput(sha256: Sha256, journal: Uint8Array): Uint8Array | undefined {
  const head = journal.subarray(0, HEAD_BYTES);
  const isOurs = MAGIC.every((byte, index) => byte === head[index]);
  if (head.length < HEAD_BYTES || !isOurs || !isWhole(sha256, head)) return undefined;
  return head.slice(MAGIC.length, MAGIC.length + 32);
}

/** Undefined where the bytes are no journal of the output `id` with `runCount` runs. */
export function readRunJournal(
  sha256: Sha256,
  bytes: Uint8Array,
  id: Uint8Array,
  runCount: number,
): RunJournal | undefined {
  const head = bytes.subarray(0, HEAD_BYTES);
  const expected = journalHead(sha256, id, runCount);
  if (head.length < HEAD_BYTES || expected.some((byte, index) => byte !== head[index])) {
    return undefined;
  }
  const runs = new Map<number, Uint8Array>();
  let at = HEAD_BYTES;
  for (; at + RECORD_BYTES <= bytes.length; at += RECORD_BYTES) {
    const record = bytes.subarray(at, at + RECORD_BYTES);
    if (!isWhole(sha256, record)) break;
    const run = new DataView(record.buffer, record.byteOffset).getUint32(0, true);
    if (run >= runCount) break;
    runs.set(run, record.slice(4, 36));
  }
  return { runs, wholeBytes: at };
}
