/**
 * Block codec: what is said on the streams that carry blobs, block by block.
 *
 *   request (run, blob, offset, bytes) ──▶   ◀── reply (status, digest, bytes) + the bytes
 *
 * Read next: PROTOCOL.md, peer-codec.ts.
 */

import { assert } from './assert.ts';
import type { BlobName } from './blob-names.ts';
import { quantd } from './generated/peer.generated.js';
import { decodeChain, encodeChain } from './origin-codec.ts';
import { decodeFrame } from './peer-codec.ts';
import { digest, digestHex, fromHex, integer, outOfLimits, part, runId } from './peer-fields.ts';
import { BLOCK_REPLY_BYTES_MAX, BLOCK_REQUEST_BYTES_MAX, LAYERS_MAX } from './peer-limits.ts';
import { LEAF_BYTES } from './peer-messages.ts';

/** Bytes [offset, offset + bytes) of a blob. */
export interface BlockRequest {
  readonly blob: BlobName;
  readonly offset: number;
  readonly bytes: number;
  /** Whoever asks has the digest already. */
  readonly isDigestKnown: boolean;
}

export type BlockReply =
  | { readonly kind: 'ok'; readonly digest: Uint8Array | undefined; readonly bytes: number }
  | { readonly kind: 'absent' };

export function encodeBlockRequest(request: BlockRequest): Uint8Array {
  const { blob, offset, bytes, isDigestKnown } = request;
  const frame = quantd.BlockRequest.encode({
    ...encodeBlob(blob),
    run: fromHex(blob.run),
    blobBytes: blob.bytes,
    offset,
    bytes,
    digestKnown: isDigestKnown,
  }).finish();
  assert(frame.length <= BLOCK_REQUEST_BYTES_MAX, 'a request for a block fits its frame');
  return frame;
}

function encodeBlob(blob: BlobName): quantd.BlockRequest.$Properties {
  switch (blob.kind) {
    case 'source':
      return { source: { fileDigest: fromHex(blob.fileDigest), offset: blob.offset } };
    case 'block-run':
      return { blockRun: { unit: fromHex(blob.unit) } };
    case 'importance':
      return { importance: { digest: blob.digest } };
    case 'description':
      return { description: { digest: blob.digest } };
    case 'layer-leaves':
      return { layerLeaves: { layer: blob.layer } };
    case 'state':
      return { state: { boundary: blob.boundary, chunk: blob.chunk } };
    case 'layer-inputs':
      return { layerInputs: { layer: blob.layer, chunk: blob.chunk } };
    case 'sums':
      return { sums: { digest: blob.digest } };
    case 'assembly-map':
      return { assemblyMap: { digest: blob.digest } };
    case 'output':
      return { output: { id: blob.id, offset: blob.offset } };
    case 'chain':
      return { chain: encodeChain(blob) };
  }
}

/** @throws FaultError for whatever is no request within its limits and within its blob */
export function decodeBlockRequest(frame: Uint8Array): BlockRequest {
  const request = decodeFrame(quantd.BlockRequest, frame, BLOCK_REQUEST_BYTES_MAX);
  const blob = decodeBlob(request);
  const bytes = integer(request.bytes, 'bytes', 1, Math.min(LEAF_BYTES, blob.bytes));
  const offset = integer(request.offset, 'offset', 0, blob.bytes - bytes);
  return { blob, offset, bytes, isDigestKnown: request.digestKnown === true };
}

function decodeBlob(request: quantd.BlockRequest.$Properties): BlobName {
  const { source, blockRun, importance } = request;
  const run = runId(request.run);
  const bytes = integer(request.blobBytes, 'blob_bytes', 1);
  if (source) {
    const fileDigest = digestHex(source.fileDigest, 'source.file_digest');
    const offset = integer(source.offset, 'source.offset', 0, Number.MAX_SAFE_INTEGER - bytes);
    return { kind: 'source', run, fileDigest, offset, bytes };
  }
  if (blockRun) {
    return { kind: 'block-run', run, unit: digestHex(blockRun.unit, 'block_run.unit'), bytes };
  }
  if (importance) {
    return {
      kind: 'importance',
      run,
      digest: digest(importance.digest, 'importance.digest'),
      bytes,
    };
  }
  const { assemblyMap, output } = request;
  if (assemblyMap) {
    const wanted = digest(assemblyMap.digest, 'assembly_map.digest');
    return { kind: 'assembly-map', run, digest: wanted, bytes };
  }
  if (output) {
    const offset = integer(output.offset, 'output.offset', 0, Number.MAX_SAFE_INTEGER - bytes);
    return { kind: 'output', run, id: digest(output.id, 'output.id'), offset, bytes };
  }
  if (request.chain) return decodeChain(request.chain, run, bytes);
  return decodeStageBlob(request, run, bytes);
}

function decodeStageBlob(
  request: quantd.BlockRequest.$Properties,
  run: string,
  bytes: number,
): BlobName {
  const { description, layerLeaves, state, layerInputs, sums } = request;
  const layerOf = (value: number | null | undefined, field: string): number =>
    integer(value, field, 0, LAYERS_MAX);
  if (description) {
    const wanted = digest(description.digest, 'description.digest');
    return { kind: 'description', run, digest: wanted, bytes };
  }
  if (layerLeaves) {
    const layer = layerOf(layerLeaves.layer, 'layer_leaves.layer');
    return { kind: 'layer-leaves', run, layer, bytes };
  }
  if (state) {
    const boundary = layerOf(state.boundary, 'state.boundary');
    return { kind: 'state', run, boundary, chunk: integer(state.chunk, 'state.chunk'), bytes };
  }
  if (layerInputs) {
    const layer = layerOf(layerInputs.layer, 'layer_inputs.layer');
    const chunk = integer(layerInputs.chunk, 'layer_inputs.chunk');
    return { kind: 'layer-inputs', run, layer, chunk, bytes };
  }
  const wanted = digest(part(sums, 'blob').digest, 'sums.digest');
  return { kind: 'sums', run, digest: wanted, bytes };
}

const { OK, ABSENT } = quantd.BlockReply.Status;

export function encodeBlockReply(reply: BlockReply): Uint8Array {
  return quantd.BlockReply.encode(
    reply.kind === 'ok'
      ? { status: OK, bytes: reply.bytes, ...(reply.digest && { digest: reply.digest }) }
      : { status: ABSENT },
  ).finish();
}

export function decodeBlockReply(frame: Uint8Array): BlockReply {
  const reply = decodeFrame(quantd.BlockReply, frame, BLOCK_REPLY_BYTES_MAX);
  if (reply.status === ABSENT) return { kind: 'absent' };
  if (reply.status !== OK) throw outOfLimits('status', 'it is none that is known');
  return {
    kind: 'ok',
    digest: reply.digest?.length ? digest(reply.digest, 'digest') : undefined,
    bytes: integer(reply.bytes, 'bytes', 1, LEAF_BYTES),
  };
}
