/**
 * Release inputs: what a release takes over from its source and from the user's files.
 *
 *   source, texts, matrix ──▶ ReleaseInputs ──▶ copies in the folder, and what the lockfile says of them
 */

import type { RunEvent } from '../../proto/api.ts';
import { FaultError } from '../../proto/fault.ts';
import type { LockedCalibration, PureLock } from '../../proto/lockfile.ts';
import type { ReleaseRequest } from '../../proto/requests.ts';
import { CONTRACT, hex } from '../core/plan/unit-id.ts';
import { calibrationOptions } from '../core/release/lock.ts';
import { makeFaults } from '../core/release/make-faults.ts';
import { PLAIN_NAME } from '../core/release/rebuild.ts';
import {
  cardHead,
  noSourceCard,
  type SourceCard,
  sourceCardOf,
} from '../core/release/source-card.ts';
import type { Source } from '../ports.ts';
import type { DigestedFolder } from './digested-folder.ts';
import { DEFAULT_DATASET } from './open-calibration.ts';
import { readGivenFile } from './read-given-file.ts';
import type { FinishedRun, RunPorts } from './run.ts';

export interface InputPorts
  extends Pick<RunPorts, 'openFile' | 'splitPath' | 'defaultText' | 'kernels'> {
  /** @throws Error that says what is wrong with the text */
  readonly parseYaml: (text: string) => Promise<unknown>;
}

type Event<T extends RunEvent['type']> = Extract<RunEvent, { type: T }>;

// Licences are texts of some pages; a card is at most what the Hub shows.
const TEXT_BYTES_MAX = 4 * 1024 * 1024;
const CALIBRATION_BYTES_MAX = 64 * 1024 * 1024;
// The largest models' matrices have some hundred megabytes.
const MATRIX_BYTES_MAX = 2 * 1024 * 1024 * 1024 - 1;
const LICENSE_FILES = ['LICENSE', 'LICENSE.txt', 'LICENSE.md', 'COPYING'];
const MANIFEST_FILE = 'calibration/MANIFEST.json';
const SOURCE_CARD = 'README.md';
// What decides bytes of an output, or stands in the card.
const SMALL_FILES =
  /^((config|generation_config|special_tokens_map|tokenizer.*|.*\.index)\.json|chat_template\.(jinja|json)|README\.md)$/;

/**
 * Before anything is measured: every text lies in the release under its own name.
 * @throws FaultError fileName
 */
export function checkNames(
  { calibration, imatrix }: ReleaseRequest,
  { splitPath }: Pick<InputPorts, 'splitPath'>,
): void {
  const given = [...(calibration?.files ?? []), ...(imatrix === undefined ? [] : [imatrix])];
  const names = new Set<string>();
  for (const file of given) {
    const name = splitPath(file.path).file;
    const why = names.has(name) ? `there are two of the name ${name}` : undefined;
    if (why !== undefined || !PLAIN_NAME.test(name)) {
      throw new FaultError(makeFaults.fileName, {
        file: file.given,
        ...(why === undefined ? {} : { why }),
      });
    }
    names.add(name);
  }
}

export class ReleaseInputs {
  readonly #request: ReleaseRequest;
  readonly #ports: InputPorts;
  readonly #signal: AbortSignal;

  constructor(request: ReleaseRequest, ports: InputPorts, signal: AbortSignal) {
    this.#request = request;
    this.#ports = ports;
    this.#signal = signal;
  }

  /** What the head of the source's own card says. */
  async card(source: Source): Promise<SourceCard> {
    const text = await this.#smallText(source, SOURCE_CARD);
    const head = text === undefined ? undefined : cardHead(text);
    if (head === undefined) return noSourceCard;
    let parsed: unknown;
    try {
      parsed = await this.#ports.parseYaml(head);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
      throw new FaultError(
        makeFaults.badCard,
        { file: SOURCE_CARD, ...(why && { why }) },
        { cause },
      );
    }
    return sourceCardOf(parsed, SOURCE_CARD);
  }

  async #smallText(source: Source, file: string): Promise<string | undefined> {
    const bytes = await this.#smallFile(source, file);
    return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
  }

  /** Undefined where the source has no such file, or is one GGUF; too large ones are left out. */
  async #smallFile(source: Source, file: string): Promise<Uint8Array | undefined> {
    if (source.named !== undefined) return undefined;
    const entry = (await source.list()).find((each) => each.file === file);
    if (entry === undefined || entry.bytes > TEXT_BYTES_MAX) return undefined;
    const bytes = new Uint8Array(entry.bytes);
    await source.read(file, 0, bytes, this.#signal);
    return bytes;
  }

  /** Copies the licence; the name of its file in the release. */
  async putLicense(source: Source, folder: DigestedFolder): Promise<string | undefined> {
    for (const file of LICENSE_FILES) {
      const bytes = await this.#smallFile(source, file);
      if (bytes === undefined) continue;
      await folder.put('LICENSE', bytes);
      return 'LICENSE';
    }
    return undefined;
  }

  /**
   * Copies the texts, and says how they were cut.
   * @throws FaultError changed when one is not what was measured with
   */
  async putTexts(
    told: Event<'calibration'> | undefined,
    folder: DigestedFolder,
  ): Promise<LockedCalibration | undefined> {
    const { calibration: request } = this.#request;
    if (request === undefined || told === undefined) return undefined;
    const paths = request.default
      ? [this.#ports.defaultText]
      : request.files.map(({ path }) => path);
    const texts: LockedCalibration['texts'] = [];
    for (const [index, { name, sha256, bytes, tokens, chunks }] of told.files.entries()) {
      const file = `calibration/${request.default ? DEFAULT_DATASET : name}`;
      const found = await this.#givenFile(paths[index] ?? '', CALIBRATION_BYTES_MAX);
      const digest = await folder.put(file, found);
      if (digest !== sha256) {
        throw new FaultError(makeFaults.changed, { file: name });
      }
      texts.push({ name, file, bytes, sha256, tokens, chunks });
    }
    const manifest: LockedCalibration = {
      contract: CONTRACT,
      chunks: told.chunks,
      chunkTokens: told.chunkTokens,
      tokens: told.sha256,
      texts,
      options: calibrationOptions(request),
    };
    await folder.put(MANIFEST_FILE, `${JSON.stringify(manifest, undefined, 1)}\n`);
    return manifest;
  }

  /** The measured matrix is in the folder already; a given one is copied. */
  async putMatrix(
    made: Event<'imatrix'> | undefined,
    folder: DigestedFolder,
  ): Promise<PureLock['imatrix']> {
    if (made !== undefined) {
      const { file } = this.#ports.splitPath(made.path);
      const { bytes, sha256, entries, chunks } = made;
      return { file, name: file, bytes, sha256, entries, chunks };
    }
    const { imatrix } = this.#request;
    if (imatrix === undefined) return undefined;
    const { file } = this.#ports.splitPath(imatrix.path);
    const bytes = await this.#givenFile(imatrix.path, MATRIX_BYTES_MAX);
    const sha256 = hex(await this.#ports.kernels.sha256(bytes));
    await folder.raw.write(file, bytes);
    return { file, name: file, bytes: bytes.length, sha256 };
  }

  #givenFile(path: string, bytesMax: number): Promise<Uint8Array> {
    const faults = { fileMissing: makeFaults.changed, fileTooLarge: makeFaults.fileTooLarge };
    return readGivenFile({ path, given: path, bytesMax, faults }, this.#ports.openFile);
  }

  /** Every file that a byte of the release follows from. */
  async sourceFiles(
    { source, plan }: FinishedRun,
    licenseFile: string | undefined,
  ): Promise<PureLock['source']['files']> {
    const isWanted = (file: string): boolean =>
      plan.fileDigests.has(file) ||
      (source.named === undefined &&
        (SMALL_FILES.test(file) || (licenseFile !== undefined && LICENSE_FILES.includes(file))));
    const wanted = (await source.list()).filter(({ file }) => isWanted(file));
    const files: PureLock['source']['files'] = [];
    for (const { file, bytes } of wanted) {
      const known = plan.fileDigests.get(file);
      files.push({ file, bytes, sha256: known ?? (await source.digest(file, this.#signal)) });
    }
    return files;
  }
}
