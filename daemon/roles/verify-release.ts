/**
 * Verify release: whether a folder is the release that its lockfile tells of, without a network.
 *
 *   VerifyRequest ──▶ documents ──▶ every file, read once ──▶ spot check ──▶ findings, VerifyReport
 *
 * Everything that is wrong is told; the run fails at the end. Outputs that the folder's own record says
 * lie on other machines are named and not read.
 */

import type { RunEvent } from '../../proto/api.ts';
import { FaultError } from '../../proto/fault.ts';
import { LEFT_FILE } from '../../proto/left-record.ts';
import { LOCK_FILE, SIGNATURE_FILE } from '../../proto/lockfile.ts';
import type { VerifyRequest } from '../../proto/release-requests.ts';
import type { SpotReport } from '../../proto/verify.ts';
import type { PlacedTensor } from '../core/gguf/layout.ts';
import { SUMS_FILE } from '../core/release/checksums.ts';
import { releaseFaults } from '../core/release/faults.ts';
import { type Finding, faulty, messageOf, warning } from '../core/release/findings.ts';
import { releaseFiles } from '../core/release/read-lock.ts';
import type { Verify } from '../core/release/signature.ts';
import type { Clock, Kernels, Source } from '../ports.ts';
import type { FolderEntry, ReleaseFolder } from '../release-ports.ts';
import { runFaults } from './faults.ts';
import { readLeftOutputs } from './left-outputs.ts';
import { type PlannedAgain, type PlanPorts, planAgain } from './plan-again.ts';
import { Progress } from './progress.ts';
import { type Documents, readDocuments } from './release-documents.ts';
import type { RunPorts } from './run.ts';
import { spotCheck } from './spot-check.ts';
import { type Attested, verifyAttestations } from './verify-attestations.ts';
import { type ExpectedFile, type FileChecked, verifyFiles } from './verify-file.ts';

export interface VerifyPorts extends PlanPorts {
  readonly openRelease: (path: string) => Promise<ReleaseFolder>;
  readonly openSource: RunPorts['openSource'];
  readonly kernels: Kernels;
  readonly clock: Clock;
  readonly verify: Verify;
  /** Of this program. */
  readonly version: string;
}

type Report = (event: RunEvent) => void;

/**
 * @throws FaultError mismatch where anything is wrong, and what is wrong with the source
 */
export async function verifyRelease(
  request: VerifyRequest,
  ports: VerifyPorts,
  report: Report,
  drain: AbortSignal,
): Promise<void> {
  try {
    await new Verification(request, ports, report, drain).run();
  } catch (error) {
    if (!drain.aborted) throw error;
    const hint = 'run the same command again: it begins anew';
    throw new FaultError(runFaults.interrupted, { hint }, { cause: error });
  }
}

class Verification {
  readonly #request: VerifyRequest;
  readonly #ports: VerifyPorts;
  readonly #report: Report;
  readonly #signal: AbortSignal;
  readonly #progress: Progress;
  #faults = 0;
  #warnings = 0;

  constructor(request: VerifyRequest, ports: VerifyPorts, report: Report, signal: AbortSignal) {
    this.#request = request;
    this.#ports = ports;
    this.#report = report;
    this.#signal = signal;
    this.#progress = new Progress(ports.clock, report);
  }

  async run(): Promise<void> {
    const { openRelease, openSource, clock } = this.#ports;
    const startMs = clock.now();
    const folder = await openRelease(this.#request.release);
    const { source: path } = this.#request;
    // Before anything is read: a source that is not there makes the rest useless.
    const source = path === undefined ? undefined : await openSource(path, this.#request);
    try {
      await this.#verify(folder, source);
    } finally {
      // What was fetched to be looked at is not kept.
      await source?.remote?.forget(true);
      await source?.close();
    }
    if (this.#faults > 0) throw new FaultError(releaseFaults.mismatch, { why: this.#countText() });
    this.#report({
      type: 'done',
      seconds: (clock.now() - startMs) / 1000,
      ...{ sourceBytes: 0, sourceBytesRead: 0, unitsMade: 0, outputs: 0, peers: [] },
    });
  }

  async #verify(folder: ReleaseFolder, source: Source | undefined): Promise<void> {
    const { verify } = this.#ports;
    const documents = await readDocuments(folder, { verify, signer: this.#request.signer });
    this.#tell(documents.findings);
    const entries = await folder.list();
    // A lockfile is named as well as its folder is.
    const named = folder.named === LOCK_FILE ? undefined : folder.named;
    const left = named === undefined ? await this.#left(folder, documents) : new Set<string>();
    const expected = this.#expected(documents, entries, named).filter(
      ({ file }) => !left.has(file),
    );
    const attested = await this.#attested(folder, named);
    const planned = await this.#plan(folder, source, documents);
    const { sha256, kernels } = this.#ports;
    const checked = await verifyFiles(expected, { folder, sha256, kernels }, this.#telling());
    const spot =
      source &&
      planned &&
      (await this.#spot(folder, source, planned, { documents, checked, attested }));
    const { lock, signer } = documents;
    const whole = named === undefined ? undefined : checked[0]?.sha256;
    this.#report({
      type: 'verified',
      ...(lock === undefined ? {} : { model: lock.lock.model.name, madeBy: lock.lock.quantd }),
      ...(signer === undefined ? {} : { signer }),
      files: checked.length,
      bytes: sum(checked, ({ bytes }) => bytes),
      tensors: sum(checked, ({ tensors }) => tensors.length),
      ...(whole === undefined ? {} : { sha256: whole }),
      attestedUnits: attested.size,
      types: planned !== undefined ? 'source' : lock !== undefined ? 'lockfile' : 'nothing',
      ...(spot === undefined ? {} : { spot }),
      ...(left.size === 0 ? {} : { left: left.size }),
      faults: this.#faults,
      warnings: this.#warnings,
    });
  }

  /** The outputs that lie on other machines. */
  async #left(folder: ReleaseFolder, { lock }: Documents): Promise<Set<string>> {
    if (lock === undefined) return new Set();
    try {
      const unread = { network: undefined, clock: this.#ports.clock };
      const left = (await readLeftOutputs(folder, unread, lock)).map(({ output }) => output);
      this.#tell(
        left.map(({ file, machine: why }) => warning(releaseFaults.leftElsewhere, { file, why })),
      );
      return new Set(left.map(({ file }) => file));
    } catch (error) {
      if (!(error instanceof FaultError)) throw error;
      this.#tell([faulty(error.kind, error.detail)]);
      return new Set();
    }
  }

  /** What is to be read, and what it should be. */
  #expected(
    { lock, sums }: Documents,
    entries: readonly FolderEntry[],
    named: string | undefined,
  ): ExpectedFile[] {
    const { version } = this.#ports;
    const made = lock?.lock.quantd;
    if (made !== undefined && made !== version) {
      this.#tell([warning(releaseFaults.otherVersion, { why: `${made}; this is ${version}` })]);
    }
    const known = lock === undefined ? sumsAsFiles(sums, entries) : releaseFiles(lock);
    if (named === undefined) {
      const isMissing = !entries.some(({ file }) => file === LOCK_FILE);
      if (isMissing) this.#tell([faulty(releaseFaults.noLock, {})]);
      if (lock !== undefined) this.#tell(unlisted(known, entries));
      return [...known];
    }
    const found = known.find(({ file }) => file === named);
    if (found?.sha256 === undefined) this.#tell([warning(releaseFaults.noSum, { file: named })]);
    return [found ?? { file: named }];
  }

  /** Who signed for what; of one file alone nobody asks. */
  async #attested(folder: ReleaseFolder, named: string | undefined): Promise<Attested> {
    if (named !== undefined) return new Map();
    const { attested, findings } = await verifyAttestations(folder, this.#ports, this.#signal);
    this.#tell(findings);
    return attested;
  }

  async #plan(
    folder: ReleaseFolder,
    source: Source | undefined,
    { lock }: Documents,
  ): Promise<PlannedAgain | undefined> {
    if (source === undefined) return undefined;
    if (lock === undefined) {
      const why = 'without it nobody knows how the source was used';
      throw new FaultError(releaseFaults.noLock, { why });
    }
    const paths = { folder: folder.path, ports: this.#ports };
    try {
      const planned = await planAgain(lock.lock, source, paths, this.#signal);
      this.#tell(planned.findings);
      return planned;
    } catch (error) {
      if (!(error instanceof FaultError)) throw error;
      // The rest of the release can be verified all the same.
      this.#tell([faulty(error.kind, error.detail)]);
      return undefined;
    }
  }

  async #spot(
    folder: ReleaseFolder,
    source: Source,
    { plan }: PlannedAgain,
    {
      documents,
      checked,
      attested,
    }: { documents: Documents; checked: readonly FileChecked[]; attested: Attested },
  ): Promise<SpotReport | undefined> {
    const { spot: count, seed } = this.#request;
    if (count === 0) return undefined;
    const outputs = new Set(documents.lock?.lock.outputs.map(({ file }) => file));
    const tensors = new Map<string, readonly PlacedTensor[]>(
      checked
        .filter(({ file }) => outputs.has(file))
        .filter(({ findings }) => findings.every(({ kind }) => !isMisplaced(kind.code)))
        .map((file) => [file.file, file.tensors]),
    );
    const { kernels } = this.#ports;
    const parts = { plan, source, folder, kernels, tensors, attested, progress: this.#progress };
    const { report, findings } = await spotCheck({ count, seed }, parts, this.#signal);
    this.#tell(findings);
    return report;
  }

  #telling(): Parameters<typeof verifyFiles>[2] {
    const tell = (findings: readonly Finding[]): void => this.#tell(findings);
    return { progress: this.#progress, signal: this.#signal, tell };
  }

  #tell(findings: readonly Finding[]): void {
    for (const finding of findings) {
      const { severity } = finding;
      if (severity === 'fault') this.#faults++;
      else this.#warnings++;
      this.#report({ type: 'finding', severity, ...messageOf(finding) });
    }
  }

  #countText(): string {
    return this.#faults === 1 ? 'one fault' : `${this.#faults} faults`;
  }
}

/** Whether blocks cannot be looked for where they should be. */
function isMisplaced(code: string): boolean {
  const { otherTensors, badGguf } = releaseFaults;
  return code === otherTensors.code || code === badGguf.code;
}

/** Without a lockfile: what SHA256SUMS lists, and every GGUF. */
function sumsAsFiles(
  sums: ReadonlyMap<string, string> | undefined,
  entries: readonly FolderEntry[],
): ExpectedFile[] {
  const listed = [...(sums ?? [])].map(([file, sha256]) => ({ file, sha256 }));
  const others = entries.filter(({ file }) => file.endsWith('.gguf') && sums?.has(file) !== true);
  return [...listed, ...others.map(({ file }) => ({ file }))];
}

function unlisted(known: readonly ExpectedFile[], entries: readonly FolderEntry[]): Finding[] {
  const own = [LOCK_FILE, SIGNATURE_FILE, SUMS_FILE, LEFT_FILE];
  const names = new Set([...known.map(({ file }) => file), ...own]);
  return entries
    .filter(({ file }) => !names.has(file))
    .map(({ file, refused }) =>
      warning(releaseFaults.unlisted, { file, ...(refused === undefined ? {} : { why: refused }) }),
    );
}

function sum<Item>(items: readonly Item[], of: (item: Item) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
