/**
 * Measure origin: opens a measurement whose machines fetch weights from a repository by themselves.
 *
 *   pieces of the layers and of what else the run reads ──▶ FileChains, or undefined: all of it is here
 *
 * Each machine fetches what its layers need; this one what stands in front of them, and what belongs
 * to no layer where outputs are made of it. A run has a name that is drawn when its records begin:
 * whatever other machines tell under it was made of bytes that these records know. Read next:
 * file-chains.ts, open-proof.ts.
 */

import type { SourceFile } from '../core/checkpoint/checkpoint.ts';
import { type FilePiece, pieceKey, piecesByFile } from '../core/plan/file-segments.ts';
import { type Field, hex, runId } from '../core/plan/unit-id.ts';
import type { MeasurementFiles, Network, Source } from '../ports.ts';
import { FileChains } from './file-chains.ts';
import { LeafDigests } from './leaf-digests.ts';
import { ownPieces, type ProofPorts, segmentsOf, sharedOf } from './open-proof.ts';
import { isSameLeaves } from './origin-pieces.ts';
import { PieceRecords } from './piece-records.ts';
import type { SumsStore } from './sums-store.ts';

export interface MeasureOriginPorts extends ProofPorts {
  readonly network: Network | undefined;
  /** A number below 2^31, another one each time. */
  readonly drawFirstLease: () => number;
}

export interface MeasuredPieces {
  /** The name under which sums are stored, whatever is made of the matrix. */
  readonly id: string;
  /** What the run is named by, besides a name of its records. */
  readonly fields: readonly Field[];
  readonly source: Source;
  readonly files: readonly SourceFile[];
  readonly fileDigests: ReadonlyMap<string, string>;
  readonly keepSource: boolean;
  /** Of each layer, the head among them where it is measured. */
  readonly layers: readonly (readonly FilePiece[])[];
  /** What stands in front of the layers. */
  readonly front: readonly FilePiece[];
  /** What outputs will be made of, if any: those of the layers and of the front among them. */
  readonly all: readonly FilePiece[];
  /** What has been measured of it. */
  readonly store: Pick<SumsStore, 'list' | 'clear'>;
}

/**
 * Prepares to have each machine fetch its own part.
 * @returns undefined where the source is here, or has to come here as a whole
 */
export async function openMeasuredChains(
  wanted: MeasuredPieces,
  ports: MeasureOriginPorts,
): Promise<FileChains | undefined> {
  const { source, keepSource, layers, front, all, files, fileDigests } = wanted;
  const { sha256, clock, kernels } = ports;
  const pieces = piecesByFile([...layers.flat(), ...front, ...all]);
  const sharing = { request: { keepSource }, source, network: ports.network, store: ports.store };
  const shared = await sharedOf(sharing, [...pieces.keys()]);
  const segments = segmentsOf(pieces, files);
  if (shared === undefined || segments === undefined) return undefined;
  const recorded = await openRecords(wanted, ports);
  const ofLayers = new Set(layers.flat().map(pieceKey));
  const others = all.map(pieceKey).filter((key) => !ofLayers.has(key));
  return new FileChains({
    ...{ segments, fileDigests, sha256, hasher: kernels, ...shared },
    run: runId(sha256, [...wanted.fields, recorded.name]),
    records: recorded.records,
    pieces: ownPieces(shared, { sha256, clock, kernels }),
    own: new Set([...front.map(pieceKey), ...others]),
    dropMade: () => wanted.store.clear(),
  });
}

/** The whole source is here, verified: sums that an earlier run made of other bytes are dropped. */
export async function settleSums(wanted: MeasuredPieces, ports: ProofPorts): Promise<void> {
  const files = await recordFiles(wanted.id, ports);
  if ((await files.list()).length > 0) {
    const records = await PieceRecords.open(files, ports.sha256, ports.clock);
    const leaves = new LeafDigests(wanted.source, ports.kernels);
    for (const piece of usedFor(wanted)) {
      const used = records.get(piece)?.leaves;
      if (used !== undefined && isSameLeaves(used, await leaves.of(piece))) continue;
      await wanted.store.clear();
      break;
    }
  }
  await files.drop();
}

/** Whether anything was run on weights that machines fetched by themselves, now or before. */
export function isRunOn({ records }: FileChains, { layers }: MeasuredPieces): boolean {
  return layers.some((pieces) => pieces.some((piece) => records.get(piece) !== undefined));
}

/** What the stored sums were made from: all layers up to theirs, and what stands in front. */
function usedFor({ store, layers, front }: MeasuredPieces): FilePiece[] {
  const stored = store.list();
  if (stored.length === 0) return [];
  const last = stored.reduce((most, { layer }) => Math.max(most, layer), 0);
  return [...front, ...layers.slice(0, last + 1).flat()];
}

interface Recorded {
  readonly records: PieceRecords;
  /** Drawn when they were begun. */
  readonly name: string;
}

/**
 * The records of an earlier process, if all of what was made is in them. Sums without any records are
 * those of a source that was here as a whole.
 */
async function openRecords(wanted: MeasuredPieces, ports: MeasureOriginPorts): Promise<Recorded> {
  const { sha256, clock } = ports;
  const nameFile = hex(sha256(new TextEncoder().encode('name of the run')));
  const files = await recordFiles(wanted.id, ports);
  const before = await files.list();
  if (before.length > 0) {
    const records = await PieceRecords.open(files, sha256, clock);
    const name = await files.read(nameFile);
    const isKnown = usedFor(wanted).every((piece) => records.get(piece) !== undefined);
    if (name !== undefined && isKnown) return { records, name: new TextDecoder().decode(name) };
    // First the sums: nothing but the records says from what they were made.
    await wanted.store.clear();
    for (const each of before) await files.remove(each);
  }
  const name = String(ports.drawFirstLease());
  await files.write(nameFile, new TextEncoder().encode(name));
  return { records: await PieceRecords.open(files, sha256, clock), name };
}

function recordFiles(
  id: string,
  { sha256, openMeasurement }: ProofPorts,
): Promise<MeasurementFiles> {
  return openMeasurement(hex(sha256(new TextEncoder().encode(`pieces of ${id}`))));
}
