/**
 * Mixed text: what a tokenizer meets in the world, and what it hopes never to meet, from a seed.
 *
 *   seed, characters ──▶ mixedTexts ──▶ texts of some hundred characters
 *
 * Written at test time so that no large file has to be kept.
 */

import { type Random, seededRandom } from '../checkpoints/random.ts';

/** Texts that together have at least `bytes` bytes of UTF-8. */
export function mixedTexts(seed: number, bytes: number, specials: readonly string[]): string[] {
  const random = seededRandom(seed);
  const texts: string[] = [];
  for (let written = 0; written < bytes; ) {
    const text = mixedText(random, specials);
    texts.push(text);
    written += Buffer.byteLength(text);
  }
  return texts;
}

/** Parts of a text; few enough that a difference is found by reading it. */
const PARTS_MAX = 24;

function mixedText(random: Random, specials: readonly string[]): string {
  const parts = Array.from({ length: 1 + random.below(PARTS_MAX) }, () => {
    // Prose is most of any text, so it is drawn as often as all the rest.
    if (random.below(2) === 0) return prose(random);
    const [make = prose] = [kinds[random.below(kinds.length)]];
    return make(random, specials);
  });
  return parts.join(random.below(4) === 0 ? '' : ' ');
}

type Kind = (random: Random, specials: readonly string[]) => string;

const kinds: readonly Kind[] = [
  code,
  emoji,
  cjk,
  otherScripts,
  whitespace,
  newlines,
  numbers,
  oddCharacters,
  accents,
  byteLike,
  (random, specials) => pick(random, specials),
  (random, specials) => brokenSpecial(random, specials),
];

const words =
  'the of and to in a is that it was for on are as with his they at be this from have or by one had not but what all were when we there can an your which their said if do will each about how up out them then she many some so these would other into has more her two like him see time could no make than first been its who now people my made over did down only way find use may water long little very after words called just where most know'.split(
    ' ',
  );

function prose(random: Random): string {
  const count = 3 + random.below(20);
  const sentence = Array.from({ length: count }, () => pick(random, words));
  const text = sentence.join(' ');
  return (
    text.charAt(0).toUpperCase() + text.slice(1) + pick(random, ['.', ',', '!', '?', ' —', '…'])
  );
}

const codeLines = [
  'for (let i = 0; i < n; i++) {\n\tsum += values[i] ?? 0;\n}\n',
  'def f(x):\n    return [y**2 for y in x if y != None]\n\n\n',
  '#include <stdio.h>\nint main(void) { printf("%d\\n", 0x1F); }\n',
  "SELECT id, name FROM t WHERE x >= 10 AND y LIKE '%he%';\n",
  '<div class="a b">\r\n  <p>&nbsp;&lt;hello&gt;</p>\r\n</div>\r\n',
  '{"key": [1, 2.5e-3, null, true], "z": "\\u00e9"}\n',
  '    if err != nil {\n\t\treturn fmt.Errorf("%w", err)\n    }\n',
  '$ curl -sSL https://example.org/a?b=c&d=%20 | sh\n',
  '\\begin{align} x_{i+1} &= \\frac{1}{2} \\\\ \\end{align}',
  '```ts\nconst a: Readonly<Record<string, number>> = {};\n```\n',
];

function code(random: Random): string {
  return Array.from({ length: 1 + random.below(4) }, () => pick(random, codeLines)).join('');
}

const emojis = ['🙂', '👩‍👩‍👧‍👦', '🏳️‍🌈', '👍🏽', '🇩🇪🇫🇷', '❤️', '☺', '🤖', '1️⃣', '🧑🏿‍🚀', '🫠', '©️'];

function emoji(random: Random): string {
  return Array.from({ length: 1 + random.below(6) }, () => pick(random, emojis)).join('');
}

function cjk(random: Random): string {
  const ranges = [
    [0x4e00, 0x9fff],
    [0x3041, 0x30ff],
    [0xac00, 0xd7a3],
    // Beyond the first plane a character is two units of a JavaScript string.
    [0x20000, 0x2a6df],
    [0x3000, 0x303f],
    [0xff01, 0xff5e],
  ] as const;
  return characters(random, pick(random, ranges), 1 + random.below(20));
}

function otherScripts(random: Random): string {
  const ranges = [
    [0x400, 0x4ff],
    [0x370, 0x3ff],
    [0x5d0, 0x5ea],
    [0x627, 0x64a],
    [0x905, 0x939],
    [0xe01, 0xe2e],
    [0x1d400, 0x1d4ff],
    [0x10330, 0x1034a],
  ] as const;
  return characters(random, pick(random, ranges), 1 + random.below(20));
}

function characters(
  random: Random,
  [first, last]: readonly [number, number],
  count: number,
): string {
  return String.fromCodePoint(
    ...Array.from({ length: count }, () => first + random.below(last - first + 1)),
  );
}

function whitespace(random: Random): string {
  const spaces = [' ', '  ', '\t', '\u00a0', '\u3000', '\u2009', '\u200b', '\r', '\r\n', '▁', '\v'];
  return Array.from({ length: 1 + random.below(3) }, () =>
    pick(random, spaces).repeat(1 + random.below(18)),
  ).join('');
}

function newlines(random: Random): string {
  // Short runs are the common ones, long ones pass the longest token.
  const run = '\n'.repeat(1 + random.below(pick(random, [4, 40])));
  return pick(random, [run, `${run} ${run}`, `a${run}b`, `${run}\t`, `▁${run}▁`]);
}

function numbers(random: Random): string {
  return pick(random, [
    `${random.below(1e9)}`,
    `-${random.below(1000)}.${random.below(1e6)}`,
    `1,${100 + random.below(900)},000`,
    `0x${random.below(2 ** 32).toString(16)}`,
    `12:34:5${random.below(10)}.678`,
    '½ ² ₃ Ⅳ ٣ ५',
  ]);
}

function oddCharacters(random: Random): string {
  // Every one is a scalar value: neither program is asked what it does with half a pair.
  const odd = [0, 1, 7, 8, 0x1b, 0x7f, 0x80, 0x85, 0xad, 0x2028, 0x202e, 0xfeff, 0xfffd, 0xfdd0];
  const higher = [0xe000, 0xffff, 0x1fffe, 0xe0041, 0x10ffff];
  const all = [...odd, ...higher];
  return String.fromCodePoint(
    ...Array.from({ length: 1 + random.below(8) }, () => pick(random, all)),
  );
}

function accents(random: Random): string {
  const text = pick(random, ['Ünïcödé', 'naïve café', 'Ångström', 'ﬁ ﬂ ſ ß İı', 'Zalgo', 'ệ ộ ữ']);
  const marks = characters(random, [0x300, 0x36f], random.below(8));
  return pick(random, [text.normalize('NFC'), text.normalize('NFD'), text + marks]);
}

/** The names that tokens of bytes have, as plain text. */
function byteLike(random: Random): string {
  return pick(random, ['<0x0A>', '<0xe9>', '<0x', '0x41>', '<0xFF><0x00>', '<0xG0>', '[UNK]']);
}

/** A special token with a character too few, too many or doubled. */
function brokenSpecial(random: Random, specials: readonly string[]): string {
  const special = pick(random, specials);
  const at = random.below(special.length);
  return pick(random, [
    special.slice(0, at) + special.slice(at + 1),
    `${special.slice(0, at)} ${special.slice(at)}`,
    special + special,
    `<${special}>`,
    special.toUpperCase(),
  ]);
}

function pick<T>(random: Random, choices: readonly T[]): T {
  const choice = choices[random.below(choices.length)];
  if (choice === undefined) throw new Error('there is nothing to choose from');
  return choice;
}
