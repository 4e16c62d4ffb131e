/**
 * Release: a run whose folder is ready to upload, with all that a rebuild needs.
 *
 *   ReleaseRequest ──▶ run.ts makes the outputs ──▶ digests of every tensor ──▶ card, lockfile, …
 *
 * The lockfile is written last and signed: a folder without one is not finished, and the same command
 * goes on with it. Outputs may stay on other machines; then the folder has a record of where. Read next: core/release/lock.ts; docs/release.md.
 */

import type { RunEvent } from '../../proto/api.ts';
import { assert } from '../../proto/assert.ts';
import { LEFT_FILE } from '../../proto/left-record.ts';
import type { LockedOutput, PureLock } from '../../proto/lockfile.ts';
import { LOCK_FILE, SIGNATURE_FILE } from '../../proto/lockfile.ts';
import type { PeerId } from '../../proto/peer-messages.ts';
import type { QuantizeRequest, ReleaseRequest } from '../../proto/requests.ts';
import { peerIdOf } from '../core/membership/peer-id.ts';
import type { Attestation } from '../core/plan/attestation.ts';
import { renderRecipe } from '../core/recipe/render-recipe.ts';
import { ATTESTATIONS_FILE } from '../core/release/attestations.ts';
import { type CardFacts, cardOf } from '../core/release/card.ts';
import { SUMS_FILE } from '../core/release/checksums.ts';
import { encodeLeft } from '../core/release/left-record.ts';
import { encodeLock, pureLockOf, type SelfTests, wishesOf } from '../core/release/lock.ts';
import { CARD_CONTEXT, kvCacheBytes } from '../core/release/memory.ts';
import { pureFiles } from '../core/release/read-lock.ts';
import { reproducePageOf } from '../core/release/reproduce-page.ts';
import { RECIPE_FILE } from '../core/release/shell.ts';
import { encodeSums } from '../core/release/write-sums.ts';
import type { FolderFiles, Identity, RunningDigest, Source } from '../ports.ts';
import { AttestationLog } from './attestation-log.ts';
import type { OwnWork } from './coordinator.ts';
import { digestTensors } from './digest-tensors.ts';
import { DigestedFolder, encoded } from './digested-folder.ts';
import { LeftReader } from './left-reader.ts';
import { inlineRecipe } from './open-recipe.ts';
import { Progress } from './progress.ts';
import { checkNames, type InputPorts, ReleaseInputs } from './release-inputs.ts';
import { type FinishedRun, type RunPorts, run } from './run.ts';

export interface ReleasePorts extends RunPorts, InputPorts {
  readonly openFolder: (directory: string) => FolderFiles;
  /** The key of this machine; made where there is none yet. */
  readonly identity: () => Promise<Identity>;
  readonly startDigest: () => RunningDigest;
  readonly version: string;
  readonly selfTests: SelfTests;
}

type Event<T extends RunEvent['type']> = Extract<RunEvent, { type: T }>;

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
  const key = await ports.identity();
  const maker = new ReleaseMaker(request, ports, { report, drain, key, origin });
  await run(maker.quantize, ports, (event) => maker.note(event), drain, {
    place: (name) => maker.choosePlace(name),
    onAttested: (attested) => maker.attest(attested),
    finish: (made) => maker.finish(made),
  });
}

interface Making {
  readonly report: (event: RunEvent) => void;
  readonly drain: AbortSignal;
  /** Of this machine. */
  readonly key: Identity;
  /** Said of the source instead of where it lies. */
  readonly origin: Origin | undefined;
}

class ReleaseMaker {
  readonly quantize: QuantizeRequest;
  readonly #request: ReleaseRequest;
  readonly #ports: ReleasePorts;
  readonly #making: Making;
  readonly #inputs: ReleaseInputs;
  readonly #startMs: number;
  #calibration: Event<'calibration'> | undefined;
  #coverage: Event<'coverage'> | undefined;
  #perplexity: Event<'perplexity'> | undefined;
  #imatrix: Event<'imatrix'> | undefined;
  readonly #digests = new Map<string, string>();
  readonly #self: PeerId;
  #log: AttestationLog | undefined;

  constructor(request: ReleaseRequest, ports: ReleasePorts, making: Making) {
    this.#self = peerIdOf(making.key.publicKey);
    this.#request = request;
    this.#ports = ports;
    this.#making = making;
    this.#inputs = new ReleaseInputs(request, ports, making.drain);
    this.#startMs = ports.clock.now();
    const { imatrix, keepSplit, splitMaxBytes, splitMaxTensors } = request;
    const isAsked = keepSplit || splitMaxBytes !== undefined || splitMaxTensors !== undefined;
    this.quantize = {
      ...request,
      ...(isAsked ? {} : HUB_PARTS),
      kind: 'quantize',
      dryRun: false,
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
    this.#making.report(event);
  }

  choosePlace(name: string): string {
    const place = `${this.#request.out}/${name}-GGUF`;
    this.#log = new AttestationLog(this.#ports.openFolder(place), this.#making.key);
    return place;
  }

  attest(attested: Attestation | OwnWork): void {
    this.#log?.attest(attested);
  }

  async finish(made: FinishedRun): Promise<void> {
    const { described, place, source } = made;
    const { openFolder, kernels, version, selfTests, sha256 } = this.#ports;
    const folder = new DigestedFolder(openFolder(place), kernels);
    const card = await this.#inputs.card(source);
    const calibration = await this.#inputs.putTexts(this.#calibration, folder);
    const imatrix = await this.#inputs.putMatrix(this.#imatrix, folder);
    const licenseFile = await this.#inputs.putLicense(source, folder);
    const outputs = await this.#digestTensors(made);
    const wishes = wishesOf(this.quantize, described.name);
    if (wishes.recipe !== undefined)
      await folder.put(RECIPE_FILE, renderRecipe(wishes.recipe.plain));
    const lock = pureLockOf({
      ...{ version, selfTests, sha256, calibration, imatrix, outputs },
      model: described.model,
      wishes,
      source: {
        ...(this.#making.origin ?? repositoryOf(source)),
        files: await this.#inputs.sourceFiles(made, licenseFile),
      },
    });
    const facts = { lock, source: card, licenseFile };
    await folder.put('README.md', cardOf(this.#cardFacts(facts, made)));
    await folder.put('.gitattributes', GIT_ATTRIBUTES);
    const whole = { ...lock, files: folder.files };
    await this.#writeLeft(made, folder.raw);
    await this.#writeLock(whole, made, folder.raw);
    const count = pureFiles(whole).length + RUN_FILES - made.left.outputs.length;
    this.#making.report({ type: 'release', path: place, files: count, peer: this.#self });
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

  /** What an earlier run said of outputs that are here now is no longer so. */
  async #writeLeft({ left }: FinishedRun, folder: FolderFiles): Promise<void> {
    const count = left.outputs.length;
    if (count === 0) {
      await folder.remove(LEFT_FILE);
      return;
    }
    await folder.write(LEFT_FILE, encodeLeft(left));
    const which =
      count === 1 ? 'one output lies on another machine' : `${count} outputs lie elsewhere`;
    const text = `${which}, see ${LEFT_FILE}: quantd publish sends from there`;
    this.#making.report({ type: 'notice', text });
  }

  /** Everything that is not the same in every cluster, and what covers all the rest. */
  async #writeLock(lock: PureLock, made: FinishedRun, folder: FolderFiles): Promise<void> {
    const { clock, kernels, offer } = this.#ports;
    await folder.write(SUMS_FILE, encoded(encodeSums(pureFiles(lock))));
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
    const ofRun = new DigestedFolder(folder, kernels);
    await ofRun.put('REPRODUCE.md', reproducePageOf(lock, run));
    await ofRun.put(ATTESTATIONS_FILE, await this.#attestations(made));
    const bytes = encoded(encodeLock({ lock, run: { ...run, files: ofRun.files } }));
    const signature = {
      algorithm: 'ed25519',
      peer: this.#self,
      publicKey: base64(this.#making.key.publicKey),
      signature: base64(this.#making.key.sign(bytes)),
    };
    // The lockfile says that the folder is whole: it comes last but for what is said of it.
    await folder.write(LOCK_FILE, bytes);
    await folder.write(SIGNATURE_FILE, encoded(`${JSON.stringify(signature, undefined, 1)}\n`));
  }

  async #attestations({ plan }: FinishedRun): Promise<string> {
    const log = this.#log;
    assert(log !== undefined, 'outputs have a place before they are made');
    const { text, missing } = await log.text(plan);
    if (missing > 0) {
      const told = `${missing} units were made before, and nobody's signature is left of them`;
      this.#making.report({ type: 'notice', text: told });
    }
    return text;
  }

  async #digestTensors({ outputs, place, left: record }: FinishedRun): Promise<LockedOutput[]> {
    const { openOutputs, network: networkOf, clock, startDigest } = this.#ports;
    const directory = await openOutputs(place);
    const ports = { network: networkOf(), clock };
    const left = record.outputs.map((output) => {
      return { output, reader: new LeftReader(output, record.release, ports) };
    });
    const { report, drain: signal } = this.#making;
    const progress = new Progress(clock, report);
    try {
      const files = { outputs, sealed: this.#digests, directory, left };
      return await digestTensors({ ...files, startDigest, progress, signal });
    } finally {
      await directory.close();
    }
  }
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

/** Where anyone can get the same source, where that is known. */
function repositoryOf({ remote }: Source): Origin {
  return remote === undefined ? {} : { repository: remote.repository, commit: remote.commit };
}
