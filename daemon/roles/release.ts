/**
 * Release: a run whose folder is ready to upload, with all that a rebuild needs.
 *
 *   ReleaseRequest ──▶ run.ts makes the outputs ──▶ digests of every tensor ──▶ card, lockfile, …
 *
 * The lockfile is written last and signed: a folder without one is not finished, and the same command
 * goes on with it. Read next: core/release/lock.ts; docs/release.md.
 */

import type { RunEvent } from '../../proto/api.ts';
import { FaultError } from '../../proto/fault.ts';
import type { LockedCalibration, LockedOutput, PureLock } from '../../proto/lockfile.ts';
import { LOCK_FILE, SIGNATURE_FILE } from '../../proto/lockfile.ts';
import type { PeerId } from '../../proto/peer-messages.ts';
import type { QuantizeRequest, ReleaseRequest } from '../../proto/requests.ts';
import { peerIdOf } from '../core/membership/peer-id.ts';
import { type Attestation, attestedBytes } from '../core/plan/attestation.ts';
import { CONTRACT, hex } from '../core/plan/unit-id.ts';
import { renderRecipe } from '../core/recipe/render-recipe.ts';
import {
  ATTESTATIONS_FILE,
  encodeAttestation,
  keepAttestations,
} from '../core/release/attestations.ts';
import { type CardFacts, cardOf } from '../core/release/card.ts';
import { SUMS_FILE } from '../core/release/checksums.ts';
import {
  calibrationOptions,
  encodeLock,
  pureLockOf,
  type SelfTests,
  wishesOf,
} from '../core/release/lock.ts';
import { makeFaults } from '../core/release/make-faults.ts';
import { CARD_CONTEXT, kvCacheBytes } from '../core/release/memory.ts';
import { piecesOf } from '../core/release/pieces.ts';
import { reproducePageOf } from '../core/release/reproduce-page.ts';
import { RECIPE_FILE } from '../core/release/shell.ts';
import {
  cardHead,
  noSourceCard,
  type SourceCard,
  sourceCardOf,
} from '../core/release/source-card.ts';
import { encodeSums } from '../core/release/write-sums.ts';
import type { FolderFiles, Identity, Source } from '../ports.ts';
import type { OwnWork } from './coordinator.ts';
import { DEFAULT_DATASET } from './open-calibration.ts';
import { inlineRecipe } from './open-recipe.ts';
import { Progress } from './progress.ts';
import { type FinishedRun, type RunPorts, run } from './run.ts';

export interface ReleasePorts extends RunPorts {
  readonly openFolder: (directory: string) => FolderFiles;
  /** @throws Error that says what is wrong with the text */
  readonly parseYaml: (text: string) => unknown;
  /** The key of this machine; made where there is none yet. */
  readonly identity: () => Promise<Identity>;
  readonly version: string;
  readonly selfTests: SelfTests;
}

type Event<T extends RunEvent['type']> = Extract<RunEvent, { type: T }>;

// Licences are texts of some pages; a card is at most what the Hub shows.
const TEXT_BYTES_MAX = 4 * 1024 * 1024;
// The largest models' matrices have some hundred megabytes.
const MATRIX_BYTES_MAX = 2 * 1024 * 1024 * 1024 - 1;
const LICENSE_FILES = ['LICENSE', 'LICENSE.txt', 'LICENSE.md', 'COPYING'];
const MANIFEST_FILE = 'calibration/MANIFEST.json';
const SOURCE_CARD = 'README.md';
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
// What decides bytes of an output, or stands in the card.
const SMALL_FILES =
  /^((config|generation_config|special_tokens_map|tokenizer.*|.*\.index)\.json|chat_template\.(jinja|json)|README\.md)$/;
// Lockfile, signature, digests, attestations and the page that tells how to make it again.
const RUN_FILES = 5;
// The Hub takes no file above 50 GB and recommends parts of at most 20.
const HUB_PARTS = { splitMaxBytes: 20_000_000_000, splitAboveBytes: 45_000_000_000 } as const;
const GIT_ATTRIBUTES = '*.gguf filter=lfs diff=lfs merge=lfs -text\n';

/** The hub's name for a source. */
export type Origin = Pick<PureLock['source'], 'repository' | 'commit'>;

/**
 * @param origin of a source whose every file is known to be that of another release
 * @throws FaultError whatever stopped it; the same command goes on
 */
export async function release(
  asked: ReleaseRequest,
  ports: ReleasePorts,
  report: (event: RunEvent) => void,
  drain: AbortSignal,
  origin?: Origin,
): Promise<void> {
  const request = await inlineRecipe(asked, ports);
  checkNames(request, ports);
  const maker = new ReleaseMaker(request, ports, report, drain, await ports.identity());
  maker.origin = origin;
  await run(maker.quantize, ports, (event) => maker.note(event), drain, {
    place: (name) => maker.choosePlace(name),
    onAttested: (attested) => maker.attest(attested),
    finish: (made) => maker.finish(made),
  });
}

/** Before anything is measured: every text lies in the release under its own name. */
function checkNames({ calibration, imatrix }: ReleaseRequest, { splitPath }: ReleasePorts): void {
  const given = [...(calibration?.files ?? []), ...(imatrix === undefined ? [] : [imatrix])];
  const names = new Set<string>();
  for (const file of given) {
    const name = splitPath(file.path).file;
    const why = names.has(name) ? `there are two of the name ${name}` : undefined;
    if (why !== undefined || !NAME.test(name)) {
      throw new FaultError(makeFaults.fileName, {
        file: file.given,
        ...(why === undefined ? {} : { why }),
      });
    }
    names.add(name);
  }
}

class ReleaseMaker {
  /** Said of the source instead of where it lies. */
  origin: Origin | undefined;
  readonly quantize: QuantizeRequest;
  readonly #request: ReleaseRequest;
  readonly #ports: ReleasePorts;
  readonly #report: (event: RunEvent) => void;
  readonly #drain: AbortSignal;
  readonly #startMs: number;
  #calibration: Event<'calibration'> | undefined;
  #coverage: Event<'coverage'> | undefined;
  #perplexity: Event<'perplexity'> | undefined;
  #imatrix: Event<'imatrix'> | undefined;
  readonly #digests = new Map<string, string>();
  readonly #key: Identity;
  readonly #self: PeerId;
  #place = '';
  /** Lines of attestations that are not written yet, and the writing under way. */
  #lines = '';
  #writing: Promise<void> = Promise.resolve();

  constructor(
    request: ReleaseRequest,
    ports: ReleasePorts,
    report: (event: RunEvent) => void,
    drain: AbortSignal,
    key: Identity,
  ) {
    this.#key = key;
    this.#self = peerIdOf(key.publicKey);
    this.#request = request;
    this.#ports = ports;
    this.#report = report;
    this.#drain = drain;
    this.#startMs = ports.clock.now();
    const { imatrix, keepSplit, splitMaxBytes, splitMaxTensors } = request;
    const isAsked = keepSplit || splitMaxBytes !== undefined || splitMaxTensors !== undefined;
    this.quantize = {
      ...request,
      ...(isAsked ? {} : HUB_PARTS),
      kind: 'quantize',
      dryRun: false,
      // A folder that is ready to upload has all of them.
      ...(request.assembly && { assembly: 'pooled' }),
      // Where it lies must not reach a byte.
      ...(imatrix && { imatrix: { ...imatrix, given: ports.splitPath(imatrix.path).file } }),
    };
  }

  /** What a run tells of itself stands in the card and the lockfile. */
  note(event: RunEvent): void {
    if (event.type === 'calibration') this.#calibration = event;
    if (event.type === 'coverage') this.#coverage = event;
    if (event.type === 'perplexity') this.#perplexity = event;
    if (event.type === 'imatrix') this.#imatrix = event;
    if (event.type === 'output') this.#digests.set(event.file, event.sha256);
    this.#report(event);
  }

  choosePlace(name: string): string {
    this.#place = `${this.#request.out}/${name}-GGUF`;
    return this.#place;
  }

  /** Kept on disk as they come, so that a run that goes on after a crash has those from before. */
  attest(attested: Attestation | OwnWork): void {
    const { made } = attested;
    const own = { peer: this.#self, signature: this.#key.sign(attestedBytes(made)) };
    this.#lines += encodeAttestation({ ...own, ...attested });
    this.#writing = this.#writing.then(() => this.#appendLines());
  }

  async #appendLines(): Promise<void> {
    const lines = this.#lines;
    this.#lines = '';
    if (lines === '') return;
    // What cannot be written is missed at the end and told of; it stops no run.
    const folder = this.#ports.openFolder(this.#place);
    await folder.append(ATTESTATIONS_FILE, encoded(lines)).catch(() => undefined);
  }

  async finish(made: FinishedRun): Promise<void> {
    const { described, place, source } = made;
    const { openFolder, kernels, version, selfTests, sha256 } = this.#ports;
    const folder = new DigestedFolder(openFolder(place), (bytes) => kernels.sha256(bytes));
    const card = await this.#sourceCard(source);
    const calibration = await this.#putTexts(folder);
    const imatrix = await this.#putMatrix(folder);
    const licenseFile = await this.#putLicense(source, folder);
    const outputs = await this.#digestTensors(made);
    const wishes = wishesOf(this.quantize, described.name);
    if (wishes.recipe !== undefined)
      await folder.put(RECIPE_FILE, renderRecipe(wishes.recipe.plain));
    const lock = pureLockOf({
      ...{ version, selfTests, sha256, calibration, imatrix, outputs },
      model: described.model,
      wishes,
      source: {
        ...(this.origin ?? repositoryOf(source)),
        files: await this.#sourceFiles(made, licenseFile),
      },
    });
    const facts = { lock, source: card, licenseFile };
    await folder.put('README.md', cardOf(this.#cardFacts(facts, made)));
    await folder.put('.gitattributes', GIT_ATTRIBUTES);
    const whole = { ...lock, files: folder.files };
    await this.#writeLock(whole, made, folder.raw);
    const count = whole.outputs.length + whole.files.length + RUN_FILES + (imatrix ? 1 : 0);
    this.#report({ type: 'release', path: place, files: count, peer: this.#self });
  }

  #cardFacts(
    facts: Pick<CardFacts, 'lock' | 'source' | 'licenseFile'>,
    { described }: FinishedRun,
  ): CardFacts {
    const { general, parameters, shape } = described.model;
    const metadata = [...general, ...parameters];
    return {
      ...facts,
      kvBytes: kvCacheBytes(metadata, shape.architecture, CARD_CONTEXT),
      coverage: this.#coverage,
      perplexity: this.#perplexity,
    };
  }

  /** Everything that is not the same in every cluster, and what covers all the rest. */
  async #writeLock(lock: PureLock, made: FinishedRun, folder: FolderFiles): Promise<void> {
    const { clock, kernels, offer } = this.#ports;
    const matrix = lock.imatrix === undefined ? [] : [lock.imatrix];
    const all = [...lock.outputs, ...matrix, ...lock.files];
    await folder.write(SUMS_FILE, encoded(encodeSums(all)));
    const run = {
      seconds: (clock.now() - this.#startMs) / 1000,
      isa: kernels.info.isa,
      threads: offer.bytesPerSecond > 0 ? kernels.info.threads : 0,
      sourceBytes: lock.source.files.reduce((sum, { bytes }) => sum + bytes, 0),
      peers: made.peers.map(({ name, tasks, units, sourceBytes, resultBytes }) => ({
        ...{ name, tasks, units, sourceBytes, resultBytes },
      })),
      diskBytes: await folder.allocatedBytes(),
    };
    const ofRun = new DigestedFolder(folder, (bytes) => kernels.sha256(bytes));
    await ofRun.put('REPRODUCE.md', reproducePageOf(lock, run));
    await ofRun.put(ATTESTATIONS_FILE, await this.#attestations(made, folder));
    const bytes = encoded(encodeLock({ lock, run: { ...run, files: ofRun.files } }));
    const signature = {
      algorithm: 'ed25519',
      peer: this.#self,
      publicKey: base64(this.#key.publicKey),
      signature: base64(this.#key.sign(bytes)),
    };
    // The lockfile says that the folder is whole: it comes last but for what is said of it.
    await folder.write(LOCK_FILE, bytes);
    await folder.write(SIGNATURE_FILE, encoded(`${JSON.stringify(signature, undefined, 1)}\n`));
  }

  async #attestations({ plan }: FinishedRun, folder: FolderFiles): Promise<string> {
    await this.#writing;
    await this.#appendLines();
    const found = (await folder.read(ATTESTATIONS_FILE)) ?? new Uint8Array(0);
    const units = plan.tasks.flatMap(({ runs }) => runs.map(({ unit }) => unit));
    const { text, missing } = keepAttestations(new TextDecoder().decode(found), units);
    if (missing > 0) {
      const told = `nobody's signature is left of ${missing} of ${units.length} units: they were made before`;
      this.#report({ type: 'notice', text: told });
    }
    return text;
  }

  async #sourceCard(source: Source): Promise<SourceCard> {
    const text = await this.#smallText(source, SOURCE_CARD);
    const head = text === undefined ? undefined : cardHead(text);
    if (head === undefined) return noSourceCard;
    let parsed: unknown;
    try {
      parsed = this.#ports.parseYaml(head);
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
    await source.read(file, 0, bytes, this.#drain);
    return bytes;
  }

  async #putLicense(source: Source, folder: DigestedFolder): Promise<string | undefined> {
    for (const file of LICENSE_FILES) {
      const bytes = await this.#smallFile(source, file);
      if (bytes === undefined) continue;
      await folder.put('LICENSE', bytes);
      return 'LICENSE';
    }
    return undefined;
  }

  async #putTexts(folder: DigestedFolder): Promise<LockedCalibration | undefined> {
    const { calibration: request } = this.#request;
    const told = this.#calibration;
    if (request === undefined || told === undefined) return undefined;
    const paths = request.default
      ? [this.#ports.defaultText]
      : request.files.map(({ path }) => path);
    const texts: LockedCalibration['texts'] = [];
    for (const [index, { name, sha256, bytes, tokens, chunks }] of told.files.entries()) {
      const file = `calibration/${request.default ? DEFAULT_DATASET : name}`;
      const found = await this.#givenFile(paths[index] ?? '', TEXT_BYTES_MAX * 16);
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
  async #putMatrix(folder: DigestedFolder): Promise<PureLock['imatrix']> {
    const made = this.#imatrix;
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

  async #givenFile(path: string, bytesMax: number): Promise<Uint8Array> {
    const reader = await this.#ports.openFile(path);
    try {
      if (reader.bytes > bytesMax) {
        const why = `${reader.bytes} bytes, where ${bytesMax} are allowed`;
        throw new FaultError(makeFaults.fileName, { file: path, why });
      }
      const bytes = new Uint8Array(reader.bytes);
      if (bytes.length > 0) await reader.read(0, bytes);
      return bytes;
    } finally {
      await reader.close();
    }
  }

  /** Every file that a byte of the release follows from. */
  async #sourceFiles(
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
      files.push({ file, bytes, sha256: known ?? (await source.digest(file, this.#drain)) });
    }
    return files;
  }

  /** One reading of every output, side by side: the digest of each tensor, and once more the file's. */
  async #digestTensors({ outputs, place }: FinishedRun): Promise<LockedOutput[]> {
    const directory = await this.#ports.openOutputs(place);
    const progress = new Progress(this.#ports.clock, this.#report);
    progress.begin(
      'digest',
      outputs.reduce((sum, { layout }) => sum + layout.fileBytes, 0),
    );
    try {
      return await Promise.all(
        outputs.map(async ({ file, ftype, layout, bitsPerWeight, types }) => {
          const pieces = piecesOf(layout);
          const opened = await directory.open(file, layout.fileBytes, { overwrite: false });
          try {
            const sizes = pieces.map(({ bytes }) => bytes);
            const found = await opened.hash(0, sizes, undefined, this.#drain);
            progress.add(layout.fileBytes);
            const sha256 = hex(found.digest);
            if (sha256 !== (this.#digests.get(file) ?? sha256)) {
              throw new FaultError(makeFaults.changed, {
                file,
                why: 'it was changed meanwhile',
              });
            }
            const digests = found.pieces.map(hex);
            const tensors = pieces.flatMap(({ tensor }, index): LockedOutput['tensors'] =>
              tensor === undefined
                ? []
                : [[tensor, types.get(tensor) ?? ftype.type, digests[index] ?? '']],
            );
            const header = digests[0] ?? '';
            const bytes = layout.fileBytes;
            return { file, bytes, sha256, ftype: ftype.name, bitsPerWeight, header, tensors };
          } finally {
            await opened.close();
          }
        }),
      );
    } finally {
      await directory.close();
    }
  }
}

type Digested = PureLock['files'][number];

/** Remembers what it wrote, in the order of the names. */
class DigestedFolder {
  readonly raw: FolderFiles;
  readonly #sha256: (bytes: Uint8Array) => Promise<Uint8Array>;
  readonly #files = new Map<string, Digested>();

  constructor(folder: FolderFiles, sha256: (bytes: Uint8Array) => Promise<Uint8Array>) {
    this.raw = folder;
    this.#sha256 = sha256;
  }

  get files(): Digested[] {
    return [...this.#files.values()].sort((a, b) => (a.file < b.file ? -1 : 1));
  }

  async put(file: string, content: string | Uint8Array): Promise<string> {
    const bytes = typeof content === 'string' ? encoded(content) : content;
    const sha256 = hex(await this.#sha256(bytes));
    await this.raw.write(file, bytes);
    this.#files.set(file, { file, bytes: bytes.length, sha256 });
    return sha256;
  }
}

function encoded(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

/** Where anyone can get the same source, where that is known. */
function repositoryOf({ remote }: Source): Origin {
  return remote === undefined ? {} : { repository: remote.repository, commit: remote.commit };
}
