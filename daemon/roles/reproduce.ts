/**
 * Reproduce: makes a release again from its lockfile, on whatever machines there are, and compares.
 *
 *   ReproduceRequest ──▶ inputs compared ──▶ release.ts makes it again ──▶ every byte compared
 *
 * The folder it is made in stays until the comparison is over, so that the same command goes on.
 */

import type { RunEvent } from '../../proto/api.ts';
import { FaultError } from '../../proto/fault.ts';
import { HUB_PREFIX } from '../../proto/hub-name.ts';
import { LOCK_BYTES_MAX, LOCK_FILE, type LockFile, type PureLock } from '../../proto/lockfile.ts';
import type { ReproduceRequest } from '../../proto/release-requests.ts';
import { RESERVE_BYTES } from '../core/estimate/fit.ts';
import { CONTRACT, hex } from '../core/plan/unit-id.ts';
import { canonicalJson } from '../core/release/canonical.ts';
import { compareLocks } from '../core/release/compare-locks.ts';
import { releaseFaults } from '../core/release/faults.ts';
import { type Finding, messageOf } from '../core/release/findings.ts';
import { pureFiles, readLock } from '../core/release/read-lock.ts';
import {
  checkContracts,
  folderName,
  type RebuildPaths,
  requestFromLock,
} from '../core/release/rebuild.ts';
import { checkSignature, SIGNATURE_BYTES_MAX, type Verify } from '../core/release/signature.ts';
import type { RebuildFolder, ReleaseFolder } from '../release-ports.ts';
import { compareInputs } from './compare-inputs.ts';
import { outputFaults } from './faults.ts';
import { Progress } from './progress.ts';
import { type ReleasePorts, release } from './release.ts';
import { readWhole } from './release-documents.ts';
import { type FileChecked, verifyFiles } from './verify-file.ts';

export interface ReproducePorts extends ReleasePorts {
  readonly openRelease: (path: string) => Promise<ReleaseFolder>;
  /** `release`: what the folder of the release is called; `id`: of what is made. */
  readonly openRebuild: (directory: string, release: string, id: string) => Promise<RebuildFolder>;
  readonly verify: Verify;
}

type Report = (event: RunEvent) => void;
type Done = Extract<RunEvent, { type: 'done' }>;

// Enough to tell folders side by side apart.
const ID_DIGITS = 8;

/**
 * @throws FaultError the first input that differs; notReproduced where what was made does; what
 *   stopped the making, after which the same command goes on
 */
export async function reproduce(
  request: ReproduceRequest,
  ports: ReproducePorts,
  report: Report,
  drain: AbortSignal,
): Promise<void> {
  const tell = (findings: readonly Finding[]): void => {
    for (const finding of findings) {
      report({ type: 'finding', severity: finding.severity, ...messageOf(finding) });
    }
  };
  const startMs = ports.clock.now();
  const folder = await ports.openRelease(request.release);
  const { lock } = await readSigned(folder, ports.verify, tell);
  const name = folderName(lock);
  tell(checkContracts(lock, ports, CONTRACT));
  const id = hex(ports.sha256(new TextEncoder().encode(canonicalJson(lock))));
  const beside = `${folder.path}/../.quantd-reproduce-${id.slice(0, ID_DIGITS)}`;
  const paths = pathsOf(lock, request, folder);
  const progress = new Progress(ports.clock, report);
  await compareInputs(lock, paths, ports, { progress, drain });
  const place = await ports.openRebuild(request.out ?? beside, name, id);
  await checkRoom(lock, place);
  const done = await make(lock, { ...paths, out: place.path }, ports, report, drain);
  const made = await ports.openRelease(`${place.path}/${name}`);
  const compared = await compare(lock, made, { ports, progress, drain });
  tell(compared.findings);
  await (request.keep ? place.keep() : place.remove());
  const differences = compared.findings.length;
  const { checked } = compared;
  report({
    type: 'reproduced',
    model: lock.model.name,
    isSame: differences === 0,
    files: checked.length,
    bytes: checked.reduce((sum, { bytes }) => sum + bytes, 0),
    tensors: checked.reduce((sum, { tensors }) => sum + tensors.length, 0),
    differences,
    ...(request.keep ? { path: made.path } : {}),
  });
  if (differences > 0) {
    const [first] = compared.findings;
    const { file, tensor, key } = first?.detail ?? {};
    throw new FaultError(releaseFaults.notReproduced, {
      ...(file === undefined ? {} : { file }),
      ...(tensor === undefined ? {} : { tensor }),
      ...(key === undefined ? {} : { key }),
      why: differences === 1 ? 'one difference' : `${differences} differences, this is the first`,
    });
  }
  report({ ...done, seconds: (ports.clock.now() - startMs) / 1000 });
}

/** A signature that is wrong ends it; that there is none is told. */
async function readSigned(
  folder: ReleaseFolder,
  verify: Verify,
  tell: (findings: readonly Finding[]) => void,
): Promise<LockFile> {
  const file = folder.named ?? LOCK_FILE;
  const failures: Finding[] = [];
  const bytes = await readWhole(folder, file, LOCK_BYTES_MAX, failures);
  const signature = await readWhole(folder, `${file}.sig`, SIGNATURE_BYTES_MAX, failures);
  const [failure] = failures;
  if (failure !== undefined) throw new FaultError(failure.kind, failure.detail);
  if (bytes === undefined) throw new FaultError(releaseFaults.noLock, { file });
  const { findings } = checkSignature(bytes, signature, verify);
  const wrong = findings.find(({ severity }) => severity === 'fault');
  if (wrong !== undefined) throw new FaultError(wrong.kind, wrong.detail);
  tell(findings);
  return readLock(bytes);
}

function pathsOf(
  lock: PureLock,
  { source: given, hub, keepSource, calibration }: ReproduceRequest,
  folder: ReleaseFolder,
): RebuildPaths {
  const source = given ?? hubSource(lock);
  if (source === undefined) throw new FaultError(releaseFaults.noSource);
  const texts = lock.calibration?.texts ?? [];
  if (calibration.length > 0 && calibration.length !== texts.length) {
    const why = `${calibration.length} are named, it was measured with ${texts.length}`;
    throw new FaultError(releaseFaults.otherTexts, { why });
  }
  const isGiven = lock.calibration === undefined && lock.imatrix !== undefined;
  return {
    source: { source, hub, keepSource },
    out: '',
    texts: texts.map(({ file }, index) => calibration[index] ?? `${folder.path}/${file}`),
    imatrix: isGiven ? `${folder.path}/${lock.imatrix?.file}` : undefined,
  };
}

function hubSource({ source: { repository, commit } }: PureLock): string | undefined {
  if (repository === undefined) return undefined;
  return `${HUB_PREFIX}${repository}${commit === undefined ? '' : `@${commit}`}`;
}

async function checkRoom(lock: PureLock, place: RebuildFolder): Promise<void> {
  const whole = pureFiles(lock).reduce((sum, { bytes }) => sum + bytes, 0);
  const needed = whole - place.allocatedBytes;
  const free = await place.freeBytes();
  if (needed <= 0 || needed + RESERVE_BYTES <= free) return;
  const why = `${needed} bytes are still to be written, ${free} are free`;
  throw new FaultError(outputFaults.notEnoughDisk, { file: place.path, why });
}

/** Resolves with what the making cost, which is told when the comparison is over. */
async function make(
  lock: PureLock,
  paths: RebuildPaths,
  ports: ReproducePorts,
  report: Report,
  drain: AbortSignal,
): Promise<Done> {
  // Texts keep the names that the matrix knows them by, whatever they are called here.
  const names = new Map(
    paths.texts.map((path, index) => [path, lock.calibration?.texts[index]?.name]),
  );
  const splitPath: ReproducePorts['splitPath'] = (path) => {
    const split = ports.splitPath(path);
    return { ...split, file: names.get(path) ?? split.file };
  };
  let done: Done | undefined;
  const note = (event: RunEvent): void => {
    if (event.type === 'done') done = event;
    else if (event.type !== 'release') report(event);
  };
  // Every file of the source is known to be the release's by now, wherever it was read from.
  const { files, ...origin } = lock.source;
  await release(requestFromLock(lock, paths), { ...ports, splitPath }, note, drain, origin);
  if (done === undefined) throw new Error('a release that is made tells that it is done');
  return done;
}

/**
 * The lockfiles first; where they are the same, all files are read once more: the new lockfile was
 * written by the same program as the files.
 */
async function compare(
  lock: PureLock,
  made: ReleaseFolder,
  {
    ports,
    progress,
    drain,
  }: { readonly ports: ReproducePorts; readonly progress: Progress; readonly drain: AbortSignal },
): Promise<{ readonly findings: readonly Finding[]; readonly checked: readonly FileChecked[] }> {
  const failures: Finding[] = [];
  const bytes = await readWhole(made, LOCK_FILE, LOCK_BYTES_MAX, failures);
  if (bytes === undefined) throw new FaultError(releaseFaults.noLock, { file: made.path });
  const again = readLock(bytes);
  const findings = compareLocks(lock, again.lock);
  if (findings.length > 0) return { findings, checked: [] };
  const { sha256, kernels } = ports;
  const tell = (found: readonly Finding[]): void => {
    findings.push(...found);
  };
  const wanted = pureFiles(lock);
  const reading = { folder: made, sha256, kernels };
  const checked = await verifyFiles(wanted, reading, { progress, signal: drain, tell });
  return { findings, checked };
}
