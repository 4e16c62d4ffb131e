/**
 * Llama forward: what llama.cpp computes inside a decode, as the oracle of the forward pass.
 *
 *   a GGUF, chunks of token ids ──▶ llama-forward-child.mjs ──▶ hidden states, matmul inputs,
 *                                                               statistics, routing, logits
 *
 * Each request has a process of its own, because libllama aborts on what it dislikes; the numbers
 * come back through a file. Keys and values are F32, flash attention is off, and a chunk is
 * decoded in one piece as the only sequence. Read next: compare.ts.
 */

import { fork } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from '../../proto/assert.ts';

const libraries = fileURLToPath(
  new URL('../../node_modules/@node-llama-cpp/linux-x64/bins/linux-x64', import.meta.url),
);
const child = fileURLToPath(new URL('./llama-forward-child.mjs', import.meta.url));

/** Enough of what llama.cpp says on stderr to understand why it gave up. */
const SPOKEN_CHARACTERS_MAX = 4000;

/**
 * Names of nodes of Gemma 4 in llama.cpp v0.5.0, as patterns of a whole name for `want.nodes`;
 * N of a layer is `-N`. Shapes are innermost first.
 */
export const nodePatterns = {
  /** (head width, key heads, tokens) after the norm and RoPE; what shared layers read. */
  keys: 'Kcur_pos-\\d+',
  /** (head width, key heads, tokens) after the norm; what shared layers read. */
  values: 'Vcur_normed-\\d+',
  /** (head width, query heads, tokens) after the norm and RoPE. */
  queries: 'Qcur_pos-\\d+',
  /** (hidden, tokens): the stream after attention's residual. */
  afterAttention: 'attn_out-\\d+',
  /** (width, tokens, layers): what each layer's gate is multiplied with. */
  perLayerInputs: 'inp_per_layer \\(permuted\\) \\(cont\\)',
  /** (hidden, tokens): after the last norm, which the head reads. */
  finalNorm: 'result_norm',
} as const;

export interface ForwardRequest {
  readonly gguf: string;
  /** Token ids of each; nothing is put in front. */
  readonly chunks: readonly Int32Array[];
  readonly want: ForwardWant;
  /** `haswell`, `zen4`, …: the one CPU library to load. Else llama.cpp takes the best. */
  readonly cpu?: string | undefined;
  /** 1 unless told otherwise: its threads wait by spinning, which is slow beside other work. */
  readonly threads?: number;
}

export interface ForwardWant {
  /** The scaled embeddings and the hidden state after every layer. */
  readonly hidden?: boolean;
  /** Activations of the products whose weight's name this pattern matches. */
  readonly inputs?: string;
  /** Sums of squares and counts over all chunks, by the rules of llama-imatrix. */
  readonly statistics?: boolean;
  /** Whether these take `output.weight` in, as --process-output does. */
  readonly processOutput?: boolean;
  /** Router logits and the chosen experts of every layer that has experts. */
  readonly routing?: boolean;
  readonly logits?: boolean;
  /** Nodes whose whole name one of these patterns matches, such as those of `nodePatterns`. */
  readonly nodes?: readonly string[];
}

export interface ForwardResult {
  readonly layers: number;
  readonly vocabulary: number;
  /** By chunk, (hidden, tokens): the input of layer 0. Empty unless `hidden` was wanted. */
  readonly embedding: readonly Float32Array[];
  /** By chunk and layer, (hidden, tokens): the output of the layer. */
  readonly hidden: readonly (readonly Float32Array[])[];
  /** By chunk and weight. */
  readonly inputs: readonly ReadonlyMap<string, ProductInput>[];
  /** By weight. */
  readonly statistics: ReadonlyMap<string, Statistic>;
  /** By chunk and layer; undefined where a layer has no experts. */
  readonly routing: readonly (readonly (Routing | undefined)[])[];
  /** By chunk, (vocabulary, tokens), of every position. */
  readonly logits: readonly Float32Array[];
  /** By chunk, in the order of computing; one name may stand more than once. */
  readonly nodes: readonly (readonly CapturedNode[])[];
  /** Seconds that each chunk's decode took, without copying the logits. */
  readonly seconds: readonly number[];
}

/** The activations of a product, row by row. */
export interface ProductInput {
  readonly columns: number;
  /** (columns, tokens), or (columns, slots or 1, tokens) where there are experts. */
  readonly values: Float32Array;
  /** (slots, tokens): the expert of each slot, where there are experts. */
  readonly experts?: Int32Array;
  readonly slots?: number;
}

/** What llama-imatrix collects of one weight. */
export interface Statistic {
  readonly columns: number;
  /** Experts, else 1. */
  readonly matrices: number;
  /** Sums of squares, one matrix after the other. */
  readonly sums: Float64Array;
  /** Rows that went into each matrix. */
  readonly counts: Float64Array;
}

export interface Routing {
  readonly experts: number;
  readonly slots: number;
  /** (experts, tokens) */
  readonly logits: Float32Array;
  /** (slots, tokens), the most probable expert first. */
  readonly chosen: Int32Array;
}

export interface CapturedNode {
  readonly name: string;
  readonly op: string;
  /** Innermost first, always four. */
  readonly shape: readonly number[];
  readonly values: Float32Array | Int32Array;
}

/** A node of the graph before it is computed; types are those of ggml. */
export interface NodeDescription {
  readonly name: string;
  readonly op: string;
  readonly type: number;
  readonly shape: readonly number[];
  readonly sources: readonly {
    readonly name: string;
    readonly type: number;
    readonly shape: readonly number[];
  }[];
}

/**
 * Decodes the chunks, each with an empty cache.
 *
 * @throws Error with llama.cpp's last words where it refuses or dies
 */
export async function llamaForward(request: ForwardRequest): Promise<ForwardResult> {
  const { index, bytes, layers, vocabulary, seconds } = await ask(request);
  const arrays = index.map((entry) => ({ ...entry, values: readArray(bytes, entry) }));
  const perChunk = <T>(make: (chunk: readonly ArrayEntry[]) => T): T[] =>
    request.chunks.map((_, chunk) => make(arrays.filter((array) => array.chunk === chunk)));
  const { hidden: wantsHidden = false, routing: wantsRouting = false } = request.want;
  const byLayer = <T>(make: (layer: number) => T): T[] =>
    Array.from({ length: layers }, (_, layer) => make(layer));
  return {
    layers,
    vocabulary,
    seconds,
    embedding: wantsHidden ? perChunk((chunk) => floats(find(chunk, 'node', 'inp_scaled'))) : [],
    hidden: wantsHidden
      ? perChunk((chunk) => byLayer((layer) => floats(find(chunk, 'node', `l_out-${layer}`))))
      : [],
    inputs: perChunk(collectInputs),
    statistics: collectStatistics(arrays),
    routing: wantsRouting ? perChunk((chunk) => byLayer((layer) => routingOf(chunk, layer))) : [],
    logits:
      request.want.logits === true
        ? perChunk((chunk) => floats(find(chunk, 'logits', 'logits')))
        : [],
    nodes: perChunk((chunk) => chunk.filter(({ kind }) => kind === 'node').map(nodeOf)),
  };
}

/** The nodes that decoding `tokens` tokens computes, in order. */
export async function listNodes(
  gguf: string,
  { tokens = 24, cpu }: { readonly tokens?: number; readonly cpu?: string } = {},
): Promise<readonly NodeDescription[]> {
  const chunks = [new Int32Array(tokens).fill(2)];
  return (await ask({ gguf, chunks, want: {}, cpu }, { list: true })).nodes;
}

interface IndexEntry {
  readonly kind: 'node' | 'input' | 'ids' | 'sums' | 'counts' | 'logits';
  readonly chunk: number;
  readonly name: string;
  readonly op?: string;
  readonly shape: readonly number[];
  readonly type: 'Float32Array' | 'Float64Array' | 'Int32Array';
  readonly offset: number;
  readonly length: number;
}

type Numbers = Float32Array | Float64Array | Int32Array;
type ArrayEntry = IndexEntry & { readonly values: Numbers };

interface Done {
  readonly ok: true;
  readonly index: readonly IndexEntry[];
  readonly nodes: readonly NodeDescription[];
  readonly layers: number;
  readonly vocabulary: number;
  readonly seconds: readonly number[];
}
type Answer = Done | { readonly ok: false; readonly error: string };

async function ask(
  { gguf, chunks, want, cpu, threads = 1 }: ForwardRequest,
  more: { readonly list?: boolean } = {},
): Promise<Done & { readonly bytes: Buffer }> {
  assert(chunks.length > 0 && threads > 0, 'chunks, and a thread to decode them');
  const directory = await mkdtemp(join(tmpdir(), 'quantd-llama-forward-'));
  try {
    const output = join(directory, 'arrays');
    const spoken = join(directory, 'stderr');
    const answer = await runChild(
      { output, spoken },
      {
        gguf,
        chunks,
        want: { ...want, ...more },
        cpu,
        threads,
      },
    );
    if (answer.ok) return { ...answer, bytes: await readFile(output) };
    const said = await readFile(spoken, 'utf8');
    throw new Error(`${answer.error}\n${said.slice(-SPOKEN_CHARACTERS_MAX)}`);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function runChild(
  { output, spoken }: { readonly output: string; readonly spoken: string },
  request: object,
): Promise<Answer> {
  // A file, because through a pipe libllama would lose its last words.
  const descriptor = openSync(spoken, 'w');
  const llama = fork(child, [libraries, output], {
    execArgv: [],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', descriptor, 'ipc'],
    env: { PATH: '/usr/bin:/bin', GGML_NO_BACKTRACE: '1' },
  });
  closeSync(descriptor);
  return new Promise((resolve) => {
    let answer: Answer | undefined;
    llama.on('message', (message: Answer) => {
      answer = message;
      llama.disconnect();
    });
    llama.on('exit', (code, signal) => {
      const error = `llama.cpp died (${signal ?? `exit code ${code}`})`;
      resolve(answer ?? { ok: false, error });
    });
    llama.send(request);
  });
}

/** A copy, so that one array kept does not keep the whole file. */
function readArray(bytes: Buffer, { type, offset, length }: IndexEntry): Numbers {
  const Type = { Float32Array, Float64Array, Int32Array }[type];
  const start = bytes.byteOffset + offset;
  return new Type(
    bytes.buffer.slice(start, start + length * Type.BYTES_PER_ELEMENT) as ArrayBuffer,
  );
}

function find(chunk: readonly ArrayEntry[], kind: IndexEntry['kind'], name: string): ArrayEntry {
  const found = chunk.find((array) => array.kind === kind && array.name === name);
  assert(found !== undefined, `llama.cpp computed ${name}`);
  return found;
}

function floats({ name, values }: ArrayEntry): Float32Array {
  assert(values instanceof Float32Array, `${name} is of F32`);
  return values;
}

function whole({ name, values }: ArrayEntry): Int32Array {
  assert(values instanceof Int32Array, `${name} is of I32`);
  return values;
}

function doubles({ name, values }: ArrayEntry): Float64Array {
  assert(values instanceof Float64Array, `${name} is of F64`);
  return values;
}

function nodeOf({ name, op = '', shape, values }: ArrayEntry): CapturedNode {
  assert(!(values instanceof Float64Array), 'nodes are of F32 or I32');
  return { name, op, shape, values };
}

function collectInputs(chunk: readonly ArrayEntry[]): Map<string, ProductInput> {
  const inputs = chunk.filter(({ kind }) => kind === 'input');
  return new Map(
    inputs.map((input) => {
      const ids = chunk.find(({ kind, name }) => kind === 'ids' && name === input.name);
      const columns = input.shape[0] ?? 0;
      const experts = ids && { experts: whole(ids), slots: ids.shape[0] ?? 0 };
      return [input.name, { columns, values: floats(input), ...experts }];
    }),
  );
}

function collectStatistics(arrays: readonly ArrayEntry[]): Map<string, Statistic> {
  const all = arrays.filter(({ kind }) => kind === 'sums');
  return new Map(
    all.map((sums) => {
      const counts = doubles(find(arrays, 'counts', sums.name));
      const [columns = 0] = sums.shape;
      const matrices = sums.length / columns;
      return [sums.name, { columns, matrices, sums: doubles(sums), counts }];
    }),
  );
}

function routingOf(chunk: readonly ArrayEntry[], layer: number): Routing | undefined {
  const name = `ffn_moe_logits-${layer}`;
  if (!chunk.some((array) => array.name === name)) return undefined;
  const logits = find(chunk, 'node', name);
  const chosen = find(chunk, 'node', `ffn_moe_topk-${layer}`);
  const [experts = 0] = logits.shape;
  const [slots = 0] = chosen.shape;
  return { experts, slots, logits: floats(logits), chosen: whole(chosen) };
}
