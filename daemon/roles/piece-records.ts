/**
 * Piece records: which bytes of a repository a run was made from, as whoever used them says.
 *
 *   piece, its leaves, who keeps it ──▶ PieceRecords ──▶ files in the data directory
 *
 * A record that a crash loses costs work and nothing else: block runs of a piece that nobody
 * vouches for are made again. So they are written a second at a time. Read next: source-proof.ts.
 */

import type { PeerId } from '../../proto/peer-messages.ts';
import { type FilePiece, pieceKey } from '../core/plan/file-segments.ts';
import { hex, type Sha256 } from '../core/plan/unit-id.ts';
import type { Clock, MeasurementFiles } from '../ports.ts';
import { isSameLeaves } from './origin-pieces.ts';

type Place = Pick<FilePiece, 'fileDigest' | 'offset' | 'bytes'>;

export interface PieceRecord extends Place {
  readonly leaves: readonly Uint8Array[];
  /** Who keeps the piece, as far as it is known. */
  readonly holders: readonly PeerId[];
}

/** As it is written: file digest, offset, bytes, leaves and holder. */
type Line = readonly [string, number, number, string, PeerId];

const WRITE_MS = 1000;

export class PieceRecords {
  readonly #files: MeasurementFiles;
  readonly #sha256: Sha256;
  readonly #clock: Clock;
  readonly #records = new Map<string, PieceRecord>();
  readonly #waiting = new Map<string, ((record: PieceRecord) => void)[]>();
  #unwritten: Line[] = [];
  #names = new Set<string>();
  #number = 0;
  #cancelTimer: (() => void) | undefined;
  #writing: Promise<void> = Promise.resolve();

  private constructor(files: MeasurementFiles, sha256: Sha256, clock: Clock) {
    this.#files = files;
    this.#sha256 = sha256;
    this.#clock = clock;
  }

  /** Reads what an earlier process has left. */
  static async open(files: MeasurementFiles, sha256: Sha256, clock: Clock): Promise<PieceRecords> {
    const records = new PieceRecords(files, sha256, clock);
    records.#names = new Set(await files.list());
    const doubtful = new Set<string>();
    for (const name of records.#names) {
      for (const line of linesOf(await files.read(name))) {
        const place = { fileDigest: line[0], offset: line[1], bytes: line[2] };
        const leaves = line[3].match(/.{64}/g)?.map((leaf) => Buffer.from(leaf, 'hex')) ?? [];
        if (!records.#note(place, leaves, line[4])) doubtful.add(pieceKey(place));
      }
    }
    for (const key of doubtful) records.#records.delete(key);
    return records;
  }

  /** From here on something may be made of which only these records know from what. */
  async begin(): Promise<void> {
    if (this.#names.size === 0) await this.#writeFile([]);
  }

  get(place: Place): PieceRecord | undefined {
    return this.#records.get(pieceKey(place));
  }

  /** The record, as soon as there is one. */
  async when(place: Place, signal: AbortSignal): Promise<PieceRecord> {
    const known = this.get(place);
    if (known !== undefined) return known;
    signal.throwIfAborted();
    const key = pieceKey(place);
    return await new Promise((resolve, reject) => {
      const abort = (): void => reject(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      const found = (record: PieceRecord): void => {
        signal.removeEventListener('abort', abort);
        resolve(record);
      };
      this.#waiting.set(key, [...(this.#waiting.get(key) ?? []), found]);
    });
  }

  /** @returns false where the piece has been used with other bytes before */
  add(place: Place, leaves: readonly Uint8Array[], holder: PeerId): boolean {
    const known = this.get(place);
    if (known?.holders.includes(holder)) return isSameLeaves(known.leaves, leaves);
    if (!this.#note(place, leaves, holder)) return false;
    const { fileDigest, offset, bytes } = place;
    this.#unwritten.push([fileDigest, offset, bytes, leaves.map(hex).join(''), holder]);
    this.#cancelTimer ??= this.#clock.after(
      WRITE_MS,
      () => void this.write().catch(() => undefined),
    );
    const record = this.get(place);
    for (const found of this.#waiting.get(pieceKey(place)) ?? []) if (record) found(record);
    this.#waiting.delete(pieceKey(place));
    return true;
  }

  /** Writes what is not written yet. */
  write(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const lines = this.#unwritten;
    this.#unwritten = [];
    const next = this.#writing.then(() => this.#writeLines(lines));
    this.#writing = next.catch(() => undefined);
    return next;
  }

  /** Forgets what was used of a file. */
  async forget(fileDigest: string): Promise<PieceRecord[]> {
    await this.write();
    const gone = [...this.#records.values()].filter((record) => record.fileDigest === fileDigest);
    for (const record of gone) this.#records.delete(pieceKey(record));
    const before = [...this.#names];
    const lines = [...this.#records.values()].flatMap(({ leaves, holders, ...place }) => {
      const { offset, bytes } = place;
      const text = leaves.map(hex).join('');
      return holders.map((holder): Line => [place.fileDigest, offset, bytes, text, holder]);
    });
    // Until the old ones are gone they count: then the chain does not close a second time.
    await this.#writeFile(lines);
    for (const name of before) await this.#files.remove(name);
    return gone;
  }

  async drop(): Promise<void> {
    this.#cancelTimer?.();
    this.#unwritten = [];
    await this.#writing;
    await this.#files.drop();
  }

  #note(place: Place, leaves: readonly Uint8Array[], holder: PeerId): boolean {
    const known = this.get(place);
    if (known !== undefined && !isSameLeaves(known.leaves, leaves)) return false;
    const holders = [...(known?.holders ?? []), holder];
    const { fileDigest, offset, bytes } = place;
    this.#records.set(pieceKey(place), { fileDigest, offset, bytes, leaves, holders });
    return true;
  }

  async #writeLines(lines: readonly Line[]): Promise<void> {
    if (lines.length > 0) await this.#writeFile(lines);
  }

  async #writeFile(lines: readonly Line[]): Promise<void> {
    let name: string;
    do {
      name = hex(this.#sha256(new TextEncoder().encode(`records ${this.#number++}`)));
    } while (this.#names.has(name));
    this.#names.add(name);
    await this.#files.write(name, new TextEncoder().encode(JSON.stringify(lines)));
  }
}

const HEX = /^([0-9a-f]{64})+$/;

/** What stands in a file of records; nothing of one that is none. */
function linesOf(bytes: Uint8Array | undefined): Line[] {
  let found: unknown;
  try {
    found = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return [];
  }
  return Array.isArray(found) ? found.filter(isLine) : [];
}

function isLine(line: unknown): line is Line {
  if (!Array.isArray(line)) return false;
  const [file, offset, bytes, leaves, holder]: unknown[] = line;
  const texts = [file, leaves].every((text) => typeof text === 'string' && HEX.test(text));
  return texts && [offset, bytes].every(Number.isSafeInteger) && typeof holder === 'string';
}
