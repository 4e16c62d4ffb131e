/**
 * Opens the proof of a run whose machines fetch their parts of a repository by themselves.
 *
 *   plan, source, who is there ──▶ openProof ──▶ SourceProof, or undefined: fetch it as a whole
 *
 * A run that began so and goes on otherwise (alone, or from a directory) has what was made compared
 * with the source that it has now: settleSource. Read next: source-proof.ts.
 */

import { assert } from '../../proto/assert.ts';
import type { RunId, SourceOrigin } from '../../proto/peer-messages.ts';
import type { SourceFile } from '../core/checkpoint/checkpoint.ts';
import {
  type FilePiece,
  type FileSegment,
  fileSegments,
  sourcePieces,
  taskPieces,
} from '../core/plan/file-segments.ts';
import type { Plan } from '../core/plan/plan.ts';
import { ROW_GROUP_BYTES_MAX } from '../core/plan/row-groups.ts';
import { hex, type Sha256 } from '../core/plan/unit-id.ts';
import type { Clock, LeafStore, MeasurementFiles, Network, Source } from '../ports.ts';
import type { DescribedSource } from './describe-source.ts';
import { fetchSource } from './fetch-source.ts';
import type { FileChains } from './file-chains.ts';
import { LeafDigests } from './leaf-digests.ts';
import { isWorking } from './offers.ts';
import {
  isSameLeaves,
  OriginPieces,
  type OriginReader,
  type PieceHasher,
} from './origin-pieces.ts';
import type { OutputAssembler } from './output-assembler.ts';
import { PieceRecords } from './piece-records.ts';
import type { Progress } from './progress.ts';
import { SourceProof } from './source-proof.ts';
import { keepRight, tasksOfRuns } from './stored-runs.ts';

export interface ProofPorts {
  readonly kernels: PieceHasher;
  readonly sha256: Sha256;
  readonly clock: Clock;
  readonly store: LeafStore | undefined;
  /** Small files in the data directory. */
  readonly openMeasurement: (id: string) => Promise<MeasurementFiles>;
}

export interface ProvenRun {
  readonly request: { readonly keepSource?: boolean | undefined };
  readonly plan: Plan;
  readonly described: Pick<DescribedSource, 'model' | 'files'>;
  readonly source: Source;
  readonly network: Network | undefined;
  readonly run: RunId;
  /** The name of its outputs, whatever was measured for them. */
  readonly release: RunId;
  readonly assemblers: readonly OutputAssembler[];
  /** Every block run is there. */
  readonly isMade: boolean;
  /** Of a run that has measured with what its machines fetched: closed. */
  readonly chains?: FileChains | undefined;
}

/**
 * Brings the source here as a whole, or prepares to have each machine fetch its own part.
 * @returns undefined where all of it is here
 */
export async function provideSource(
  proven: ProvenRun,
  ports: ProofPorts,
  { progress, drain }: { readonly progress: Progress; readonly drain: AbortSignal },
): Promise<SourceProof | undefined> {
  const { assemblers, isMade, release, chains } = proven;
  if (assemblers.every(({ isSealed }) => isSealed)) return undefined;
  if (chains !== undefined) return await goOnWith(chains, proven, ports);
  // What is made and not sealed needs its source only where that had still to be proven.
  const files = await openFiles(release, ports);
  if (isMade && (await files.list()).length === 0) {
    await files.drop();
    return undefined;
  }
  const proof = await openProof(proven, ports);
  if (proof !== undefined) return proof;
  await fetchSource(proven.source, proven.described, progress, drain);
  await settleSource(proven, ports);
  return undefined;
}

/** What was made before is compared with what has been proven since, as with a source. */
async function goOnWith(
  chains: FileChains,
  proven: ProvenRun,
  ports: ProofPorts,
): Promise<SourceProof> {
  const { plan } = proven;
  for (const piece of [...sourcePieces(plan).values()].flat()) {
    assert(chains.has(piece), `${piece.file} is proven as it is cut`);
  }
  await settle(proven, ports, async (piece) => chains.records.get(piece)?.leaves);
  return new SourceProof(plan, chains);
}

/**
 * The proof of a run of which the parts are fetched where they are used; undefined where there is
 * nobody to share with, where all of the source is here already, and where it is to stay here.
 */
async function openProof(proven: ProvenRun, ports: ProofPorts): Promise<SourceProof | undefined> {
  const { request, plan, source, network, run, release } = proven;
  const { store, sha256, clock, kernels } = ports;
  const files = sourcePieces(plan);
  const shared = await sharedOf({ request, source, network, store }, [...files.keys()]);
  if (shared === undefined) return undefined;
  const segments = segmentsOf(files, proven.described.files);
  if (segments === undefined) return undefined;
  const records = await PieceRecords.open(await openFiles(release, ports), sha256, clock);
  await records.begin();
  return SourceProof.begin({
    ...{ run, plan, segments, records, sha256, hasher: kernels, ...shared },
    pieces: ownPieces(shared, { sha256, clock, kernels }),
  });
}

export interface Shared {
  readonly origin: SourceOrigin;
  readonly reader: OriginReader;
  readonly network: Network;
  readonly store: LeafStore;
}

/**
 * What it takes to have machines fetch the files by themselves; undefined where there is nobody to
 * share with, where all of them are here already, and where they are to stay here.
 */
export async function sharedOf(
  wanted: Pick<ProvenRun, 'request' | 'source' | 'network'> & Pick<ProofPorts, 'store'>,
  files: readonly string[],
): Promise<Shared | undefined> {
  const { request, source, network, store } = wanted;
  const { remote } = source;
  if (remote === undefined || network === undefined || store === undefined) return undefined;
  if (request.keepSource === true || !network.peers().some(isWorking)) return undefined;
  if ((await remote.missingBytes(files)) === 0) return undefined;
  const reader: OriginReader = {
    read: ({ file }, offset, into, signal) => remote.read(file, offset, into, signal),
  };
  const { hubUrl, repository, commit } = remote;
  return { origin: { hubUrl, repository, commit }, reader, network, store };
}

/** The pieces that this machine fetches for a run of its own, with the user's own access. */
export function ownPieces(
  { store, reader }: Shared,
  { sha256, clock, kernels }: Pick<ProofPorts, 'sha256' | 'clock' | 'kernels'>,
): OriginPieces {
  const openOrigin = async (): Promise<OriginReader> => reader;
  return new OriginPieces({ store, hasher: kernels, sha256, clock, openOrigin });
}

/** The whole source is here, verified: what an earlier run made of other bytes is made again. */
export async function settleSource(proven: ProvenRun, ports: ProofPorts): Promise<void> {
  const leaves = new LeafDigests(proven.source, ports.kernels);
  await settle(proven, ports, (piece) => leaves.of(piece));
}

/** @param leavesOf what a piece has, as far as it is known to be right */
async function settle(
  proven: ProvenRun,
  ports: ProofPorts,
  leavesOf: (piece: FilePiece) => Promise<readonly Uint8Array[] | undefined>,
): Promise<void> {
  const { plan, release, assemblers } = proven;
  const files = await openFiles(release, ports);
  if ((await files.list()).length > 0) {
    const records = await PieceRecords.open(files, ports.sha256, ports.clock);
    const isRight = async (piece: FilePiece): Promise<boolean> => {
      const used = records.get(piece)?.leaves;
      const right = used && (await leavesOf(piece));
      return used !== undefined && right !== undefined && isSameLeaves(used, right);
    };
    const right = new Set<number>();
    for (const task of plan.tasks.keys()) {
      const pieces = taskPieces(plan, task);
      let isTaskRight = true;
      for (const piece of pieces) isTaskRight = isTaskRight && (await isRight(piece));
      if (isTaskRight) right.add(task);
    }
    const tasks = tasksOfRuns(plan);
    for (const [output, assembler] of assemblers.entries()) {
      keepRight(assembler, assembler.storedRuns(), (run) => right.has(tasks[output]?.[run] ?? -1));
    }
  }
  await files.drop();
}

/**
 * Every byte of the files, in pieces and what lies between.
 * @returns undefined where no chain can prove them
 */
export function segmentsOf(
  files: ReadonlyMap<string, readonly FilePiece[]>,
  all: readonly SourceFile[],
): Map<string, readonly FileSegment[]> | undefined {
  const segments = new Map<string, readonly FileSegment[]>();
  for (const [file, pieces] of files) {
    const bytes = all.find((each) => each.file === file)?.bytes;
    const found =
      bytes === undefined ? undefined : fileSegments(pieces, bytes, ROW_GROUP_BYTES_MAX);
    if (found === undefined) return undefined;
    segments.set(file, found);
  }
  return segments;
}

function openFiles(
  release: RunId,
  { sha256, openMeasurement }: ProofPorts,
): Promise<MeasurementFiles> {
  return openMeasurement(hex(sha256(new TextEncoder().encode(`pieces of ${release}`))));
}
