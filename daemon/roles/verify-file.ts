/**
 * Verify file: reads one file of a release once, and compares all that can be compared.
 *
 *   ExpectedFile ──▶ strict header ──▶ pieces, hashed in one reading ──▶ FileChecked
 */

import { FaultError } from '../../proto/fault.ts';
import type { PlacedTensor } from '../core/gguf/layout.ts';
import type { GgufFile } from '../core/gguf/reader.ts';
import { hex, type Sha256 } from '../core/plan/unit-id.ts';
import {
  comparePieces,
  compareTable,
  ggufPieces,
  wantedOf,
} from '../core/release/compare-pieces.ts';
import { releaseFaults } from '../core/release/faults.ts';
import { type Finding, faulty } from '../core/release/findings.ts';
import type { Piece } from '../core/release/pieces.ts';
import type { ReleaseFile as ListedFile } from '../core/release/read-lock.ts';
import type { Kernels } from '../ports.ts';
import type { ReleaseFile, ReleaseFolder } from '../release-ports.ts';
import { evenPieces, hashPieces } from './hash-pieces.ts';
import { readGguf } from './inspect.ts';
import type { Progress } from './progress.ts';

/** A file, and as much as is known of what it should be. */
export type ExpectedFile = Pick<ListedFile, 'file'> & Partial<ListedFile>;

export interface FileChecked {
  readonly file: string;
  readonly findings: readonly Finding[];
  /** That were read. */
  readonly bytes: number;
  /** Of a GGUF whose header could be read. */
  readonly tensors: readonly PlacedTensor[];
  /** Undefined where it could not be read. */
  readonly sha256?: string;
}

interface Ports {
  readonly folder: ReleaseFolder;
  readonly sha256: Sha256;
}

interface Telling {
  /** Told how many bytes more have been read. */
  readonly onBytes: (bytes: number) => void;
  readonly signal: AbortSignal;
}

/**
 * Several files, as many at once as there are threads, the largest first.
 * @param tell called with what is wrong with a file, once it has been read
 */
export async function verifyFiles(
  expected: readonly ExpectedFile[],
  ports: Ports & { readonly kernels: Pick<Kernels, 'info'> },
  { progress, signal, tell }: FilesTelling,
): Promise<FileChecked[]> {
  const entries = new Map((await ports.folder.list()).map(({ file, bytes }) => [file, bytes]));
  const bytesOf = ({ file }: ExpectedFile): number => entries.get(file) ?? 0;
  progress.begin(
    'verify',
    expected.reduce((total, file) => total + bytesOf(file), 0),
  );
  const telling = { onBytes: (bytes: number) => progress.add(bytes), signal };
  const waiting = expected.toSorted((a, b) => bytesOf(b) - bytesOf(a)).values();
  const checked: FileChecked[] = [];
  const work = async (): Promise<void> => {
    for (const file of waiting) {
      const found = await verifyFile(file, ports, telling);
      tell(found.findings);
      checked.push(found);
    }
  };
  await Promise.all(Array.from({ length: ports.kernels.info.threads }, work));
  return checked;
}

interface FilesTelling {
  readonly progress: Progress;
  readonly signal: AbortSignal;
  readonly tell: (findings: readonly Finding[]) => void;
}

/** Everything that is wrong with the file is in the result; only an abort is thrown. */
async function verifyFile(
  expected: ExpectedFile,
  ports: Ports,
  telling: Telling,
): Promise<FileChecked> {
  const { file } = expected;
  try {
    const opened = await ports.folder.open(file);
    try {
      return await new Checking(expected, opened, ports, telling).check();
    } finally {
      await opened.close();
    }
  } catch (error) {
    if (!(error instanceof FaultError)) throw error;
    // What was said of it before matters less than that it cannot be read to its end.
    return { file, findings: [faulty(error.kind, error.detail)], bytes: 0, tensors: [] };
  }
}

class Checking {
  readonly #expected: ExpectedFile;
  readonly #opened: ReleaseFile;
  readonly #sha256: Sha256;
  readonly #telling: Telling;
  readonly #findings: Finding[] = [];

  constructor(expected: ExpectedFile, opened: ReleaseFile, ports: Ports, telling: Telling) {
    this.#expected = expected;
    this.#opened = opened;
    this.#sha256 = ports.sha256;
    this.#telling = telling;
  }

  async check(): Promise<FileChecked> {
    const { file, bytes: wanted, output } = this.#expected;
    const { bytes } = this.#opened;
    if (wanted !== undefined && wanted !== bytes) {
      this.#findings.push(
        faulty(releaseFaults.wrongSize, { file, why: `${bytes}, not ${wanted}` }),
      );
    }
    const gguf = await this.#readHeader();
    if (gguf !== undefined && output !== undefined) {
      this.#findings.push(...compareTable(file, gguf.tensors, output.tensors));
    }
    const sha256 = await this.#readThrough(gguf);
    const tensors = gguf?.tensors ?? [];
    return { file, findings: this.#findings, bytes, tensors, sha256 };
  }

  /** Undefined for a file that is none, and for one that is not strictly one. */
  async #readHeader(): Promise<GgufFile | undefined> {
    const { file } = this.#expected;
    try {
      return (await this.#isGguf()) ? await readGguf(this.#opened, file) : undefined;
    } catch (error) {
      if (!(error instanceof FaultError) || !error.kind.code.startsWith('QD-3')) throw error;
      const { what, code } = error.kind;
      const why = `${code} ${what}${error.detail.why === undefined ? '' : `: ${error.detail.why}`}`;
      this.#findings.push(faulty(releaseFaults.badGguf, { ...error.detail, file, why }));
      return undefined;
    }
  }

  async #isGguf(): Promise<boolean> {
    if (this.#expected.file.endsWith('.gguf')) return true;
    const magic = new Uint8Array(Math.min(4, this.#opened.bytes));
    await this.#opened.read(0, magic);
    return String.fromCharCode(...magic) === 'GGUF';
  }

  /** Hashes all of the file, and of a GGUF every piece; returns the digest of the whole. */
  async #readThrough(gguf: GgufFile | undefined): Promise<string> {
    const { file, output } = this.#expected;
    const wanted = output === undefined ? undefined : wantedOf(output);
    let isTold = this.#findings.some(({ kind }) => kind === releaseFaults.wrongSize);
    const onPieces = (pieces: readonly Piece[], digests: readonly Uint8Array[]): void => {
      const wrong = comparePieces(file, pieces, digests, wanted, this.#sha256);
      this.#findings.push(...wrong);
      isTold ||= wrong.length > 0;
    };
    const digest =
      gguf === undefined
        ? await hashPieces(this.#opened, evenPieces(this.#opened.bytes), this.#telling)
        : await hashPieces(this.#opened, ggufPieces(gguf, wanted !== undefined), {
            ...this.#telling,
            onPieces,
          });
    const sha256 = hex(digest);
    if (!isTold) this.#compareWhole(sha256);
    return sha256;
  }

  #compareWhole(found: string): void {
    const { file, sha256 } = this.#expected;
    if (sha256 === undefined || sha256 === found) return;
    const why = `${found}, not ${sha256}; bytes 0 to ${this.#opened.bytes - 1}`;
    this.#findings.push(faulty(releaseFaults.wrongDigest, { file, why }));
  }
}
