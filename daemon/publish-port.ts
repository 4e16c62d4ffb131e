/** Publish port: where a finished folder is sent to. A part of ports.ts, from where it is imported. */

/** A repository of a hub, as it is or as it is to be made. */
export interface PublishTarget {
  readonly hubUrl: string;
  /** What it has; undefined where there is none, or none that may be seen. */
  list(signal: AbortSignal): Promise<PublishedState | undefined>;
  create(isPrivate: boolean): Promise<void>;
  /** Whether these bytes are those that the repository lists. */
  isSame(listed: PublishedFile, sent: SentFile, signal: AbortSignal): Promise<boolean>;
  /**
   * Sends the files and makes one commit of them: until then nothing of it is to be seen. What the
   * hub's storage has already is not sent to it again.
   * @param onBytes is told of bytes that have left for the storage, and of fewer when it begins anew
   */
  send(
    files: readonly SentFile[],
    options: {
      readonly title: string;
      readonly onBytes: (bytes: number) => void;
      readonly signal: AbortSignal;
    },
  ): Promise<{ readonly commit: string; readonly url: string }>;
}

export interface PublishedState {
  /** Of its main branch. */
  readonly commit: string;
  readonly files: ReadonlyMap<string, PublishedFile>;
}

export interface PublishedFile {
  readonly bytes: number;
  /** Lower-case hex; of files that the repository keeps by LFS. */
  readonly sha256?: string;
  /** Git's name of the content, of the others. */
  readonly blob?: string;
}

export interface SentFile {
  /** By its path inside the folder. */
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Where it lies on another machine: then it is read once, and its digest compared on the way. */
  readonly machine?: string;
  /** Fills `into` from `offset`; a file that ends early is a fault, never a short result. */
  read(offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void>;
}
