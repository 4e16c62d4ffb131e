/**
 * Origin codec: what is said of a source that comes from a hub, between the program's shape and the
 * wire's. Read next: lease-codec.ts, block-codec.ts.
 */

import type { BlobName } from './blob-names.ts';
import type { quantd } from './generated/peer.generated.js';
import {
  bytes,
  digestHex,
  fromHex,
  fromLongs,
  integer,
  name,
  outOfLimits,
  runId,
  toHex,
  toLongs,
} from './peer-fields.ts';
import {
  COMMIT_BYTES,
  HUB_URL_CHARACTERS_MAX,
  PIECE_BYTES_MAX,
  REPOSITORY_CHARACTERS_MAX,
  SHA256_STATE_BYTES,
  VOID_PIECES_MAX,
} from './peer-limits.ts';
import type { PiecesVoid, SourceOrigin } from './peer-messages.ts';

// Whoever fetches puts it into a path.
const REPOSITORY = /^[\w.-]+\/[\w.-]+$/;

export function encodeOrigin(origin: SourceOrigin): quantd.SourceOrigin.$Properties {
  return { ...origin, commit: fromHex(origin.commit) };
}

export function decodeOrigin(origin: quantd.SourceOrigin.$Properties): SourceOrigin {
  const repository = name(origin.repository, 'origin.repository', REPOSITORY_CHARACTERS_MAX);
  if (!REPOSITORY.test(repository) || /(^|\/)\.+(\/|$)/.test(repository)) {
    throw outOfLimits('origin.repository', 'it is no name of a repository');
  }
  return {
    hubUrl: name(origin.hubUrl, 'origin.hub_url', HUB_URL_CHARACTERS_MAX),
    repository,
    commit: toHex(bytes(origin.commit, 'origin.commit', COMMIT_BYTES, COMMIT_BYTES)),
  };
}

export function encodePiecesVoid(message: PiecesVoid): quantd.PiecesVoid.$Properties {
  const { run, fileDigest, pieces } = message;
  return {
    run: fromHex(run),
    fileDigest: fromHex(fileDigest),
    // Places are told from 1, as a list of numbers has no zeros.
    offsets: toLongs(pieces.map(({ offset }) => offset + 1)),
    sizes: toLongs(pieces.map((piece) => piece.bytes)),
  };
}

export function decodePiecesVoid(message: quantd.PiecesVoid.$Properties): PiecesVoid {
  const offsets = fromLongs(message.offsets, 'offsets', VOID_PIECES_MAX);
  const sizes = fromLongs(message.sizes, 'sizes', VOID_PIECES_MAX);
  if (offsets.length !== sizes.length) throw outOfLimits('sizes', 'there are others than offsets');
  return {
    kind: 'pieces-void',
    run: runId(message.run),
    fileDigest: digestHex(message.fileDigest, 'file_digest'),
    pieces: offsets.map((offset, index) => ({
      offset: offset - 1,
      bytes: integer(sizes[index], 'sizes', 1, PIECE_BYTES_MAX),
    })),
  };
}

type ChainName = Extract<BlobName, { kind: 'chain' }>;

export function encodeChain(blob: ChainName): quantd.ChainBlob.$Properties {
  const { fileDigest, offset, pieceBytes, state } = blob;
  return { fileDigest: fromHex(fileDigest), offset, pieceBytes, state };
}

export function decodeChain(
  chain: quantd.ChainBlob.$Properties,
  run: string,
  length: number,
): ChainName {
  const pieceBytes = integer(chain.pieceBytes, 'chain.piece_bytes', 1, PIECE_BYTES_MAX);
  const most = Number.MAX_SAFE_INTEGER - pieceBytes;
  return {
    kind: 'chain',
    run,
    fileDigest: digestHex(chain.fileDigest, 'chain.file_digest'),
    offset: integer(chain.offset, 'chain.offset', 0, most),
    pieceBytes,
    state: bytes(chain.state, 'chain.state', SHA256_STATE_BYTES, SHA256_STATE_BYTES),
    bytes: length,
  };
}
