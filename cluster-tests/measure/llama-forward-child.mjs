/**
 * Llama forward child: decodes chunks in libllama and writes down what the graph computed.
 *
 *   {request} over the channel of fork ──▶ libllama by koffi ──▶ arrays in a file, {ok, index}
 *
 * Started by llama-forward.ts, once for each request. The words of the parameter structs and the
 * fields of a tensor were found by experiment on llama.cpp v0.5.0, the release inside
 * @node-llama-cpp/linux-x64 3.22.1; `checkDefaults` refuses a binary that lays them out otherwise.
 */

import { closeSync, openSync, readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import koffi from 'koffi';

const [directory, output] = process.argv.slice(2);

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
const Tensor = koffi.struct('Tensor', {
  type: 'int32',
  buffer: 'void *',
  ne: koffi.array('int64', 4),
  nb: koffi.array('size_t', 4),
  op: 'int32',
  parameters: koffi.array('int32', 16),
  flags: 'int32',
  src: koffi.array('void *', 10),
  viewOf: 'void *',
  viewOffset: 'size_t',
  data: 'void *',
  name: koffi.array('char', 64, 'String'),
  extra: 'void *',
});
const EvalCallback = koffi.proto('bool QuantdEvalCallback(void *tensor, bool ask, void *user)');

/** Where the words of llama_context_params stand. */
const contextWord = {
  contextTokens: 0,
  batchTokens: 1,
  microBatchTokens: 2,
  flashAttention: 13,
  callback: 22,
  typeK: 26,
  typeV: 27,
};
const ggmlF32 = 0;
const ggmlF16 = 1;
const ggmlI32 = 26;
/** What llama-imatrix asks of a plain product before it looks at it. */
const COLLECTED_ROWS_MIN = 16;

process.on('disconnect', () => process.exit(0));

process.on('message', (request) => {
  try {
    process.send({ ok: true, ...run(request) });
  } catch (error) {
    process.send({ ok: false, error: String(error?.stack ?? error) });
  }
});

function run({ gguf, chunks, want, cpu, threads }) {
  const llama = bind(cpu);
  checkDefaults(llama);
  const model = llama.load(gguf, llama.modelDefaults());
  if (model === null) throw new Error('llama.cpp refuses to load the model');
  const file = openArrayFile(output);
  const capture = openCapture(llama, want, file);
  const tokens = Math.max(...chunks.map((chunk) => chunk.length));
  const context = openContext(llama, model, tokens, capture);
  llama.setThreads(context, threads, threads);
  const vocabulary = llama.vocabularySize(llama.vocabulary(model));
  const cpuSeconds = [];
  const seconds = chunks.map((chunk, index) => {
    capture.begin(index);
    const cpuBefore = process.cpuUsage();
    const start = process.hrtime.bigint();
    decode(llama, context, chunk);
    const taken = Number(process.hrtime.bigint() - start) / 1e9;
    const { user, system } = process.cpuUsage(cpuBefore);
    cpuSeconds.push((user + system) / 1e6);
    if (want.logits) keepLogits(llama, context, { index, chunk, vocabulary, file });
    return taken;
  });
  capture.end();
  llama.close(context);
  const layers = llama.layers(model);
  llama.free(model);
  file.close();
  return { index: file.index, nodes: capture.nodes, layers, vocabulary, seconds, cpuSeconds };
}

function bind(cpu) {
  const open = (name) => koffi.load(join(directory, name), { global: true });
  // Each needs the symbols of the one before.
  const base = open('libggml-base.so');
  const ggml = open(find(/^libggml\.v.*\.so$/));
  const lib = open(find(/^libllama\.v.*\.so$/));
  if (cpu === undefined) {
    ggml.func('void ggml_backend_load_all_from_path(const char *directory)')(directory);
  } else {
    const loaded = ggml.func('void *ggml_backend_load(const char *file)')(
      join(directory, `libggml-cpu-${cpu}.so`),
    );
    if (loaded === null) throw new Error(`this machine cannot run libggml-cpu-${cpu}.so`);
  }
  lib.func('void llama_backend_init()')();
  return {
    opName: base.func('const char *ggml_op_name(int32 op)'),
    modelDefaults: lib.func('Words llama_model_default_params()'),
    contextDefaults: lib.func('Words llama_context_default_params()'),
    load: lib.func('void *llama_model_load_from_file(const char *file, Words params)'),
    free: lib.func('void llama_model_free(void *model)'),
    layers: lib.func('int32 llama_model_n_layer(void *model)'),
    open: lib.func('void *llama_init_from_model(void *model, Words params)'),
    close: lib.func('void llama_free(void *context)'),
    vocabulary: lib.func('void *llama_model_get_vocab(void *model)'),
    vocabularySize: lib.func('int32 llama_vocab_n_tokens(void *vocabulary)'),
    setThreads: lib.func('void llama_set_n_threads(void *context, int32 one, int32 batch)'),
    memory: lib.func('void *llama_get_memory(void *context)'),
    clearMemory: lib.func('void llama_memory_clear(void *memory, bool data)'),
    decode: lib.func('int32 llama_decode(void *context, Batch batch)'),
    logits: lib.func('void *llama_get_logits_ith(void *context, int32 index)'),
  };
}

function find(pattern) {
  const name = readdirSync(directory).find((file) => pattern.test(file));
  if (name === undefined) throw new Error(`no file like ${pattern} beside the oracle`);
  return name;
}

/** The defaults that give the layout away: two F16 caches in a row, no callback before them. */
function checkDefaults(llama) {
  const { words } = llama.contextDefaults();
  const { callback, typeK, typeV, contextTokens } = contextWord;
  const asExpected =
    words[typeK] === ggmlF16 &&
    words[typeV] === ggmlF16 &&
    words[contextTokens] === 512 &&
    words.slice(callback, callback + 4).every((word) => word === 0);
  if (!asExpected) throw new Error('this libllama lays its parameters out in another way');
}

/** A cache of F32, no flash attention, and every chunk in one piece. */
function openContext(llama, model, tokens, capture) {
  const params = llama.contextDefaults();
  // Fewer than this llama.cpp does not take.
  const room = Math.max(64, tokens);
  params.words[contextWord.contextTokens] = room;
  params.words[contextWord.batchTokens] = room;
  params.words[contextWord.microBatchTokens] = room;
  params.words[contextWord.flashAttention] = 0;
  params.words[contextWord.typeK] = ggmlF32;
  params.words[contextWord.typeV] = ggmlF32;
  if (capture.visit !== undefined) {
    const callback = koffi.register(capture.visit, koffi.pointer(EvalCallback));
    const address = BigInt(koffi.address(callback));
    params.words[contextWord.callback] = Number(address & 0xffffffffn);
    params.words[contextWord.callback + 1] = Number(address >> 32n);
  }
  const context = llama.open(model, params);
  if (context === null) throw new Error('llama.cpp makes no context of the model');
  return context;
}

function decode(llama, context, chunk) {
  llama.clearMemory(llama.memory(context), true);
  const code = llama.decode(context, {
    tokenCount: chunk.length,
    tokens: chunk,
    embeddings: null,
    positions: chunk.map((_, index) => index),
    // Null means: every token belongs to sequence 0.
    sequenceCounts: null,
    sequences: null,
    // Where not all are wanted, the last layer is computed for those alone.
    wanted: new Int8Array(chunk.length).fill(1),
  });
  if (code !== 0) throw new Error(`llama_decode returned ${code}`);
}

function keepLogits(llama, context, { index, chunk, vocabulary, file }) {
  const values = new Float32Array(chunk.length * vocabulary);
  for (let token = 0; token < chunk.length; token++) {
    const row = koffi.view(llama.logits(context, token), vocabulary * 4);
    values.set(new Float32Array(row), token * vocabulary);
  }
  file.add(
    { kind: 'logits', chunk: index, name: 'logits', shape: [vocabulary, chunk.length] },
    values,
  );
}

/** Arrays one after the other in a file; `index` says what stands where. */
function openArrayFile(path) {
  const descriptor = openSync(path, 'w');
  const index = [];
  let offset = 0;
  return {
    index,
    add(entry, values) {
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
      index.push({ ...entry, type: values.constructor.name, offset, length: values.length });
      // Every array begins where an array of numbers of eight bytes may.
      const padding = -bytes.length & 7;
      if (padding > 0) writeSync(descriptor, new Uint8Array(padding));
      offset += bytes.length + padding;
    },
    close: () => closeSync(descriptor),
  };
}

/** The callback that sees each node before (`ask`) and after it was computed. */
function openCapture(llama, want, file) {
  const nodes = [];
  const statistics = new Map();
  const inputs = want.inputs === undefined ? undefined : new RegExp(want.inputs);
  const patterns = namePatterns(want);
  const isWanted = (name) => patterns.some((pattern) => pattern.test(name));
  let chunk = 0;
  let broken;

  const classify = (tensor) => {
    const op = llama.opName(tensor.op);
    const product = op === 'MUL_MAT' || op === 'MUL_MAT_ID';
    return {
      op,
      node: isWanted(tensor.name),
      product: product && (inputs !== undefined || want.statistics === true),
    };
  };
  const keep = (tensor) => {
    const { op, node, product } = classify(tensor);
    if (node) {
      const shape = Array.from(tensor.ne, Number);
      file.add({ kind: 'node', chunk, name: tensor.name, op, shape }, copyTensor(tensor));
    }
    if (product) {
      const input = readProduct(op, tensor);
      if (inputs?.test(input.name)) keepInput(file, chunk, input);
      if (want.statistics === true && isCollected(input, want)) collect(statistics, input);
    }
  };
  const visit = (pointer, ask) => {
    // An exception must not pass through the frames of libllama: it waits for the end.
    try {
      const tensor = koffi.decode(pointer, Tensor);
      if (!ask) keep(tensor);
      else if (want.list === true) nodes.push(describe(llama, tensor));
      const { node, product } = classify(tensor);
      return !ask || node || product;
    } catch (error) {
      broken ??= error;
      return true;
    }
  };
  const looks = patterns.length > 0 || inputs !== undefined || want.statistics || want.list;
  return {
    nodes,
    visit: looks ? visit : undefined,
    begin(index) {
      chunk = index;
    },
    end() {
      if (broken !== undefined) throw broken;
      for (const [name, { columns, sums, counts }] of statistics) {
        const shape = [columns, counts.length];
        file.add({ kind: 'sums', chunk: 0, name, shape }, sums);
        file.add({ kind: 'counts', chunk: 0, name, shape: [counts.length] }, counts);
      }
    },
  };
}

/** What the names of the wanted nodes look like; llama.cpp v0.5.0 ends them with the layer. */
function namePatterns({ hidden, routing, nodes = [] }) {
  const patterns = [
    ...(hidden === true ? ['inp_scaled', 'l_out-\\d+'] : []),
    ...(routing === true ? ['ffn_moe_logits-\\d+', 'ffn_moe_topk-\\d+'] : []),
    ...nodes,
  ];
  return patterns.map((pattern) => new RegExp(`^(?:${pattern})$`));
}

function describe(llama, tensor) {
  const source = (pointer) => {
    const { name, type, ne } = koffi.decode(pointer, Tensor);
    return { name, type, shape: Array.from(ne, Number) };
  };
  return {
    name: tensor.name,
    op: llama.opName(tensor.op),
    type: tensor.type,
    shape: Array.from(tensor.ne, Number),
    sources: tensor.src.filter((pointer) => pointer !== null).map(source),
  };
}

/** The numbers of a tensor without the gaps of its strides, innermost dimension first. */
function copyTensor({ name, type, ne, nb, data }) {
  if (type !== ggmlF32 && type !== ggmlI32) throw new Error(`${name} is of type ${type}`);
  const [columns, ...outer] = Array.from(ne, Number);
  const [step, ...strides] = Array.from(nb, (bytes) => Number(bytes) / 4);
  const rows = outer.reduce((product, length) => product * length, 1);
  const last =
    (columns - 1) * step + outer.reduce((sum, n, axis) => sum + (n - 1) * strides[axis], 0);
  const Numbers = type === ggmlF32 ? Float32Array : Int32Array;
  const from = new Numbers(koffi.view(data, (last + 1) * 4));
  const values = new Numbers(columns * rows);
  for (let row = 0; row < rows; row++) {
    const plane = Math.floor(row / outer[0]);
    const start =
      (row % outer[0]) * strides[0] +
      (plane % outer[1]) * strides[1] +
      Math.floor(plane / outer[1]) * strides[2];
    const to = row * columns;
    if (step === 1) values.set(from.subarray(start, start + columns), to);
    else for (let i = 0; i < columns; i++) values[to + i] = from[start + i * step];
  }
  return values;
}

/** Weight and activations of a product; `experts` are the ids of its slots, token by token. */
function readProduct(op, tensor) {
  const [weight, activations, ids] = tensor.src.map((pointer) =>
    pointer === null ? undefined : koffi.decode(pointer, Tensor),
  );
  // As llama-imatrix has it: a copy for another device has the weight's name between two signs.
  const name = weight.name.includes('#') ? weight.name.split('#')[1] : weight.name;
  return {
    op,
    name,
    type: activations.type,
    rows: Number(activations.ne[1]),
    shape: Array.from(activations.ne, Number),
    matrices: Number(op === 'MUL_MAT_ID' ? weight.ne[2] : weight.ne[2] * weight.ne[3]),
    activations,
    ids: op === 'MUL_MAT_ID' ? ids : undefined,
  };
}

function keepInput(file, chunk, { name, shape, activations, ids }) {
  if (activations.type !== ggmlF32) throw new Error(`the activations of ${name} are not F32`);
  file.add({ kind: 'input', chunk, name, shape }, copyTensor(activations));
  if (ids === undefined) return;
  file.add({ kind: 'ids', chunk, name, shape: Array.from(ids.ne, Number) }, copyTensor(ids));
}

/** Which products llama-imatrix collects. */
function isCollected({ op, name, type, rows }, { processOutput }) {
  if (op === 'MUL_MAT_ID') return true;
  const named = name.startsWith('blk.') || (processOutput === true && name === 'output.weight');
  return named && type === ggmlF32 && rows >= COLLECTED_ROWS_MIN;
}

/** Adds the squares of a product's activations to the sums under its weight's name. */
function collect(statistics, input) {
  const { name, shape, matrices, activations, ids } = input;
  const [columns] = shape;
  if (!statistics.has(name)) {
    statistics.set(name, {
      columns,
      sums: new Float64Array(columns * matrices),
      counts: new Float64Array(ids === undefined ? 1 : matrices),
    });
  }
  const { sums, counts } = statistics.get(name);
  const values = copyTensor(activations);
  const addRow = (row, matrix) => {
    const to = matrix * columns;
    for (let column = 0; column < columns; column++) {
      const value = values[row * columns + column];
      sums[to + column] += value * value;
    }
  };
  if (ids === undefined) {
    const rows = values.length / columns;
    const rowsAMatrix = shape[1];
    for (let row = 0; row < rows; row++) addRow(row, Math.floor(row / rowsAMatrix) % matrices);
    counts[0] += rows / matrices;
    return;
  }
  const experts = copyTensor(ids);
  const [slots, tokens] = Array.from(ids.ne, Number);
  for (let slot = 0; slot < slots; slot++) {
    for (let token = 0; token < tokens; token++) {
      const expert = experts[token * slots + slot];
      addRow(token * shape[1] + (slot % shape[1]), expert);
      counts[expert]++;
    }
  }
}
