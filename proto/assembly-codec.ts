/**
 * Assembly codec: the messages of outputs that grow on other machines, between the program's shape
 * and the wire's. Read next: peer-codec.ts, which owns the frame around them.
 */

import { quantd } from './generated/peer.generated.js';
import { cut } from './lease-codec.ts';
import {
  baseName,
  bytes,
  digest,
  fromHex,
  integer,
  list,
  name,
  outOfLimits,
  peerId,
  runId,
  sentence,
} from './peer-fields.ts';
import {
  ASSEMBLY_HEADER_BYTES_MAX,
  ASSEMBLY_RUNS_MAX,
  FILE_CHARACTERS_MAX,
  OUTPUTS_MAX,
  SENTENCE_CHARACTERS_MAX,
  TAKEN_MAX,
  TAKES_MAX,
} from './peer-limits.ts';
import type {
  Assemble,
  AssemblyMessage,
  AssemblyPhase,
  AssemblyState,
  AssemblyTake,
  AssemblyTaken,
  PeerMessage,
  TakenRun,
} from './peer-messages.ts';

type Envelope = quantd.Envelope.$Properties;

const kinds: readonly string[] = [
  'assemble',
  'assembly-state',
  'assembly-take',
  'assembly-taken',
  'assembly-seal',
  'assembly-end',
] satisfies AssemblyMessage['kind'][];

export function isAssemblyMessage(message: PeerMessage): message is AssemblyMessage {
  return kinds.includes(message.kind);
}

const { Phase } = quantd.AssemblyState;
const phases: readonly (readonly [AssemblyPhase, quantd.AssemblyState.Phase])[] = [
  ['open', Phase.OPEN],
  ['lost', Phase.LOST],
  ['verifying', Phase.VERIFYING],
  ['sealed', Phase.SEALED],
  ['ended', Phase.ENDED],
  ['declined', Phase.DECLINED],
];

export function encodeAssemblyMessage(message: AssemblyMessage): Envelope {
  const run = fromHex(message.run);
  switch (message.kind) {
    case 'assemble':
      return { assemble: { ...message, run, release: fromHex(message.release) } };
    case 'assembly-state':
      return { assemblyState: encodeState(message, run) };
    case 'assembly-take':
      return { assemblyTake: { ...message, run, takes: [...message.takes] } };
    case 'assembly-taken': {
      const { written, stored, failed } = message;
      const lists = { written: [...written], stored: [...stored], failed: [...failed] };
      return { assemblyTaken: { ...message, ...lists, run } };
    }
    case 'assembly-seal':
      return { assemblySeal: { ...message, run } };
    case 'assembly-end':
      return { assemblyEnd: { ...message, run } };
  }
}

/** Undefined where the envelope holds another message. */
export function decodeAssemblyMessage(envelope: Envelope): AssemblyMessage | undefined {
  const { assemble, assemblyState, assemblyTake, assemblyTaken } = envelope;
  const { assemblySeal, assemblyEnd } = envelope;
  if (assemble) return decodeAssemble(assemble);
  if (assemblyState) return decodeState(assemblyState);
  if (assemblyTake) return decodeTake(assemblyTake);
  if (assemblyTaken) return decodeTaken(assemblyTaken);
  if (assemblySeal) return { kind: 'assembly-seal', ...place(assemblySeal) };
  if (assemblyEnd) {
    return { kind: 'assembly-end', ...place(assemblyEnd), erase: assemblyEnd.erase === true };
  }
  return undefined;
}

/** Which output, and which opening of it. */
function place(message: {
  run?: Uint8Array | null;
  output?: number | null;
  opening?: number | null;
}): { run: string; output: number; opening: number } {
  return {
    run: runId(message.run),
    output: integer(message.output, 'output', 0, OUTPUTS_MAX),
    opening: integer(message.opening, 'opening'),
  };
}

function decodeAssemble(assemble: quantd.Assemble.$Properties): Assemble {
  const fileBytes = integer(assemble.fileBytes, 'file_bytes', 1);
  const headerMax = Math.min(fileBytes, ASSEMBLY_HEADER_BYTES_MAX);
  return {
    kind: 'assemble',
    ...place(assemble),
    release: runId(assemble.release),
    file: baseName(assemble.file, 'file'),
    id: digest(assemble.id, 'id'),
    fileBytes,
    headerBytes: integer(assemble.headerBytes, 'header_bytes', 1, headerMax),
    runCount: integer(assemble.runCount, 'run_count', 0, ASSEMBLY_RUNS_MAX),
    map: digest(assemble.map, 'map'),
  };
}

function encodeState(state: AssemblyState, run: Uint8Array): quantd.AssemblyState.$Properties {
  const { phase, declined, ...rest } = state;
  return {
    ...rest,
    run,
    phase: phases.find(([known]) => known === phase)?.[1] ?? Phase.UNSPECIFIED,
    ...(declined === undefined ? {} : { declined: cut(declined) }),
  };
}

function decodeState(state: quantd.AssemblyState.$Properties): AssemblyState {
  const phase = phases.find(([, number]) => number === state.phase)?.[0];
  if (phase === undefined) throw outOfLimits('phase', 'it is none that is known');
  const { digest: sealed, path, declined } = state;
  return {
    kind: 'assembly-state',
    ...place(state),
    phase,
    stored: bytes(state.stored, 'stored', 0, ASSEMBLY_RUNS_MAX / 8),
    verifiedBytes: integer(state.verifiedBytes, 'verified_bytes'),
    ...(sealed?.length ? { digest: digest(sealed, 'digest') } : {}),
    ...(path ? { path: name(path, 'path', FILE_CHARACTERS_MAX) } : {}),
    ...(declined ? { declined: sentence(declined, 'declined', SENTENCE_CHARACTERS_MAX) } : {}),
  };
}

function decodeTake(take: quantd.AssemblyTake.$Properties): AssemblyTake {
  const takes = list(take.takes, 'takes', TAKES_MAX).map(
    (taken): TakenRun => ({
      run: integer(taken.run, 'takes.run', 0, ASSEMBLY_RUNS_MAX),
      serial: integer(taken.serial, 'takes.serial'),
      digest: digest(taken.digest, 'takes.digest'),
      from: peerId(taken.from ?? '', 'takes.from'),
    }),
  );
  return { kind: 'assembly-take', ...place(take), takes };
}

function decodeTaken(taken: quantd.AssemblyTaken.$Properties): AssemblyTaken {
  const runs = (values: readonly number[] | null | undefined, field: string): number[] =>
    list(values, field, TAKEN_MAX).map((run) => integer(run, field, 0, ASSEMBLY_RUNS_MAX));
  return {
    kind: 'assembly-taken',
    ...place(taken),
    written: runs(taken.written, 'written'),
    stored: runs(taken.stored, 'stored'),
    failed: list(taken.failed, 'failed', TAKEN_MAX).map((serial) => integer(serial, 'failed')),
  };
}
