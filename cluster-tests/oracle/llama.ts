/**
 * Llama: llama.cpp as the oracle of the tests, out of the package that node-llama-cpp ships.
 *
 *   a GGUF (and texts, token ids or an ftype) ──▶ llama-child.mjs ──▶ token ids, logits, a GGUF
 *
 * libllama aborts on what it dislikes, so every call runs in a child process; a child that dies
 * fails the calls it had and the next call starts another.
 */

import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, fstatSync, openSync, readSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const libraries = fileURLToPath(
  new URL('../../node_modules/@node-llama-cpp/linux-x64/bins/linux-x64', import.meta.url),
);
const child = fileURLToPath(new URL('./llama-child.mjs', import.meta.url));

/** Enough of what llama.cpp says on stderr to understand why it gave up. */
const SPOKEN_BYTES_MAX = 4000;

/** The ids llama.cpp gives to its file types, `general.file_type` in a GGUF. */
export const ftypes = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q8_0: 7,
  Q5_0: 8,
  Q5_1: 9,
  Q2_K: 10,
  Q3_K_S: 11,
  Q3_K_M: 12,
  Q3_K_L: 13,
  Q4_K_S: 14,
  Q4_K_M: 15,
  Q5_K_S: 16,
  Q5_K_M: 17,
  Q6_K: 18,
  BF16: 32,
} as const;
export type Ftype = keyof typeof ftypes;

/** Everything of `llama_model_quantize` that changes bytes; type numbers are those of ggml. */
export interface QuantizeOptions {
  readonly pure?: boolean;
  readonly dryRun?: boolean;
  readonly onlyCopy?: boolean;
  readonly keepSplit?: boolean;
  /** In ascending order. */
  readonly prunedLayers?: readonly number[];
  readonly allowRequantize?: boolean;
  readonly quantizeOutput?: boolean;
  readonly outputType?: number;
  readonly embeddingType?: number;
  readonly tensorTypes?: readonly { readonly pattern: string; readonly type: number }[];
  /** Finished weights by tensor, as the llama-quantize tool makes them of its file. */
  readonly importance?: readonly { readonly name: string; readonly weights: Float32Array }[];
  /** Metadata to set, in this order; an integer becomes a u32 of its absolute value. */
  readonly overrides?: readonly KeyOverride[];
}

export interface KeyOverride {
  readonly key: string;
  readonly type: 'int' | 'float' | 'bool' | 'str';
  readonly value: number | boolean | string;
}

export interface QuantizeRequest extends QuantizeOptions {
  readonly input: string;
  readonly output: string;
  /** A name, or the number of an ftype that has none here. */
  readonly ftype: Ftype | number;
}

export interface TokenizeOptions {
  /** Whether the text of a special token becomes that token; true unless told otherwise. */
  readonly parseSpecial?: boolean;
  /** Whether the tokenizer may put a BOS in front; true unless told otherwise. */
  readonly addBos?: boolean;
}

export interface Oracle {
  /** Writes `output` as `llama-quantize` would. */
  quantize(request: QuantizeRequest): Promise<void>;
  /** One list of token ids for each text. */
  tokenize(model: string, texts: readonly string[], options?: TokenizeOptions): Promise<number[][]>;
  /** For each sequence of token ids the logits of its last position; F32 cache, no flash attention. */
  logits(model: string, sequences: readonly (readonly number[])[]): Promise<Float32Array[]>;
  /** As `logits`, for every position. */
  allLogits(model: string, sequences: readonly (readonly number[])[]): Promise<Float32Array[][]>;
  /** The scalar metadata as llama.cpp prints it, in the file's order; arrays are abridged. */
  metadata(model: string): Promise<[string, string][]>;
  close(): Promise<void>;
}

/**
 * Why there is no oracle here, or undefined where there is one. The caller skips its tests and
 * this prints the reason; where CI=true promises an oracle, its absence is an error.
 */
export function whyNoOracle(): string | undefined {
  if (existsSync(libraries)) return undefined;
  const reason = 'the package @node-llama-cpp/linux-x64 is not installed';
  const { CI } = process.env;
  if (CI === 'true') throw new Error(`no llama.cpp to compare with: ${reason}`);
  console.warn(`Tests against llama.cpp are left out: ${reason}.`);
  return reason;
}

/** @param threads what quantizing may use; it never changes bytes */
export function openOracle({ threads = 2 }: { readonly threads?: number } = {}): Oracle {
  let running: Promise<Running> | undefined;
  const call = async (task: string, request: object): Promise<unknown> => {
    running ??= start(threads);
    const current = await running;
    current.died.then(() => {
      running = undefined;
    });
    return current.ask({ task, ...request });
  };
  return {
    async quantize({ input, output, ftype, ...options }) {
      const id = typeof ftype === 'number' ? ftype : ftypes[ftype];
      await call('quantize', { input, output, ftype: id, options });
    },
    async tokenize(model, texts, { parseSpecial = true, addBos = true } = {}) {
      const lists = await call('tokenize', { model, texts, parseSpecial, addBos });
      return (lists as Int32Array[]).map((ids) => [...ids]);
    },
    async logits(model, sequences) {
      const all = await call('logits', { model, sequences, positions: 'last' });
      return (all as Float32Array[][]).map((rows) => rows[0] ?? new Float32Array());
    },
    async allLogits(model, sequences) {
      return (await call('logits', { model, sequences, positions: 'all' })) as Float32Array[][];
    },
    async metadata(model) {
      return (await call('metadata', { model })) as [string, string][];
    },
    async close() {
      const current = await running;
      running = undefined;
      current?.stop();
      await current?.died;
    },
  };
}

interface Running {
  ask(request: object): Promise<unknown>;
  stop(): void;
  /** Resolves when the process is gone, for whatever reason. */
  readonly died: Promise<void>;
}

type Answer =
  | { readonly ready: true }
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly error: string };

async function start(threads: number): Promise<Running> {
  const spoken = openSpoken();
  const llama = fork(child, [libraries, String(threads)], {
    execArgv: [],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', spoken.descriptor, 'ipc'],
    env: { PATH: '/usr/bin:/bin', GGML_NO_BACKTRACE: '1' },
  });
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  const ready = withResolvers<void>();

  llama.on('message', (answer: Answer) => {
    if ('ready' in answer) return ready.resolve();
    const asked = waiting.get(answer.id);
    waiting.delete(answer.id);
    const said = spoken.sinceLastTime();
    if (answer.ok) asked?.resolve(answer.value);
    else asked?.reject(new Error(`${answer.error}\n${said}`));
  });
  const died = new Promise<void>((resolve) => {
    llama.on('exit', (code, signal) => {
      const how = signal ?? `exit code ${code}`;
      const error = new Error(`llama.cpp died (${how})\n${spoken.sinceLastTime()}`);
      spoken.close();
      ready.reject(error);
      for (const asked of waiting.values()) asked.reject(error);
      resolve();
    });
  });
  await ready.promise;

  let next = 0;
  return {
    died,
    stop: () => llama.disconnect(),
    ask(request) {
      const id = next++;
      const asked = withResolvers<unknown>();
      waiting.set(id, asked);
      llama.send({ id, ...request }, (error) => error !== null && asked.reject(error));
      return asked.promise;
    },
  };
}

interface Spoken {
  readonly descriptor: number;
  /** The end of what was said since the last call. */
  sinceLastTime(): string;
  close(): void;
}

/**
 * A nameless file as stderr. Node's pipes do not block their writer: through one, libllama would
 * lose words whenever the reader is late, and its last ones would arrive after the answer.
 */
function openSpoken(): Spoken {
  const file = join(tmpdir(), `quantd-llama-${randomUUID()}`);
  const descriptor = openSync(file, 'a+');
  unlinkSync(file);
  let read = 0;
  return {
    descriptor,
    sinceLastTime() {
      const { size } = fstatSync(descriptor);
      const from = Math.max(read, size - SPOKEN_BYTES_MAX);
      const bytes = Buffer.alloc(size - from);
      readSync(descriptor, bytes, 0, bytes.length, from);
      read = size;
      return bytes.toString();
    },
    close: () => closeSync(descriptor),
  };
}

interface PromiseWithResolvers<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (reason: Error) => void;
}

/** `Promise.withResolvers`, which Node 20 does not have yet. */
function withResolvers<T>(): PromiseWithResolvers<T> {
  let resolve: (value: T) => void = () => {};
  let reject: (reason: Error) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
