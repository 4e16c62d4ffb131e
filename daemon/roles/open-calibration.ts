/**
 * Open calibration: reads the texts of a calibration and cuts them into chunks of token ids.
 *
 *   files ──▶ text ──▶ (samples ──▶ chat template) ──▶ ids ──▶ chunks (core/calibration/chunks.ts)
 *
 * Whole texts are held in memory one at a time; what stays are the ids.
 */

import type { CalibrationFile, RunEvent } from '../../proto/api.ts';
import { FaultError } from '../../proto/fault.ts';
import type { CalibrationRequest } from '../../proto/requests.ts';
import { type Calibration, cutCalibration, type FileTokens } from '../core/calibration/chunks.ts';
import { calibrationFaults as faults } from '../core/calibration/faults.ts';
import { readSamples } from '../core/calibration/samples.ts';
import { CALIBRATION_BYTES_MAX, calibrationText } from '../core/calibration/text.ts';
import { type Vocabulary, vocabularyOf } from '../core/calibration/vocabulary.ts';
import type { Model } from '../core/models/family.ts';
import { hex, type Sha256 } from '../core/plan/unit-id.ts';
import type { ChatTemplate, Kernels, TextTokenizer, TextVocabulary } from '../ports.ts';
import { readGivenFile } from './read-given-file.ts';
import type { OpenFile } from './read-imatrix.ts';

export interface CalibrationPorts {
  readonly openFile: OpenFile;
  readonly splitPath: (path: string) => { file: string };
  readonly kernels: Pick<Kernels, 'sha256'>;
  readonly sha256: Sha256;
  readonly openTokenizer: (
    vocabulary: TextVocabulary,
    options: { readonly parseSpecial: boolean },
  ) => TextTokenizer;
  readonly openTemplate: (
    template: string,
    options: { readonly namedTexts: Readonly<Record<string, string>> },
  ) => ChatTemplate;
  /** Absolute path of the text that quantd brings along. */
  readonly defaultText: string;
}

export interface OpenedCalibration {
  readonly calibration: Calibration;
  /** Every text, in the order of the request. */
  readonly files: readonly CalibrationFile[];
}

/** What the default text is called in an importance matrix. */
export const DEFAULT_DATASET = 'quantd-default.txt';

type CalibratedModel = Pick<Model, 'general' | 'parameters' | 'vocabulary'>;

/**
 * @throws FaultError QD-84xx, naming the file
 */
export async function openCalibration(
  request: CalibrationRequest,
  model: CalibratedModel,
  ports: CalibrationPorts,
  signal?: AbortSignal,
): Promise<OpenedCalibration> {
  const vocabulary = vocabularyOf(model);
  const reading = new Reading(request, vocabulary, ports, signal);
  const read: ReadFile[] = [];
  // One after the other: a text and its ids may take some hundred megabytes while they are made.
  for (const file of textsOf(request, ports)) read.push(await reading.read(file));
  const options = {
    chunkTokens: request.ctx,
    fromChunk: request.fromChunk,
    keepReserve: request.minExpertTokens !== undefined,
    ...(request.chunks === undefined ? {} : { chunksMax: request.chunks }),
  };
  const { calibration, chunksOfFiles } = cutCalibration(
    read,
    vocabulary.bos,
    options,
    ports.sha256,
  );
  const files = read.map(({ name, sha256, bytes, ids }, index) => ({
    ...{ name, sha256, bytes },
    tokens: ids.length,
    chunks: chunksOfFiles[index] ?? 0,
  }));
  return { calibration, files };
}

/** Says what is going to be measured with; returns the number of chunks. */
export function tellCalibration(
  { calibration, files }: OpenedCalibration,
  report: (event: RunEvent) => void,
): number {
  const { chunkTokens, chunks } = calibration;
  const tokens = chunks.length * chunkTokens;
  const sha256 = hex(calibration.digest);
  report({ type: 'calibration', files, chunks: chunks.length, tokens, chunkTokens, sha256 });
  return chunks.length;
}

interface TextFile {
  readonly path: string;
  /** As the user wrote it. */
  readonly given: string;
  /** What the matrix calls it. */
  readonly name: string;
}

function textsOf(request: CalibrationRequest, ports: CalibrationPorts): readonly TextFile[] {
  if (request.default) {
    return [{ path: ports.defaultText, given: 'default', name: DEFAULT_DATASET }];
  }
  return request.files.map(({ path, given }) => ({
    ...{ path, given },
    name: ports.splitPath(path).file,
  }));
}

interface ReadFile extends FileTokens {
  readonly sha256: string;
  readonly bytes: number;
}

/** What all files of a calibration are read with. */
class Reading {
  readonly #ports: CalibrationPorts;
  readonly #signal: AbortSignal | undefined;
  readonly #bos: number | undefined;
  readonly #tokenizer: TextTokenizer;
  /** Undefined where the text is taken as it is. */
  readonly #template: ChatTemplate | undefined;

  constructor(
    { chat, parseSpecial }: CalibrationRequest,
    vocabulary: Vocabulary,
    ports: CalibrationPorts,
    signal: AbortSignal | undefined,
  ) {
    this.#ports = ports;
    this.#signal = signal;
    this.#bos = vocabulary.bos;
    this.#template = chat ? openTemplate(vocabulary, ports) : undefined;
    // What a template prints around a message means the tokens of these names.
    this.#tokenizer = ports.openTokenizer(vocabulary, { parseSpecial: parseSpecial || chat });
  }

  async read({ path, given, name }: TextFile): Promise<ReadFile> {
    const bytes = await readGivenFile(
      { path, given, bytesMax: CALIBRATION_BYTES_MAX, faults },
      this.#ports.openFile,
    );
    const text = calibrationText(given, bytes);
    const sha256 = hex(await this.#ports.kernels.sha256(bytes));
    const ids = await this.#ids(text, given);
    return { name, given, ids, sha256, bytes: bytes.length };
  }

  async #ids(text: string, file: string): Promise<Int32Array> {
    const template = this.#template;
    if (template === undefined) return await this.#encode(text, file);
    const samples: Int32Array[] = [];
    for (const { line, messages } of readSamples(file, text)) {
      const place = `line ${line}`;
      const framed = await inFile(file, place, () => template.render(messages));
      samples.push(await this.#encode(framed, file, place));
    }
    return joined(samples);
  }

  /** The ids with one bos in front, where the vocabulary adds it and the text has none. */
  async #encode(text: string, file: string, place?: string): Promise<Int32Array> {
    const ids = await inFile(file, place, () => this.#tokenizer.encode(text, this.#signal));
    const bos = this.#bos;
    const isThere = bos === undefined || (this.#template !== undefined && ids[0] === bos);
    return isThere ? ids : joined([Int32Array.of(bos), ids]);
  }
}

function openTemplate(vocabulary: Vocabulary, ports: CalibrationPorts): ChatTemplate {
  const { chatTemplate, namedTexts } = vocabulary;
  if (chatTemplate === undefined) throw new FaultError(faults.noTemplate);
  return ports.openTemplate(chatTemplate, { namedTexts });
}

/** Adds to a fault of the work which file it was about. */
async function inFile<Result>(
  file: string,
  place: string | undefined,
  work: () => Result | Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof FaultError)) throw cause;
    const why = [place, cause.detail.why].filter((part) => part !== undefined).join(': ');
    throw new FaultError(cause.kind, { ...cause.detail, file, why }, { cause });
  }
}

function joined(parts: readonly Int32Array[]): Int32Array {
  const all = new Int32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
