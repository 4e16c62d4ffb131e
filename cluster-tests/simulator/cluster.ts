/**
 * Cluster: the machines of one simulated run, what befalls them, and what must hold of them.
 *
 *   model + scenario ──▶ Cluster.run ──▶ every output sealed, or a Violation
 *
 * Machine 0 coordinates and has the outputs; after every end but the good one its user runs the
 * same command again. The others hold leases.
 */

import type { ConnectedPeer } from '../../daemon/ports.ts';
import type { AssemblyHolder } from '../../daemon/roles/assembly-holder.ts';
import { runFaults } from '../../daemon/roles/faults.ts';
import type { LeaseHolder } from '../../daemon/roles/lease-holder.ts';
import { PlacementRecord } from '../../daemon/roles/placement-record.ts';
import { FaultError } from '../../proto/fault.ts';
import type { PeerId } from '../../proto/peer-messages.ts';
import { Account } from './account.ts';
import { coordinate, holdLeases, holdOutputs, type Plant, type Pool } from './daemons.ts';
import type { Dice } from './dice.ts';
import { type DiskWitness, FalseDisk } from './false-disk.ts';
import { RecordDisk } from './false-held-outputs.ts';
import type { KernelSpeed } from './false-kernels.ts';
import { LeafDisk } from './false-leaf-store.ts';
import { FalseNetwork, peerIdOf, peerOf } from './false-network.ts';
import { falseSource } from './false-source.ts';
import { LeaseAccount } from './lease-account.ts';
import { Machine } from './machine.ts';
import type { InventedModel } from './model.ts';
import type { PlannedMisfortune, Scenario } from './scenario.ts';
import { Violation } from './violation.ts';
import { Died, type Process, type World } from './world.ts';

// From the end of all trouble to the last sealed output: some time-outs one after the other.
const RECOVERY_MS_MAX = 15 * 60_000;
// After an error the user runs the command again.
const AGAIN_MS = 5_000;
// More of them in a calm world are no bad luck.
const FAULTS_WHEN_CALM_MAX = 3;
// Workers wait some minutes for a coordinator that went away.
const AFTERMATH_MS = 12 * 60_000;
const COORDINATOR = peerIdOf('coordinator');

export class Cluster {
  readonly #world: World;
  readonly #dice: Dice;
  readonly #model: InventedModel;
  readonly #scenario: Scenario;
  readonly #plant: Plant;
  readonly #account: Account;
  readonly #leases: LeaseAccount;
  readonly #network: FalseNetwork;
  readonly #machines: Machine[] = [];
  readonly #holders = new Map<Process, LeaseHolder>();
  readonly #assemblers = new Map<Process, AssemblyHolder>();
  readonly #record = new RecordDisk();
  #drain = new AbortController();
  #diskSteps = 0;
  #faultsWhenCalm = 0;
  /** Runs that were written were not committed when the file was closed. */
  #isThrownAway = false;
  #isSealed = false;

  constructor(world: World, model: InventedModel, scenario: Scenario, plant: Plant) {
    this.#world = world;
    this.#dice = world.dice;
    this.#model = model;
    this.#scenario = scenario;
    this.#plant = plant;
    this.#account = new Account(model);
    this.#leases = new LeaseAccount(model.plan);
    this.#network = new FalseNetwork(world, {
      sent: (blob, bytes) => this.#account.seeSent(blob, bytes),
      said: (from, to, message) => {
        if (from === COORDINATOR) this.#leases.seeSaid(to, message);
      },
      parted: (self, other) => {
        if (self === COORDINATOR) this.#leases.seeParted(other);
      },
    });
    this.#network.trouble = scenario.network;
    for (let index = 0; index <= scenario.workers; index++) this.#machines.push(this.#build(index));
  }

  /** Processes that were ended from outside. */
  get deaths(): number {
    return this.#machines.reduce((sum, { deaths }) => sum + deaths, 0);
  }

  /** @throws Violation, or what the roles threw and should not have */
  async run(): Promise<void> {
    const { calmFromMs, startsMs, misfortunes } = this.#scenario;
    const [coordinator, ...workers] = this.#machines;
    if (this.#scenario.outputs !== undefined) await this.#placeOutputs();
    coordinator?.startIn(10);
    for (const [index, worker] of workers.entries()) worker.startIn(startsMs[index] ?? 0);
    for (const misfortune of misfortunes) {
      this.#world.at(misfortune.atMs, undefined, 'misfortune', () => this.#befall(misfortune));
    }
    this.#world.at(calmFromMs, undefined, 'calm', () => this.#calm());
    const inTime = this.#world.at(calmFromMs + RECOVERY_MS_MAX, undefined, 'too late', () => {
      throw new Violation(`not sealed ${RECOVERY_MS_MAX} ms after the last trouble`);
    });
    const end = await this.#world.run(() => this.#isSealed);
    if (end !== 'over') throw new Violation(end);
    inTime();
    this.#checkEnd();
    await this.#checkAftermath();
  }

  #build(index: number): Machine {
    const dice = this.#dice;
    const isCoordinator = index === 0;
    const name = isCoordinator ? COORDINATOR : peerIdOf(`worker${index}`);
    const disk = this.#watchedDisk(index, name);
    const speed = inventSpeed(dice, this.#scenario.kind !== 'troubled');
    const peer = this.#inventPeer(name, isCoordinator, speed);
    const leaves = new LeafDisk(dice, peer.hello.diskBytes);
    if (!isCoordinator) this.#leases.addWorker(name, peer.hello.ramBytes);
    const live = async (process: Process): Promise<void> => {
      const network = this.#network.join(process, peer);
      if (isCoordinator) await this.#coordinate(process, peer, speed);
      else {
        const life = { process, leaves, network, speed, offer: peer.hello };
        const leases = holdLeases(life, this.#plant);
        this.#holders.set(process, leases);
        if (this.#scenario.outputs === undefined) return;
        const { plan } = this.#model;
        this.#assemblers.set(process, await holdOutputs({ ...life, disk, plan }, leases));
      }
    };
    return new Machine({ world: this.#world, name, network: this.#network, disk, leaves, live });
  }

  #watchedDisk(index: number, name: PeerId): FalseDisk {
    const { badWrites, fullAtWrite } = this.#scenario;
    const witness: DiskWitness = {
      ...this.#account.witnessOf(name),
      closed: (isDirty) => {
        if (isDirty && index === 0) this.#isThrownAway = true;
      },
      step: () => this.#countDiskStep(index),
    };
    const disk = new FalseDisk(this.#dice, witness, () => this.#dieAtDisk(index));
    disk.trouble.badWrites = badWrites;
    if (index === 0) disk.trouble.fullAtWrite = fullAtWrite;
    return disk;
  }

  /** As a former run of the same command would have: the workers in turn, and this machine. */
  async #placeOutputs(): Promise<void> {
    const record = new PlacementRecord(this.#record.openBefore());
    const machines = [...this.#machines.slice(1), undefined];
    for (const [index, output] of this.#model.plan.outputs.entries()) {
      const peer = machines[index % machines.length]?.name;
      if (peer !== undefined) await record.set(output, { peer, name: peer });
    }
  }

  #poolOf(process: Process): { readonly pool: Pool } | Record<string, never> {
    const { outputs } = this.#scenario;
    if (outputs === undefined) return {};
    return { pool: { record: this.#record.openFor(process), isLeft: outputs === 'left' } };
  }

  /** Room for all outputs beside what is offered for the source. */
  #outputBytes(name: PeerId): number {
    const { outputs, tightDisk } = this.#scenario;
    if (outputs === undefined || (tightDisk && name === peerIdOf('worker1'))) return 0;
    return this.#model.plan.outputs.reduce((sum, { layout }) => sum + layout.fileBytes, 0);
  }

  /**
   * Memory for some tasks at least, seldom for all. Where the coordinator makes nothing itself, the
   * last worker alive must have room for the whole source.
   */
  #inventPeer(name: string, isCoordinator: boolean, speed: KernelSpeed): ConnectedPeer {
    const dice = this.#dice;
    const { tasks, sourceBytes } = this.#model.plan;
    const largest = Math.max(...tasks.map(({ memoryBytes }) => memoryBytes));
    const isNeeded = !this.#scenario.coordinatorWorks;
    return peerOf(name, isCoordinator ? 'coordinator' : 'worker', {
      threads: dice.between(1, 4),
      ramBytes: largest * dice.between(1, 6),
      diskBytes:
        Math.ceil(sourceBytes * dice.pick(isNeeded ? [1, 2] : [0, 0.2, 0.5, 1, 2])) +
        this.#outputBytes(name),
      bytesPerSecond: isCoordinator && isNeeded ? 0 : Math.ceil(speed.bytesPerMs * 1000),
    });
  }

  /** The command is run again after every end but the good one. */
  async #coordinate(process: Process, peer: ConnectedPeer, speed: KernelSpeed): Promise<void> {
    const machine = this.#machines[0];
    const network = this.#network.endpointOf(peer.peer);
    if (machine === undefined || network === undefined) throw new Error('it has just joined');
    this.#drain = new AbortController();
    this.#isThrownAway = false;
    this.#leases.clear();
    const life = {
      ...{ process, network, speed },
      plan: this.#model.plan,
      disk: machine.disk,
      source: falseSource(process, this.#dice, this.#model.files),
      offer: peer.hello,
      drain: this.#drain.signal,
      onSealed: (output: number, digest: string) => this.#account.seeDigest(output, digest),
      ...this.#poolOf(process),
    };
    try {
      await coordinate(life, this.#plant);
      this.#world.tell(() => `${process.name} has sealed all`);
      this.#isSealed = true;
    } catch (error) {
      if (!(error instanceof FaultError)) throw error;
      this.#world.tell(() => `${process.name} ends: ${error.message}`);
      this.#checkFault(error);
      machine.leave();
      machine.startIn(AGAIN_MS);
    }
  }

  #checkFault(error: FaultError): void {
    const isInterrupted = error.kind.code === runFaults.interrupted.code;
    if (isInterrupted && this.#isThrownAway) {
      throw new Violation('the run was interrupted and has not kept what was finished');
    }
    if (isInterrupted !== this.#drain.signal.aborted && isInterrupted) throw error;
    const isCalm = this.#world.nowMs >= this.#scenario.calmFromMs;
    if (isCalm && ++this.#faultsWhenCalm > FAULTS_WHEN_CALM_MAX) throw error;
  }

  #countDiskStep(index: number): 'before' | 'after' | undefined {
    const { deathAtDisk } = this.#scenario;
    if (index !== (deathAtDisk?.machine ?? 0)) return undefined;
    return this.#diskSteps++ === deathAtDisk?.step ? deathAtDisk.when : undefined;
  }

  #dieAtDisk(index: number): never {
    const machine = this.#machines[index];
    if (machine !== undefined && index > 0) this.#leases.seeDeath(machine.name);
    if (this.#scenario.deathAtDisk?.how === 'kill') machine?.kill();
    else machine?.cutPower();
    machine?.startIn(this.#dice.skewed(10, 20_000));
    throw new Died();
  }

  #befall({ machine: index, what }: PlannedMisfortune): void {
    const machine = this.#machines[index];
    if (machine === undefined) return;
    const links = this.#network.linksOf(machine.name);
    switch (what.kind) {
      case 'kill':
      case 'power cut':
        this.#leases.seeDeath(machine.name);
        if (what.kind === 'kill') machine.kill();
        else machine.cutPower();
        machine.startIn(what.awayMs);
        break;
      case 'stall':
        machine.stall(what.forMs);
        break;
      case 'broken links':
        for (const link of links) {
          if (this.#dice.chance(0.7)) this.#network.breakLink(link, what.forMs);
        }
        break;
      case 'disconnect':
        for (const link of links) this.#network.disconnect(link, this.#dice.chance(0.5));
        break;
      case 'full disk':
        machine.disk.trouble.fullUntilMs = this.#world.nowMs + what.forMs;
        machine.leaves.fullUntilMs = this.#world.nowMs + what.forMs;
        break;
      case 'interrupt':
        this.#world.tell(() => `${COORDINATOR} is interrupted`);
        this.#drain.abort();
        break;
    }
  }

  #calm(): void {
    this.#network.calm();
    for (const [index, machine] of this.#machines.entries()) {
      machine.disk.trouble.badWrites = 0;
      machine.disk.trouble.fullUntilMs = 0;
      machine.leaves.fullUntilMs = 0;
      if (machine.process !== undefined) machine.process.stalledUntilMs = 0;
      // The one that was to die stays away.
      if (this.#scenario.kind !== 'one death' || index === 0) machine.startIn(0);
    }
  }

  /** The daemons live on; whatever they held for the run they must let go of. */
  async #checkAftermath(): Promise<void> {
    this.#network.calm();
    const endMs = this.#world.nowMs + AFTERMATH_MS;
    this.#world.at(AFTERMATH_MS, undefined, 'end of the world', () => undefined);
    await this.#world.run(() => this.#world.nowMs >= endMs);
    for (const [process, holder] of this.#holders) {
      if (!process.isAlive || holder.leases === 0) continue;
      throw new Violation(
        `${process.name} still holds ${holder.leases} leases of a run that ended`,
      );
    }
    for (const [process, { assemblies }] of this.#assemblers) {
      if (!process.isAlive || assemblies === 0) continue;
      throw new Violation(`${process.name} still holds ${assemblies} outputs open`);
    }
    // Where the end was heard, the copies of the source are deleted as well.
    const left = this.#machines.find(({ leaves }) => leaves.bytes > 0);
    if (this.#scenario.kind === 'calm' && left !== undefined) {
      throw new Violation(`${left.name} still has source bytes of a run that ended`);
    }
  }

  #checkEnd(): void {
    const { kind, coordinatorWorks, outputs } = this.#scenario;
    const places = outputs === 'left' ? this.#machines : this.#machines.slice(0, 1);
    if (!this.#account.isComplete(places.map(({ name }) => name))) {
      throw new Violation('the run says it is done, and it is not');
    }
    for (const { name, leaves } of this.#machines) {
      if (leaves.bytesPeak > leaves.bytesMax) throw new Violation(`${name} kept too many leaves`);
    }
    // What a machine takes with it that assembles is made again.
    if (kind === 'troubled' || (kind === 'one death' && outputs !== undefined)) return;
    const repeated = this.#leases.repeatedWithoutNeed();
    if (repeated.length > 0) throw new Violation(`leased again without need: ${repeated}`);
    if (this.#machines.some(({ leaves }) => leaves.refusals > 0)) {
      throw new Violation('a worker was given more source than it has room for');
    }
    if (kind === 'one death') return;
    const again = this.#account.sentAgain();
    if (again.length > 0) throw new Violation(`sent more than once: ${again.join('; ')}`);
    const sent = this.#account.sentBytes.get('source') ?? 0;
    if (!coordinatorWorks && sent !== this.#model.plan.sourceBytes) {
      throw new Violation(`${sent} source bytes sent instead of ${this.#model.plan.sourceBytes}`);
    }
  }
}

function inventSpeed(dice: Dice, isEven: boolean): KernelSpeed {
  if (isEven) return { leastMs: dice.between(5, 50), bytesPerMs: 10_000 };
  return { leastMs: dice.skewed(1, 3_000), bytesPerMs: dice.skewed(100, 100_000) };
}
