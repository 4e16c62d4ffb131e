/**
 * The oracle's side of type-rules.test.ts: llama.cpp v0.5.0 answers which type a tensor gets.
 *
 *   questions (JSON on stdin) ──▶ libllama of @node-llama-cpp/linux-x64 ──▶ answers (JSON on stdout)
 *
 * A program of its own because the library ends the process on a question it refuses. The
 * structures were found by experiment on that binary: with them it gives the 86 148 answers of
 * fixtures/type-rules-golden.json again.
 */

import { readFileSync } from 'node:fs';
import koffi from 'koffi';

const TYPE_UNSET = 43;
// Larger than any of the structures, so that a field that is not named here reads as zero.
const STRUCT_BYTES = 512;

// Buffers whose address the library holds; the collector must not take them.
const kept = [];
const keep = (buffer) => {
  kept.push(buffer);
  return buffer;
};
const struct = (bytes = STRUCT_BYTES) => keep(Buffer.alloc(bytes));
const address = (buffer) => koffi.address(buffer);
const text = (string) => address(keep(Buffer.from(`${string}\0`)));

function loadLibrary(directory) {
  const load = (name) => koffi.load(`${directory}/${name}`, { global: true, lazy: true });
  load('libggml-base.so');
  load('libggml.v0.5.0.so');
  const llama = load('libllama.v0.5.0.so');
  return {
    model: llama.func(
      'void *_Z31llama_quant_model_from_metadataPK22llama_quant_model_desc(void *)',
    ),
    state: llama.func(
      'void *_Z16llama_quant_initPK11llama_modelPK27llama_model_quantize_params(void *, void *)',
    ),
    computeTypes: llama.func(
      'void _Z25llama_quant_compute_typesP19quantize_state_impl11llama_ftypePP11ggml_tensorP9ggml_typem(void *, int, void *, void *, size_t)',
    ),
    quantize: llama.func('uint32_t llama_model_quantize(const char *, const char *, void *)'),
    loadBackends: koffi
      .load(`${directory}/libggml.v0.5.0.so`, { global: true, lazy: true })
      .func('void ggml_backend_load_all_from_path(const char *)'),
  };
}

/** {const char *architecture; u32 embedding, feed forward, layers, heads, kv heads, experts, …} */
function modelStruct({ architecture, layers, heads, kvHeads, experts }) {
  const model = struct();
  model.writeBigUInt64LE(text(architecture), 0);
  const embedding = 256;
  const words = [embedding, embedding, layers, heads, kvHeads, experts, 64, 64];
  for (const [index, word] of words.entries()) model.writeUInt32LE(word, 8 + 4 * index);
  return model;
}

function parameterStruct(ftype, options) {
  const parameters = struct();
  parameters.writeInt32LE(1, 0); // threads
  parameters.writeInt32LE(ftype, 4);
  parameters.writeInt32LE(options.outputTensorType ?? TYPE_UNSET, 8);
  parameters.writeInt32LE(options.tokenEmbeddingType ?? TYPE_UNSET, 12);
  parameters[17] = options.leaveOutputTensor ? 0 : 1;
  parameters[19] = options.pure ? 1 : 0;
  if (options.importance) {
    parameters.writeBigUInt64LE(address(importanceList(options.importance)), 24);
  }
  if (options.tensorTypes.length > 0) {
    parameters.writeBigUInt64LE(address(tensorTypeList(options.tensorTypes)), 40);
  }
  return parameters;
}

/** {const char *name; const float *data; size_t count}, ended by an empty name. */
function importanceList(tensors) {
  const list = struct(24 * (tensors.length + 1));
  for (const [index, { name, count }] of tensors.entries()) {
    list.writeBigUInt64LE(text(name), 24 * index);
    const weights = keep(new Float32Array(count).fill(1));
    list.writeBigUInt64LE(koffi.address(weights), 24 * index + 8);
    list.writeBigUInt64LE(BigInt(count), 24 * index + 16);
  }
  return list;
}

/** {const char *pattern; int type}, ended by an empty pattern. */
function tensorTypeList(tensorTypes) {
  const list = struct(16 * (tensorTypes.length + 1));
  for (const [index, { pattern, type }] of tensorTypes.entries()) {
    list.writeBigUInt64LE(text(pattern), 16 * index);
    list.writeInt32LE(type, 16 * index + 8);
  }
  list.writeInt32LE(TYPE_UNSET, 16 * tensorTypes.length + 8);
  return list;
}

/** ggml_tensor: type at 0, elements per dimension at 16, name at 256. */
function tensorPointers(tensors) {
  const structs = struct(STRUCT_BYTES * tensors.length);
  const pointers = struct(8 * tensors.length);
  for (const [index, { name, shape, sourceType }] of tensors.entries()) {
    const start = STRUCT_BYTES * index;
    structs.writeInt32LE(sourceType, start);
    for (let dimension = 0; dimension < 4; dimension++) {
      structs.writeBigInt64LE(BigInt(shape[dimension] ?? 1), start + 16 + 8 * dimension);
    }
    structs.write(name, start + 256);
    pointers.writeBigUInt64LE(address(structs) + BigInt(start), 8 * index);
  }
  return pointers;
}

function answer(library, { shape, tensors, ftype, options }) {
  const model = library.model(modelStruct(shape));
  const state = library.state(model, parameterStruct(ftype, options));
  const types = struct(4 * tensors.length);
  library.computeTypes(state, ftype, tensorPointers(tensors), types, tensors.length);
  return tensors.map((_, index) => types.readInt32LE(4 * index));
}

const { directory, questions, files } = JSON.parse(readFileSync(0, 'utf8'));
const library = loadLibrary(directory);
const answers = [];
for (const question of questions) {
  answers.push(answer(library, question));
  kept.length = 0;
}
if (files.length > 0) library.loadBackends(directory);
for (const { input, output, ftype, options } of files) {
  answers.push(library.quantize(input, output, parameterStruct(ftype, options)));
  kept.length = 0;
}
process.stdout.write(JSON.stringify(answers));
