/**
 * Goal: cutting a text into sections and words changes none of its ids, and never holds up the
 * process. Method: the same vocabulary without any of that, as an obvious slow program.
 */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { TextVocabulary } from '../ports.ts';
import { openTextTokenizer } from './text-tokenizer.ts';

const bytes = Array.from(
  { length: 256 },
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
);
const merges = ['a b', 'ab ab', '▁ a', '▁ ▁', '▁a b', 'b ▁', 'é 🙂', '🙂 a', 'c \n'];
const results = merges.map((merge) => merge.replace(' ', ''));
const singles = ['a', 'b', '▁', '\n', 'é', '🙂', 'c'];
/** Runs of line breaks that no merge makes. */
const runs = ['\n\n', '\n\n\n'];
const specialTexts = ['<s>', '<s>a', 'b<', '< s>', '🙂!'];
const tokens = [...specialTexts, ...bytes, ...singles, ...results, ...runs];
const vocabulary: TextVocabulary = {
  tokens,
  merges,
  specials: specialTexts.map((text, id) => ({ id, text, always: id === 2 })),
};

/** The rules of docs/calibration.md, one after the other over the whole text. */
function slowly(text: string, parseSpecial: boolean): number[] {
  const order = vocabulary.specials
    .filter(({ always }) => always || parseSpecial)
    .toSorted((a, b) => Buffer.byteLength(b.text) - Buffer.byteLength(a.text) || a.id - b.id);
  let parts: (string | number)[] = [text];
  for (const { id, text: special } of order) {
    parts = parts.flatMap((part) =>
      typeof part === 'number'
        ? [part]
        : part.split(special).flatMap((piece, index) => (index === 0 ? [piece] : [id, piece])),
    );
  }
  return parts.flatMap((part) =>
    typeof part === 'number' ? [part] : (part.match(/\n+|[^\n]+/g) ?? []).flatMap(mergeSlowly),
  );
}

function mergeSlowly(run: string): number[] {
  if (/^\n/.test(run) && tokens.includes(run)) return [tokens.indexOf(run)];
  const symbols = [...run.replaceAll(' ', '▁')];
  for (;;) {
    const ranks = symbols.map((symbol, at) => merges.indexOf(`${symbol} ${symbols[at + 1]}`));
    const best = Math.min(...ranks.filter((rank) => rank >= 0));
    const at = ranks.indexOf(best);
    if (at < 0) break;
    symbols.splice(at, 2, `${symbols[at]}${symbols[at + 1]}`);
  }
  return symbols.flatMap((symbol) => {
    const id = tokens.indexOf(symbol);
    if (id >= 0) return [id];
    return [...new TextEncoder().encode(symbol)].map((byte) => specialTexts.length + byte);
  });
}

const piece = fc.constantFrom(...singles, ...specialTexts, ' ', 'ab', '\n\n', '<', 's', '漢', 'q');
const texts = fc.array(piece, { maxLength: 60 }).map((pieces) => pieces.join(''));

test.each([true, false])('ids are those of the rules, special tokens parsed: %s', async (parse) => {
  const tokenizer = openTextTokenizer(vocabulary, { parseSpecial: parse });
  await fc.assert(
    fc.asyncProperty(texts, async (text) => {
      expect([...(await tokenizer.encode(text))]).toEqual(slowly(text, parse));
    }),
    { numRuns: 400 },
  );
});

test('sections are cut where nothing changes', async () => {
  const tokenizer = openTextTokenizer(vocabulary, { parseSpecial: true });
  await fc.assert(
    fc.asyncProperty(texts, fc.integer({ min: 4085, max: 4100 }), async (text, length) => {
      const long = `${'q'.repeat(length)}\n\n\n${text}${'qa'.repeat(2100)}${text}`;
      expect([...(await tokenizer.encode(long))]).toEqual(slowly(long, true));
    }),
    { numRuns: 40 },
  );
});

test('other work has its turn within a long text, and can end it', async () => {
  const tokenizer = openTextTokenizer(vocabulary, { parseSpecial: false });
  const aborting = new AbortController();
  let turns = 0;
  const count = (): void => {
    turns += 1;
    if (turns === 5) aborting.abort();
    else setImmediate(count);
  };
  setImmediate(count);
  const encoding = tokenizer.encode('ab q '.repeat(50_000), aborting.signal);
  await expect(encoding).rejects.toThrow(/abort/i);
  expect(turns).toBe(5);
});

test('a run that cannot be cut is refused, one that can is not', async () => {
  const tokenizer = openTextTokenizer(vocabulary, { parseSpecial: false });
  await expect(tokenizer.encode('\n'.repeat(70_000))).rejects.toThrow(/QD-8431.*70000 characters/);
  expect(await tokenizer.encode('q'.repeat(70_000))).toHaveLength(70_000);
});
