/**
 * Settings: the daemon's arguments, read once.
 *
 *   argv ──▶ parseSettings ──▶ Settings ──▶ main.ts
 */

import { availableParallelism, hostname, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { exitCodes, FaultError, type FaultKind } from '../proto/fault.ts';

export const settingsFaults = {
  badArgument: {
    code: 'QD-1001',
    exit: exitCodes.usage,
    what: 'an argument is not understood',
    hint: 'quantd up --help lists the arguments',
  },
} as const satisfies Record<string, FaultKind>;

export interface Settings {
  readonly dataDirectory: string;
  readonly name: string;
  /** Memory that tasks under way may take. */
  readonly ramBytes: number;
  /** Disk that peers may use here; undefined means no limit but the disk. */
  readonly diskBytes: number | undefined;
  readonly threads: number;
  /** Forced instruction set, else the best of this CPU. */
  readonly isa: string | undefined;
  /** Started by a command for its own length: ends when standard input does. */
  readonly isChild: boolean;
  readonly addonPath: string;
  readonly version: string;
}

// Both names that a command has for it.
const RAM_OPTION = '--ram (or --max-buffer-size)';
// Enough for two tasks of every kind of tensor; more than a gigabyte gains nothing on one machine.
const RAM_BYTES_MIN = 64 * 1024 * 1024;
const RAM_BYTES_DEFAULT_MAX = 1024 * 1024 * 1024;
// What a socket address holds on macOS, the least of our systems, with its end mark.
const SOCKET_PATH_BYTES_MAX = 103;
// What llama.cpp also caps at; beyond it a typing error is likelier than a machine.
const THREADS_MAX = 512;

export function parseSettings(
  argv: readonly string[],
  environment: NodeJS.ProcessEnv,
  installed: { readonly addonPath: string; readonly version: string },
): Settings {
  const { values } = readArguments(argv);
  if (values.data === undefined) throw bad('--data', 'is missing');
  const ramBytes =
    values.ram === undefined
      ? Math.min(RAM_BYTES_DEFAULT_MAX, Math.max(RAM_BYTES_MIN, Math.floor(memoryBytes() / 4)))
      : parseBytes(RAM_OPTION, values.ram);
  if (ramBytes < RAM_BYTES_MIN) throw bad(RAM_OPTION, 'is below 64MiB');
  const dataDirectory = resolve(values.data);
  if (Buffer.byteLength(socketPath(dataDirectory)) > SOCKET_PATH_BYTES_MAX) {
    throw bad('--data', 'is too long a path for a socket; choose a shorter one');
  }
  return {
    ...installed,
    dataDirectory,
    name: values.name ?? hostname(),
    ramBytes,
    diskBytes: values.disk === undefined ? undefined : parseBytes('--disk', values.disk),
    threads: values.threads === undefined ? availableParallelism() : parseThreads(values.threads),
    isa: environment['QUANTD_ISA'],
    isChild: values.child ?? false,
  };
}

type Values = Partial<Record<'data' | 'name' | 'ram' | 'disk' | 'threads', string>> & {
  child?: boolean;
};

function readArguments(argv: readonly string[]): { values: Values } {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        data: { type: 'string' },
        name: { type: 'string' },
        ram: { type: 'string' },
        disk: { type: 'string' },
        threads: { type: 'string' },
        child: { type: 'boolean' },
      },
    });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new FaultError(settingsFaults.badArgument, { why }, { cause: error });
  }
}

/** The machine's memory, or the control group's where that is less. */
function memoryBytes(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}

function parseThreads(text: string): number {
  const threads = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (threads < 1 || threads > THREADS_MAX) throw bad('--threads', `is not 1 to ${THREADS_MAX}`);
  return threads;
}

const units: Readonly<Record<string, number>> = {
  '': 1,
  K: 1024,
  M: 1024 ** 2,
  G: 1024 ** 3,
  T: 1024 ** 4,
};

/** `8GiB`, `512M`, `1000000`: binary multiples, whether or not the `iB` is written. */
function parseBytes(option: string, text: string): number {
  const match = /^(\d{1,15})\s*([KMGT]?)(i?B)?$/i.exec(text);
  const unit = units[(match?.[2] ?? '').toUpperCase()];
  const bytes = Number(match?.[1] ?? 'NaN') * (unit ?? Number.NaN);
  if (!Number.isSafeInteger(bytes)) throw bad(option, 'is no size such as 8GiB');
  return bytes;
}

function bad(option: string, why: string): FaultError {
  return new FaultError(settingsFaults.badArgument, { why: `${option} ${why}` });
}

/** Where the local API listens. */
export function socketPath(dataDirectory: string): string {
  return join(dataDirectory, 'api.sock');
}
