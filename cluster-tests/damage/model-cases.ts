/** Damaged models: files that each open, and do not fit each other or any model family. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DamageCase } from './case.ts';
import {
  editHeader,
  editHeaderText,
  editJson,
  editTensor,
  editWeightMap,
  firstShard,
  indexFile,
} from './edit-files.ts';

type Row = readonly [name: string, code: string, damage: (dir: string) => void];
type Values = Record<string, unknown>;

/** Sets values of config.json's text_config; a value of undefined takes its key away. */
function editText(dir: string, change: Values): void {
  editJson(dir, 'config.json', (config) => {
    const { text_config: text } = config;
    if (typeof text !== 'object' || text === null) throw new Error('no text_config');
    return { ...config, text_config: { ...text, ...change } };
  });
}

const text =
  (change: Values) =>
  (dir: string): void =>
    editText(dir, change);
const root =
  (change: Values) =>
  (dir: string): void =>
    editJson(dir, 'config.json', (config) => ({ ...config, ...change }));

/** Another layer type for some layer, counted from 0. */
function editLayerTypes(dir: string, edit: (types: unknown[]) => unknown[]): void {
  editJson(dir, 'config.json', (config) => {
    const { text_config: values } = config;
    const { layer_types: types } = values as Values;
    if (!Array.isArray(types)) throw new Error('the fixture has no layer_types');
    return { ...config, text_config: { ...(values as Values), layer_types: edit(types) } };
  });
}

/** Replaces text in the first tensor file's header and in the index, so that both still agree. */
function renameEverywhere(dir: string, from: string, to: string): void {
  editHeaderText(dir, (header) => replaceKnown(header, from, to));
  const path = join(dir, indexFile);
  writeFileSync(path, replaceKnown(readFileSync(path, 'utf8'), from, to));
}

function replaceKnown(content: string, from: string, to: string): string {
  if (!content.includes(from)) throw new Error(`the fixture has no ${from}`);
  return content.replaceAll(from, to);
}

const rename =
  (from: string, to: string) =>
  (dir: string): void =>
    renameEverywhere(dir, from, to);

/** Adds a tensor of no elements to the first file and the index. */
const add =
  (name: string) =>
  (dir: string): void => {
    const empty = { dtype: 'BF16', shape: [0], data_offsets: [0, 0] };
    editHeader(dir, (header) => ({ ...header, [name]: empty }));
    editWeightMap(dir, (map) => {
      map[name] = firstShard;
    });
  };

function editTokenizer(dir: string, edit: (tokenizer: Values) => Values): void {
  editJson(dir, 'tokenizer.json', (tokenizer) => ({ ...tokenizer, ...edit(tokenizer) }));
}

/** Changes values of tokenizer.json's model. */
const model =
  (edit: (model: TokenizerModel) => Values) =>
  (dir: string): void =>
    editTokenizer(dir, (tokenizer) => {
      const { model: current } = tokenizer as { model: TokenizerModel };
      return { model: { ...current, ...edit(current) } };
    });

/** What the fixtures' tokenizer.json holds. */
interface TokenizerModel {
  readonly vocab: Readonly<Record<string, number>>;
  readonly merges: readonly unknown[];
}

const vocabulary = (change: Values) => model(({ vocab }) => ({ vocab: { ...vocab, ...change } }));
const merge = (one: unknown) => model(({ merges }) => ({ merges: [...merges, one] }));
const added =
  (token: unknown) =>
  (dir: string): void =>
    editTokenizer(dir, ({ added_tokens: tokens }) => ({
      added_tokens: [...(Array.isArray(tokens) ? tokens : []), token],
    }));
const normalizer =
  (value: unknown) =>
  (dir: string): void =>
    editTokenizer(dir, () => ({ normalizer: value }));

const sliding = 'sliding_attention';
const q = 'layers.0.self_attn.q_proj.weight';

const configRows: Row[] = [
  ['an architecture nobody knows', 'QD-2301', root({ architectures: ['LlamaForCausalLM'] })],
  ['no architecture', 'QD-2301', root({ architectures: [] })],
  ['a number for an architecture', 'QD-2301', root({ architectures: [4] })],
  [
    'an architecture that turns the text',
    'QD-2301',
    root({ architectures: ['\u202eGemma\u009b4'] }),
  ],
  ['text for text_config', 'QD-2206', root({ text_config: 'none' })],
  ['a billion layers', 'QD-2206', text({ num_hidden_layers: 1e9 })],
  ['no layers', 'QD-2206', text({ num_hidden_layers: 0 })],
  ['half a layer', 'QD-2206', text({ num_hidden_layers: 3.5 })],
  ['no number of layers', 'QD-2205', text({ num_hidden_layers: undefined })],
  ['one layer more than it holds', 'QD-2206', text({ num_hidden_layers: 5 })],
  ['a hidden size of 0', 'QD-2206', text({ hidden_size: 0 })],
  ['another hidden size than its tensors', 'QD-2304', text({ hidden_size: 512 })],
  ['a head size of 2^40', 'QD-2206', text({ global_head_dim: 2 ** 40 })],
  ['an odd head size', 'QD-2206', text({ head_dim: 63 })],
  ['query heads that KV heads do not divide', 'QD-2206', text({ num_key_value_heads: 3 })],
  ['no experts', 'QD-2206', text({ num_experts: 0 })],
  ['a million experts', 'QD-2206', text({ num_experts: 1e6 })],
  ['more experts than it holds', 'QD-2304', text({ num_experts: 4096 })],
  ['more experts used than there are', 'QD-2206', text({ top_k_experts: 1000 })],
  ['experts that the config denies', 'QD-2303', text({ enable_moe_block: false })],
  ['a vocabulary of a billion', 'QD-2206', text({ vocab_size: 1e9 })],
  ['a layer type too few', 'QD-2206', (dir) => editLayerTypes(dir, (types) => types.slice(1))],
  [
    'a layer type nobody knows',
    'QD-2206',
    (dir) => editLayerTypes(dir, (types) => ['chunked_attention', ...types.slice(1)]),
  ],
  [
    'a last layer that slides',
    'QD-2206',
    (dir) => editLayerTypes(dir, (types) => [...types.slice(1), sliding]),
  ],
  ['a layer of its own size', 'QD-2307', text({ per_layer_config: [{ head_dim: 128 }] })],
  ['another activation', 'QD-2307', text({ hidden_activation: 'silu' })],
  ['KV sharing that no GGUF can say', 'QD-2307', text({ num_kv_shared_layers: 1 })],
  ['an epsilon of 0', 'QD-2206', text({ rms_norm_eps: 0 })],
  ['an untied head that is not there', 'QD-2302', root({ tie_word_embeddings: false })],
];

const tensorRows: Row[] = [
  ['a tensor under another name', 'QD-2302', rename(q, 'layers.0.self_attn.q_proj.wait')],
  ['a tensor in a layer it has not', 'QD-2302', rename(q, q.replace('0', '9'))],
  ['a tensor twice, with and without prefix', 'QD-2305', add(`model.${q}`)],
  ['adapters beside the weights', 'QD-2303', add('model.layers.0.self_attn.q_proj.lora_A')],
  ['values on a layer whose values are its keys', 'QD-2303', addValues],
  [
    'embeddings on their side',
    'QD-2304',
    (dir) =>
      editTensor(dir, (entry) => {
        entry.shape = [...entry.shape].reverse();
      }),
  ],
  [
    'a layer scalar of no dimension',
    'QD-2304',
    (dir) =>
      editHeader(dir, (header) => {
        const scalar = header['model.language_model.layers.0.layer_scalar'];
        if (scalar === undefined) throw new Error('the fixture has no layer scalar');
        scalar.shape = [];
        return undefined;
      }),
  ],
  [
    'embeddings of integers',
    'QD-2112',
    (dir) =>
      editTensor(dir, (entry) => {
        entry.dtype = 'I16';
      }),
  ],
];

function addValues(dir: string): void {
  const config: { text_config: { num_hidden_layers: number } } = JSON.parse(
    readFileSync(join(dir, 'config.json'), 'utf8'),
  );
  const last = config.text_config.num_hidden_layers - 1;
  add(`model.language_model.layers.${last}.self_attn.v_proj.weight`)(dir);
}

const tokenizerRows: Row[] = [
  ['a Unigram tokenizer', 'QD-2401', model(() => ({ type: 'Unigram' }))],
  ['a tokenizer without byte fallback', 'QD-2401', model(() => ({ byte_fallback: false }))],
  ['a tokenizer without a normalizer', 'QD-2401', normalizer(null)],
  ['a tokenizer that puts a space in front', 'QD-2401', normalizer({ type: 'Prepend' })],
  [
    'a decoder for bytes',
    'QD-2401',
    (dir) => editTokenizer(dir, () => ({ decoder: { type: 'ByteLevel' } })),
  ],
  ['no tokenizer model', 'QD-2205', (dir) => editTokenizer(dir, () => ({ model: null }))],
  ['an empty vocabulary', 'QD-2407', model(() => ({ vocab: {}, merges: [] }))],
  ['a list for a vocabulary', 'QD-2206', model(() => ({ vocab: [['a', 0]] }))],
  ['a token without its id', 'QD-2402', vocabulary({ '▁': 0 })],
  ['a token with a negative id', 'QD-2206', vocabulary({ '▁': -1 })],
  ['a token with an id of 2^53', 'QD-2206', vocabulary({ '▁': 2 ** 53 })],
  ['a token beyond the embeddings', 'QD-2403', vocabulary({ extra: 4_000_000 })],
  ['more tokens than embeddings', 'QD-2403', added({ id: 2048, content: '<extra>' })],
  ['an added token on the place of another', 'QD-2402', added({ id: 5, content: '<other>' })],
  ['an added token that turns the text', 'QD-2402', added({ id: 5, content: '\u202eb\u009b' })],
  ['an added token without text', 'QD-2206', added({ id: 7 })],
  ['a merge of a token it has not', 'QD-2404', merge(['▁', 'no such token'])],
  ['a merge into a token it has not', 'QD-2404', merge(['<bos>', '<bos>'])],
  ['a merge of three', 'QD-2404', merge(['a', 'b', 'c'])],
  ['a merge that is a number', 'QD-2404', merge(1e9)],
  ['no merges', 'QD-2206', model(() => ({ merges: null }))],
  // Half a pair is no UTF-8 however it is written; the reader of JSON finds it.
  ['a token with half a surrogate pair', 'QD-2203', vocabulary({ '\ud83d': 4 })],
  ['a merge with half a surrogate pair', 'QD-2203', merge(['\udc00', '▁'])],
  [
    'no bos anywhere',
    'QD-2405',
    (dir) => {
      editJson(dir, 'tokenizer_config.json', (config) => ({ ...config, bos_token: undefined }));
      root({ bos_token_id: undefined })(dir);
    },
  ],
  [
    'a bos beyond the vocabulary',
    'QD-2405',
    (dir) => {
      editJson(dir, 'tokenizer_config.json', (config) => ({ ...config, bos_token: '<none>' }));
      root({ bos_token_id: 1e9 })(dir);
    },
  ],
];

/** Each opens as a checkpoint, but for the two with half a pair; the model is what refuses it. */
export const modelCases: readonly DamageCase[] = [
  ...configRows,
  ...tensorRows,
  ...tokenizerRows,
].map(([name, code, damage]) => ({ name, code, damage }));
