/**
 * Simulate: one seed, one run of a cluster, from its first message until every output is sealed.
 *
 *   seed ──▶ model, scenario, machines ──▶ World.run ──▶ Outcome
 *
 * What must hold is checked while it happens (account.ts) and at the end (checkEnd). A violation
 * names the seed; `npm run simulate -- --seed N` tells that run event by event.
 */

import type { ConnectedPeer } from '../../daemon/ports.ts';
import { FaultError } from '../../proto/fault.ts';
import { Account, Violation } from './account.ts';
import { coordinate, holdLeases, type Roles, realRoles } from './daemons.ts';
import { type Dice, diceOf } from './dice.ts';
import { FalseDisk } from './false-disk.ts';
import type { KernelSpeed } from './false-kernels.ts';
import { LeafDisk } from './false-leaf-store.ts';
import { FalseNetwork, peerIdOf, peerOf } from './false-network.ts';
import { falseSource, readCountOf } from './false-source.ts';
import { Machine } from './machine.ts';
import { type InventedModel, inventModel } from './model.ts';
import { inventScenario, type PlannedMisfortune, type Scenario } from './scenario.ts';
import { Died, type Process, World } from './world.ts';

export interface Outcome {
  readonly seed: number;
  /** Why the seed has failed; undefined where all is well. */
  readonly violation: string | undefined;
  readonly scenario: Scenario;
  readonly tasks: number;
  readonly events: number;
  readonly virtualMs: number;
  readonly trace: readonly string[];
}

export interface SimulateOptions {
  readonly roles?: Roles;
  readonly traced?: boolean;
  /** Instead of the one that the seed invents. */
  readonly scenario?: Partial<Scenario>;
}

// From the end of all trouble to the last sealed output: some time-outs one after the other.
const RECOVERY_MS_MAX = 15 * 60_000;
// After an error the user runs the command again.
const AGAIN_MS = 5_000;
// More of them in a calm world are no bad luck.
const FAULTS_WHEN_CALM_MAX = 3;

/** Never rejects: what goes wrong is the outcome's violation. */
export async function simulate(seed: number, options: SimulateOptions = {}): Promise<Outcome> {
  const dice = diceOf(seed);
  const scenario = { ...inventScenario(dice), ...options.scenario };
  const model = inventModel(dice, scenario.isLarge);
  const world = new World(dice, options.traced ?? false);
  const cluster = new Cluster(world, model, scenario, options.roles ?? realRoles);
  let violation: string | undefined;
  try {
    await cluster.run();
  } catch (error) {
    violation = error instanceof Error ? (error.stack ?? error.message) : String(error);
    world.tell(() => `FAILED ${violation}`);
  }
  return {
    seed,
    violation,
    scenario,
    tasks: model.plan.tasks.length,
    events: world.events,
    virtualMs: world.nowMs,
    trace: world.trace ?? [],
  };
}

class Cluster {
  readonly #world: World;
  readonly #dice: Dice;
  readonly #model: InventedModel;
  readonly #scenario: Scenario;
  readonly #roles: Roles;
  readonly #account: Account;
  readonly #network: FalseNetwork;
  readonly #machines: Machine[] = [];
  readonly #reads;
  #diskSteps = 0;
  #faultsWhenCalm = 0;
  #isSealed = false;

  constructor(world: World, model: InventedModel, scenario: Scenario, roles: Roles) {
    this.#world = world;
    this.#dice = world.dice;
    this.#model = model;
    this.#scenario = scenario;
    this.#roles = roles;
    this.#account = new Account(model);
    this.#reads = readCountOf(model.files);
    this.#network = new FalseNetwork(world, { sent: this.#account.seeSent });
    this.#network.trouble = scenario.network;
    for (let index = 0; index <= scenario.workers; index++) this.#machines.push(this.#build(index));
  }

  async run(): Promise<void> {
    const { calmFromMs, startsMs, misfortunes } = this.#scenario;
    const [coordinator, ...workers] = this.#machines;
    coordinator?.startIn(10);
    for (const [index, worker] of workers.entries()) worker.startIn(startsMs[index] ?? 0);
    for (const misfortune of misfortunes) {
      this.#world.at(misfortune.atMs, undefined, 'misfortune', () => this.#befall(misfortune));
    }
    this.#world.at(calmFromMs, undefined, 'calm', () => this.#calm());
    this.#world.at(calmFromMs + RECOVERY_MS_MAX, undefined, 'too late', () => {
      throw new Violation(`not sealed ${RECOVERY_MS_MAX} ms after the last trouble`);
    });
    const end = await this.#world.run(() => this.#isSealed);
    if (end !== 'over') throw new Violation(end);
    this.#checkEnd();
  }

  #build(index: number): Machine {
    const dice = this.#dice;
    const name = peerIdOf(index === 0 ? 'coordinator' : `worker${index}`);
    const isCoordinator = index === 0;
    const { seeNamed: named, seeCut: cut } = this.#account;
    const witness = { named, cut, step: () => this.#countDiskStep() };
    const disk = new FalseDisk(dice, witness, () => this.#dieAtDisk());
    disk.trouble.badWrites = this.#scenario.badWrites;
    const speed = inventSpeed(dice, this.#scenario.kind === 'calm');
    const peer = this.#inventPeer(name, isCoordinator, speed);
    const leaves = new LeafDisk(dice, peer.hello.diskBytes);
    const live = async (process: Process): Promise<void> => {
      const network = this.#network.join(process, peer);
      if (isCoordinator) await this.#coordinate(process, network.as, speed);
      else {
        const offer = peer.hello;
        holdLeases({ process, leaves, network, speed, offer }, this.#roles);
      }
    };
    return new Machine({ world: this.#world, name, network: this.#network, disk, leaves, live });
  }

  /**
   * Memory for some tasks at least, seldom for all. Where the coordinator makes nothing itself, the
   * last worker alive must have room for the whole source.
   */
  #inventPeer(name: string, isCoordinator: boolean, speed: KernelSpeed): ConnectedPeer {
    const dice = this.#dice;
    const { tasks, sourceBytes } = this.#model.plan;
    const largest = Math.max(...tasks.map(({ memoryBytes }) => memoryBytes));
    const isIdle = isCoordinator && !this.#scenario.coordinatorWorks;
    const isNeeded = !this.#scenario.coordinatorWorks;
    return peerOf(name, isCoordinator ? 'coordinator' : 'worker', {
      threads: dice.between(1, 4),
      ramBytes: largest * dice.between(1, 6),
      diskBytes: Math.ceil(sourceBytes * dice.pick(isNeeded ? [1, 2] : [0, 0.2, 0.5, 1, 2])),
      bytesPerSecond: isIdle ? 0 : Math.ceil(speed.bytesPerMs * 1000),
    });
  }

  /** The command is run again after every end but the good one. */
  async #coordinate(process: Process, peer: ConnectedPeer, speed: KernelSpeed): Promise<void> {
    const machine = this.#machines[0];
    const endpoint = this.#network.endpointOf(peer.peer);
    if (machine === undefined || endpoint === undefined) throw new Error('it has just joined');
    try {
      const life = {
        process,
        plan: this.#model.plan,
        disk: machine.disk,
        source: falseSource(process, this.#dice, this.#model.files, this.#reads),
        network: endpoint,
        speed,
        offer: peer.hello,
        drain: new AbortController().signal,
        onSealed: (output: number, digest: string) => this.#account.seeDigest(output, digest),
      };
      await coordinate(life, this.#roles);
      this.#world.tell(() => `${process.name} has sealed all`);
      this.#isSealed = true;
    } catch (error) {
      if (!(error instanceof FaultError)) throw error;
      this.#world.tell(() => `${process.name} ends: ${error.message}`);
      const isCalm = this.#world.nowMs >= this.#scenario.calmFromMs;
      if (isCalm && ++this.#faultsWhenCalm > FAULTS_WHEN_CALM_MAX) throw error;
      machine.leave();
      machine.startIn(AGAIN_MS);
    }
  }

  #countDiskStep(): 'before' | 'after' | undefined {
    if (this.#diskSteps++ !== this.#scenario.deathAtDiskStep) return undefined;
    return this.#dice.pick(['before', 'after']);
  }

  #dieAtDisk(): never {
    const [machine] = this.#machines;
    if (this.#dice.chance(0.5)) machine?.kill();
    else machine?.cutPower();
    machine?.startIn(this.#dice.skewed(10, 20_000));
    throw new Died();
  }

  #befall({ machine: index, what }: PlannedMisfortune): void {
    const machine = this.#machines[index];
    if (machine === undefined) return;
    switch (what.kind) {
      case 'kill':
        machine.kill();
        machine.startIn(what.awayMs);
        break;
      case 'power cut':
        machine.cutPower();
        machine.startIn(what.awayMs);
        break;
      case 'stall':
        machine.stall(what.forMs);
        break;
      case 'broken links':
        for (const link of this.#network.linksOf(machine.name)) {
          if (this.#dice.chance(0.7)) this.#network.breakLink(link, what.forMs);
        }
        break;
      case 'disconnect':
        for (const link of this.#network.linksOf(machine.name)) {
          this.#network.disconnect(link, this.#dice.chance(0.5));
        }
        break;
      case 'full disk':
        machine.disk.trouble.fullUntilMs = this.#world.nowMs + what.forMs;
        machine.leaves.fullUntilMs = this.#world.nowMs + what.forMs;
        break;
    }
  }

  #calm(): void {
    this.#network.calm();
    const gone = this.#scenario.kind === 'one death' ? this.#machines.slice(0, 1) : this.#machines;
    for (const machine of gone) {
      machine.disk.trouble.badWrites = 0;
      machine.disk.trouble.fullUntilMs = 0;
      machine.leaves.fullUntilMs = 0;
      if (machine.process !== undefined) machine.process.stalledUntilMs = 0;
      machine.startIn(0);
    }
  }

  #checkEnd(): void {
    const { kind, workers } = this.#scenario;
    if (!this.#account.isComplete) throw new Violation('the run says it is done, and it is not');
    for (const { name, leaves } of this.#machines) {
      if (leaves.bytesPeak > leaves.bytesMax) throw new Violation(`${name} kept too many leaves`);
    }
    if (kind !== 'calm') return;
    const again = this.#account.sentAgain();
    if (again.length > 0) throw new Violation(`sent more than once: ${again.join('; ')}`);
    void workers;
  }
}

function inventSpeed(dice: Dice, isEven: boolean): KernelSpeed {
  if (isEven) return { leastMs: dice.between(5, 50), bytesPerMs: 10_000 };
  return { leastMs: dice.skewed(1, 3_000), bytesPerMs: dice.skewed(100, 100_000) };
}
