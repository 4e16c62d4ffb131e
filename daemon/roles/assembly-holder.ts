/**
 * Assembly holder: this machine's part in putting together outputs of the runs of others.
 *
 *   assemble, take, seal, end ──▶ HeldAssembly (one an output) ──▶ states, sealed bytes to pull
 *
 * Beside lease-holder.ts, which makes block runs. Read next: assembly-pool.ts, the other end.
 */

import type { BlobName } from '../../proto/blob-names.ts';
import type {
  Assemble,
  AssemblyEnd,
  AssemblyMessage,
  AssemblyState,
  PeerId,
  PeerMessage,
} from '../../proto/peer-messages.ts';
import { assemblyMapBytes } from '../core/plan/assembly-map.ts';
import type { Sha256 } from '../core/plan/unit-id.ts';
import type {
  BlobProvider,
  Clock,
  ConnectedPeer,
  HeldOutputs,
  Kernels,
  Network,
  OfferedDisk,
} from '../ports.ts';
import { Credit } from './credit.ts';
import { type AssemblyPorts, HeldAssembly } from './held-assembly.ts';
import { ReleaseFolders } from './release-folders.ts';
import { SealedOutputs } from './sealed-outputs.ts';

export interface AssemblyHolderParts {
  readonly network: Network;
  readonly kernels: Pick<Kernels, 'sha256'>;
  readonly clock: Clock;
  readonly sha256: Sha256;
  readonly outputs: HeldOutputs;
  readonly disk: OfferedDisk;
  /** A block run that was made on this machine itself, for as long as it waits here. */
  readonly own: AssemblyPorts['own'];
}

// Block runs between their makers and the disk, over all outputs.
const TAKE_BYTES_MAX = 96 * 1024 * 1024;
const LOOK_MS = 60_000;
// A coordinator speaks of an output once a minute. One that is silent for longer has gone away; what
// is here waits on the disk until it comes again.
const FORGET_MS = 10 * 60_000;
// Each may hold a header in memory; what is too much for this machine goes to another.
const ASSEMBLIES_MAX = 64;
// Their headers and the places of their runs, together.
const MAP_BYTES_MAX: number = 512 * 1024 * 1024;
const ENDED_MAX = 1024;

export class AssemblyHolder {
  readonly #parts: AssemblyHolderParts;
  readonly #ports: AssemblyPorts;
  readonly #folders: ReleaseFolders;
  readonly #sealed: SealedOutputs;
  readonly #held = new Map<string, HeldAssembly>();
  readonly #mapBytes = new Map<HeldAssembly, number>();
  /** What has ended in this process, so that it can be said again; the oldest first. */
  readonly #ended = new Map<string, AssemblyEnd>();
  #stops: (() => void)[] = [];
  #cancelLook: () => void = () => undefined;

  constructor(parts: AssemblyHolderParts) {
    this.#parts = parts;
    this.#folders = new ReleaseFolders(parts.outputs, parts.disk);
    this.#sealed = new SealedOutputs({ ...parts, folders: this.#folders });
    this.#ports = { ...parts, folders: this.#folders, memory: new Credit(TAKE_BYTES_MAX) };
  }

  /** Resolves when what earlier processes have left is counted. */
  async start(): Promise<void> {
    const { network, clock } = this.#parts;
    this.#stops = [
      network.serve(this.#provider()),
      network.listen({ message: (from, message) => this.#hear(from, message) }),
    ];
    const look = (): void => {
      for (const [key, held] of this.#held) {
        if (clock.now() - held.heardMs >= FORGET_MS) void this.#end(key, held, false, false);
      }
      void this.#sealed.closeIdle(LOOK_MS);
      this.#cancelLook = clock.after(LOOK_MS, look);
    };
    this.#cancelLook = clock.after(LOOK_MS, look);
    await this.#folders.begin();
  }

  /** Closes every output; what is written of them is durable when it has resolved. */
  async stop(): Promise<void> {
    this.#cancelLook();
    for (const stop of this.#stops) stop();
    this.#stops = [];
    const ends = [...this.#held].map(([key, held]) => this.#end(key, held, false, false));
    await Promise.all([...ends, this.#sealed.closeIdle(0)]);
  }

  /** Outputs that are open. */
  get assemblies(): number {
    return this.#held.size;
  }

  /** Only who may give leases is listened to. */
  #hear(from: ConnectedPeer, message: PeerMessage): void {
    if (from.role !== 'coordinator' || !('output' in message)) return;
    const key = `${from.peer}/${message.run}/${message.output}`;
    const held = this.#held.get(key);
    if (held !== undefined) held.heardMs = this.#parts.clock.now();
    this.#act(key, held, from.peer, message);
  }

  #act(
    key: string,
    held: HeldAssembly | undefined,
    coordinator: PeerId,
    message: AssemblyMessage,
  ): void {
    switch (message.kind) {
      case 'assemble':
        if (held === undefined || held.isOver || !held.isFor(message)) {
          this.#begin(key, held, coordinator, message);
        } else held.adopt(message.opening);
        break;
      case 'assembly-take':
        held?.take(message);
        break;
      case 'assembly-seal':
        held?.seal(message.opening);
        break;
      case 'assembly-end':
        this.#hearEnd(key, held, coordinator, message);
        break;
    }
  }

  #begin(
    key: string,
    before: HeldAssembly | undefined,
    coordinator: PeerId,
    message: Assemble,
  ): void {
    // Late: it has ended since.
    if (this.#ended.get(key)?.opening === message.opening) return;
    if (before === undefined) {
      this.#start(key, coordinator, message);
      return;
    }
    void this.#end(key, before, false, false).then(() => {
      if (!this.#held.has(key)) this.#start(key, coordinator, message);
    });
  }

  #start(key: string, coordinator: PeerId, message: Assemble): void {
    const mapBytes = assemblyMapBytes(message.headerBytes, message.runCount);
    let bytes = mapBytes;
    for (const each of this.#mapBytes.values()) bytes += each;
    if (this.#mapBytes.size >= ASSEMBLIES_MAX || bytes > MAP_BYTES_MAX) {
      const declined = 'it puts together as many outputs as it can at a time';
      this.#say(coordinator, message, { phase: 'declined', declined });
      return;
    }
    const held = new HeldAssembly(message, coordinator, this.#ports);
    this.#held.set(key, held);
    this.#mapBytes.set(held, mapBytes);
    this.#ended.delete(key);
    held.begin();
  }

  #hearEnd(
    key: string,
    held: HeldAssembly | undefined,
    coordinator: PeerId,
    message: AssemblyEnd,
  ): void {
    if (held !== undefined) {
      this.#ended.set(key, message);
      void this.#end(key, held, message.erase, true);
      const [oldest] = this.#ended.keys();
      if (this.#ended.size > ENDED_MAX && oldest !== undefined) this.#ended.delete(oldest);
      return;
    }
    const ended = this.#ended.get(key);
    if (ended?.opening === message.opening) this.#say(coordinator, message, { phase: 'ended' });
  }

  /** Of an output that is not held. */
  #say(
    coordinator: PeerId,
    { run, output, opening }: Assemble | AssemblyEnd,
    state: Pick<AssemblyState, 'phase' | 'declined'>,
  ): void {
    const nothing = { stored: new Uint8Array(0), verifiedBytes: 0 };
    const about = { kind: 'assembly-state', run, output, opening } as const;
    this.#parts.network.send(coordinator, { ...about, ...nothing, ...state });
  }

  async #end(key: string, held: HeldAssembly, erase: boolean, isSaid: boolean): Promise<void> {
    try {
      // What is deleted while it is open would keep its room.
      if (erase) await this.#sealed.closeIdle(0);
      await held.end(erase, isSaid);
    } catch {
      // A disk that fails here has nothing left to lose: what was not durable is made again. What
      // could not be deleted is not said to be.
      if (erase) this.#ended.delete(key);
    }
    this.#mapBytes.delete(held);
    if (this.#held.get(key) === held) this.#held.delete(key);
  }

  #provider(): BlobProvider {
    return {
      read: async (to, blob, offset, bytes) => await this.#read(to, blob, offset, bytes),
    };
  }

  /**
   * A sealed output: for the coordinator that has it open, else by its release for any coordinator,
   * which could have it opened just as well.
   */
  async #read(
    to: ConnectedPeer,
    blob: BlobName,
    offset: number,
    bytes: number,
  ): Promise<Uint8Array | undefined> {
    if (blob.kind !== 'output') return undefined;
    for (const held of this.#held.values()) {
      if (held.run !== blob.run || held.coordinator !== to.peer) continue;
      held.heardMs = this.#parts.clock.now();
      const end = blob.offset + blob.bytes;
      const found = await held.read(blob.id, blob.offset + offset, bytes, end);
      if (found !== undefined) return found;
    }
    if (to.role !== 'coordinator') return undefined;
    return await this.#sealed.read(blob, blob.offset + offset, bytes);
  }
}
