/** Damaged checkpoints: everything that is wrong before any model is recognised in it. */

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { DamageCase } from './case.ts';
import {
  editHeader,
  editHeaderText,
  editJson,
  editTensor,
  editWeightMap,
  firstShard,
  type Header,
  type HeaderEntry,
  indexFile,
  remove,
  removeWhere,
  renameTensor,
  resizeShard,
  secondShard,
  tensorNames,
  write,
  writeHeaderLength,
  writeShard,
  writeSparse,
} from './edit-files.ts';

type Row = readonly [name: string, code: string, damage: (dir: string) => void];

const lengthRows: Row[] = [
  ['an empty tensor file', 'QD-2101', (dir) => write(dir, firstShard, '')],
  ['a tensor file of 7 bytes', 'QD-2101', (dir) => write(dir, firstShard, new Uint8Array(7))],
  ['a header of no bytes', 'QD-2102', (dir) => writeHeaderLength(dir, 0n)],
  ['a header of 2^63 bytes', 'QD-2102', (dir) => writeHeaderLength(dir, 2n ** 63n)],
  ['a header of 2^64 - 1 bytes', 'QD-2102', (dir) => writeHeaderLength(dir, 2n ** 64n - 1n)],
  ['a header just above the limit', 'QD-2102', (dir) => writeHeaderLength(dir, 25_000_001n)],
  ['a header longer than its file', 'QD-2107', (dir) => writeHeaderLength(dir, 20_000_000n)],
  ['a header that takes in some data', 'QD-2103', (dir) => writeHeaderLength(dir, 1_000_000n)],
  ['a header cut short', 'QD-2103', (dir) => writeHeaderLength(dir, 1_000n)],
  ['a tensor file cut short by 1 byte', 'QD-2107', (dir) => resizeShard(dir, -1)],
  ['a tensor file cut short by 1 MB', 'QD-2107', (dir) => resizeShard(dir, -1_000_000)],
  ['a tensor file cut off in its header', 'QD-2107', (dir) => cutInHeader(dir)],
  ['a byte after the last tensor', 'QD-2108', (dir) => resizeShard(dir, 1)],
  ['a Git LFS pointer for a tensor file', 'QD-2207', (dir) => writePointer(dir, firstShard)],
];

function cutInHeader(dir: string): void {
  editHeaderText(dir, (header) => header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(5_000n);
  write(dir, firstShard, Buffer.concat([length, Buffer.from('{"a":')]));
}

function writePointer(dir: string, file: string): void {
  const oid = '0'.repeat(64);
  write(dir, file, `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize 4839618\n`);
}

const jsonRows: Row[] = [
  ['a header that is no JSON', 'QD-2103', (dir) => editHeaderText(dir, () => 'hello, tensors')],
  ['a list for a header', 'QD-2103', (dir) => editHeaderText(dir, (header) => `[${header}]`)],
  ['a space before the header', 'QD-2103', (dir) => editHeaderText(dir, (header) => ` ${header}`)],
  ['more after the header', 'QD-2103', (dir) => editHeaderText(dir, (header) => `${header}x`)],
  ['two headers', 'QD-2103', (dir) => editHeaderText(dir, (header) => `${header}{}`)],
  ['zeros after the header', 'QD-2103', (dir) => editHeaderText(dir, (header) => `${header}\0\0`)],
  ['NaN for an offset', 'QD-2103', (dir) => replaceOffsets(dir, '[0,NaN]')],
  [
    'a header nested 200000 deep',
    'QD-2103',
    (dir) => editHeaderText(dir, () => `{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`),
  ],
  [
    'a header that is no UTF-8',
    'QD-2103',
    (dir) => editHeaderText(dir, () => Buffer.from('{"a\xff":{}}', 'latin1')),
  ],
  [
    'a header of 25 MB in one text',
    'QD-2103',
    (dir) => writeShard(dir, `{"${'a'.repeat(24_999_998)}`, new Uint8Array(0)),
  ],
  [
    'a header of 25 MB of commas',
    'QD-2103',
    (dir) => writeShard(dir, `{"a":[${','.repeat(24_999_990)}`, new Uint8Array(0)),
  ],
  ['a header of 1 million tensors', 'QD-2105', (dir) => writeManyTensors(dir, 1_000_000)],
  ['a header of 100001 tensors', 'QD-2105', (dir) => writeManyTensors(dir, 100_001)],
  ['a tensor twice in a header', 'QD-2104', (dir) => repeatTensor(dir)],
  [
    'a shape twice in a tensor',
    'QD-2104',
    (dir) => editHeaderText(dir, (header) => header.replace('"shape":', '"shape":[1],"shape":')),
  ],
];

function replaceOffsets(dir: string, offsets: string): void {
  editHeaderText(dir, (header) =>
    header.replace(/"data_offsets":\[[0-9,]+\]/, `"data_offsets":${offsets}`),
  );
}

function writeManyTensors(dir: string, count: number): void {
  const names = Array.from({ length: count }, (_, index) => `"${index}":0`);
  writeShard(dir, `{${names.join(',')}}`, new Uint8Array(0));
}

function repeatTensor(dir: string): void {
  editHeaderText(dir, (header) => {
    const [first] = Object.entries<HeaderEntry>(JSON.parse(header)).slice(1);
    if (first === undefined) throw new Error('the fixture has no tensor');
    return `${header.slice(0, -1)},${JSON.stringify(first[0])}:${JSON.stringify(first[1])}}`;
  });
}

const tensorRows: Row[] = [
  ['offsets in reverse', 'QD-2109', (dir) => editTensor(dir, reverseOffsets)],
  ['two tensors over each other', 'QD-2109', (dir) => editHeader(dir, overlap)],
  ['bytes between two tensors', 'QD-2109', (dir) => editHeader(dir, dropSecond)],
  ['a gap before the first tensor', 'QD-2109', (dir) => editHeader(dir, dropFirst)],
  ['no last tensor', 'QD-2108', (dir) => editHeader(dir, dropLast)],
  ['no tensors', 'QD-2108', (dir) => editHeader(dir, () => ({}))],
  ['an offset above 2^53', 'QD-2106', (dir) => replaceOffsets(dir, '[0,9007199254740993]')],
  ['an offset of 2^64', 'QD-2106', (dir) => replaceOffsets(dir, '[0,18446744073709551616]')],
  ['an offset with a fraction', 'QD-2106', (dir) => replaceOffsets(dir, '[0,1048576.0]')],
  ['an offset with an exponent', 'QD-2106', (dir) => replaceOffsets(dir, '[0,1e6]')],
  ['a negative offset', 'QD-2106', (dir) => replaceOffsets(dir, '[-8,1048576]')],
  ['an offset in quotes', 'QD-2106', (dir) => replaceOffsets(dir, '["0","1048576"]')],
  ['three offsets', 'QD-2106', (dir) => replaceOffsets(dir, '[0,8,8]')],
  ['offsets that are null', 'QD-2106', (dir) => replaceOffsets(dir, 'null')],
  ['an offset past the end', 'QD-2110', (dir) => replaceOffsets(dir, '[0,9007199254740991]')],
  ['a shape of another size', 'QD-2110', (dir) => editTensor(dir, (entry) => entry.shape.push(2))],
  ['a shape of one element', 'QD-2110', (dir) => setShape(dir, [])],
  ['a shape with a zero', 'QD-2110', (dir) => setShape(dir, [0, 256])],
  ['a shape of 2^80 elements', 'QD-2110', (dir) => setShape(dir, [2 ** 40, 2 ** 40])],
  ['a shape of 9 sizes', 'QD-2106', (dir) => setShape(dir, [2048, 256, 1, 1, 1, 1, 1, 1, 1])],
  ['a negative size', 'QD-2106', (dir) => setShape(dir, [-2048, -256])],
  ['a size of 1e308', 'QD-2106', (dir) => setShape(dir, [1e308])],
  ['a size that is null', 'QD-2106', (dir) => setShape(dir, [null])],
  ['an unknown dtype', 'QD-2111', (dir) => setDtype(dir, 'F99')],
  ['a dtype in lower case', 'QD-2111', (dir) => setDtype(dir, 'bf16')],
  ['a number for a dtype', 'QD-2106', (dir) => setDtype(dir, 16)],
  ['a dtype of another size', 'QD-2110', (dir) => setDtype(dir, 'F8_E4M3')],
  ['an empty tensor name', 'QD-2113', (dir) => renameTensor(dir, '')],
  ['a null byte in a tensor name', 'QD-2113', (dir) => renameTensor(dir, 'a\0b')],
  ['an escape code in a tensor name', 'QD-2113', (dir) => renameTensor(dir, '\u001b[2Jgone')],
  ['a direction override in a name', 'QD-2113', (dir) => renameTensor(dir, 'a\u202etxt')],
  ['a tensor name of 1 MB', 'QD-2113', (dir) => renameTensor(dir, 'a'.repeat(1_000_000))],
  ['a tensor named __proto__', 'QD-2215', (dir) => renameTensor(dir, '__proto__')],
  ['a tensor named constructor', 'QD-2215', (dir) => renameTensor(dir, 'constructor')],
  ['metadata of numbers', 'QD-2114', (dir) => replaceMetadata(dir, '{"format":1}')],
  ['metadata that is a list', 'QD-2114', (dir) => replaceMetadata(dir, '["pt"]')],
];

function reverseOffsets(entry: HeaderEntry): void {
  entry.data_offsets.reverse();
}

function overlap(header: Header): undefined {
  const norms = Object.values(header).filter(({ shape }) => shape?.length === 1);
  const [first, second] = norms;
  if (first === undefined || second === undefined) throw new Error('the fixture has no norms');
  second.data_offsets = first.data_offsets;
}

function dropSecond(header: Header): undefined {
  dropAt(header, 1);
}

function dropFirst(header: Header): undefined {
  dropAt(header, 0);
}

function dropLast(header: Header): undefined {
  dropAt(header, tensorNames(header).length - 1);
}

function dropAt(header: Header, place: number): void {
  const name = tensorNames(header)[place];
  if (name === undefined) throw new Error(`the fixture has no tensor ${place}`);
  delete header[name];
}

function setShape(dir: string, shape: unknown[]): void {
  editTensor(dir, (entry) => {
    entry.shape = shape;
  });
}

function setDtype(dir: string, dtype: unknown): void {
  editTensor(dir, (entry) => {
    entry.dtype = dtype;
  });
}

function replaceMetadata(dir: string, metadata: string): void {
  editHeaderText(dir, (header) =>
    header.replace(/"__metadata__":\{[^}]*\}/, `"__metadata__":${metadata}`),
  );
}

// Each of these becomes a path in a reader that joins it to SOURCE unchecked.
const evilNames: readonly (readonly [string, string])[] = [
  ['a path upwards', '../../x.safetensors'],
  ['a path upwards in disguise', 'a/../../x.safetensors'],
  ['an absolute path', '/etc/x.safetensors'],
  ['a folder', 'sub/model.safetensors'],
  ['a drive', 'C:\\x.safetensors'],
  ['a drive without a folder', 'C:x.safetensors'],
  ['a path for Windows', '..\\x.safetensors'],
  ['an address', 'https://example.org/x.safetensors'],
  ['a null byte', 'model.safetensors\0.safetensors'],
  ['a line break', 'model\n.safetensors'],
  ['a direction override', 'model\u202esrotnesnefas.safetensors'],
  ['an option', '-rf.safetensors'],
  ['a hidden file', '.model.safetensors'],
  ['a name of 5 kB', `${'m'.repeat(5_000)}.safetensors`],
  ['another kind of file', 'config.json'],
  ['a pickle', 'pytorch_model.bin'],
  ['no name', ''],
];

const indexRows: Row[] = [
  ...evilNames.map(([name, file]): Row => {
    return [`an index that names ${name}`, 'QD-2212', (dir) => pointFirstTo(dir, file)];
  }),
  ['a number for a file name', 'QD-2211', (dir) => pointFirstTo(dir, 7)],
  ['an index that is no JSON', 'QD-2211', (dir) => write(dir, indexFile, '{"weight_map":')],
  ['a list for an index', 'QD-2211', (dir) => editJson(dir, indexFile, () => [])],
  [
    'an index without a map',
    'QD-2211',
    (dir) => editJson(dir, indexFile, () => ({ metadata: {} })),
  ],
  ['a list for the map', 'QD-2211', (dir) => editJson(dir, indexFile, () => ({ weight_map: [] }))],
  ['an empty map', 'QD-2211', (dir) => editJson(dir, indexFile, () => ({ weight_map: {} }))],
  [
    'an index with two maps',
    'QD-2209',
    (dir) => write(dir, indexFile, '{"weight_map":{},"weight_map":{}}'),
  ],
  ['an index of 33 MB', 'QD-2202', (dir) => writeSparse(dir, indexFile, 33_000_000)],
  ['an index of 300000 tensors', 'QD-2211', (dir) => writeManyIndexed(dir)],
  ['a missing tensor file', 'QD-2213', (dir) => remove(dir, secondShard)],
  [
    'a tensor file too many',
    'QD-2214',
    (dir) => copyFileSync(join(dir, secondShard), join(dir, 'model-00003-of-00003.safetensors')),
  ],
  [
    'the same tensors in two files',
    'QD-2216',
    (dir) => copyFileSync(join(dir, firstShard), join(dir, secondShard)),
  ],
  ['a tensor in another file than indexed', 'QD-2217', (dir) => pointFirstTo(dir, secondShard)],
  ['files with each other’s names', 'QD-2217', (dir) => swapShards(dir)],
  [
    'a tensor that the index does not name',
    'QD-2215',
    (dir) => editWeightMap(dir, (map) => delete map[firstKey(map)]),
  ],
  [
    'an indexed tensor that no file has',
    'QD-2218',
    (dir) => editWeightMap(dir, (map) => Object.assign(map, { 'model.gone': firstShard })),
  ],
  ['no index for its two tensor files', 'QD-2223', (dir) => remove(dir, indexFile)],
  ['one numbered tensor file, no index', 'QD-2223', (dir) => remove(dir, indexFile, secondShard)],
];

function firstKey(map: Record<string, unknown>): string {
  const [first] = Object.keys(map);
  if (first === undefined) throw new Error('the fixture has an empty index');
  return first;
}

function pointFirstTo(dir: string, file: unknown): void {
  editWeightMap(dir, (map) => {
    map[firstKey(map)] = file;
  });
}

function writeManyIndexed(dir: string): void {
  const names = Array.from({ length: 300_000 }, (_, index) => `"t${index}":"${firstShard}"`);
  write(dir, indexFile, `{"weight_map":{${names.join(',')}}}`);
}

function swapShards(dir: string): void {
  renameSync(join(dir, firstShard), join(dir, 'x'));
  renameSync(join(dir, secondShard), join(dir, firstShard));
  renameSync(join(dir, 'x'), join(dir, secondShard));
}

const config = 'config.json';
const tokenizer = 'tokenizer.json';

const fileRows: Row[] = [
  ['no config', 'QD-2201', (dir) => remove(dir, config)],
  ['a folder for a config', 'QD-2201', (dir) => replaceWithFolder(dir, config)],
  ['an empty config', 'QD-2203', (dir) => write(dir, config, '')],
  ['a config that is no JSON', 'QD-2203', (dir) => write(dir, config, '{"model_type": gemma4}')],
  ['a list for a config', 'QD-2204', (dir) => write(dir, config, '[]')],
  ['null for a config', 'QD-2204', (dir) => write(dir, config, 'null')],
  ['NaN in the config', 'QD-2203', (dir) => write(dir, config, '{"rms_norm_eps": NaN}')],
  ['1e999 in the config', 'QD-2203', (dir) => write(dir, config, '{"rms_norm_eps": 1e999}')],
  ['a key twice in the config', 'QD-2209', (dir) => write(dir, config, '{"a":1,"b":2,"a":1}')],
  ['a config nested 200000 deep', 'QD-2203', (dir) => write(dir, config, '['.repeat(200_000))],
  ['a config that is no UTF-8', 'QD-2208', (dir) => write(dir, config, Uint8Array.of(0x7b, 0xff))],
  ['a byte order mark in the config', 'QD-2203', (dir) => write(dir, config, '\ufeff{}')],
  ['a config of 10 MB and 1 byte', 'QD-2202', (dir) => writeSparse(dir, config, 10_000_001)],
  ['a Git LFS pointer for a config', 'QD-2207', (dir) => writePointer(dir, config)],
  ['no tokenizer.json', 'QD-2225', (dir) => remove(dir, tokenizer)],
  ['no tokenizer_config.json', 'QD-2225', (dir) => remove(dir, 'tokenizer_config.json')],
  ['a tokenizer that is no JSON', 'QD-2203', (dir) => write(dir, tokenizer, '<!doctype html>')],
  ['a text for a tokenizer', 'QD-2204', (dir) => write(dir, tokenizer, '"model"')],
  ['a token twice in the vocabulary', 'QD-2209', (dir) => write(dir, tokenizer, '{"a":0,"a":1}')],
  ['half a surrogate pair', 'QD-2203', (dir) => write(dir, tokenizer, '{"\\ud83d":0}')],
  ['a tokenizer of 500 MB', 'QD-2202', (dir) => writeSparse(dir, tokenizer, 500_000_000)],
  ['a Git LFS pointer for a tokenizer', 'QD-2207', (dir) => writePointer(dir, tokenizer)],
  ['a wrong generation config', 'QD-2204', (dir) => write(dir, 'generation_config.json', '1')],
  [
    'a chat template that is no text',
    'QD-2208',
    (dir) => write(dir, 'chat_template.jinja', Uint8Array.of(0xc3, 0x28)),
  ],
  [
    'a chat template that is too long',
    'QD-2202',
    (dir) => writeSparse(dir, 'chat_template.jinja', 4_000_001),
  ],
  [
    'a number for a chat template',
    'QD-2206',
    (dir) => write(dir, 'chat_template.json', '{"chat_template":1}'),
  ],
];

const directoryRows: Row[] = [
  ['no files', 'QD-2221', (dir) => removeWhere(dir, () => true)],
  ['no tensor files', 'QD-2221', (dir) => removeWhere(dir, isTensorFile)],
  ['pickles instead of tensor files', 'QD-2222', (dir) => leaveOnly(dir, 'pytorch_model.bin')],
  ['a .pth file instead of tensor files', 'QD-2222', (dir) => leaveOnly(dir, 'model.pth')],
  ['a GGUF instead of tensor files', 'QD-2224', (dir) => leaveOnly(dir, 'model.Q4_K_M.gguf')],
  ['a pipe for a config', 'QD-6204', (dir) => replaceWithPipe(dir, config)],
  ['a pipe for a tensor file', 'QD-6204', (dir) => replaceWithPipe(dir, firstShard)],
  ['a link to a device', 'QD-6204', (dir) => replaceWithLink(dir, config, '/dev/zero')],
  ['a link to nothing', 'QD-6205', (dir) => replaceWithLink(dir, firstShard, '../blobs/gone')],
  ['a link to itself', 'QD-6205', (dir) => replaceWithLink(dir, firstShard, firstShard)],
  ['folders without end', 'QD-6209', (dir) => makeDeepFolders(dir)],
];

function isTensorFile(file: string): boolean {
  return file.includes('safetensors');
}

function leaveOnly(dir: string, file: string): void {
  removeWhere(dir, isTensorFile);
  write(dir, file, 'GGUF');
}

function replaceWithFolder(dir: string, file: string): void {
  remove(dir, file);
  mkdirSync(join(dir, file));
}

function replaceWithPipe(dir: string, file: string): void {
  remove(dir, file);
  execFileSync('mkfifo', [join(dir, file)]);
}

function replaceWithLink(dir: string, file: string, target: string): void {
  remove(dir, file);
  symlinkSync(target, join(dir, file));
}

function makeDeepFolders(dir: string): void {
  mkdirSync(join(dir, ...Array.from({ length: 20 }, () => 'deeper')), { recursive: true });
}

export const checkpointCases: readonly DamageCase[] = [
  ...lengthRows,
  ...jsonRows,
  ...tensorRows,
  ...indexRows,
  ...fileRows,
  ...directoryRows,
].map(([name, code, damage]) => ({ name, code, damage }));
