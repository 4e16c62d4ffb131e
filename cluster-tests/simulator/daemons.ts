/**
 * Daemons: the real roles over the ports of the simulated world, as main.ts puts them together.
 *
 *   Process + disks + network ──▶ coordinate, or holdLeases
 */

import type { Plan } from '../../daemon/core/plan/plan.ts';
import type { OutputDirectory, Source } from '../../daemon/ports.ts';
import { Assembler } from '../../daemon/roles/assembler.ts';
import { Coordinator } from '../../daemon/roles/coordinator.ts';
import { LeaseHolder } from '../../daemon/roles/lease-holder.ts';
import { Progress } from '../../daemon/roles/progress.ts';
import { Worker } from '../../daemon/roles/worker.ts';
import type { Hello } from '../../proto/peer-messages.ts';
import type { Endpoint } from './endpoint.ts';
import type { FalseDisk } from './false-disk.ts';
import { falseKernels, type KernelSpeed } from './false-kernels.ts';
import type { LeafDisk } from './false-leaf-store.ts';
import { sha256, sha256Hex } from './sha256.ts';
import type { Process } from './world.ts';

/** The classes that a run is made of; a planted bug puts others in their place. */
export interface Roles {
  readonly Assembler: typeof Assembler;
  readonly Coordinator: typeof Coordinator;
  readonly LeaseHolder: typeof LeaseHolder;
  readonly Worker: typeof Worker;
  /** The ports, as the roles see them. */
  readonly network: (network: Endpoint) => Endpoint;
  readonly outputs: (directory: OutputDirectory) => OutputDirectory;
}

export const realRoles: Roles = {
  Assembler,
  Coordinator,
  LeaseHolder,
  Worker,
  network: (network) => network,
  outputs: (directory) => directory,
};

export interface CoordinatorLife {
  readonly process: Process;
  readonly plan: Plan;
  readonly disk: FalseDisk;
  readonly source: Source;
  /** Undefined where it runs alone. */
  readonly network: Endpoint | undefined;
  readonly speed: KernelSpeed;
  readonly offer: Pick<Hello, 'threads' | 'ramBytes' | 'bytesPerSecond'>;
  readonly drain: AbortSignal;
  readonly onSealed: (output: number, sha256: string) => void;
}

/** One `quantd quantize`, from the opening of its outputs until they are sealed. */
export async function coordinate(life: CoordinatorLife, roles: Roles): Promise<void> {
  const { process, plan, disk, source, network, offer } = life;
  const kernels = falseKernels(process, life.speed);
  const directory = roles.outputs(disk.openFor(process));
  const assemblers: Assembler[] = [];
  try {
    for (const output of plan.outputs) {
      assemblers.push(await roles.Assembler.open(output, false, { directory, sha256 }));
    }
    const coordinator = new roles.Coordinator({
      plan,
      source,
      kernels,
      assemblers,
      worker: new roles.Worker(kernels),
      progress: new Progress(process.clock, () => undefined),
      clock: process.clock,
      checkSource: () => source.checkUnchanged(),
      onSealed: life.onSealed,
      onNotice: (text) => process.world.tell(() => `${process.name} says: ${text}`),
      ...(network === undefined
        ? {}
        : { cluster: { network: roles.network(network), run: runIdOf(plan) } }),
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

function runIdOf(plan: Plan): string {
  return sha256Hex(Buffer.concat(plan.outputs.map(({ id }) => id))).slice(0, 32);
}

export interface HolderLife {
  readonly process: Process;
  readonly leaves: LeafDisk;
  readonly network: Endpoint;
  readonly speed: KernelSpeed;
  readonly offer: Pick<Hello, 'ramBytes'>;
}

/** One `quantd join`; it ends with its process. */
export function holdLeases(life: HolderLife, roles: Roles): void {
  const { process, leaves, network, speed, offer } = life;
  new roles.LeaseHolder({
    network: roles.network(network),
    kernels: falseKernels(process, speed),
    store: leaves.openFor(process),
    clock: process.clock,
    sha256,
    memoryBytes: offer.ramBytes,
  }).start();
}
