/**
 * Lease codec: the messages of a run whose parts are lists, between the program's shape and the
 * wire's. Read next: peer-codec.ts, which owns the frame around them.
 */

import { joinBytes } from './bytes.ts';
import type { FaultMessage } from './fault.ts';
import { exitCodes } from './fault.ts';
import type { quantd } from './generated/peer.generated.js';
import { decodeOrigin, encodeOrigin } from './origin-codec.ts';
import {
  bytes,
  digest,
  digestHex,
  fromDigests,
  fromHex,
  fromLongs,
  integer,
  list,
  name,
  outOfLimits,
  peerId,
  runId,
  sentence,
  toLongs,
} from './peer-fields.ts';
import {
  ASSEMBLERS_MAX,
  DIGEST_BYTES,
  DIMENSIONS_MAX,
  FILE_CHARACTERS_MAX,
  LEASED_LEAVES_MAX,
  LEASED_RUNS_MAX,
  NAME_CHARACTERS_MAX,
  PIECE_BYTES_MAX,
  PIECES_MAX,
  SENTENCE_CHARACTERS_MAX,
  SIGNATURE_BYTES,
  SOURCES_MAX,
  TASKS_MAX,
  TENSOR_NAME_CHARACTERS_MAX,
} from './peer-limits.ts';
import {
  type Kept,
  LEAF_BYTES,
  type Lease,
  type LeaseAnswer,
  type LeasedRun,
  type MadeUnit,
  type SourcePiece,
  type Working,
} from './peer-messages.ts';

export function encodeLease(lease: Lease): quantd.Lease.$Properties {
  const { importance, origin, ...rest } = lease;
  return {
    ...rest,
    run: fromHex(lease.run),
    shape: toLongs(lease.shape),
    pieces: lease.pieces.map((piece) => ({
      ...piece,
      fileDigest: fromHex(piece.fileDigest),
      leaves: joinBytes(piece.leaves),
    })),
    sources: [...lease.sources],
    runs: lease.runs.map((run) => ({ ...run, unit: fromHex(run.unit) })),
    assemblers: lease.assemblers.slice(0, ASSEMBLERS_MAX),
    ...(importance === undefined ? {} : { importance }),
    ...(origin === undefined ? {} : { origin: encodeOrigin(origin) }),
  };
}

export function decodeLease(lease: quantd.Lease.$Properties): Lease {
  const { importance, origin } = lease;
  return {
    kind: 'lease',
    run: runId(lease.run),
    task: integer(lease.task, 'task'),
    tensor: name(lease.tensor, 'tensor', TENSOR_NAME_CHARACTERS_MAX),
    element: name(lease.element, 'element', NAME_CHARACTERS_MAX),
    shape: fromLongs(lease.shape, 'shape', DIMENSIONS_MAX),
    rowStart: integer(lease.rowStart, 'row_start'),
    rows: integer(lease.rows, 'rows', 1),
    pieces: list(lease.pieces, 'pieces', PIECES_MAX).map((piece) =>
      decodePiece(piece, Boolean(origin)),
    ),
    sources: list(lease.sources, 'sources', SOURCES_MAX).map((peer) => peerId(peer, 'sources')),
    runs: list(lease.runs, 'runs', LEASED_RUNS_MAX).map(decodeRun),
    assemblers: list(lease.assemblers, 'assemblers', ASSEMBLERS_MAX).map((peer) =>
      peerId(peer, 'assemblers'),
    ),
    ...(importance && importance.length > 0
      ? { importance: digest(importance, 'importance') }
      : {}),
    ...(origin ? { origin: decodeOrigin(origin) } : {}),
  };
}

/** @param mayBeBare whether a piece without leaves is one, too */
function decodePiece(piece: quantd.SourcePiece.$Properties, mayBeBare: boolean): SourcePiece {
  const bytes = integer(piece.bytes, 'pieces.bytes', 1, PIECE_BYTES_MAX);
  const offset = integer(piece.offset, 'pieces.offset', 0, Number.MAX_SAFE_INTEGER - bytes);
  const isBare = mayBeBare && (piece.leaves?.length ?? 0) === 0;
  return {
    file: name(piece.file, 'pieces.file', FILE_CHARACTERS_MAX),
    fileDigest: digestHex(piece.fileDigest, 'pieces.file_digest'),
    offset,
    bytes,
    leaves: fromDigests(piece.leaves, 'pieces.leaves', isBare ? 0 : Math.ceil(bytes / LEAF_BYTES)),
  };
}

function decodeRun(run: quantd.LeasedRun.$Properties): LeasedRun {
  return {
    unit: digestHex(run.unit, 'runs.unit'),
    type: name(run.type, 'runs.type', NAME_CHARACTERS_MAX),
    bytes: integer(run.bytes, 'runs.bytes', 1),
  };
}

export function decodeWorking(working: quantd.Working.$Properties): Working {
  return { kind: 'working', run: runId(working.run), tasks: decodeTasks(working.tasks) };
}

export function decodeKept(kept: quantd.Kept.$Properties): Kept {
  return { kind: 'kept', run: runId(kept.run), tasks: decodeTasks(kept.tasks) };
}

function decodeTasks(tasks: readonly number[] | null | undefined): number[] {
  return list(tasks, 'tasks', TASKS_MAX).map((task) => integer(task, 'tasks'));
}

export function encodeAnswer(answer: LeaseAnswer): quantd.LeaseAnswer.$Properties {
  const { run, task, made, signature, leaves, detour, fault, declined } = answer;
  return {
    run: fromHex(run),
    task,
    signature,
    made: made.map((unit) => ({ unit: fromHex(unit.unit), digest: unit.digest })),
    ...(fault === undefined ? {} : { fault: encodeFault(fault) }),
    ...(declined === undefined ? {} : { declined: cut(declined) }),
    ...(leaves === undefined ? {} : { leaves: joinBytes(leaves) }),
    ...(detour === undefined ? {} : { detour: cut(detour) }),
  };
}

export function decodeAnswer(answer: quantd.LeaseAnswer.$Properties): LeaseAnswer {
  const { fault, declined } = answer;
  const made = list(answer.made, 'made', LEASED_RUNS_MAX).map(decodeMade);
  const signatureBytes = made.length > 0 ? SIGNATURE_BYTES : 0;
  const signature = bytes(answer.signature, 'signature', signatureBytes, signatureBytes);
  return {
    kind: 'answer',
    run: runId(answer.run),
    task: integer(answer.task, 'task'),
    made,
    signature,
    ...(fault ? { fault: decodeFault(fault) } : {}),
    ...(typeof declined === 'string'
      ? { declined: sentence(declined, 'declined', SENTENCE_CHARACTERS_MAX) }
      : {}),
    ...decodeFetched(answer),
  };
}

function decodeFetched({
  leaves,
  detour,
}: quantd.LeaseAnswer.$Properties): Pick<LeaseAnswer, 'leaves' | 'detour'> {
  const count = Math.floor((leaves?.length ?? 0) / DIGEST_BYTES);
  if (count > LEASED_LEAVES_MAX) throw outOfLimits('leaves', `more than ${LEASED_LEAVES_MAX}`);
  return {
    ...(count > 0 ? { leaves: fromDigests(leaves, 'leaves', count) } : {}),
    ...(typeof detour === 'string'
      ? { detour: sentence(detour, 'detour', SENTENCE_CHARACTERS_MAX) }
      : {}),
  };
}

function decodeMade(made: quantd.MadeUnit.$Properties): MadeUnit {
  return {
    unit: digestHex(made.unit, 'made.unit'),
    digest: digest(made.digest, 'made.digest'),
  };
}

/** A sentence of ours may quote what is long: its end is the part that can be missed. */
export function cut(text: string): string {
  const whole = text.length <= SENTENCE_CHARACTERS_MAX;
  const kept = whole ? text : `${text.slice(0, SENTENCE_CHARACTERS_MAX - 1)}…`;
  // Halves of a character have no bytes of their own in UTF-8.
  return kept.replace(/\p{Surrogate}/gu, '\ufffd');
}

const FAULT_TEXTS = ['file', 'tensor', 'key', 'why'] as const;

export function encodeFault(fault: FaultMessage): quantd.Fault.$Properties {
  const texts = FAULT_TEXTS.flatMap((field) => {
    const text = fault[field];
    return text === undefined ? [] : [[field, cut(text)] as const];
  });
  return {
    code: fault.code,
    exit: fault.exit,
    what: cut(fault.what),
    hint: cut(fault.hint),
    ...Object.fromEntries(texts),
    ...(fault.row === undefined ? {} : { row: fault.row }),
    ...(typeof fault.byte === 'number' ? { byte: fault.byte } : {}),
    ...(typeof fault.byte === 'string' ? { longByte: fault.byte } : {}),
  };
}

const FAULT_CODE = /^QD-\d{4}$/;
const LONG_BYTE = /^\d{1,20}$/;
const exits: readonly number[] = Object.values(exitCodes);

export function decodeFault(fault: quantd.Fault.$Properties): FaultMessage {
  const code = fault.code ?? '';
  if (!FAULT_CODE.test(code)) throw outOfLimits('fault.code', 'it is no code of a fault');
  const exit = Object.values(exitCodes).find((each) => each === fault.exit);
  if (exit === undefined) throw outOfLimits('fault.exit', `it is none of ${exits.join(', ')}`);
  const texts = FAULT_TEXTS.flatMap((field) => {
    const text = fault[field];
    return typeof text === 'string'
      ? [[field, sentence(text, `fault.${field}`, SENTENCE_CHARACTERS_MAX)] as const]
      : [];
  });
  return {
    ...Object.fromEntries(texts),
    ...decodeFaultPlace(fault),
    code,
    exit,
    what: sentence(fault.what, 'fault.what', SENTENCE_CHARACTERS_MAX),
    hint: sentence(fault.hint, 'fault.hint', SENTENCE_CHARACTERS_MAX),
  };
}

function decodeFaultPlace(fault: quantd.Fault.$Properties): Pick<FaultMessage, 'row' | 'byte'> {
  const { row, byte, longByte } = fault;
  if (typeof longByte === 'string' && !LONG_BYTE.test(longByte)) {
    throw outOfLimits('fault.long_byte', 'it is no position');
  }
  const place =
    typeof longByte === 'string'
      ? longByte
      : byte === null || byte === undefined
        ? undefined
        : integer(byte, 'fault.byte');
  return {
    ...(row === null || row === undefined ? {} : { row: integer(row, 'fault.row') }),
    ...(place === undefined ? {} : { byte: place }),
  };
}
