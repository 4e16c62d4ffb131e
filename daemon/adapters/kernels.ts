/**
 * Kernels: the native addon behind the port of the same name.
 *
 *   build/kernels/quantd.node ──▶ loadKernels ──▶ Kernels (ports.ts)
 *
 * Before it is used, every kernel is compared with a stored hash: a machine that computes wrong
 * bytes must not make any. Read next: kernels/addon.cpp.
 */

import { setMaxListeners } from 'node:events';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { getSystemErrorName } from 'node:util';
import { assert } from '../../proto/assert.ts';
import { FaultError } from '../../proto/fault.ts';
import type { KernelInfo, Kernels, PieceDigests, QuantizeJob, QuantizeResult } from '../ports.ts';
import type { PageMemory } from './direct-file.ts';
import type { StepHasher } from './direct-hash.ts';
import { kernelFaults } from './kernel-faults.ts';

export interface KernelOptions {
  /** The file that kernels/build.mjs makes. */
  readonly addonPath: string;
  /** How many jobs run side by side, each on one thread; 1 to 1024. */
  readonly threads: number;
  /** scalar, avx2, avx512 or neon; else QUANTD_ISA of the environment, else the fastest. */
  readonly isa?: string;
}

/** Where the pieces lie that are to be digested; see `OutputFile.hash`. */
export interface FilePieces {
  readonly path: string;
  readonly offset: number;
  readonly pieces: readonly number[];
  readonly sums?: readonly boolean[];
  readonly chain?: Uint8Array;
}

/** CPU seconds of the addon's threads, added up over all jobs that have ended. */
export interface ThreadSeconds {
  readonly compute: number;
  readonly hash: number;
  /** Of those of `hash`: of blocks as they were made. */
  readonly digest: number;
  /** Wall seconds of threads that hash a file and wait for its bytes. */
  readonly wait: number;
}

/** What the addon does beyond the port, for adapters. */
export interface FileHasher extends Partial<StepHasher> {
  /** Read on the addon's own threads; rejects with what node:fs would, ENODATA at an early end. */
  sha256Pieces(pieces: FilePieces, signal?: AbortSignal): Promise<PieceDigests>;
}

export interface Addon extends Kernels, FileHasher, PageMemory {
  sha256Step: StepHasher['sha256Step'];
  memory(bytes: number): ArrayBuffer;
  pageOffset(bytes: Uint8Array): number;
  spent(): ThreadSeconds;
}

/** Work that can be given up by its ticket. */
export interface Ticketed<Result> {
  readonly promise: Promise<Result>;
  readonly ticket: number;
}

/** What kernels/addon.cpp defines. */
interface NativeKernels {
  readonly info: KernelInfo;
  readonly spent: ThreadSeconds;
  quantize(job: QuantizeJob): Promise<QuantizeResult>;
  sha256(bytes: Uint8Array): Promise<Uint8Array>;
  sha256File(path: string): Ticketed<Uint8Array>;
  sha256Pieces(pieces: FilePieces): Ticketed<PieceDigests>;
  sha256Step: StepHasher['sha256Step'];
  cancel(ticket: number): void;
  memory(bytes: number): ArrayBuffer;
  pageOffset(bytes: Uint8Array): number;
  /** The name of a kernel that gives wrong bytes. */
  selfTest(): string | undefined;
  close(): void;
}
type NativeConstructor<Native> = new (options: { threads: number; isa?: string }) => Native;

/**
 * Loads the addon and starts its threads; they do not keep the process alive. Throws the
 * environment faults of kernel-faults.ts. After `close`, what is under way and what comes later
 * rejects.
 */
export function loadKernels(options: KernelOptions): Addon {
  const native = construct<NativeKernels>('Kernels', options);
  const wrong = native.selfTest();
  if (wrong !== undefined) {
    native.close();
    throw new FaultError(kernelFaults.selfTestFailed, { why: `${native.info.isa} ${wrong}` });
  }
  return {
    info: native.info,
    quantize: (job) => native.quantize(job),
    sha256: (bytes) => native.sha256(bytes),
    sha256File: (path, signal) =>
      cancellable(native, signal, () => native.sha256File(path)).catch(asSystemError(path)),
    sha256Pieces: (pieces, signal) =>
      cancellable(native, signal, () => native.sha256Pieces(pieces)).catch(
        asSystemError(pieces.path),
      ),
    sha256Step: (step) => native.sha256Step(step),
    memory: (bytes) => native.memory(bytes),
    pageOffset: (bytes) => native.pageOffset(bytes),
    spent: () => native.spent,
    close: () => native.close(),
  };
}

/**
 * An object of a class that kernels/addon.cpp defines, with threads of its own.
 * @throws FaultError of kernel-faults.ts
 */
export function construct<Native>(
  name: 'Kernels' | 'ForwardKernels',
  { addonPath, threads, isa = process.env['QUANTD_ISA'] }: KernelOptions,
): Native {
  const Constructor = requireAddon<Native>(addonPath, name);
  try {
    return new Constructor({ threads, ...(isa === undefined || isa === '' ? {} : { isa }) });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ISA_UNAVAILABLE') {
      throw new FaultError(kernelFaults.isaUnavailable, { why: error.message }, { cause: error });
    }
    throw error;
  }
}

function requireAddon<Native>(addonPath: string, name: string): NativeConstructor<Native> {
  const file = resolve(addonPath);
  if (!existsSync(file)) throw new FaultError(kernelFaults.addonMissing, { file: addonPath });
  let loaded: unknown;
  try {
    loaded = createRequire(import.meta.url)(file);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new FaultError(kernelFaults.addonBroken, { file: addonPath, why }, { cause: error });
  }
  assert(typeof loaded === 'object' && loaded !== null, `${addonPath} is no addon`);
  const made = Reflect.get(loaded, name);
  assert(typeof made === 'function', `${addonPath} defines no class ${name}`);
  return made as NativeConstructor<Native>;
}

/** Begins work that ends early when `signal` says so, and then rejects with its reason. */
export async function cancellable<Result>(
  native: { cancel(ticket: number): void },
  signal: AbortSignal | undefined,
  begin: () => Ticketed<Result>,
): Promise<Result> {
  signal?.throwIfAborted();
  // A run has one signal for all that it has under way: many listeners are no leak.
  if (signal !== undefined) setMaxListeners(0, signal);
  const { promise, ticket } = begin();
  const cancel = (): void => native.cancel(ticket);
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    return await promise;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}

/** Throws an error with the addon's `errno` and `syscall` again, with the fields of node:fs. */
const asSystemError =
  (path: string) =>
  (error: unknown): never => {
    throw systemError(error, path) ?? error;
  };

/** What node:fs would say of the addon's `errno` and `syscall`; undefined where it has none. */
export function systemError(error: unknown, path: string): Error | undefined {
  if (!(error instanceof Error) || !('errno' in error) || !('syscall' in error)) return undefined;
  const { errno, syscall } = error;
  if (typeof errno !== 'number' || typeof syscall !== 'string') return undefined;
  const code = getSystemErrorName(-errno);
  const message = `${code}: ${error.message}, ${syscall} '${path}'`;
  return Object.assign(new Error(message, { cause: error }), {
    code,
    errno: -errno,
    syscall,
    path,
  });
}
