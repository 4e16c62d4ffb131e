/**
 * Collect outputs: sealed outputs of other machines, brought to the coordinator's folder or left.
 *
 *   RemoteAssembler (sealed) ──▶ its bytes, run by run ──▶ <file>.part ──▶ read back ──▶ <file>
 *
 * One file after the other, so that no more than one is on two disks at a time. What has come is
 * journalled as a growing output is, and a run that is interrupted goes on collecting.
 */

import { FaultError } from '../../proto/fault.ts';
import type { RunId } from '../../proto/peer-messages.ts';
import type { Sha256 } from '../core/plan/unit-id.ts';
import type { Clock, Kernels, Network, OutputDirectory } from '../ports.ts';
import { Assembler, COMMIT_BYTES } from './assembler.ts';
import { assemblyFaults } from './assembly-faults.ts';
import { outputFaults, runFaults } from './faults.ts';
import type { OpenedAssemblers } from './open-assemblers.ts';
import type { PlacementRecord } from './placement-record.ts';
import type { Progress } from './progress.ts';
import type { RemoteAssembler } from './remote-assembler.ts';

export interface CollectParts {
  readonly network: Pick<Network, 'pull'>;
  readonly run: RunId;
  readonly directory: OutputDirectory;
  readonly overwrite: boolean;
  readonly kernels: Pick<Kernels, 'sha256'>;
  readonly clock: Clock;
  readonly sha256: Sha256;
  readonly progress: Pick<Progress, 'add'>;
  /** Ends it early; what has come is kept. */
  readonly drain: AbortSignal;
}

/** What another machine has sealed, and what it says of it. */
export type SealedOutput = Pick<RemoteAssembler, 'output' | 'sha256' | 'peer' | 'name'>;

// While one run is written the next ones come.
const LANES = 4;
const VERIFY_ATTEMPTS_MAX = 3;
// A machine that starts again is back by then.
const PULL_ATTEMPTS_MAX = 12;
const PULL_PAUSE_MS = 5000;

/**
 * Brings an output here and gives it its name.
 * @throws FaultError `otherBytes` where it is not what its machine has sealed; `interrupted`
 */
export async function collectOutput(remote: SealedOutput, parts: CollectParts): Promise<void> {
  const { directory, overwrite, sha256, drain } = parts;
  const assembler = await Assembler.open(remote.output, overwrite, { directory, sha256 });
  try {
    await pullAndVerify(assembler, remote, parts).catch((error: unknown) => {
      throw drain.aborted ? new FaultError(runFaults.interrupted, { why: 'collecting' }) : error;
    });
    if (assembler.digestRead === remote.sha256) {
      await assembler.seal();
      return;
    }
  } finally {
    await assembler.close();
  }
  // Nothing of it can be trusted: the next run collects all of it.
  const { file, layout } = remote.output;
  await (await directory.open(file, layout.fileBytes, { overwrite: true })).close();
  throw new FaultError(assemblyFaults.otherBytes, { file, why: remote.name });
}

async function pullAndVerify(
  assembler: Assembler,
  remote: SealedOutput,
  parts: CollectParts,
): Promise<void> {
  const { progress, drain } = parts;
  for (let attempt = 1; ; attempt++) {
    await pullMissing(assembler, remote, parts);
    drain.throwIfAborted();
    const lost = await assembler.verify((bytes) => progress.add(bytes), drain);
    if (lost.length === 0) return;
    if (attempt < VERIFY_ATTEMPTS_MAX) continue;
    throw new FaultError(outputFaults.keepsFailing, { file: remote.output.file });
  }
}

async function pullMissing(
  assembler: Assembler,
  remote: SealedOutput,
  parts: CollectParts,
): Promise<void> {
  const { kernels, progress, drain } = parts;
  const { runs } = remote.output;
  const missing = [...runs.keys()].filter((run) => !assembler.hasRun(run)).reverse();
  const lane = async (): Promise<void> => {
    for (let run = missing.pop(); run !== undefined && !drain.aborted; run = missing.pop()) {
      const { offset = 0, bytes = 0 } = runs[run] ?? {};
      const into = new Uint8Array(bytes);
      await pullPart(remote, offset, into, parts);
      if (drain.aborted) return;
      await assembler.write(run, into, await kernels.sha256(into));
      if (assembler.bytesPending >= COMMIT_BYTES) await assembler.commit();
      progress.add(bytes);
    }
  };
  try {
    await Promise.all(Array.from({ length: LANES }, lane));
  } finally {
    // What has come stays, whatever ended it.
    missing.length = 0;
    await assembler.commit();
  }
}

async function pullPart(
  remote: SealedOutput,
  offset: number,
  into: Uint8Array,
  { network, run, clock, drain }: CollectParts,
): Promise<void> {
  const { id } = remote.output;
  const blob = { kind: 'output', run, id, offset, bytes: into.length } as const;
  for (let attempt = 1; !drain.aborted; attempt++) {
    try {
      await network.pull([remote.peer], blob, into, { signal: drain });
      return;
    } catch (error) {
      if (drain.aborted) return;
      if (attempt === PULL_ATTEMPTS_MAX) {
        const why = `${remote.name}: ${error instanceof Error ? error.message : String(error)}`;
        throw new FaultError(assemblyFaults.away, { file: remote.output.file, why });
      }
      await new Promise<void>((resolve) => clock.after(PULL_PAUSE_MS, resolve));
    }
  }
}

export interface FinishParts extends CollectParts {
  readonly record: PlacementRecord;
  readonly progress: Pick<Progress, 'add' | 'begin'>;
}

export interface FinishEvents {
  /** An output is where it is to stay: on this machine, or on the one named. */
  readonly onOutput: (index: number, sha256: string, machine?: string, path?: string) => void;
  readonly onNotice: (text: string) => void;
}

/**
 * Brings every sealed output of other machines here, or leaves them where they lie.
 * @throws FaultError as `collectOutput`
 */
export async function finishOutputs(
  opened: OpenedAssemblers,
  isLeft: boolean,
  parts: FinishParts,
  { onOutput, onNotice }: FinishEvents,
): Promise<void> {
  const { progress, record } = parts;
  const remotes = opened.remotes();
  const forget = async (remote: RemoteAssembler): Promise<void> => {
    const { file } = remote.output;
    if (await remote.end(true)) await record.remove(remote.output);
    else onNotice(`${remote.name} may still have ${file}, which is here now`);
  };
  if (!isLeft && remotes.length > 0) {
    // Each byte is brought and read back.
    const bytes = remotes.reduce((sum, { remote }) => sum + remote.output.layout.fileBytes, 0);
    progress.begin('collect', 2 * bytes);
  }
  for (const { index, remote } of remotes) {
    if (isLeft) {
      onOutput(index, remote.sha256, remote.name, remote.path);
      await remote.end(false);
      continue;
    }
    await collectOutput(remote, parts);
    onOutput(index, remote.sha256);
    await forget(remote);
  }
  for (const leftover of opened.leftovers()) {
    if (leftover.isOpen) await leftover.end(true);
  }
  await record.dropWhereEmpty();
}
