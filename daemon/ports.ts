/**
 * Ports: what the roles need of the world, as interfaces. The adapters implement them; tests may
 * pass a simulated world instead.
 */

import type { RunEvent, Status } from '../proto/api.ts';
import type { BlobName } from '../proto/blob-names.ts';
import type { InspectReport } from '../proto/inspect.ts';
import type { Hello, MemberRole, PeerId, PeerMessage, SumsHeld } from '../proto/peer-messages.ts';
import type { HubAccess, RunRequest } from '../proto/requests.ts';
import type { Layer, Weight } from './core/models/forward.ts';
import type { RegisterPlan } from './core/models/registers.ts';

// So that adapters, which never import the core, can name them.
export type { Layer, Operation, Register, TensorName, Weight } from './core/models/forward.ts';
export type { RegisterPlan } from './core/models/registers.ts';
export type { PublishedFile, PublishedState, PublishTarget, SentFile } from './publish-port.ts';
export type { RemoteFiles, Source, SourceEntry } from './source-port.ts';

/**
 * How the source stores its elements: the name of a block type of the GGUF format. The addon knows
 * F32, F16, BF16 and every quantized type that a GGUF may have.
 */
export type ElementType = string;

export interface QuantizeJob {
  /** `rows` rows of `columns` elements, each row in whole blocks of `element`, back to back. */
  readonly source: Uint8Array;
  readonly element: ElementType;
  readonly rows: number;
  readonly columns: number;
  /**
   * How much each column counts, the same for every row: `columns` finite numbers ≥ 0. Targets
   * whose type ignores importance are made as without it. At most 2^20 columns.
   */
  readonly importance?: Float32Array;
  /** One entry per type wanted of these rows; `into` has exactly the bytes the type needs. */
  readonly targets: readonly { readonly type: number; readonly into: Uint8Array }[];
}

export type QuantizeResult =
  | {
      readonly ok: true;
      /** SHA-256 of each target's bytes, in order. */
      readonly digests: readonly Uint8Array[];
      /** The checksums of the same, as `OutputFile.hash` has them; none where nobody made them. */
      readonly sums?: readonly Uint8Array[];
    }
  /** The first row and column (within the job) that could not be stored, and in which target. */
  | {
      readonly ok: false;
      /** `no-grid-point`: a codebook type has no entry for numbers so large (above about 1e12). */
      readonly reason: 'source-not-finite' | 'scale-overflow' | 'no-grid-point';
      readonly row: number;
      readonly column: number;
      /** Index into `targets`; undefined where the source itself is at fault. */
      readonly target?: number;
    };

export interface KernelInfo {
  /** The instruction set in use: scalar, avx2, avx512 or neon. */
  readonly isa: string;
  /** Every one that was built and that this CPU runs. */
  readonly isas: readonly string[];
  readonly threads: number;
  /** Every type there is a kernel for: without importance (plain), making use of it (weighted). */
  readonly quantizers: readonly {
    readonly type: number;
    readonly plain: boolean;
    readonly weighted: boolean;
  }[];
}

export interface Kernels {
  readonly info: KernelInfo;
  /**
   * Runs on the addon's own threads; rejects only on a bug: wrong lengths, a type without a
   * kernel, importance missing where the type requires it.
   */
  quantize(job: QuantizeJob): Promise<QuantizeResult>;
  /** SHA-256 on the addon's own threads. */
  sha256(bytes: Uint8Array): Promise<Uint8Array>;
  /** SHA-256 of a whole file, read on the addon's own threads. */
  sha256File(path: string, signal?: AbortSignal): Promise<Uint8Array>;
  /** Zeroed memory that begins with a page, which a disk can take as it is; else any will do. */
  memory?(bytes: number): ArrayBuffer;
  close(): void;
}

/** Whole rows of a weight that lie together in a file. */
export interface WeightPiece {
  readonly path: string;
  /** Bytes. */
  readonly offset: number;
  readonly rows: number;
}

/** Where a weight lies: its rows in order, those of the first matrix first. */
export interface PlacedWeight {
  readonly weight: Weight;
  readonly pieces: readonly WeightPiece[];
}

/** Cosine and sine of a layer's rotation, (positions, width / 2) each. */
export interface RotationAngles {
  readonly cosine: Float32Array;
  readonly sine: Float32Array;
}

/** A wave: chunks that pass a layer together. */
export interface LayerJob {
  readonly chunks: number;
  /** Tokens a chunk. */
  readonly positions: number;
  /**
   * (chunks × positions × width) of each register of the layer's `reads`, `leaves` and `inputs`,
   * read and written in place.
   */
  readonly state: ReadonlyMap<string, Float32Array>;
  /** At least `scratchBytes(chunks, positions)`; nothing is left in it. */
  readonly scratch: Uint8Array;
  /** The layer's group sums, which the wave's are added to; none: nothing is collected. */
  readonly sums?: Uint8Array;
}

export interface LayerResult {
  /**
   * Chunks of the wave, by index in ascending order, that left a number that is not finite, or a sum
   * of 2^62 or more. Where there is one, `sums` is worthless.
   */
  readonly bad: readonly number[];
}

export interface PreparedLayer {
  scratchBytes(chunks: number, positions: number): number;
  /**
   * One wave at a time computes; further ones wait. The buffers belong to it until the promise
   * settles. Rejects with a TypeError on a bug: wrong lengths, a register without numbers.
   * @throws FaultError when a file of the weights has become shorter
   */
  run(job: LayerJob, signal?: AbortSignal): Promise<LayerResult>;
  /** Lets go of the weights; a wave under way ends first. */
  close(): void;
}

/** The forward pass of a model, layer by layer: kernels/DET-1.md. */
export interface ForwardKernels {
  readonly isa: string;
  readonly threads: number;
  /**
   * Maps the weights into memory and reads them once.
   * @param tables those that the layer's operations name by number
   * @throws FaultError when a weight is infinite or NaN, or a file ends before its weights
   */
  prepareLayer(
    layer: Layer,
    weights: readonly PlacedWeight[],
    tables: readonly RotationAngles[],
    signal?: AbortSignal,
  ): Promise<PreparedLayer>;
  /**
   * (tokens × width): the row of `table` of each token, times `factor`.
   * @throws FaultError as `prepareLayer`, of the rows that are asked for
   */
  embed(table: PlacedWeight, tokens: Int32Array, factor: number, into: Float32Array): Promise<void>;
  close(): void;
}

/** Gives the registers of a layer their places in its scratch memory. */
export type PlanRegisters = (layer: Layer) => RegisterPlan;

/** What one reading of a part of a file gives. */
export interface PieceDigests {
  /** SHA-256 of each piece, in order; its checksum where that was asked for. */
  readonly pieces: readonly Uint8Array[];
  /** SHA-256 of all that the chain has seen: of the file up to here, where it began at its start. */
  readonly digest: Uint8Array;
  /** For the call that goes on behind the last piece, on any machine: PROTOCOL.md, "Chains". */
  readonly chain: Uint8Array;
}

/** The directory an output grows in. One process holds it at a time. */
export interface OutputDirectory {
  freeBytes(): Promise<number>;
  /** Prepares `file` of `bytes` bytes; `overwrite` removes whatever has its name. */
  open(file: string, bytes: number, options: { overwrite: boolean }): Promise<OutputFile>;
  close(): Promise<void>;
}

/**
 * A file that grows under the name `<file>.part` and gets its own name when it is sealed. The
 * journal beside it survives crashes; what it says is the assembler's business.
 */
export interface OutputFile {
  /** `sealed`: it has its final name. `foreign`: a file of that name which no journal tells of. */
  readonly state: 'new' | 'partial' | 'sealed' | 'foreign';
  /** Bytes on disk that the file already occupies. */
  readonly allocatedBytes: number;
  readJournal(): Promise<Uint8Array>;
  /** Continues a partial file: drops what a crash tore off the journal after `journalBytes`. */
  resume(journalBytes: number): Promise<void>;
  /**
   * Drops part and journal, and begins the journal with these bytes, durably.
   * @param keeps what the part holds stays, and is made durable before the journal
   */
  restart(journal: Uint8Array, keeps?: boolean): Promise<void>;
  /** Begins the part of a file that is new, without a journal: nobody believes what it holds. */
  draft(): Promise<void>;
  write(offset: number, bytes: Uint8Array): Promise<void>;
  read(offset: number, into: Uint8Array): Promise<void>;
  /**
   * Reads neighbouring pieces, the first of which begins at `offset`, and digests each and all.
   * @param pieces their bytes, at most 65536 of them
   * @param chain what the call for the bytes in front of them gave; none begins a new chain
   * @param sums of which pieces a checksum is enough, which costs a tenth of a digest; else of none
   */
  hash(
    offset: number,
    pieces: readonly number[],
    chain?: Uint8Array,
    signal?: AbortSignal,
    sums?: readonly boolean[],
  ): Promise<PieceDigests>;
  /** Makes what was written durable, then appends to the journal, durably. */
  commit(journal: Uint8Array): Promise<void>;
  /** Makes what was written to a draft durable. */
  sync(): Promise<void>;
  /** Removes a part that has no journal. */
  discard(): Promise<void>;
  /** Gives the file its final name, durably. */
  seal(): Promise<void>;
  /** SHA-256 of the whole file, lower-case hex. */
  digest(): Promise<string>;
  close(): Promise<void>;
}

/** What of a model's vocabulary decides how text is cut into tokens. */
export interface TextVocabulary {
  /** Id to text; a space is written ▁, a byte without a token of its own <0xHH>. */
  readonly tokens: readonly string[];
  /** `left right`, the first one applied first. */
  readonly merges: readonly string[];
  /** Tokens that are cut out before anything is merged. */
  readonly specials: readonly {
    readonly id: number;
    readonly text: string;
    /** Cut out of any text; the others only where special tokens are parsed. */
    readonly always: boolean;
  }[];
}

/** Cuts text into tokens; whether the names of special tokens become those was chosen before. */
export interface TextTokenizer {
  /**
   * The ids, without bos. Gives way to other work between pieces.
   * @throws FaultError where a run of characters is too long to be cut
   */
  encode(text: string, signal?: AbortSignal): Promise<Int32Array>;
}

/** Frames conversations as the model was trained on them. */
export interface ChatTemplate {
  /** @throws FaultError where the template refuses the messages, or takes too much time or room */
  render(messages: readonly { readonly role: string; readonly content: string }[]): string;
}

export interface Clock {
  /** Milliseconds that never jump; the zero is arbitrary. */
  now(): number;
  /** Calls `work` once after `milliseconds`, unless the returned function is called before. */
  after(milliseconds: number, work: () => void): () => void;
}

/** A member that is connected and has said hello. */
export interface ConnectedPeer {
  readonly peer: PeerId;
  /** As its signed record says, whatever it claims. */
  readonly role: MemberRole;
  readonly hello: Hello;
}

export interface NetworkListener {
  /** Called for every peer that is connected already, then for each that comes. */
  connected?(peer: ConnectedPeer): void;
  disconnected?(peer: PeerId): void;
  message?(from: ConnectedPeer, message: PeerMessage): void;
  /** A hint that some member gave to all: it may be lost, late or doubled. */
  hint?(from: PeerId, message: SumsHeld): void;
}

/**
 * The members of the cluster that can be reached, and what passes between them. Only members are
 * ever seen here. A message may be lost with its connection; pulls check every block.
 */
export interface Network {
  readonly self: PeerId;
  peers(): readonly ConnectedPeer[];
  /** Until the returned function is called. */
  listen(listener: NetworkListener): () => void;
  /** Sends where connected, else does nothing: what must arrive is said until it is answered. */
  send(to: PeerId, message: PeerMessage): void;
  /** Where a connected peer says that it listens, as far as that is of use to others. */
  addressesOf(peer: PeerId): Promise<readonly string[]>;
  /** A member may be reached there: it is dialled unless it is connected. */
  meet(peer: PeerId, addresses: readonly string[]): void;
  /** Tells every member, as far as word gets round. */
  hint(message: SumsHeld): void;
  /**
   * Fills `into` with the blob, in blocks of LEAF_BYTES (the last one shorter), from any of
   * `sources`: a block that one cannot give, or gives wrong, is asked of the next.
   * @throws FaultError when no source has all of it right
   */
  pull(
    sources: readonly PeerId[],
    blob: BlobName,
    into: Uint8Array,
    options: {
      /** SHA-256 of each block, where they are known; else the sender's word counts. */
      readonly digests?: readonly Uint8Array[];
      readonly signal: AbortSignal;
    },
  ): Promise<void>;
  /** Offers blobs to members, until the returned function is called. */
  serve(provider: BlobProvider): () => void;
}

export interface BlobProvider {
  /**
   * Bytes [offset, offset + bytes) of a blob, within its length; undefined where it is not here or
   * `to` may not have it. They stay as they are for as long as the blob is offered.
   */
  read(
    to: ConnectedPeer,
    blob: BlobName,
    offset: number,
    bytes: number,
  ): Promise<Uint8Array | undefined>;
  /** So many bytes of the blob have left for `to`. */
  sent?(to: ConnectedPeer, blob: BlobName, bytes: number): void;
}

/** What this machine keeps for the runs of others, on its disk: source bytes, states, sums. */
export interface LeafStore {
  /** Bytes that it holds now, of all runs. */
  readonly bytes: number;
  /** Fills `into` with what was put under the key; false where nothing of that length was. */
  read(run: string, key: string, into: Uint8Array): Promise<boolean>;
  /** The same of a part, from `offset`; false also where it ends before the part does. */
  readPart(run: string, key: string, offset: number, into: Uint8Array): Promise<boolean>;
  /** Where the bytes lie that were put under the key, to be mapped. */
  path(run: string, key: string): string;
  /**
   * Keeps the bytes. Not synced: whoever reads compares digests, so that what a crash tore is as
   * good as absent.
   * @throws FaultError when the disk or the offered space is full
   */
  put(run: string, key: string, bytes: Uint8Array): Promise<void>;
  /** Deletes what was kept under the key; nothing where nothing was. */
  remove(run: string, key: string): Promise<void>;
  /** Deletes what was kept for the run. */
  drop(run: string): Promise<void>;
}

/** The disk that this machine offers to the runs of others, of which leaves are a part. */
export interface OfferedDisk {
  /**
   * Whether so many bytes more have room in what is offered. Drops for them what is left of runs
   * other than `run`.
   */
  makeRoom(run: string, bytes: number): Promise<boolean>;
  /** Something else takes so many bytes of what is offered; fewer than 0 gives them back. */
  reserve(bytes: number): void;
}

/** Outputs that this machine puts together for the runs of others, in folders of their own. */
export interface HeldOutputs {
  /** What lies there, finished or not, with the bytes that it takes or will take. */
  list(): Promise<readonly { release: string; file: string; bytes: number }[]>;
  /** The folder of the outputs of a plan, made if needed. */
  open(release: string): Promise<OutputDirectory>;
  path(release: string, file: string): string;
  /** Deletes an output and what belongs to it; the folder too, once it is empty. */
  remove(release: string, file: string): Promise<void>;
}

/** Small files of one measurement in the data directory, each whole or absent. */
export interface MeasurementFiles {
  list(): Promise<readonly string[]>;
  read(name: string): Promise<Uint8Array | undefined>;
  /** Durable when it has resolved. */
  write(name: string, bytes: Uint8Array): Promise<void>;
  remove(name: string): Promise<void>;
  /** Removes all of them. */
  drop(): Promise<void>;
}

/** Small files in a folder that is the user's, each whole or absent. */
export interface FolderFiles {
  /**
   * Durable when it has resolved; folders are made. A file of that name is replaced.
   * @throws FaultError when the disk refuses
   */
  write(name: string, bytes: Uint8Array): Promise<void>;
  /** Adds to the end of a file, which is made where there is none; a crash may lose or tear it. */
  append(name: string, bytes: Uint8Array): Promise<void>;
  /** Undefined where there is none. */
  read(name: string): Promise<Uint8Array | undefined>;
  /** Nothing where there is none. */
  remove(name: string): Promise<void>;
  /** Of everything in the folder, as the file system counts it. */
  allocatedBytes(): Promise<number>;
}

/** The Ed25519 key that is this machine's name among peers. */
export interface Identity {
  /** In libp2p's protobuf encoding. */
  readonly privateKey: Uint8Array;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
}

/** SHA-256 of bytes that come one after the other. */
export interface RunningDigest {
  update(bytes: Uint8Array): void;
  /** Of all that has come, 32 bytes; nothing comes after it. */
  digest(): Uint8Array;
}

/** Chance, digests and signatures, as membership needs them. */
export interface Cryptography {
  random(bytes: number): Uint8Array;
  sha256(bytes: Uint8Array): Uint8Array;
  /** Ed25519; false for keys that are none. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** 32 bytes that tell nothing of the secret (HKDF with SHA-256). */
  deriveKey(secret: Uint8Array, salt: Uint8Array, purpose: string): Uint8Array;
  /** HMAC with SHA-256. */
  mac(key: Uint8Array, message: Uint8Array): Uint8Array;
  /** In a time that tells nothing of where they differ. */
  isSame(a: Uint8Array, b: Uint8Array): boolean;
}

/** What a machine keeps of its cluster. Durable when a promise has resolved. */
export interface ClusterStore {
  /** What was written last; undefined where nothing is. */
  read(): Promise<unknown>;
  write(value: object): Promise<void>;
  remove(): Promise<void>;
}

/** What the local API offers to the commands; main.ts puts it together. */
export interface LocalService {
  status(): Status;
  /** @param file path, or a file of a repository behind `hf:` */
  inspect(file: string, hub?: HubAccess): Promise<InspectReport>;
  /** Begins a run. `ended` resolves when every output is sealed and rejects with what stopped it. */
  run(
    request: RunRequest,
    report: (event: RunEvent) => void,
  ): { readonly run: number; readonly ended: Promise<void> };
  /** Lets a run finish what is under way and stop; a run that has ended is left alone. */
  drain(run: number): void;
}
