/** Source port: where a checkpoint's bytes come from. A part of ports.ts, from where it is imported. */

/** A directory or repository, or the files of one GGUF, only read. */
export interface Source {
  /** The file that was named, relative to its directory; undefined where a directory was. */
  readonly named?: string;
  /** Every regular file below the directory, by path relative to it; of a GGUF its parts. */
  list(): Promise<readonly SourceEntry[]>;
  /** Fills `into` from `offset`; a file that ends early is a fault, never a short result. */
  read(file: string, offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void>;
  /** SHA-256 of the whole file, lower-case hex; remembered while size and mtime stand. */
  digest(file: string, signal?: AbortSignal): Promise<string>;
  /** Where a file lies, to be mapped; undefined of a source that lies nowhere on this machine. */
  path?(file: string): string;
  /** Whether the file at an absolute path is one of these, by whatever name; of files on a disk. */
  isAt?(path: string): Promise<boolean>;
  /** Throws the fault `source-changed` when a file is not what `list` said. */
  checkUnchanged(): Promise<void>;
  /** Of a repository: its files lie on this machine only once they have been fetched. */
  readonly remote?: RemoteFiles;
  close(): Promise<void>;
}

/** The files of a repository of a hub, at one commit. */
export interface RemoteFiles {
  /** `org/name`. */
  readonly repository: string;
  /** 40 hex digits. */
  readonly commit: string;
  readonly hubUrl: string;
  /** What `fetch` would fetch of these files. */
  missingBytes(files: readonly string[]): Promise<number>;
  /**
   * Brings the files here as a whole and compares each with the digest that the repository states.
   * What is here stays when it fails or is aborted, and is not fetched again.
   * @param onBytes is told of bytes that have come since it was last called
   */
  fetch(
    files: readonly string[],
    onBytes: (bytes: number) => void,
    signal: AbortSignal,
  ): Promise<void>;
  /** Fills `into` with bytes of a file; what is not here already is fetched and not kept. */
  read(file: string, offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void>;
  /**
   * Removes what was fetched, unless it is to be kept; nothing can be read afterwards.
   * @param isDry nothing was made of it: what an earlier run has fetched stays
   */
  forget(isDry: boolean): Promise<void>;
}

export interface SourceEntry {
  readonly file: string;
  readonly bytes: number;
}
