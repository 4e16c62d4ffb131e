/**
 * Stage codec: the messages of measuring, between the program's shape and the wire's.
 *
 * Read next: peer-codec.ts, which owns the frame around them.
 */

import { joinBytes } from './bytes.ts';
import type { quantd } from './generated/peer.generated.js';
import { cut, decodeFault, encodeFault } from './lease-codec.ts';
import { decodeOrigin, encodeOrigin } from './origin-codec.ts';
import {
  digest,
  fromDigests,
  fromHex,
  integer,
  list,
  outOfLimits,
  peerId,
  runId,
  sentence,
} from './peer-fields.ts';
import {
  DESCRIPTION_BYTES_MAX,
  DIGEST_BYTES,
  GROUP_CHUNKS_MAX,
  HELD_SUMS_MAX,
  JOINED_GROUPS_MAX,
  LAYERS_MAX,
  SENTENCE_CHARACTERS_MAX,
  SOURCES_MAX,
  STAGE_LEASES_MAX,
  SUMS_BYTES_MAX,
} from './peer-limits.ts';
import type { HeldSums, StageAnswer, StageLease, StageMessage } from './peer-messages.ts';

type Envelope = quantd.Envelope.$Properties;

export function encodeStageMessage(message: StageMessage): Envelope {
  const run = fromHex(message.run);
  switch (message.kind) {
    case 'stage-lease': {
      const { origin, ...lease } = message;
      return {
        stageLease: {
          ...lease,
          run,
          chunks: [...message.chunks],
          leftOut: [...message.leftOut],
          collect: [...message.collect],
          inputs: [...message.inputs],
          ...(origin === undefined ? {} : { origin: encodeOrigin(origin) }),
        },
      };
    }
    case 'stage-working':
      return {
        stageWorking: {
          run,
          leases: [...message.leases],
          passed: message.passed,
          begun: message.begun,
        },
      };
    case 'stage-answer':
      return { stageAnswer: encodeAnswer(message, run) };
    case 'stage-kept':
      return { stageKept: { run, leases: [...message.leases] } };
    case 'state-release':
      return { stateRelease: { run, leases: [...message.leases] } };
    case 'sums-held':
      return { sumsHeld: { run, sums: message.sums.map(encodeHeld) } };
    case 'sums-kept':
      return { sumsKept: { run, digests: joinBytes(message.digests) } };
  }
}

/** Undefined where the envelope holds another message. */
export function decodeStageMessage(envelope: Envelope): StageMessage | undefined {
  const { stageLease, stageWorking, stageAnswer, stageKept } = envelope;
  if (stageLease) return decodeLease(stageLease);
  if (stageWorking) {
    return {
      kind: 'stage-working',
      run: runId(stageWorking.run),
      leases: numbers(stageWorking.leases, 'leases', STAGE_LEASES_MAX),
      passed: integer(stageWorking.passed, 'passed'),
      begun: integer(stageWorking.begun, 'begun'),
    };
  }
  if (stageAnswer) return decodeAnswer(stageAnswer);
  if (stageKept) {
    const leases = numbers(stageKept.leases, 'leases', STAGE_LEASES_MAX);
    return { kind: 'stage-kept', run: runId(stageKept.run), leases };
  }
  return decodeStateOrSums(envelope);
}

function decodeStateOrSums({
  stateRelease,
  sumsHeld,
  sumsKept,
}: Envelope): StageMessage | undefined {
  if (stateRelease) {
    const leases = numbers(stateRelease.leases, 'leases', STAGE_LEASES_MAX);
    return { kind: 'state-release', run: runId(stateRelease.run), leases };
  }
  if (sumsHeld) {
    const sums = list(sumsHeld.sums, 'sums', HELD_SUMS_MAX).map(decodeHeld);
    return { kind: 'sums-held', run: runId(sumsHeld.run), sums };
  }
  if (!sumsKept) return undefined;
  const length = sumsKept.digests?.length ?? 0;
  const count = Math.min(Math.floor(length / DIGEST_BYTES), HELD_SUMS_MAX);
  const digests = fromDigests(sumsKept.digests, 'digests', count);
  return { kind: 'sums-kept', run: runId(sumsKept.run), digests };
}

function decodeLease(lease: quantd.StageLease.$Properties): StageLease {
  const from = integer(lease.from, 'from', 0, LAYERS_MAX);
  return {
    kind: 'stage-lease',
    run: runId(lease.run),
    lease: integer(lease.lease, 'lease'),
    from,
    to: integer(lease.to, 'to', from + 1, LAYERS_MAX),
    group: integer(lease.group, 'group'),
    chunks: ascending(lease.chunks, 'chunks', GROUP_CHUNKS_MAX),
    leftOut: ascending(lease.leftOut, 'left_out', GROUP_CHUNKS_MAX),
    collect: ascending(lease.collect, 'collect', LAYERS_MAX),
    inputs: list(lease.inputs, 'inputs', SOURCES_MAX).map((peer) => peerId(peer, 'inputs')),
    description: digest(lease.description, 'description'),
    descriptionBytes: integer(
      lease.descriptionBytes,
      'description_bytes',
      1,
      DESCRIPTION_BYTES_MAX,
    ),
    leavesState: lease.leavesState === true,
    waveChunks: integer(lease.waveChunks, 'wave_chunks'),
    ...(lease.origin ? { origin: decodeOrigin(lease.origin) } : {}),
  };
}

function encodeAnswer(answer: StageAnswer, run: Uint8Array): quantd.StageAnswer.$Properties {
  const { lease, bad, computeMs, fault, declined, detour } = answer;
  return {
    run,
    lease,
    bad: [...bad],
    computeMs,
    ...(fault === undefined ? {} : { fault: encodeFault(fault) }),
    ...(declined === undefined ? {} : { declined: cut(declined) }),
    ...(detour === undefined ? {} : { detour: cut(detour) }),
  };
}

function decodeAnswer(answer: quantd.StageAnswer.$Properties): StageAnswer {
  const { fault, declined, detour } = answer;
  return {
    kind: 'stage-answer',
    run: runId(answer.run),
    lease: integer(answer.lease, 'lease'),
    bad: ascending(answer.bad, 'bad', GROUP_CHUNKS_MAX),
    computeMs: integer(answer.computeMs, 'compute_ms'),
    ...(fault ? { fault: decodeFault(fault) } : {}),
    ...(typeof declined === 'string'
      ? { declined: sentence(declined, 'declined', SENTENCE_CHARACTERS_MAX) }
      : {}),
    ...(typeof detour === 'string'
      ? { detour: sentence(detour, 'detour', SENTENCE_CHARACTERS_MAX) }
      : {}),
  };
}

function encodeHeld(held: HeldSums): quantd.HeldSums.$Properties {
  return { ...held, groups: [...held.groups], leftOut: [...held.leftOut] };
}

function decodeHeld(held: quantd.HeldSums.$Properties): HeldSums {
  return {
    layer: integer(held.layer, 'sums.layer', 0, LAYERS_MAX),
    groups: ascending(held.groups, 'sums.groups', JOINED_GROUPS_MAX),
    leftOut: ascending(held.leftOut, 'sums.left_out', JOINED_GROUPS_MAX),
    digest: digest(held.digest, 'sums.digest'),
    bytes: integer(held.bytes, 'sums.bytes', 1, SUMS_BYTES_MAX),
  };
}

type Numbers = readonly number[] | null | undefined;

function numbers(values: Numbers, field: string, most: number): number[] {
  return list(values, field, most).map((value) => integer(value, field));
}

/** A set: each number once, in order, so that equal sets are equal bytes. */
function ascending(values: Numbers, field: string, most: number): number[] {
  const found = numbers(values, field, most);
  if (found.some((value, index) => index > 0 && value <= (found[index - 1] ?? 0))) {
    throw outOfLimits(field, 'it is not in ascending order');
  }
  return found;
}
