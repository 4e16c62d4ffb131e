/**
 * Disk blob: a file as the Blob that `fetch` and the hub's library take, read when it is sent.
 *
 *   size, read ──▶ DiskBlob ──▶ stream, slice   (read next: hub-publish.ts)
 */

type Read = (offset: number, into: Uint8Array) => Promise<void>;

// What is read at once of what is sent.
const PART_BYTES: number = 1024 * 1024;

export class DiskBlob extends Blob {
  override readonly size: number;
  readonly #read: Read;
  readonly #start: number;
  readonly #end: number;
  readonly #onBytes: (bytes: number) => void;

  constructor(
    read: Read,
    [start, end]: readonly [start: number, end: number],
    onBytes: (bytes: number) => void = () => undefined,
  ) {
    super([]);
    this.size = end - start;
    this.#read = read;
    this.#start = start;
    this.#end = end;
    this.#onBytes = onBytes;
  }

  /** The same bytes; whoever streams them is told how many have been taken. */
  watched(onBytes: (bytes: number) => void): DiskBlob {
    return new DiskBlob(this.#read, [this.#start, this.#end], onBytes);
  }

  override slice(start = 0, end: number = this.size): DiskBlob {
    const inside = (at: number): number => {
      const fromStart = at < 0 ? this.size + at : at;
      return this.#start + Math.min(this.size, Math.max(0, fromStart));
    };
    return new DiskBlob(this.#read, [inside(start), Math.max(inside(start), inside(end))]);
  }

  override stream(): ReturnType<Blob['stream']> {
    let at = this.#start;
    return new ReadableStream({
      pull: async (controller) => {
        const part = new Uint8Array(Math.min(PART_BYTES, this.#end - at));
        if (part.length > 0) {
          await this.#read(at, part);
          at += part.length;
          controller.enqueue(part);
          this.#onBytes(part.length);
        }
        if (at === this.#end) controller.close();
      },
    });
  }

  override async arrayBuffer(): Promise<ArrayBuffer> {
    const bytes = new Uint8Array(this.size);
    await this.#read(this.#start, bytes);
    return bytes.buffer;
  }

  override async text(): Promise<string> {
    return new TextDecoder().decode(await this.arrayBuffer());
  }
}
