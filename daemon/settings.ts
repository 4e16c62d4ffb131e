/**
 * Settings: the daemon's arguments, read once.
 *
 *   argv ──▶ parseSettings ──▶ Settings ──▶ main.ts
 */

import { availableParallelism, hostname, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { exitCodes, FaultError, type FaultKind } from '../proto/fault.ts';
import type { HubAccess } from '../proto/requests.ts';
import { LISTEN_MAX, parseListen } from './cluster/listen-addresses.ts';

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
  /** 0: it computes nothing for others, and its own runs on one thread. */
  readonly threads: number;
  /** How it is open to other machines; undefined: not at all, and no port is opened. */
  readonly peering: Peering | undefined;
  /** Forced instruction set, else the best of this CPU. */
  readonly isa: string | undefined;
  /** The one hub that it fetches from for runs of others, with this user's token. */
  readonly hub: HubAccess;
  /** Started by a command for its own length: ends when standard input does. */
  readonly isChild: boolean;
  readonly addonPath: string;
  /** The calibration text that comes along. */
  readonly defaultText: string;
  /** The directory of the recipes that come along. */
  readonly shippedRecipes: string;
  readonly version: string;
  /** What the kernels that were built give in their self-tests. */
  readonly selfTests: { readonly quantizers: string; readonly forward: string };
}

// Both names that a command has for it.
const RAM_OPTION = '--ram (or --max-buffer-size)';
export interface Peering {
  /** up: founds a cluster where there is none; join: waits to be told what to join. */
  readonly begins: 'up' | 'join';
  readonly lan: boolean;
  /** Multiaddrs. */
  readonly listen: readonly string[];
}

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
  installed: Pick<
    Settings,
    'addonPath' | 'defaultText' | 'shippedRecipes' | 'version' | 'selfTests'
  >,
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
    threads: parseThreads(values.threads, values.peering === undefined ? 1 : 0),
    peering: parsePeering(values),
    isa: environment['QUANTD_ISA'],
    hub: parseHub(environment),
    isChild: values.child ?? false,
  };
}

function parseHub({ HF_ENDPOINT = '', HF_TOKEN = '' }: NodeJS.ProcessEnv): HubAccess {
  const token = HF_TOKEN.trim();
  return {
    ...(HF_ENDPOINT === '' ? {} : { url: HF_ENDPOINT }),
    ...(token === '' ? {} : { token }),
  };
}

type Values = Partial<Record<'data' | 'name' | 'ram' | 'disk' | 'threads' | 'peering', string>> & {
  child?: boolean;
  lan?: boolean;
  listen?: string[];
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
        peering: { type: 'string' },
        lan: { type: 'boolean' },
        listen: { type: 'string', multiple: true },
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

function parseThreads(text: string | undefined, threadsMin: number): number {
  if (text === undefined) return availableParallelism();
  const threads = /^\d{1,3}$/.test(text) ? Number(text) : -1;
  if (threads < threadsMin || threads > THREADS_MAX) {
    throw bad('--threads', `is not ${threadsMin} to ${THREADS_MAX}`);
  }
  return threads;
}

function parsePeering({ peering, lan = false, listen = [] }: Values): Peering | undefined {
  if (peering === undefined) return undefined;
  if (peering !== 'up' && peering !== 'join') throw bad('--peering', 'is neither up nor join');
  if (listen.length > LISTEN_MAX) throw bad('--listen', `is there more than ${LISTEN_MAX} times`);
  return { begins: peering, lan, listen: listen.map(parseListen) };
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
