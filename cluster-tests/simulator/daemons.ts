/**
 * Daemons: the real roles over the ports of the simulated world, as main.ts puts them together.
 *
 *   Process + disks + network ──▶ coordinate, or holdLeases
 */

import type { Plan } from '../../daemon/core/plan/plan.ts';
import type { Kernels, LeafStore, Network, Source } from '../../daemon/ports.ts';
import { Assembler } from '../../daemon/roles/assembler.ts';
import { Coordinator } from '../../daemon/roles/coordinator.ts';
import { LeaseHolder } from '../../daemon/roles/lease-holder.ts';
import { Progress } from '../../daemon/roles/progress.ts';
import { Worker } from '../../daemon/roles/worker.ts';
import type { Hello } from '../../proto/peer-messages.ts';
import type { FalseDisk } from './false-disk.ts';
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
}

/** One `quantd quantize`, from the opening of its outputs until they are sealed. */
export async function coordinate(life: CoordinatorLife, plant: Plant): Promise<void> {
  const { process, plan, disk, source, offer } = life;
  const { kernels, network } = plant.coordinator({
    kernels: falseKernels(process, life.speed),
    network: life.network,
  });
  const directory = disk.openFor(process);
  const assemblers: Assembler[] = [];
  try {
    for (const output of plan.outputs) {
      const assembler = await Assembler.open(output, false, { directory, sha256 });
      assemblers.push(plant.assembler(assembler));
    }
    const coordinator = new Coordinator({
      plan,
      source,
      kernels,
      assemblers,
      worker: new Worker(kernels),
      progress: new Progress(process.clock, () => undefined),
      clock: process.clock,
      checkSource: () => source.checkUnchanged(),
      onSealed: life.onSealed,
      onNotice: (text) => process.world.tell(() => `${process.name} says: ${text}`),
      cluster: {
        network,
        run: runIdOf(plan),
        isSigned: (peer, message, signature) =>
          Buffer.compare(falseSignature(peer, message), signature) === 0,
      },
    });
    await coordinator.run(
      {
        leasesMax: offer.threads + 1,
        memoryBytes: offer.ramBytes,
        bytesPerSecond: offer.bytesPerSecond,
      },
      life.drain,
    );
  } finally {
    await Promise.all(assemblers.map((assembler) => assembler.close()));
    await directory.close();
  }
}

/** Of the length of a real one, and as quickly made as a digest. */
function falseSignature(peer: string, message: Uint8Array): Uint8Array {
  const digest = sha256(Buffer.concat([Buffer.from(peer), message]));
  return Buffer.concat([digest, digest]);
}

function runIdOf(plan: Plan): string {
  return sha256Hex(Buffer.concat(plan.outputs.map(({ id }) => id))).slice(0, 32);
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
