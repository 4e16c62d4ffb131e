/** Limits of pulling, the same at both ends of a stream. */

/** Blocks asked for and not yet there: enough to keep a link busy while one is hashed. */
export const BLOCKS_ASKED_MAX = 4;

/** Streams of one peer: with four blocks each, at most 32 MiB of it are on their way. */
export const BLOCK_STREAMS_MAX = 8;

/** Streams to all peers: at most 256 MiB are on their way. */
export const BLOCK_STREAMS_TOTAL_MAX = 64;

export const BLOCK_PROTOCOL = '/quantd/blk/1';
