/**
 * Assembly map: what another machine has to know of an output to put it together.
 *
 *   PlannedOutput ──▶ assemblyMap ──▶ bytes, by digest ──▶ readAssemblyMap ──▶ MappedOutput
 *
 *   map   header (as many bytes as the message says) · for each run, by its offset:
 *         offset (u64) · bytes (u64) · unit id (32)                       little endian
 *
 * What arrives is only a claim: places have to lie in the file, one behind the other, and the id has
 * to be that of the header, the length and the units, so that no two machines can mean different bytes
 * by one id.
 */

import { fromHex } from '../../../proto/peer-fields.ts';
import type { Assemble } from '../../../proto/peer-messages.ts';
import type { GgufLayout } from '../gguf/layout.ts';
import type { OutputRun } from './plan.ts';
import { digestFields, hex, type Sha256, type UnitId } from './unit-id.ts';

/** All that an assembler needs to know of an output. */
export interface MappedOutput {
  readonly file: string;
  readonly layout: Pick<GgufLayout, 'header' | 'fileBytes'>;
  readonly runs: readonly Pick<OutputRun, 'unit' | 'offset' | 'bytes'>[];
  /** As `outputId`. */
  readonly id: Uint8Array;
}

const UNIT_BYTES = 32;
const RUN_BYTES = 8 + 8 + UNIT_BYTES;

/** Length of the map of an output with such a header and so many runs. */
export function assemblyMapBytes(headerBytes: number, runCount: number): number {
  return headerBytes + runCount * RUN_BYTES;
}

export function assemblyMap({ layout, runs }: MappedOutput): Uint8Array {
  const { header } = layout;
  const bytes = new Uint8Array(assemblyMapBytes(header.length, runs.length));
  const view = new DataView(bytes.buffer);
  bytes.set(header);
  let at = header.length;
  for (const run of runs) {
    view.setBigUint64(at, BigInt(run.offset), true);
    view.setBigUint64(at + 8, BigInt(run.bytes), true);
    bytes.set(fromHex(run.unit), at + 16);
    at += RUN_BYTES;
  }
  return bytes;
}

/** Why a map cannot be meant seriously; its sender is broken or hostile. */
export class BadAssembly extends Error {
  override readonly name = 'BadAssembly';
}

/**
 * The output that a message asks for, of the bytes that its digest names.
 * @throws BadAssembly where places lie outside the file or over one another, or the id is another
 */
export function readAssemblyMap(claim: Assemble, bytes: Uint8Array, sha256: Sha256): MappedOutput {
  const { file, fileBytes, headerBytes, runCount } = claim;
  demand(bytes.length === assemblyMapBytes(headerBytes, runCount), 'a map of another length');
  const header = bytes.slice(0, headerBytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = headerBytes;
  const runs = Array.from({ length: runCount }, (_, index) => {
    const at = headerBytes + index * RUN_BYTES;
    const offset = size(view.getBigUint64(at, true));
    const length = size(view.getBigUint64(at + 8, true));
    demand(offset >= end && length >= 1, `run ${index} lies over what is before it`);
    demand(length <= fileBytes - offset, `run ${index} ends behind the file`);
    end = offset + length;
    const unit = hex(bytes.subarray(at + 16, at + RUN_BYTES)) as UnitId;
    return { unit, offset, bytes: length };
  });
  const id = outputId(sha256, header, fileBytes, runs);
  demand(hex(id) === hex(claim.id), 'the id of another output');
  return { file, layout: { header, fileBytes }, runs, id };
}

/** Digest of the header, of the file's length and of every unit id: equal ids mean equal bytes. */
export function outputId(
  sha256: Sha256,
  header: Uint8Array,
  fileBytes: number,
  runs: readonly { readonly unit: UnitId }[],
): Uint8Array {
  return digestFields(sha256, [header, fileBytes, ...runs.map(({ unit }) => unit)]);
}

function size(value: bigint): number {
  demand(value <= BigInt(Number.MAX_SAFE_INTEGER), 'a place beyond every file');
  return Number(value);
}

function demand(isTrue: boolean, why: string): void {
  if (!isTrue) throw new BadAssembly(`the output makes no sense: ${why}`);
}
