/**
 * Assembly pool: the coordinator's end of the wire for outputs that grow on other machines.
 *
 *   output + machine ──▶ AssemblyPool.add ──▶ RemoteAssembler ◀── messages ──▶ assembly-holder.ts
 *
 * What another machine may pull through it is the map of an output that it assembles, and block runs
 * made here that it is to take. Read next: remote-assembler.ts (one output).
 */

import type { BlobName } from '../../proto/blob-names.ts';
import { FaultError } from '../../proto/fault.ts';
import type { PeerId, RunId } from '../../proto/peer-messages.ts';
import { assemblyMap, assemblyMapBytes, type MappedOutput } from '../core/plan/assembly-map.ts';
import { hex, type Sha256 } from '../core/plan/unit-id.ts';
import type { BlobProvider, Clock, ConnectedPeer, Network } from '../ports.ts';
import { assemblyFaults } from './assembly-faults.ts';
import { RemoteAssembler } from './remote-assembler.ts';

export interface AssemblyPoolParts {
  readonly network: Network;
  readonly clock: Clock;
  readonly sha256: Sha256;
  readonly run: RunId;
  /** The same for all outputs of a plan. */
  readonly release: RunId;
  readonly firstOpening: number;
}

interface Offered {
  readonly content: Uint8Array;
  /** How many outputs are to take it. */
  count: number;
}

const TICK_MS = 1000;
/** Who speaks of each run on a network. */
const speaking = new WeakMap<Network, Map<RunId, AssemblyPool>>();

export class AssemblyPool {
  readonly #parts: AssemblyPoolParts;
  /** By output and machine: of one that has moved, that is two. */
  readonly #assemblers = new Map<string, RemoteAssembler>();
  /** Outputs by the digest of their map. */
  readonly #outputs = new Map<string, MappedOutput>();
  /** The map that was asked for last: its blocks are asked for one after the other. */
  #lastMap: { readonly digest: string; readonly bytes: Uint8Array } | undefined;
  readonly #offered = new Map<string, Offered>();
  /** Who was told where whom is. */
  readonly #met = new Map<PeerId, Set<PeerId>>();
  #stops: (() => void)[] = [];
  #cancelTick: () => void = () => undefined;

  constructor(parts: AssemblyPoolParts) {
    this.#parts = parts;
  }

  start(): void {
    const { network, clock, run } = this.#parts;
    this.#stops = [
      network.serve(this.#provider()),
      network.listen({
        connected: ({ peer }) => {
          this.#met.delete(peer);
          for (const assembler of this.#of(peer)) assembler.connected();
        },
        disconnected: (peer) => {
          for (const assembler of this.#of(peer)) assembler.disconnected();
        },
        message: ({ peer }, message) => {
          if (!('output' in message) || message.run !== run) return;
          this.#assemblers.get(`${message.output}/${peer}`)?.hear(message);
        },
      }),
    ];
    const tick = (): void => {
      for (const assembler of this.#assemblers.values()) assembler.tick();
      this.#cancelTick = clock.after(TICK_MS, tick);
    };
    this.#cancelTick = clock.after(TICK_MS, tick);
  }

  stop(): void {
    const { network, run } = this.#parts;
    if (speaking.get(network)?.get(run) === this) speaking.get(network)?.delete(run);
    this.#cancelTick();
    for (const stop of this.#stops) stop();
    this.#stops = [];
  }

  /**
   * Gives an output to a machine; it begins when that is here.
   * @throws FaultError `underWay` where another pool of this machine speaks of the same run
   */
  add(index: number, output: MappedOutput, peer: PeerId, name: string): RemoteAssembler {
    const { network, clock, run, release, firstOpening, sha256 } = this.#parts;
    this.#claimRun();
    const map = sha256(assemblyMap(output));
    this.#outputs.set(hex(map), output);
    const assembler = new RemoteAssembler({
      ...{ network, clock, run, release, firstOpening },
      ...{ peer, name, index, output, map },
      offer: (unit, content) => this.#offer(unit, content),
      introduce: (maker) => this.#introduce(peer, maker),
    });
    this.#assemblers.set(`${index}/${peer}`, assembler);
    if (network.peers().some((other) => other.peer === peer)) assembler.connected();
    return assembler;
  }

  /** Answers name the run and the output alone: two would hear each other's. */
  #claimRun(): void {
    const { network, run } = this.#parts;
    const pools = speaking.get(network) ?? new Map<RunId, AssemblyPool>();
    speaking.set(network, pools);
    if ((pools.get(run) ?? this) !== this) throw new FaultError(assemblyFaults.underWay);
    pools.set(run, this);
  }

  #of(peer: PeerId): RemoteAssembler[] {
    return [...this.#assemblers.values()].filter((assembler) => assembler.peer === peer);
  }

  #offer(unit: string, content: Uint8Array): () => void {
    const offered = this.#offered.get(unit) ?? { content, count: 0 };
    offered.count++;
    this.#offered.set(unit, offered);
    return () => {
      if (--offered.count === 0) this.#offered.delete(unit);
    };
  }

  /** Tells a machine where the maker of a block run is, once for each. */
  #introduce(peer: PeerId, maker: PeerId): void {
    const { network } = this.#parts;
    const met = this.#met.get(peer) ?? new Set();
    this.#met.set(peer, met);
    if (maker === peer || maker === network.self || met.has(maker)) return;
    met.add(maker);
    void network.addressesOf(maker).then((addresses) => {
      if (addresses.length > 0) network.send(peer, { kind: 'meet', peer: maker, addresses });
    });
  }

  #provider(): BlobProvider {
    return {
      read: async (to, blob, offset, bytes) =>
        blob.run === this.#parts.run && this.#of(to.peer).length > 0
          ? this.#blob(to, blob)?.subarray(offset, offset + bytes)
          : undefined,
    };
  }

  #blob(to: ConnectedPeer, blob: BlobName): Uint8Array | undefined {
    if (blob.kind === 'block-run') {
      const content = this.#offered.get(blob.unit)?.content;
      return content?.length === blob.bytes ? content : undefined;
    }
    if (blob.kind !== 'assembly-map') return undefined;
    const digest = hex(blob.digest);
    const output = this.#outputs.get(digest);
    const isIts = this.#of(to.peer).some((assembler) => assembler.output === output);
    if (output === undefined || !isIts) return undefined;
    const { layout, runs } = output;
    if (assemblyMapBytes(layout.header.length, runs.length) !== blob.bytes) return undefined;
    if (this.#lastMap?.digest !== digest) this.#lastMap = { digest, bytes: assemblyMap(output) };
    return this.#lastMap.bytes;
  }
}
