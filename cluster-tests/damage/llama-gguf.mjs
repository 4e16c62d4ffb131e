/**
 * llama.cpp's own GGUF reader, as a child process: paths in, one JSON line out for each.
 *
 *   node llama-gguf.mjs LIBRARY FILE… ──▶ {"file":…,"gguf":{…}|null} per line
 *
 * A process of its own because that reader may abort on a file it does not expect; the lines
 * written until then still count.
 */

import { writeSync } from 'node:fs';
import koffi from 'koffi';

const [libraryPath, ...files] = process.argv.slice(2);
const library = koffi.load(libraryPath);
// The two fields of gguf_init_params; with no_alloc and no context only the header is read.
koffi.struct('InitParams', { no_alloc: 'bool', ctx: 'void *' });
const api = {
  open: library.func('void *gguf_init_from_file(const char *, InitParams)'),
  free: library.func('void gguf_free(void *)'),
  version: library.func('uint32_t gguf_get_version(void *)'),
  alignment: library.func('size_t gguf_get_alignment(void *)'),
  dataOffset: library.func('size_t gguf_get_data_offset(void *)'),
  keys: library.func('int64_t gguf_get_n_kv(void *)'),
  key: library.func('const char *gguf_get_key(void *, int64_t)'),
  valueType: library.func('int gguf_get_kv_type(void *, int64_t)'),
  elementType: library.func('int gguf_get_arr_type(void *, int64_t)'),
  elements: library.func('size_t gguf_get_arr_n(void *, int64_t)'),
  elementText: library.func('const char *gguf_get_arr_str(void *, int64_t, size_t)'),
  elementData: library.func('const void *gguf_get_arr_data(void *, int64_t)'),
  tensors: library.func('int64_t gguf_get_n_tensors(void *)'),
  name: library.func('const char *gguf_get_tensor_name(void *, int64_t)'),
  offset: library.func('size_t gguf_get_tensor_offset(void *, int64_t)'),
  type: library.func('int gguf_get_tensor_type(void *, int64_t)'),
  size: library.func('size_t gguf_get_tensor_size(void *, int64_t)'),
};
// By the ids of the format; 9 is the array.
const names = [
  'u8',
  'i8',
  'u16',
  'i16',
  'u32',
  'i32',
  'f32',
  'bool',
  'str',
  '',
  'u64',
  'i64',
  'f64',
];
const cTypes = {
  u8: 'uint8_t',
  i8: 'int8_t',
  u16: 'uint16_t',
  i16: 'int16_t',
  u32: 'uint32_t',
  i32: 'int32_t',
  f32: 'float',
  bool: 'bool',
  u64: 'uint64_t',
  i64: 'int64_t',
  f64: 'double',
  str: 'const char *',
};
const getters = Object.fromEntries(
  Object.entries(cTypes).map(([name, type]) => [
    name,
    library.func(`${type} gguf_get_val_${name}(void *, int64_t)`),
  ]),
);

function readValue(gguf, id) {
  const type = api.valueType(gguf, id);
  if (type !== 9) return { type: names[type], value: getters[names[type]](gguf, id) };
  const of = names[api.elementType(gguf, id)];
  const count = Number(api.elements(gguf, id));
  if (of === 'str') {
    const value = Array.from({ length: count }, (_, i) => api.elementText(gguf, id, i));
    return { type: 'array', of, value };
  }
  if (count === 0) return { type: 'array', of, value: [] };
  const data = koffi.decode(api.elementData(gguf, id), koffi.array(cTypes[of], count, 'Array'));
  return { type: 'array', of, value: data };
}

function describe(gguf) {
  const range = (count) => Array.from({ length: Number(count) }, (_, i) => i);
  return {
    version: api.version(gguf),
    alignment: Number(api.alignment(gguf)),
    dataStart: Number(api.dataOffset(gguf)),
    metadata: range(api.keys(gguf)).map((id) => ({
      key: api.key(gguf, id),
      ...readValue(gguf, id),
    })),
    tensors: range(api.tensors(gguf)).map((id) => ({
      name: api.name(gguf, id),
      type: api.type(gguf, id),
      offset: Number(api.offset(gguf, id)),
      bytes: Number(api.size(gguf, id)),
    })),
  };
}

/** What JSON has no number for goes as text. */
function plain(_, value) {
  if (typeof value === 'bigint') return value.toString();
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}

for (const file of files) {
  const gguf = api.open(file, { no_alloc: true, ctx: null });
  const seen = gguf === null ? null : describe(gguf);
  writeSync(1, `${JSON.stringify({ file, gguf: seen }, plain)}\n`);
  if (gguf !== null) api.free(gguf);
}
