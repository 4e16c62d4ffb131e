import { expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { type CardFacts, cardOf } from './card.ts';
import { cardHead, noSourceCard, sourceCardOf } from './source-card.ts';

const digest = 'ab'.repeat(32);
const output = (
  file: string,
  ftype: string,
  bytes: number,
): CardFacts['lock']['outputs'][number] => {
  return { file, ftype, bytes, bitsPerWeight: 4.5, sha256: digest, header: digest, tensors: [] };
};
const facts: CardFacts = {
  lock: {
    schema: 1,
    quantd: '1.2.3',
    contracts: {
      rules: 'llama.cpp v0.5.0',
      quantizers: digest,
      measuring: { name: 'det-1', selfTest: digest },
    },
    model: { name: 'M', architecture: 'gemma4', tensors: 2, elements: 10 },
    source: { repository: 'org/m', commit: '0123456789abcdef', files: [] },
    wishes: {
      name: 'M',
      types: ['Q4_K_M'],
      tensorTypes: [],
      leaveOutputTensor: false,
      pure: false,
      includeWeights: [],
      excludeWeights: [],
      overrideKv: [],
      allowRequantize: false,
      keepSplit: false,
      pruneLayers: [],
    },
    outputs: [
      output('M-Q4_K_M-00001-of-00002.gguf', 'Q4_K_M', 1024 ** 3),
      output('M-Q4_K_M-00002-of-00002.gguf', 'Q4_K_M', 1024 ** 3),
      output('M-Q8_0.gguf', 'Q8_0', 3 * 1024 ** 2),
    ],
  },
  source: noSourceCard,
  licenseFile: undefined,
  kvBytes: 1024 ** 3,
  coverage: undefined,
  perplexity: undefined,
};

test('parts of one output stand in one row, with what they need together', () => {
  const rows = cardOf(facts)
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  expect(rows).toEqual([
    '| `M-Q4_K_M-00001-of-00002.gguf` and 1 more | Q4_K_M | 4.50 | 2.0 GiB | 3.0 GiB | a good balance of size and quality |',
    '| `M-Q8_0.gguf` | Q8_0 | 4.50 | 3.0 MiB | 1.0 GiB | hardly to be told from the original |',
  ]);
});

test('the note of a recipe stands instead of the usual one', () => {
  const output = [{ name: 'Q4_K_M', ftype: 'Q4_K_M', note: 'for 8 | 16 GB *at* best' }];
  const wishes = { ...facts.lock.wishes, recipe: { plain: { recipe: 1 as const, output } } };
  const rows = cardOf({ ...facts, lock: { ...facts.lock, wishes } })
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  expect(rows[0]).toMatch(/ \| for 8 \\\| 16 GB \\\*at\\\* best \|$/);
  expect(rows[1]).toMatch(/hardly to be told from the original \|$/);
});

test('the head names the model it was made of', () => {
  const head = parseDocument(cardHead(cardOf(facts)) ?? '').toJS();
  expect(head).toMatchObject({ base_model: 'org/m', base_model_relation: 'quantized' });
});

test('whatever a source says of itself stays a text in the head', () => {
  const nasty = 'a: b # [c] "d" \\ {e} \u0000';
  const source = sourceCardOf(
    { license: nasty, extra_gated_prompt: 'line\nline', language: 'no' },
    'f',
  );
  const head = parseDocument(cardHead(cardOf({ ...facts, source })) ?? '', { version: '1.1' });
  expect(head.errors).toEqual([]);
  expect(head.toJS()).toMatchObject({
    license: nasty,
    extra_gated_prompt: 'line\nline',
    language: ['no'],
  });
});

test('a card without a head, and one with Windows line ends', () => {
  expect(cardHead('# Title\n---\nno head\n---\n')).toBeUndefined();
  expect(cardHead('---\nnever closed')).toBeUndefined();
  expect(cardHead('---\r\nlicense: mit\r\n---\r\n')).toBe('license: mit');
  expect(() => sourceCardOf(['a list'], 'README.md')).toThrow('QD-6604');
});
