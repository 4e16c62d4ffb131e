/**
 * Llama child: the one process that touches libllama, because libllama aborts where it disagrees.
 *
 *   {id, task, …} over the channel of fork ──▶ libllama by koffi ──▶ {id, ok, value | error}
 *
 * Started by llama.ts, which says what the tasks mean. The words of the parameter structs were
 * found by experiment on llama.cpp v0.5.0, the release inside @node-llama-cpp/linux-x64 3.22.1;
 * `checkDefaults` refuses a binary that lays them out otherwise.
 */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import koffi from 'koffi';

const [directory, threadsText] = process.argv.slice(2);
const threads = Number(threadsText);

/** Parameter structs travel by value on the stack: a larger array than the struct is harmless. */
koffi.struct('Words', { words: koffi.array('uint32', 64) });
koffi.struct('Batch', {
  tokenCount: 'int32',
  tokens: 'int32 *',
  embeddings: 'float *',
  positions: 'int32 *',
  sequenceCounts: 'int32 *',
  sequences: 'int32 **',
  wanted: 'int8 *',
});
const TensorType = koffi.struct('TensorType', { pattern: 'const char *', type: 'int32' });
const Importance = koffi.struct('Importance', {
  name: 'const char *',
  data: 'float *',
  count: 'size_t',
});
koffi.struct('QuantizeParams', {
  threads: 'int32',
  ftype: 'int32',
  outputType: 'int32',
  embeddingType: 'int32',
  allowRequantize: 'bool',
  quantizeOutput: 'bool',
  onlyCopy: 'bool',
  pure: 'bool',
  keepSplit: 'bool',
  dryRun: 'bool',
  importance: 'void *',
  overrides: 'void *',
  tensorTypes: 'TensorType *',
  pruned: 'void *',
});

/** Where the words of llama_context_params stand. */
const contextWord = {
  contextTokens: 0,
  batchTokens: 1,
  microBatchTokens: 2,
  flashAttention: 13,
  typeK: 26,
  typeV: 27,
};
const ggmlF32 = 0;
const ggmlF16 = 1;
/** One past the last ggml type: "not set". */
const ggmlTypeCount = 43;

const tasks = { quantize, tokenize, logits, metadata };
const llama = bind();
checkDefaults();

process.on('message', (request) => {
  const { id } = request;
  try {
    process.send({ id, ok: true, value: tasks[request.task](request) });
  } catch (error) {
    process.send({ id, ok: false, error: String(error?.message ?? error) });
  }
});
process.on('disconnect', () => process.exit(0));
process.send({ ready: true });

function bind() {
  const open = (name) => koffi.load(join(directory, name), { global: true });
  // Each needs the symbols of the one before.
  open('libggml-base.so');
  const ggml = open(find(/^libggml\.v.*\.so$/));
  const lib = open(find(/^libllama\.v.*\.so$/));
  ggml.func('void ggml_backend_load_all_from_path(const char *directory)')(directory);
  lib.func('void llama_backend_init()')();
  return {
    modelDefaults: lib.func('Words llama_model_default_params()'),
    contextDefaults: lib.func('Words llama_context_default_params()'),
    quantizeDefaults: lib.func('QuantizeParams llama_model_quantize_default_params()'),
    load: lib.func('void *llama_model_load_from_file(const char *file, Words params)'),
    free: lib.func('void llama_model_free(void *model)'),
    open: lib.func('void *llama_init_from_model(void *model, Words params)'),
    close: lib.func('void llama_free(void *context)'),
    vocabulary: lib.func('void *llama_model_get_vocab(void *model)'),
    vocabularySize: lib.func('int32 llama_vocab_n_tokens(void *vocabulary)'),
    tokenize: lib.func(
      'int32 llama_tokenize(void *vocabulary, uint8 *text, int32 bytes, _Out_ int32 *ids, int32 idsMax, bool addSpecial, bool parseSpecial)',
    ),
    setThreads: lib.func('void llama_set_n_threads(void *context, int32 one, int32 batch)'),
    decode: lib.func('int32 llama_decode(void *context, Batch batch)'),
    logitsAt: lib.func('float *llama_get_logits_ith(void *context, int32 index)'),
    metaCount: lib.func('int32 llama_model_meta_count(void *model)'),
    metaKey: lib.func(
      'int32 llama_model_meta_key_by_index(void *model, int32 index, _Out_ uint8 *text, size_t bytes)',
    ),
    metaValue: lib.func(
      'int32 llama_model_meta_val_str_by_index(void *model, int32 index, _Out_ uint8 *text, size_t bytes)',
    ),
    quantize: lib.func(
      'uint32 llama_model_quantize(const char *input, const char *output, QuantizeParams *params)',
    ),
  };
}

function find(pattern) {
  const name = readdirSync(directory).find((file) => pattern.test(file));
  if (name === undefined) throw new Error(`no file like ${pattern} beside the oracle`);
  return name;
}

/** The defaults that give the layout away: two F16 caches in a row, two unset types. */
function checkDefaults() {
  const { words } = llama.contextDefaults();
  const params = llama.quantizeDefaults();
  const asExpected =
    words[contextWord.typeK] === ggmlF16 &&
    words[contextWord.typeV] === ggmlF16 &&
    words[contextWord.contextTokens] === 512 &&
    params.outputType === ggmlTypeCount &&
    params.embeddingType === ggmlTypeCount &&
    params.quantizeOutput &&
    !params.pure &&
    !params.dryRun;
  if (!asExpected) throw new Error('this libllama lays its parameters out in another way');
}

function quantize({ input, output, ftype, options }) {
  const { prunedLayers, importance, overrides, tensorTypes, ...plain } = options;
  const params = { ...llama.quantizeDefaults(), threads, ftype, ...plain };
  const placed = [];
  if (prunedLayers !== undefined) {
    params.pruned = place('int32', Int32Array.of(...prunedLayers, -1), placed);
  }
  if (tensorTypes !== undefined) {
    const list = [...tensorTypes, { pattern: null, type: ggmlTypeCount }];
    params.tensorTypes = place(TensorType, list, placed);
  }
  if (importance !== undefined) params.importance = placeImportance(importance, placed);
  if (overrides !== undefined) params.overrides = placeOverrides(overrides, placed);
  const code = llama.quantize(input, output, params);
  for (const pointer of placed) koffi.free(pointer);
  if (code !== 0) throw new Error(`llama_model_quantize returned ${code}`);
}

/** An array behind a pointer, which lives until it is freed. */
function place(type, values, placed) {
  const pointer = koffi.alloc(type, values.length);
  koffi.encode(pointer, koffi.array(type, values.length), values);
  placed.push(pointer);
  return pointer;
}

/** The weights as an array that ends with a null name. */
function placeImportance(importance, placed) {
  const list = importance.map(({ name, weights }) => ({
    name,
    data: place('float', weights, placed),
    count: weights.length,
  }));
  return place(Importance, [...list, { name: null, data: null, count: 0 }], placed);
}

/** The overrides as an array that ends with an empty key. */
function placeOverrides(overrides, placed) {
  const bytes = Buffer.concat([...overrides.map(encodeOverride), Buffer.alloc(OVERRIDE_BYTES)]);
  return place('uint8', bytes, placed);
}

const OVERRIDE_BYTES = 264;
const overrideTags = { int: 0, float: 1, bool: 2, str: 3 };

/** A tag, a key of 128 bytes, and a union of i64, f64, bool and a text of 128 bytes. */
function encodeOverride({ key, type, value }) {
  const bytes = Buffer.alloc(OVERRIDE_BYTES);
  bytes.writeInt32LE(overrideTags[type], 0);
  bytes.write(key, 4, 127);
  const at = 136;
  if (type === 'int') bytes.writeBigInt64LE(BigInt(value), at);
  else if (type === 'float') bytes.writeDoubleLE(value, at);
  else if (type === 'bool') bytes[at] = value ? 1 : 0;
  else bytes.write(value, at, 127);
  return bytes;
}

function withModel(file, use) {
  const model = llama.load(file, llama.modelDefaults());
  if (model === null) throw new Error('llama.cpp refuses to load the model');
  try {
    return use(model);
  } finally {
    llama.free(model);
  }
}

function tokenize({ model: file, texts, parseSpecial, addBos }) {
  return withModel(file, (model) => {
    const vocabulary = llama.vocabulary(model);
    return texts.map((text) => {
      const bytes = Buffer.from(text, 'utf8');
      // No token is empty, so a text has at most one a byte, and one BOS.
      const ids = new Int32Array(bytes.length + 2);
      const count = llama.tokenize(
        vocabulary,
        bytes,
        bytes.length,
        ids,
        ids.length,
        addBos,
        parseSpecial,
      );
      if (count < 0) throw new Error(`llama_tokenize wants room for ${-count} tokens`);
      return ids.slice(0, count);
    });
  });
}

function logits({ model: file, sequences, positions }) {
  return withModel(file, (model) => {
    const vocabulary = llama.vocabularySize(llama.vocabulary(model));
    return sequences.map((ids) => decodeOnce(model, vocabulary, ids, positions));
  });
}

/** A fresh context for each sequence, so that none sees the cache of another. */
function decodeOnce(model, vocabulary, ids, positions) {
  const params = llama.contextDefaults();
  params.words[contextWord.contextTokens] = Math.max(64, ids.length);
  params.words[contextWord.batchTokens] = Math.max(64, ids.length);
  params.words[contextWord.microBatchTokens] = Math.max(64, ids.length);
  params.words[contextWord.flashAttention] = 0;
  params.words[contextWord.typeK] = ggmlF32;
  params.words[contextWord.typeV] = ggmlF32;
  const context = llama.open(model, params);
  if (context === null) throw new Error('llama.cpp makes no context of the model');
  // Its threads wait by spinning, which is slow where others compute too.
  llama.setThreads(context, 1, 1);
  try {
    const code = llama.decode(context, {
      tokenCount: ids.length,
      tokens: Int32Array.from(ids),
      embeddings: null,
      positions: Int32Array.from(ids, (_, index) => index),
      // Null means: every token belongs to sequence 0.
      sequenceCounts: null,
      sequences: null,
      wanted: new Int8Array(ids.length).fill(1),
    });
    if (code !== 0) throw new Error(`llama_decode returned ${code}`);
    const first = positions === 'all' ? 0 : ids.length - 1;
    const rows = [];
    for (let index = first; index < ids.length; index++) {
      const row = llama.logitsAt(context, index);
      rows.push(Float32Array.from(koffi.decode(row, koffi.array('float', vocabulary))));
    }
    return rows;
  } finally {
    llama.close(context);
  }
}

function metadata({ model: file }) {
  return withModel(file, (model) => {
    const text = new Uint8Array(65536);
    const read = (call, index) =>
      Buffer.from(text.subarray(0, Math.max(0, call(model, index, text, text.length)))).toString();
    return Array.from({ length: llama.metaCount(model) }, (_, index) => [
      read(llama.metaKey, index),
      read(llama.metaValue, index),
    ]);
  });
}
