/**
 * Limits of what a peer may say, each with its reason. Read next: peer-codec.ts, which holds
 * everything that comes in against them.
 */

/** A frame is held whole in memory while it is decoded, one for each peer at a time. */
export const FRAME_BYTES_MAX: number = 64 * 1024;

/** Fields of a frame, nested ones too: a lease of the most pieces and runs has about 2000. */
export const FIELDS_MAX = 4096;

/** A request for a block names one blob: two digests and some numbers. */
export const BLOCK_REQUEST_BYTES_MAX = 256;

/** The words before a block: a status, a digest and a length. */
export const BLOCK_REPLY_BYTES_MAX = 64;

/** Names of machines, versions, instruction sets and types: what fits a column of a table. */
export const NAME_CHARACTERS_MAX = 128;

/** Names of tensors, as far as GGUF takes them (64), with room for those of a checkpoint. */
export const TENSOR_NAME_CHARACTERS_MAX = 1024;

/** File names, relative to a source. */
export const FILE_CHARACTERS_MAX = 1024;

/** A sentence of a fault, so that a whole fault stays well below a frame. */
export const SENTENCE_CHARACTERS_MAX = 2048;

/** As GGUF: 1 to 4 dimensions. */
export const DIMENSIONS_MAX = 4;

/** Parts of source for one row group: of a tensor whose experts stand in files of their own. */
export const PIECES_MAX = 256;

/** One piece; its leaves alone would fill a frame at twice as much. */
export const PIECE_BYTES_MAX: number = 1024 ** 3;

/** Types that are made of one row group, more than there are block types. */
export const LEASED_RUNS_MAX = 64;

/** Leaves of all pieces of a lease: their digests fill a quarter of a frame. */
export const LEASED_LEAVES_MAX = 512;

/** As many as connect to one node. */
export const SOURCES_MAX = 64;

/** Machines that may take what a lease makes; what others put together goes by way of the coordinator. */
export const ASSEMBLERS_MAX = 64;

/** Tasks a peer may be at, or that are forgotten in one message. */
export const TASKS_MAX = 4096;

/** Addresses of one peer, and the characters of one. */
export const ADDRESSES_MAX = 16;
export const ADDRESS_CHARACTERS_MAX = 256;

/** Chunks of one group: numbers of chunks in one message name those of one group. */
export const GROUP_CHUNKS_MAX = 64;

/** Layers of a model, far more than any has. */
export const LAYERS_MAX = 1024;

/** Stage leases a peer may be at, or that are forgotten in one message. */
export const STAGE_LEASES_MAX = 256;

/** Sums told in one message, and the groups that one of them may join. */
export const HELD_SUMS_MAX = 64;
export const JOINED_GROUPS_MAX = 1024;

/** What a worker needs to know of a model: its config and the place of each tensor. */
export const DESCRIPTION_BYTES_MAX: number = 64 * 1024 * 1024;

/** Sums of one layer: 16 bytes for each column of each expert. */
export const SUMS_BYTES_MAX: number = 1024 ** 3;

/** Outputs of one run; far more than there are types and parts of a split model. */
export const OUTPUTS_MAX: number = 2 ** 16;

/** A base name of a file, as most file systems have it. */
export const BASE_NAME_CHARACTERS_MAX = 255;

/** Block runs of an output that another machine assembles: a bit for each fits a frame. */
export const ASSEMBLY_RUNS_MAX: number = 2 ** 17;

/** Header of such an output: eight times the largest in use, held in memory while it is open. */
export const ASSEMBLY_HEADER_BYTES_MAX: number = 160 * 1024 * 1024;

/** Block runs to take that one message tells of. */
export const TAKES_MAX = 64;

/** Block runs that one message says are written, stored or not to be had. */
export const TAKEN_MAX = 4096;

/** Kernels side by side on one machine. */
export const THREADS_MAX = 4096;

/** Signed records in one message, and the bytes of one. */
export const RECORDS_MAX = 256;
export const RECORD_BYTES_MAX: number = 16 * 1024;

/** Pieces that are forgotten in one message: so that it stays well below a frame. */
export const VOID_PIECES_MAX = 2048;

/** The address of a hub, and `org/name` of a repository there. */
export const HUB_URL_CHARACTERS_MAX = 512;
export const REPOSITORY_CHARACTERS_MAX = 200;

/** SHA-256 half-way: eight words, the count of bytes, one block's buffer; numbers big-endian. */
export const SHA256_STATE_BYTES: number = 32 + 8 + 64;

/** A git commit. */
export const COMMIT_BYTES = 20;

export const DIGEST_BYTES = 32;
/** Ed25519. */
export const SIGNATURE_BYTES = 64;
export const RUN_ID_BYTES = 16;
export const NETWORK_KEY_BYTES = 32;
