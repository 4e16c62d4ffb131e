import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readCheckpoint } from '../../../cluster-tests/damage/checkpoint-directory.ts';
import { FaultError } from '../../../proto/fault.ts';
import type { Checkpoint, Json, JsonObject } from '../checkpoint/checkpoint.ts';
import { isJsonObject } from '../checkpoint/config.ts';
import type { KeyValue } from '../gguf/metadata.ts';
import { describeVocabulary, type TokenizerKind } from './tokenizer.ts';

const fixture = await readCheckpoint(
  fileURLToPath(new URL('../../../fixtures/tiny-gemma4-e', import.meta.url)),
);
const ROWS = 320;
const kind: TokenizerKind = {
  model: 'gemma4',
  userDefined: new Set(['<|channel>']),
  suppressTokens: false,
};

const object = (value: Json | undefined): JsonObject => (isJsonObject(value) ? value : {});
const { model: fixtureModel, added_tokens: fixtureAdded } = fixture.tokenizer;
const { vocab: fixtureVocab, merges: fixtureMerges } = object(fixtureModel);

const withModel = (change: JsonObject): Checkpoint => ({
  ...fixture,
  tokenizer: { ...fixture.tokenizer, model: { ...object(fixtureModel), ...change } },
});
const withVocab = (change: JsonObject): Checkpoint =>
  withModel({ vocab: { ...object(fixtureVocab), ...change } });
const withTokenizer = (change: JsonObject): Checkpoint => ({
  ...fixture,
  tokenizer: { ...fixture.tokenizer, ...change },
});
const withAdded = (...more: JsonObject[]): Checkpoint =>
  withTokenizer({ added_tokens: [...(Array.isArray(fixtureAdded) ? fixtureAdded : []), ...more] });
const withTokenizerConfig = (change: JsonObject): Checkpoint => ({
  ...fixture,
  tokenizerConfig: { ...fixture.tokenizerConfig, ...change },
});

const describeFixture = (checkpoint: Checkpoint, rows = ROWS, like = kind) =>
  new Map(
    describeVocabulary(checkpoint, rows, like).map(({ key, value }: KeyValue) => [
      key.replace('tokenizer.', '').replace('ggml.', ''),
      value,
    ]),
  );
const listOf = (checkpoint: Checkpoint, key: string, rows = ROWS): readonly unknown[] => {
  const value = describeFixture(checkpoint, rows).get(key);
  return value?.type === 'array' ? value.value : [];
};
const codeOf = (checkpoint: Checkpoint, rows = ROWS): string => {
  try {
    describeVocabulary(checkpoint, rows, kind);
  } catch (error) {
    if (error instanceof FaultError) return error.kind.code;
    throw error;
  }
  return 'none';
};

describe('the keys', () => {
  const said = describeFixture(fixture);

  test('stand in their order and types', () => {
    const typed = [...said].map(([key, value]) => [
      key,
      value.type === 'array' ? `${value.of}[${value.value.length}]` : `${value.type}`,
    ]);
    const merges = Array.isArray(fixtureMerges) ? fixtureMerges.length : 0;
    expect(typed).toEqual([
      ['model', 'string'],
      ['tokens', 'string[320]'],
      ['scores', 'f32[320]'],
      ['token_type', 'i32[320]'],
      ['merges', `string[${merges}]`],
      ['bos_token_id', 'u32'],
      ['eos_token_id', 'u32'],
      ['unknown_token_id', 'u32'],
      ['padding_token_id', 'u32'],
      ['mask_token_id', 'u32'],
      ['add_bos_token', 'bool'],
      ['add_space_prefix', 'bool'],
      ['chat_template', 'string'],
    ]);
  });
  test('hold the values', () => {
    expect(said.get('model')?.value).toBe('gemma4');
    expect(said.get('add_bos_token')?.value).toBe(true);
    expect(said.get('add_space_prefix')?.value).toBe(false);
    expect(new Set(listOf(fixture, 'scores'))).toEqual(new Set([-1000]));
    const ids = ['bos', 'eos', 'unknown', 'padding', 'mask'].map(
      (name) => said.get(`${name}_token_id`)?.value,
    );
    expect(ids).toEqual([2, 1, 3, 0, 4]);
    const tokens = listOf(fixture, 'tokens');
    expect(tokens.slice(0, 10)).toEqual([
      ...['<pad>', '<eos>', '<bos>', '<unk>', '<mask>', '<|turn>', '<turn|>', '\n'],
      ...['<0x00>', '<0x01>'],
    ]);
    expect(tokens.slice(264, 272)).toEqual(['▁', 'h', 'e', 'he', '▁he', 'l', 'o', '\n\n']);
    expect(listOf(fixture, 'merges').slice(0, 2)).toEqual(['h e', '▁ he']);
    const types = listOf(fixture, 'token_type');
    expect(types.slice(0, 7)).toEqual([3, 3, 3, 3, 3, 3, 3]);
    expect(types[7]).toBe(1);
    expect(new Set(types.slice(8, 264))).toEqual(new Set([6]));
    expect(new Set(types.slice(264))).toEqual(new Set([1]));
  });
});

describe('token types', () => {
  test('the family comes before bytes, bytes before specials, specials before added', () => {
    const checkpoint = {
      ...withAdded(
        { id: 320, content: '<|channel>', special: true },
        { id: 321, content: '<word>', special: false },
        { id: 322, content: '<image>', special: true },
      ),
      tokenizerConfig: {
        ...fixture.tokenizerConfig,
        extra_special_tokens: ['<|channel>', '<0x41>'],
        additional_special_tokens: [{ content: '<image>' }],
      },
    };
    const types = listOf(checkpoint, 'token_type', 323);
    expect(types.slice(320)).toEqual([4, 4, 3]);
    expect(types[8 + 0x41]).toBe(6);
    // No longer among the extra ones.
    expect(types[5]).toBe(1);
  });
  test('rows without a token are padded as unused', () => {
    expect(listOf(fixture, 'tokens', 323).slice(319)).toEqual([
      listOf(fixture, 'tokens')[319],
      ...['[PAD320]', '[PAD321]', '[PAD322]'],
    ]);
    expect(listOf(fixture, 'token_type', 323).slice(320)).toEqual([5, 5, 5]);
    expect(listOf(fixture, 'scores', 323)).toHaveLength(323);
  });
});

describe('merges', () => {
  const pairs = (Array.isArray(fixtureMerges) ? fixtureMerges : []).map((merge: Json) =>
    typeof merge === 'string' ? merge.split(' ') : merge,
  );
  test('are the same as pairs and as texts', () => {
    const texts = pairs.map((pair: Json) => (Array.isArray(pair) ? pair.join(' ') : ''));
    const wanted = listOf(fixture, 'merges');
    expect(listOf(withModel({ merges: pairs }), 'merges')).toEqual(wanted);
    expect(listOf(withModel({ merges: texts }), 'merges')).toEqual(wanted);
  });
  test('write a space inside a part as U+0120', () => {
    const vocab = { ...object(fixtureVocab), 'h ': 320, ' e': 321, 'h  e': 322 };
    const checkpoint = withModel({ vocab, merges: [['h ', ' e']] });
    expect(listOf(checkpoint, 'merges', 323)).toEqual(['h\u0120 \u0120e']);
  });
  test.each([
    [['h', 'x-missing']],
    [['h', 'l']], // Both are tokens, "hl" is not.
    ['h'],
    ['h e l'],
    [['h', 'e', 'l']],
    [['h', 7]],
    [7],
    [null],
  ])('%j is refused', (merge) => {
    expect(codeOf(withModel({ merges: [merge] }))).toBe('QD-2404');
  });
});

describe('ids', () => {
  // Goal: ids are a permutation of 0..n-1 or refused. Method: give one token any other id.
  test('any wrong id is refused', () => {
    const texts = Object.keys(object(fixtureVocab));
    fc.assert(
      fc.property(fc.constantFrom(...texts), fc.integer({ min: -5, max: 400 }), (text, id) => {
        fc.pre(object(fixtureVocab)[text] !== id);
        expect(['QD-2206', 'QD-2402', 'QD-2403']).toContain(codeOf(withVocab({ [text]: id })));
      }),
    );
  });
  test.each([
    ['QD-2402', withVocab({ he: 266 })],
    ['QD-2402', withVocab({ extra: 321 }), 400],
    ['QD-2403', withVocab({ extra: 320 })],
    ['QD-2206', withVocab({ he: 1.5 })],
    ['QD-2206', withVocab({ he: '267' })],
    ['QD-2402', withAdded({ id: 5, content: '<other>' })],
    ['QD-2402', withAdded({ id: 320, content: '<|turn>' }), 321],
    ['QD-2402', withAdded({ id: 321, content: '<far>' }), 400],
    ['QD-2403', withAdded({ id: 320, content: '<beyond>' })],
    ['QD-2206', withAdded({ id: 320 })],
    ['QD-2206', withTokenizer({ added_tokens: 'none' })],
  ])('%s', (code, checkpoint, rows = ROWS) => {
    expect(codeOf(checkpoint, rows)).toBe(code);
  });
});

describe('the kind', () => {
  const replace = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
  test.each([
    [withModel({ type: 'Unigram' })],
    [withModel({ byte_fallback: false })],
    [withModel({ byte_fallback: null })],
    [withModel({ ignore_merges: true })],
    [withModel({ end_of_word_suffix: '</w>' })],
    [withTokenizer({ normalizer: null })],
    [withTokenizer({ normalizer: { type: 'NFC' } })],
    [withTokenizer({ normalizer: { ...replace, content: '_' } })],
    [withTokenizer({ normalizer: { ...replace, pattern: { Regex: ' ' } } })],
    [
      withTokenizer({
        normalizer: { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, replace] },
      }),
    ],
    [withTokenizer({ decoder: { type: 'ByteLevel' } })],
  ])('is refused when it is another', (checkpoint) => {
    expect(codeOf(checkpoint)).toBe('QD-2401');
  });
  test('may be wrapped in a sequence of one', () => {
    const normalizer = { type: 'Sequence', normalizers: [replace] };
    expect(codeOf(withTokenizer({ normalizer }))).toBe('none');
  });
  test('needs a token for every byte', () => {
    const { '<0x7F>': id = null, ...vocab } = object(fixtureVocab);
    expect(codeOf(withModel({ vocab: { ...vocab, '<0x7f>': id } }))).toBe('QD-2407');
  });
});

describe('special ids', () => {
  const { bos_token: _bos, mask_token: _mask, ...unnamed } = fixture.tokenizerConfig;
  const idsOnly = (config: JsonObject): Checkpoint => ({
    ...fixture,
    config,
    tokenizerConfig: unnamed,
  });

  test('come from config.json where tokenizer_config.json does not name them', () => {
    const said = describeFixture(idsOnly({ bos_token_id: 7, mask_token_id: [4, 5] }));
    expect(said.get('bos_token_id')?.value).toBe(7);
    expect(said.has('mask_token_id')).toBe(false);
  });
  test('may be written as objects', () => {
    const said = describeFixture(withTokenizerConfig({ eos_token: { content: '<turn|>' } }));
    expect(said.get('eos_token_id')?.value).toBe(6);
  });
  test('without bos, or beyond the vocabulary, are refused', () => {
    expect(codeOf(idsOnly({}))).toBe('QD-2405');
    expect(codeOf(idsOnly({ bos_token_id: 320 }))).toBe('QD-2405');
    expect(codeOf(idsOnly({ bos_token_id: -1 }))).toBe('QD-2405');
  });
});

describe('the chat template', () => {
  const templateOf = (checkpoint: Checkpoint) =>
    describeFixture(checkpoint).get('chat_template')?.value;
  const several = [
    { name: 'tools', template: 'T' },
    { name: 'default', template: 'D' },
  ];
  test.each([
    ['own', 'own', 'file', 'own'],
    ['the default one of several', several, 'file', 'D'],
    ['the file', null, 'file', 'file'],
    ['the file where no template is the default', several.slice(0, 1), 'file', 'file'],
    ['none', null, undefined, undefined],
  ])('%s', (_name, own, chatTemplate, wanted) => {
    expect(templateOf({ ...withTokenizerConfig({ chat_template: own }), chatTemplate })).toBe(
      wanted,
    );
  });
});

describe('suppressed tokens', () => {
  const checkpoint = { ...fixture, generationConfig: { suppress_tokens: [258, 7] } };
  test('are written for the kinds that want them', () => {
    const like = { ...kind, suppressTokens: true };
    expect(describeFixture(checkpoint, ROWS, like).get('suppress_tokens')).toEqual({
      type: 'array',
      of: 'i32',
      value: [258, 7],
    });
    expect(describeFixture(fixture, ROWS, like).has('suppress_tokens')).toBe(false);
    expect(describeFixture(checkpoint).has('suppress_tokens')).toBe(false);
  });
});

// Goal: Gemma's own table takes no noticeable time. Method: one of the same size, with merges of
// two forms; processor time, so that other work does not
// count; the bound is several times what it takes (0.6 s on a 2-core cloud machine).
test('262144 tokens and 514906 merges are read quickly', () => {
  const vocab: { [text: string]: number } = { ...(fixtureVocab as { [text: string]: number }) };
  const merges: string[][] = [];
  let next = ROWS;
  const heads = Object.keys(vocab).slice(264);
  for (let n = 0; next < 262_144; n++) {
    const left = heads[n % heads.length] ?? '';
    const text = `w${n.toString(36)}`;
    vocab[text] = next++;
    vocab[left + text] ??= next++;
    merges.push([left, text], [left, text], [left, text], [left, text]);
  }
  while (merges.length < 514_906) merges.push(['h', 'e']);
  const checkpoint = withModel({ vocab, merges });
  const rows = Object.keys(vocab).length;
  const before = process.cpuUsage();
  const said = describeFixture(checkpoint, rows);
  const { user, system } = process.cpuUsage(before);
  const took = (user + system) / 1000;
  console.info(`${rows} tokens, ${merges.length} merges: ${took.toFixed(0)} ms`);
  expect(said.get('tokens')).toBeDefined();
  expect(took).toBeLessThan(5000);
});
