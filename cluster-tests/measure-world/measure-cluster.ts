/**
 * Measure cluster: the machines of one simulated measurement, and what befalls them.
 *
 *   WorldModel + scenario ──▶ MeasureCluster.run ──▶ the matrix that is expected, or a Violation
 *
 * Machine 0 measures, with the others' help; after every end but the good one its user runs the
 * same command again. The others hold stages.
 */

import type { ConnectedPeer, Kernels, MeasurementFiles, Network } from '../../daemon/ports.ts';
import { runFaults } from '../../daemon/roles/faults.ts';
import { LeaseHolder } from '../../daemon/roles/lease-holder.ts';
import { measure } from '../../daemon/roles/measure.ts';
import {
  OriginPieces,
  type OriginReader,
  type PieceHasher,
} from '../../daemon/roles/origin-pieces.ts';
import type { MeasurePorts } from '../../daemon/roles/prepare-measure.ts';
import { Progress } from '../../daemon/roles/progress.ts';
import { StageHolder } from '../../daemon/roles/stage-holder.ts';
import type { RunEvent } from '../../proto/api.ts';
import { FaultError } from '../../proto/fault.ts';
import type { Account } from '../simulator/account.ts';
import { falseSignature } from '../simulator/daemons.ts';
import type { Dice } from '../simulator/dice.ts';
import { FalseDisk, unwatched } from '../simulator/false-disk.ts';
import { falseKernels } from '../simulator/false-kernels.ts';
import { LeafDisk } from '../simulator/false-leaf-store.ts';
import { FalseNetwork, peerIdOf, peerOf } from '../simulator/false-network.ts';
import { falseSource } from '../simulator/false-source.ts';
import { Machine } from '../simulator/machine.ts';
import type { PlannedMisfortune } from '../simulator/scenario.ts';
import { sha256 } from '../simulator/sha256.ts';
import { Violation } from '../simulator/violation.ts';
import type { Process, World } from '../simulator/world.ts';
import { falseForward } from './false-forward.ts';
import { FalseHub, falseHasher } from './false-hub.ts';
import type { MeasureScenario } from './measure-scenario.ts';
import { withTrouble } from './network-trouble.ts';
import { aheadWork, expectedFiles, type QuantizeLife, quantize } from './quantize-world.ts';
import {
  CHUNK_TOKENS,
  calibrationIds,
  expectedMatrix,
  layerNumber,
  spell,
  type WorldModel,
} from './world-model.ts';

// From the end of all trouble to the matrix: some time-outs one after the other.
const RECOVERY_MS_MAX = 20 * 60_000;
// After an error the user runs the command again.
const AGAIN_MS = 5_000;
// So long a user waits for other machines.
const SHARED_MS_MAX = 60_000;
const LOOK_MS = 200;
// More of them in a calm world are no bad luck.
const FAULTS_WHEN_CALM_MAX = 3;
// Workers wait some minutes for a coordinator that went away.
const AFTERMATH_MS = 12 * 60_000;
const COORDINATOR = peerIdOf('coordinator');
const MEMORY_BYTES = 1 << 26;
const SPEED = { leastMs: 1, bytesPerMs: 10_000 };
const SOURCE = 'source/';

export class MeasureCluster {
  readonly #world: World;
  readonly #dice: Dice;
  readonly #model: WorldModel;
  readonly #scenario: MeasureScenario;
  readonly #network: FalseNetwork;
  readonly #hub: FalseHub;
  readonly #machines: Machine[] = [];
  readonly #holders = new Map<Process, readonly (StageHolder | LeaseHolder)[]>();
  /** What the coordinator's data directory holds of measurements. */
  readonly #kept = new Map<string, Map<string, Uint8Array>>();
  #sums: string | undefined;
  readonly #notices: string[] = [];
  #drain = new AbortController();
  #faultsWhenCalm = 0;
  #matrix: string | undefined;
  #account: Account | undefined;
  /** Units that were made ahead, and those that outputs began with, over all attempts. */
  readonly ahead = { made: 0, adopted: 0 };
  /** Chunks times layers that were run, on all machines. */
  passed = 0;
  /** When all was measured. */
  measuredMs = 0;
  /** The codes of what ended runs before the good one. */
  readonly faults: string[] = [];

  constructor(world: World, model: WorldModel, scenario: MeasureScenario) {
    this.#world = world;
    this.#dice = world.dice;
    this.#model = model;
    this.#scenario = scenario;
    const { hub, calmFromMs } = scenario;
    this.#hub = new FalseHub(world, model.files, { flips: hub?.flips ?? 0, calmFromMs });
    const nothing = (): void => undefined;
    this.#network = new FalseNetwork(world, { sent: nothing, said: nothing, parted: nothing });
    this.#network.trouble = scenario.network;
    for (let index = 0; index <= scenario.workers; index++) this.#machines.push(this.#build(index));
  }

  /** Ranges that machines fetched of the hub, by themselves. */
  get fetched(): number {
    return this.#hub.ranges;
  }

  get deaths(): number {
    return this.#machines.reduce((sum, { deaths }) => sum + deaths, 0);
  }

  /** @throws Violation, or what the roles threw and should not have */
  async run(): Promise<void> {
    const { calmFromMs, startsMs, misfortunes, chunks, badAt, quantizes } = this.#scenario;
    if (quantizes) {
      this.#account = await expectedFiles(this.#model, chunks, new Set(badAt.keys()));
    }
    const [coordinator, ...workers] = this.#machines;
    coordinator?.startIn(10);
    for (const [index, worker] of workers.entries()) worker.startIn(startsMs[index] ?? 0);
    for (const misfortune of misfortunes) {
      this.#world.at(misfortune.atMs, undefined, 'misfortune', () => this.#befall(misfortune));
    }
    this.#world.at(calmFromMs, undefined, 'calm', () => this.#calm());
    const isOver = (): boolean => this.#matrix !== undefined && this.#hasAllFiles();
    this.#world.at(calmFromMs + RECOVERY_MS_MAX, undefined, 'too late', () => {
      if (isOver()) return;
      throw new Violation(`no matrix ${RECOVERY_MS_MAX} ms after the last trouble`);
    });
    const end = await this.#world.run(isOver);
    if (end !== 'over') throw new Violation(end);
    this.#checkMatrix();
    await this.#checkAftermath();
  }

  #hasAllFiles(): boolean {
    return this.#account?.isComplete([COORDINATOR]) ?? true;
  }

  #build(index: number): Machine {
    const dice = this.#dice;
    const { scenario, model } = { scenario: this.#scenario, model: this.#model };
    const isCoordinator = index === 0;
    const name = isCoordinator ? COORDINATOR : peerIdOf(`worker${index}`);
    const seen = (): ReturnType<Account['witnessOf']> | undefined =>
      this.#account?.witnessOf(COORDINATOR);
    const witness = {
      ...unwatched,
      named: (...told: Parameters<ReturnType<Account['witnessOf']>['named']>) =>
        seen()?.named(...told),
      cut: () => seen()?.cut(),
    };
    const disk = new FalseDisk(dice, isCoordinator ? witness : unwatched, () => undefined);
    disk.trouble.badWrites = isCoordinator ? scenario.badWrites : 0;
    const sourceBytes = [...model.files.values()].reduce((sum, { length }) => sum + length, 0);
    const peer = peerOf(name, isCoordinator ? 'coordinator' : 'worker', {
      threads: 1,
      ramBytes: MEMORY_BYTES,
      diskBytes: 4 * sourceBytes,
      bytesPerSecond: isCoordinator && !scenario.coordinatorWorks ? 0 : dice.between(800, 1_200),
    });
    const leaves = new LeafDisk(dice, peer.hello.diskBytes);
    const live = async (process: Process): Promise<void> => {
      const network = withTrouble(this.#network.join(process, peer), scenario, this.#world);
      if (isCoordinator) await this.#coordinate(process, network, peer, leaves, disk);
      else this.#hold(process, network, leaves, index);
    };
    return new Machine({ world: this.#world, name, network: this.#network, disk, leaves, live });
  }

  #hold(process: Process, network: Network, leaves: LeafDisk, index: number): void {
    const kernels = this.#kernels(process, leaves);
    const parts = {
      network,
      kernels,
      store: leaves.openFor(process),
      clock: process.clock,
      sha256,
    };
    const openOrigin = async (): Promise<OriginReader> => {
      const hasWay = this.#scenario.hub?.hasNoWay.includes(index) === false;
      if (!hasWay) throw new Error('no way to the hub');
      return this.#hub.reader(process);
    };
    const origins = new OriginPieces({ ...parts, hasher: kernels, openOrigin });
    const shared = { ...parts, origins, memoryBytes: MEMORY_BYTES };
    const holder = new StageHolder({
      ...shared,
      openForward: () => this.#forward(process, leaves, index),
      cacheBytes: this.#scenario.isStreamed ? 0 : MEMORY_BYTES,
    });
    holder.start();
    this.#holders.set(process, [holder]);
    if (!this.#scenario.quantizes && this.#scenario.hub === undefined) return;
    // Who passes the chains along, and makes outputs.
    const leases = new LeaseHolder({
      ...shared,
      sign: (message) => falseSignature(network.self, message),
    });
    leases.start();
    this.#holders.set(process, [holder, leases]);
  }

  #kernels(process: Process, leaves: LeafDisk): Kernels & PieceHasher {
    const kernels = falseKernels(process, SPEED);
    return { ...kernels, sha256Pieces: falseHasher(process, leaves) };
  }

  #forward(process: Process, leaves: LeafDisk, index: number): ReturnType<typeof falseForward> {
    const { badAt, chunkMs, slow } = this.#scenario;
    return falseForward({
      process,
      chunkMs: slow?.machine === index ? slow.times * chunkMs : chunkMs,
      fileOf: (path) => {
        if (path.startsWith(SOURCE)) return this.#model.files.get(path.slice(SOURCE.length));
        const [run = '', key = ''] = path.split('/');
        return leaves.runs.get(run)?.get(key);
      },
      isBad: (layer, chunk) => {
        const number = layerNumber(layer);
        if (number >= 0) this.passed++;
        return number >= 0 && badAt.get(chunk) === number;
      },
    });
  }

  /** The command is run again after every end but the good one. */
  async #coordinate(
    process: Process,
    network: Network,
    peer: ConnectedPeer,
    leaves: LeafDisk,
    disk: FalseDisk,
  ): Promise<void> {
    this.#drain = new AbortController();
    const report = (event: RunEvent): void => {
      if (event.type !== 'notice') return;
      this.#notices.push(event.text);
      this.#world.tell(() => `${process.name} says: ${event.text}`);
    };
    const ports = this.#ports(process, network, peer, leaves);
    await this.#untilShared(process, network);
    try {
      const progress = new Progress(process.clock, report);
      const { quantizes } = this.#scenario;
      const telling = { report, progress, drain: this.#drain.signal, goesOn: quantizes };
      const request = this.#request(process);
      const life: QuantizeLife = {
        ...{ process, network, source: request.source },
        world: this.#model,
        kernels: ports.kernels,
        offer: ports.offer,
        openDirectory: async () => disk.openFor(process),
        drain: this.#drain.signal,
      };
      const ahead = quantizes ? aheadWork(life) : undefined;
      const measured = await measure({ ...request, ahead }, ports, telling);
      const { matrix } = measured;
      this.#world.tell(() => `${process.name} has measured all`);
      this.measuredMs = this.#world.nowMs;
      this.#matrix = spell([...matrix.entries], matrix.chunkCount);
      if (!quantizes) return;
      const { made, adopted } = await quantize(life, measured);
      this.ahead.made += made;
      this.ahead.adopted += adopted;
    } catch (error) {
      if (!(error instanceof FaultError)) throw error;
      this.#world.tell(() => `${process.name} ends: ${error.message}`);
      this.faults.push(error.kind.code);
      this.#checkFault(error);
      this.#machines[0]?.leave();
      this.#machines[0]?.startIn(AGAIN_MS);
    }
  }

  /** A user asks for it when the others are there, as a rule: alone it is fetched as a whole. */
  async #untilShared(process: Process, network: Network): Promise<void> {
    if (this.#scenario.hub === undefined) return;
    const endMs = process.clock.now() + this.#dice.pick([0, SHARED_MS_MAX, SHARED_MS_MAX]);
    while (process.clock.now() < endMs && network.peers().length === 0) {
      await process.later(LOOK_MS, 'look for others', () => undefined);
    }
  }

  #request(process: Process): Parameters<typeof measure>[0] {
    const { checkpoint, model, fileDigests, files } = this.#model;
    const { chunks, replicas, waveChunks } = this.#scenario;
    const remote = this.#scenario.hub && { remote: this.#hub.remote(process) };
    const source = { ...falseSource(process, this.#dice, files), ...remote };
    return {
      calibration: {
        files: [{ path: 'text', given: 'text' }],
        default: false,
        chat: false,
        parseSpecial: false,
        ctx: CHUNK_TOKENS,
        fromChunk: 0,
        processOutput: false,
        ppl: false,
        replicas,
        chunks,
        ...(waveChunks === 0 ? {} : { waveChunks }),
      },
      source: { ...source, path: (file) => `${SOURCE}${file}` },
      checkpoint,
      described: { model, files: checkpoint.files },
      fileDigests,
      keepSource: false,
      purpose: 'simulated',
    };
  }

  #ports(
    process: Process,
    network: Network,
    { hello }: ConnectedPeer,
    leaves: LeafDisk,
  ): MeasurePorts {
    const { chunks, workers, isStreamed } = this.#scenario;
    return {
      openFile: async () => ({
        bytes: 1,
        read: async (_, into) => {
          into.fill(0x61);
        },
        close: async () => undefined,
      }),
      splitPath: (path) => ({ file: path }),
      openTokenizer: () => ({ encode: async () => calibrationIds(chunks + 1).slice(1) }),
      openTemplate: () => ({ render: () => '' }),
      defaultText: 'text',
      kernels: this.#kernels(process, leaves),
      clock: process.clock,
      sha256,
      offer: { ...hello, leasesMax: 2, memoryBytes: MEMORY_BYTES },
      network: workers === 0 ? undefined : network,
      openForward: () => this.#forward(process, leaves, 0),
      multiplicationsPerSecond: async () => hello.multiplicationsPerSecond,
      openMeasurement: async (id) => this.#filesOf(process, id),
      store: leaves.openFor(process),
      cacheBytes: isStreamed ? 0 : MEMORY_BYTES,
      drawFirstLease: () => this.#dice.between(0, 2 ** 31 - 1),
    };
  }

  /** What is opened first are the sums. Without a hub there are no records of what came from one. */
  #filesOf(process: Process, id: string): MeasurementFiles {
    this.#sums ??= id;
    if (id === this.#sums || this.#scenario.hub !== undefined) return this.#files(process, id);
    return { ...this.#files(process, id), list: async () => [], drop: async () => undefined };
  }

  /** Each write is durable when it is said to be, and not at all before. */
  #files(process: Process, id: string): MeasurementFiles {
    const files = this.#kept.get(id) ?? new Map<string, Uint8Array>();
    this.#kept.set(id, files);
    const step = <T>(what: string, work: () => T): Promise<T> =>
      process.later(this.#dice.skewed(0, 30), `sums: ${what}`, work);
    return {
      list: () => step('list', () => [...files.keys()]),
      read: (name) => step('read', () => files.get(name)?.slice()),
      write: (name, bytes) => {
        const copy = bytes.slice();
        return step('write', () => void files.set(name, copy));
      },
      remove: (name) => step('remove', () => void files.delete(name)),
      drop: () => step('drop', () => files.clear()),
    };
  }

  #checkFault(error: FaultError): void {
    const isInterrupted = error.kind.code === runFaults.interrupted.code;
    if (isInterrupted && !this.#drain.signal.aborted) throw error;
    const isCalm = this.#world.nowMs >= this.#scenario.calmFromMs;
    if (isCalm && ++this.#faultsWhenCalm > FAULTS_WHEN_CALM_MAX) throw error;
  }

  #befall({ machine: index, what }: PlannedMisfortune): void {
    const machine = this.#machines[index];
    if (machine === undefined) return;
    const links = this.#network.linksOf(machine.name);
    switch (what.kind) {
      case 'kill':
      case 'power cut':
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
        machine.leaves.fullUntilMs = this.#world.nowMs + what.forMs;
        machine.disk.trouble.fullUntilMs = this.#world.nowMs + what.forMs;
        break;
      case 'interrupt':
        this.#drain.abort();
        break;
    }
  }

  #calm(): void {
    this.#network.calm();
    for (const [index, machine] of this.#machines.entries()) {
      machine.leaves.fullUntilMs = 0;
      machine.disk.trouble.fullUntilMs = 0;
      machine.disk.trouble.badWrites = 0;
      if (machine.process !== undefined) machine.process.stalledUntilMs = 0;
      // The one that was to die stays away.
      if (this.#scenario.kind !== 'one death' || index === 0) machine.startIn(0);
    }
  }

  #checkMatrix(): void {
    const { chunks, badAt } = this.#scenario;
    const leftOut = new Set(badAt.keys());
    const expected = expectedMatrix(this.#model, chunks, leftOut);
    if (this.#matrix !== expected) throw new Violation('the matrix is not that of the chunks');
    const unnamed = [...leftOut].filter(
      (chunk) =>
        !this.#notices.some((text) => new RegExp(`chunk [\\d, ]*\\b${chunk}\\b`).test(text)),
    );
    if (unnamed.length > 0) throw new Violation(`nobody was told of the bad chunks ${unnamed}`);
  }

  /** The daemons live on; whatever they held for the run they must let go of. */
  async #checkAftermath(): Promise<void> {
    this.#network.calm();
    const endMs = this.#world.nowMs + AFTERMATH_MS;
    this.#world.at(AFTERMATH_MS, undefined, 'end of the world', () => undefined);
    await this.#world.run(() => this.#world.nowMs >= endMs);
    for (const [process, holders] of this.#holders) {
      if (!process.isAlive || holders.every(({ leases }) => leases === 0)) continue;
      throw new Violation(`${process.name} still holds leases of a run that ended`);
    }
  }
}
