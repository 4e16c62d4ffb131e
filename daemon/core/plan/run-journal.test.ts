import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { journalHead, journalRecords, readRunJournal } from './run-journal.ts';

const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();
const id = sha256(Uint8Array.of(1));
const RUNS = 50;

const anyRuns = fc.array(
  fc.record({
    run: fc.integer({ min: 0, max: RUNS - 1 }),
    digest: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  }),
);

function journalOf(runs: readonly { run: number; digest: Uint8Array }[]): Uint8Array {
  return Uint8Array.from([...journalHead(sha256, id, RUNS), ...journalRecords(sha256, runs)]);
}

test('what was recorded is read back, the last record of a run counting', () => {
  fc.assert(
    fc.property(anyRuns, (runs) => {
      const bytes = journalOf(runs);
      const journal = readRunJournal(sha256, bytes, id, RUNS);
      expect(journal?.wholeBytes).toBe(bytes.length);
      expect(journal?.runs).toEqual(new Map(runs.map(({ run, digest }) => [run, digest])));
    }),
  );
});

// Goal: a crash while appending costs the torn record and nothing before it.
test('a journal cut anywhere keeps its whole records', () => {
  const runs = [4, 9, 2].map((run) => ({
    run,
    digest: Uint8Array.from(sha256(Uint8Array.of(run))),
  }));
  const bytes = journalOf(runs);
  const head = journalHead(sha256, id, RUNS).length;
  const record = (bytes.length - head) / 3;
  for (let length = 0; length <= bytes.length; length++) {
    const journal = readRunJournal(sha256, bytes.subarray(0, length), id, RUNS);
    if (length < head) expect(journal).toBeUndefined();
    else expect(journal?.runs.size).toBe(Math.floor((length - head) / record));
  }
});

test('a flipped bit ends the journal there, and another output has another journal', () => {
  const bytes = journalOf(
    [3, 1].map((run) => ({ run, digest: Uint8Array.from(sha256(Uint8Array.of(run))) })),
  );
  const flipped = bytes.slice();
  flipped[journalHead(sha256, id, RUNS).length + 10] = (flipped[58] ?? 0) ^ 0x10;
  expect(readRunJournal(sha256, flipped, id, RUNS)?.runs.size).toBe(0);
  expect(readRunJournal(sha256, bytes, sha256(id), RUNS)).toBeUndefined();
  expect(readRunJournal(sha256, bytes, id, RUNS + 1)).toBeUndefined();
});
