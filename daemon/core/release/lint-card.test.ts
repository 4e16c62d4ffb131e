/** What is said of heads of cards, right ones and wrong ones. */

import { expect, test } from 'vitest';
import { lintCard } from './lint-card.ts';

const right = {
  license: 'apache-2.0',
  base_model: ['google/gemma-4-26B-A4B-it'],
  base_model_relation: 'quantized',
  language: ['en', 'pt-BR', 'multilingual'],
  pipeline_tag: 'text-generation',
  library_name: 'gguf',
  tags: ['gguf'],
  extra_gated_prompt: 'anything',
};

test('a head with all that the hub reads', () => {
  expect(lintCard(right)).toEqual([]);
});

test.each([
  [undefined, 'it has no head'],
  [null, 'it has no head'],
  ['text', 'no list of keys'],
  [[1], 'no list of keys'],
  [{ ...right, license: 'Apache 2.0' }, 'license'],
  [{ ...right, license: 'other' }, 'license_name'],
  [{ ...right, base_model: 'gemma' }, 'base_model'],
  [{ ...right, base_model: [] }, 'base_model'],
  [{ ...right, base_model_relation: 'copied' }, 'base_model_relation'],
  [{ ...right, language: 'English' }, 'language'],
  [{ ...right, tags: 'a,b'.split(',').concat('') }, 'tags'],
  [{ ...right, pipeline_tag: 3 }, 'pipeline_tag'],
])('%j: %s', (head, said) => {
  const found = lintCard(head);
  expect(found).toHaveLength(1);
  expect(found[0]?.severity).toBe('fault');
  expect(JSON.stringify(found)).toContain(said);
});

test('what is missing is a warning', () => {
  expect(lintCard({}).map(({ severity, key }) => [severity, key])).toEqual([
    ['warning', 'license'],
    ['warning', 'base_model'],
    ['warning', 'pipeline_tag'],
    ['warning', 'tags'],
  ]);
});
