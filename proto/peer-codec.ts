/**
 * Peer codec: messages of peers as bytes, and bytes of strangers as messages or a fault.
 *
 *   PeerMessage ──▶ encodePeerMessage ──▶ frame ──▶ decodePeerMessage ──▶ PeerMessage
 *
 * Nothing is taken from a frame before its length, count, digits and range are within
 * peer-limits.ts. Read next: peer.proto, lease-codec.ts (the messages of a run), block-codec.ts.
 */

import protobuf from 'protobufjs/minimal.js';
import {
  decodeAssemblyMessage,
  encodeAssemblyMessage,
  isAssemblyMessage,
} from './assembly-codec.ts';
import { assert } from './assert.ts';
import { FaultError } from './fault.ts';
import { quantd } from './generated/peer.generated.js';
import {
  decodeAnswer,
  decodeKept,
  decodeLease,
  decodeWorking,
  encodeAnswer,
  encodeLease,
} from './lease-codec.ts';
import { decodePiecesVoid, encodePiecesVoid } from './origin-codec.ts';
import { peerFaults } from './peer-faults.ts';
import {
  bytes,
  fromHex,
  integer,
  list,
  name,
  outOfLimits,
  part,
  peerId,
  runId,
  type WireNumber,
} from './peer-fields.ts';
import {
  ADDRESS_CHARACTERS_MAX,
  ADDRESSES_MAX,
  FIELDS_MAX,
  FRAME_BYTES_MAX,
  NAME_CHARACTERS_MAX,
  NETWORK_KEY_BYTES,
  RECORD_BYTES_MAX,
  RECORDS_MAX,
  THREADS_MAX,
} from './peer-limits.ts';
import type { Hello, Meet, PeerMessage } from './peer-messages.ts';
import { decodeStageMessage, encodeStageMessage } from './stage-codec.ts';

type Envelope = quantd.Envelope.$Properties;

/** One frame, without the length before it. */
export function encodePeerMessage(message: PeerMessage): Uint8Array {
  const frame = quantd.Envelope.encode(toEnvelope(message)).finish();
  assert(
    frame.length <= FRAME_BYTES_MAX,
    `a ${message.kind} of ${frame.length} bytes does not fit a frame`,
  );
  return frame;
}

/** @throws FaultError, and nothing else, for whatever is no message within its limits */
export function decodePeerMessage(frame: Uint8Array): PeerMessage {
  return fromEnvelope(decodeFrame(quantd.Envelope, frame, FRAME_BYTES_MAX));
}

/** Decodes one protobuf message of at most `bytesMax` bytes; its fields are not yet checked. */
export function decodeFrame<T>(
  type: { decode(reader: protobuf.Reader): T },
  frame: Uint8Array,
  bytesMax: number,
): T {
  if (frame.length > bytesMax) {
    throw new FaultError(peerFaults.frameTooLong, {
      why: `${frame.length} bytes, at most ${bytesMax} are allowed`,
    });
  }
  try {
    return type.decode(new CountingReader(frame));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new FaultError(peerFaults.notDecodable, { why }, { cause: error });
  }
}

/** Stops at a frame of many tiny fields, each of which would cost a hundred times its bytes. */
class CountingReader extends protobuf.Reader {
  #fields = 0;

  override tag(): number {
    this.#fields += 1;
    if (this.#fields > FIELDS_MAX) throw new RangeError(`more than ${FIELDS_MAX} fields`);
    return super.tag();
  }
}

function toEnvelope(message: PeerMessage): Envelope {
  switch (message.kind) {
    case 'hello':
      return { hello: message };
    case 'run-open':
      return { runOpen: { run: fromHex(message.run) } };
    case 'lease':
      return { lease: encodeLease(message) };
    case 'working':
      return { working: { run: fromHex(message.run), tasks: [...message.tasks] } };
    case 'answer':
      return { answer: encodeAnswer(message) };
    case 'kept':
      return { kept: { run: fromHex(message.run), tasks: [...message.tasks] } };
    case 'run-close':
      return { runClose: { run: fromHex(message.run), sealed: message.sealed } };
    case 'pieces-void':
      return { piecesVoid: encodePiecesVoid(message) };
    case 'members':
      return { members: { records: [...message.records] } };
    case 'meet':
      return { meet: { peer: message.peer, addresses: [...message.addresses] } };
    case 'key-change':
      return { keyChange: { epoch: message.epoch, networkKey: message.networkKey } };
    default:
      return isAssemblyMessage(message)
        ? encodeAssemblyMessage(message)
        : encodeStageMessage(message);
  }
}

function fromEnvelope(envelope: Envelope): PeerMessage {
  const { hello, runOpen, lease, working, answer, kept, runClose, members, keyChange } = envelope;
  const other = decodeStageMessage(envelope) ?? decodeAssemblyMessage(envelope);
  if (other) return other;
  if (envelope.meet) return decodeMeet(envelope.meet);
  if (envelope.piecesVoid) return decodePiecesVoid(envelope.piecesVoid);
  if (hello) return decodeHello(hello);
  if (runOpen) return { kind: 'run-open', run: runId(runOpen.run) };
  if (lease) return decodeLease(lease);
  if (working) return decodeWorking(working);
  if (answer) return decodeAnswer(answer);
  if (kept) return decodeKept(kept);
  if (runClose) {
    return { kind: 'run-close', run: runId(runClose.run), sealed: runClose.sealed === true };
  }
  if (members) return { kind: 'members', records: decodeRecords(members.records) };
  // Of several messages in a frame protobuf keeps the last; of an unknown one, nothing.
  const change = part(keyChange, 'message');
  return {
    kind: 'key-change',
    epoch: integer(change.epoch, 'epoch', 0),
    networkKey: bytes(change.networkKey, 'network_key', NETWORK_KEY_BYTES, NETWORK_KEY_BYTES),
  };
}

function decodeMeet(meet: quantd.Meet.$Properties): Meet {
  return {
    kind: 'meet',
    peer: peerId(meet.peer ?? '', 'peer'),
    addresses: list(meet.addresses, 'addresses', ADDRESSES_MAX).map((address) =>
      name(address, 'addresses', ADDRESS_CHARACTERS_MAX),
    ),
  };
}

function decodeHello(hello: quantd.Hello.$Properties): Hello {
  return {
    kind: 'hello',
    version: name(hello.version, 'version', NAME_CHARACTERS_MAX),
    contract: name(hello.contract, 'contract', NAME_CHARACTERS_MAX),
    name: name(hello.name, 'name', NAME_CHARACTERS_MAX),
    isa: name(hello.isa, 'isa', NAME_CHARACTERS_MAX),
    threads: integer(hello.threads, 'threads', 0, THREADS_MAX),
    ramBytes: integer(hello.ramBytes, 'ram_bytes'),
    diskBytes: integer(hello.diskBytes, 'disk_bytes'),
    bytesPerSecond: speed(hello.bytesPerSecond, 'bytes_per_second'),
    multiplicationsPerSecond: speed(hello.multiplicationsPerSecond, 'multiplications_per_second'),
  };
}

/** A measured number: whatever a schedule may divide by or compare with. */
function speed(value: WireNumber, field: string): number {
  if (value === null || value === undefined) return 0;
  if (typeof value === 'number' && value >= 0 && value < Number.MAX_SAFE_INTEGER) {
    return value + 0;
  }
  throw outOfLimits(field, 'it is no speed');
}

function decodeRecords(records: readonly Uint8Array[] | null | undefined): Uint8Array[] {
  return list(records, 'records', RECORDS_MAX).map((record) =>
    bytes(record, 'records', 1, RECORD_BYTES_MAX),
  );
}
