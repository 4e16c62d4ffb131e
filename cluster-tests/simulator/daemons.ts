/**
 * Daemons: the real roles over the ports of the simulated world, as main.ts puts them together.
 *
 *   Process + disks + network ──▶ coordinate, or holdLeases and holdOutputs
 */

import type { Plan } from '../../daemon/core/plan/plan.ts';
import type {
  Kernels,
  LeafStore,
  MeasurementFiles,
  Network,
  OutputDirectory,
  Source,
} from '../../daemon/ports.ts';
import { Assembler } from '../../daemon/roles/assembler.ts';
import { AssemblyHolder } from '../../daemon/roles/assembly-holder.ts';
import { finishOutputs } from '../../daemon/roles/collect-outputs.ts';
import { Coordinator } from '../../daemon/roles/coordinator.ts';
import { LeaseHolder } from '../../daemon/roles/lease-holder.ts';
import type { Offer } from '../../daemon/roles/offers.ts';
import { type OpenedAssemblers, openAssemblers } from '../../daemon/roles/open-assemblers.ts';
import { PlacementRecord } from '../../daemon/roles/placement-record.ts';
import { Progress } from '../../daemon/roles/progress.ts';
import { Worker } from '../../daemon/roles/worker.ts';
import type { Hello } from '../../proto/peer-messages.ts';
import type { FalseDisk } from './false-disk.ts';
import { falseHeldOutputs } from './false-held-outputs.ts';
import { falseKernels, type KernelSpeed } from './false-kernels.ts';
import type { LeafDisk } from './false-leaf-store.ts';
import { sha256, sha256Hex } from './sha256.ts';
import type { Process } from './world.ts';

export interface CoordinatorPorts {
  readonly network: Network;
  readonly kernels: Kernels;
}

export interface HolderPorts extends CoordinatorPorts {
  readonly store: LeafStore;
}

/** Where a planted bug gets between the roles and their world; without one, nowhere. */
export interface Plant {
  readonly assembler: (assembler: Assembler) => Assembler;
  readonly coordinator: (ports: CoordinatorPorts) => CoordinatorPorts;
  readonly holder: (ports: HolderPorts) => HolderPorts;
}

export const nothingPlanted: Plant = {
  assembler: (assembler) => assembler,
  coordinator: (ports) => ports,
  holder: (ports) => ports,
};

export interface CoordinatorLife {
  readonly process: Process;
  readonly plan: Plan;
  readonly disk: FalseDisk;
  readonly source: Source;
  readonly network: Network;
  readonly speed: KernelSpeed;
  readonly offer: Pick<Hello, 'threads' | 'ramBytes' | 'bytesPerSecond'>;
  readonly drain: AbortSignal;
  readonly onSealed: (output: number, sha256: string) => void;
  /** Where outputs grow on other machines too. */
  readonly pool?: Pool;
}

export interface Pool {
  /** Which machine has what, on the coordinator's disk. */
  readonly record: MeasurementFiles;
  readonly isLeft: boolean;
}

/** One `quantd quantize`, from the opening of its outputs until they are sealed. */
export async function coordinate(life: CoordinatorLife, plant: Plant): Promise<void> {
  const { process, plan, disk, source, offer } = life;
  const { kernels, network } = plant.coordinator({
    kernels: falseKernels(process, life.speed),
    network: life.network,
  });
  const directory = disk.openFor(process);
  const { clock } = process;
  const run = runIdOf(plan);
  const progress = new Progress(clock, () => undefined);
  let opened: OpenedAssemblers | undefined;
  try {
    opened = await (life.pool === undefined
      ? openHere(plan, directory, plant)
      : openPooled(life, life.pool, directory, network));
    const coordinator = new Coordinator({
      plan,
      source,
      kernels,
      assemblers: opened.assemblers,
      outputBytes: opened.outputBytes,
      worker: new Worker(kernels),
      ...{ progress, clock },
      checkSource: () => source.checkUnchanged(),
      onSealed: life.onSealed,
      onNotice: (text) => process.world.tell(() => `${process.name} says: ${text}`),
      cluster: {
        network,
        run,
        isSigned: (peer, message, signature) =>
          Buffer.compare(falseSignature(peer, message), signature) === 0,
      },
    });
    await coordinator.run(offerOf(offer), life.drain);
    if (life.pool === undefined) return;
    const { record, isLeft } = life.pool;
    const parts = { network, run, directory, overwrite: false, kernels, clock, sha256, progress };
    await finishOutputs(
      opened,
      isLeft,
      { ...parts, drain: life.drain, record: new PlacementRecord(record) },
      {
        onOutput: life.onSealed,
        onNotice: (text) => process.world.tell(() => `${process.name} says: ${text}`),
      },
    );
  } finally {
    await opened?.close();
    await directory.close();
  }
}

function offerOf({ threads, ramBytes, bytesPerSecond }: CoordinatorLife['offer']): Offer {
  const speeds = { bytesPerSecond, multiplicationsPerSecond: bytesPerSecond };
  return { leasesMax: threads + 1, memoryBytes: ramBytes, ...speeds };
}

async function openHere(
  plan: Plan,
  directory: OutputDirectory,
  plant: Plant,
): Promise<OpenedAssemblers> {
  const assemblers: Assembler[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(assemblers.map((assembler) => assembler.close()));
  };
  try {
    for (const output of plan.outputs) {
      const assembler = await Assembler.open(output, false, { directory, sha256 });
      assemblers.push(plant.assembler(assembler));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    assemblers,
    remotes: () => [],
    leftovers: () => [],
    outputBytes: new Map(),
    runsAdopted: 0,
    close,
  };
}

function openPooled(
  { process, plan, offer }: CoordinatorLife,
  { record, isLeft }: Pool,
  directory: OutputDirectory,
  network: Network,
): Promise<OpenedAssemblers> {
  const run = runIdOf(plan);
  return openAssemblers({
    ...{ plan, directory, sha256 },
    overwrite: false,
    spread: {
      ...{ network, run, isLeft },
      clock: process.clock,
      release: run,
      firstOpening: process.world.dice.between(0, 2 ** 31),
      record: new PlacementRecord(record),
      isWanted: true,
      offer: offerOf(offer),
      onNotice: (text) => process.world.tell(() => `${process.name} says: ${text}`),
    },
  });
}

/** Of the length of a real one, and as quickly made as a digest. */
export function falseSignature(peer: string, message: Uint8Array): Uint8Array {
  const digest = sha256(Buffer.concat([Buffer.from(peer), message]));
  return Buffer.concat([digest, digest]);
}

function runIdOf(plan: Plan): string {
  return sha256Hex(Buffer.concat(plan.outputs.map(({ id }) => id))).slice(0, 32);
}

/** One daemon's part in assembling; it ends with its process. */
export async function holdOutputs(
  life: HolderLife & { readonly disk: FalseDisk; readonly plan: Plan },
  leases: LeaseHolder,
): Promise<AssemblyHolder> {
  const { process, leaves, network, speed, disk, plan } = life;
  const holder = new AssemblyHolder({
    ...{ network, sha256 },
    kernels: falseKernels(process, speed),
    clock: process.clock,
    outputs: falseHeldOutputs(disk, process, runIdOf(plan)),
    disk: leaves.offeredTo(process),
    own: (...wanted) => leases.made(...wanted),
  });
  await holder.start();
  return holder;
}

export interface HolderLife {
  readonly process: Process;
  readonly leaves: LeafDisk;
  readonly network: Network;
  readonly speed: KernelSpeed;
  readonly offer: Pick<Hello, 'ramBytes'>;
}

/** One `quantd join`; it ends with its process. */
export function holdLeases(life: HolderLife, plant: Plant): LeaseHolder {
  const { process, leaves, speed, offer } = life;
  const ports = plant.holder({
    network: life.network,
    kernels: falseKernels(process, speed),
    store: leaves.openFor(process),
  });
  const { clock } = process;
  const holder = new LeaseHolder({
    ...ports,
    clock,
    sha256,
    memoryBytes: offer.ramBytes,
    sign: (message) => falseSignature(life.network.self, message),
  });
  holder.start();
  return holder;
}
