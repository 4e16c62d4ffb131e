/**
 * Open assemblers: finds a machine for each output of a plan and opens it there.
 *
 *   plan + what lies where + rooms ──▶ local or remote assemblers, those of a former run first
 *
 * An output that has begun somewhere goes on there. What has not goes to this machine's disk, or is
 * spread over all where that was asked for; a machine that refuses is left out. Read next:
 * core/plan/output-placement.ts, collect-outputs.ts (what becomes of them in the end).
 */

import { FaultError } from '../../proto/fault.ts';
import type { PeerId, RunId } from '../../proto/peer-messages.ts';
import { RESERVE_BYTES } from '../core/estimate/fit.ts';
import { placeOutputs } from '../core/plan/output-placement.ts';
import type { Plan, PlannedOutput } from '../core/plan/plan.ts';
import type { Sha256 } from '../core/plan/unit-id.ts';
import { type AheadRun, adoptedRuns } from '../core/schedule/ahead.ts';
import { Schedule } from '../core/schedule/schedule.ts';
import type { Clock, Network, OutputDirectory } from '../ports.ts';
import { Assembler } from './assembler.ts';
import { assemblyFaults } from './assembly-faults.ts';
import { AssemblyPool } from './assembly-pool.ts';
import { outputFaults } from './faults.ts';
import { MovingAssembler } from './moving-assembler.ts';
import { isWorking, LOCAL_PEER, localOffer, type Offer, offerOf, plannedShares } from './offers.ts';
import type { OutputAssembler } from './output-assembler.ts';
import type { PlacedOn, PlacementRecord } from './placement-record.ts';
import type { RemoteAssembler } from './remote-assembler.ts';

export interface OpenAssemblersParts {
  readonly plan: Plan;
  readonly directory: OutputDirectory;
  readonly overwrite: boolean;
  /** By the name of an output, what its part holds already, without a journal. */
  readonly ahead?: ReadonlyMap<string, readonly AheadRun[]> | undefined;
  /** Undefined where this machine works alone: then every output grows here. */
  readonly spread?: SpreadParts;
  readonly sha256: Sha256;
}

export interface SpreadParts {
  readonly network: Network;
  readonly clock: Clock;
  /** The name of the run among machines, and of the plan's folder on them. */
  readonly run: RunId;
  readonly release: RunId;
  readonly firstOpening: number;
  readonly record: PlacementRecord;
  /** What has begun nowhere is spread over all machines; else it grows here. */
  readonly isWanted: boolean;
  /** Sealed outputs stay where they are: then this machine needs no room for those of others. */
  readonly isLeft: boolean;
  readonly offer: Offer;
  /** Something that the user should know, and may act on in time. */
  readonly onNotice: (text: string) => void;
}

export interface OpenedAssemblers {
  /** One for each output of the plan, in its order. */
  readonly assemblers: readonly OutputAssembler[];
  /** Outputs that are on other machines now. */
  remotes(): readonly { readonly index: number; readonly remote: RemoteAssembler }[];
  /** What is left on machines of outputs that are elsewhere: sealed here, or moved. */
  leftovers(): readonly RemoteAssembler[];
  /** Bytes that outputs take of each machine's disk. */
  readonly outputBytes: ReadonlyMap<PeerId, number>;
  /** Block runs that were made ahead and count now. */
  readonly runsAdopted: number;
  close(): Promise<void>;
}

/** @throws FaultError where an output is in the way, has no room, or lies on a machine that is away */
export async function openAssemblers(parts: OpenAssemblersParts): Promise<OpenedAssemblers> {
  const opening = new Opening(parts);
  try {
    await opening.openKnown();
    await opening.openNew();
    await opening.dropDrafts();
    return opening.opened();
  } catch (error) {
    await opening.close();
    throw error;
  }
}

class Opening {
  readonly #parts: OpenAssemblersParts;
  readonly #pool: AssemblyPool | undefined;
  readonly #assemblers = new Map<number, OutputAssembler>();
  readonly #locals: Assembler[] = [];
  readonly #remotes = new Map<number, RemoteAssembler>();
  readonly #leftovers: RemoteAssembler[] = [];
  #moves: Promise<void> = Promise.resolve();
  #runsAdopted = 0;
  /** Why machines would not have an output. */
  readonly #refusals = new Map<PeerId, string>();

  constructor(parts: OpenAssemblersParts) {
    this.#parts = parts;
    const { spread, sha256 } = parts;
    this.#pool = spread && new AssemblyPool({ ...spread, sha256 });
    this.#pool?.start();
  }

  opened(): OpenedAssemblers {
    const { plan } = this.#parts;
    const outputBytes = new Map<PeerId, number>();
    for (const { peer, output } of this.#remotes.values()) {
      outputBytes.set(peer, (outputBytes.get(peer) ?? 0) + output.layout.fileBytes);
    }
    return {
      assemblers: plan.outputs.map((output, index) => {
        const assembler = this.#assemblers.get(index);
        if (assembler === undefined) throw new Error(`${output.file} is not open`);
        return this.#remotes.has(index) ? this.#movable(index, output, assembler) : assembler;
      }),
      remotes: () =>
        [...this.#remotes]
          .sort(([a], [b]) => a - b)
          .map(([index, remote]) => {
            return { index, remote };
          }),
      leftovers: () => this.#leftovers,
      outputBytes,
      runsAdopted: this.#runsAdopted,
      close: () => this.close(),
    };
  }

  #movable(index: number, output: PlannedOutput, first: OutputAssembler): MovingAssembler {
    return new MovingAssembler(first, async (why) => {
      const lost = this.#remotes.get(index);
      this.#remotes.delete(index);
      this.#assemblers.delete(index);
      if (lost !== undefined) this.#refusals.set(lost.peer, why.detail.why ?? why.message);
      // One after the other: each finds places for all that have none.
      const moved = this.#moves.then(async () => {
        await this.#parts.spread?.record.remove(output);
        await this.openNew();
      });
      this.#moves = moved.catch(() => undefined);
      await moved;
      const next = this.#assemblers.get(index);
      if (next === undefined) throw why;
      if (lost !== undefined) {
        this.#giveUp(index, output, lost, why.detail.why ?? why.message);
      }
      return next;
    });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#remotes.values()].map((remote) => remote.end(false)));
    this.#pool?.stop();
    await Promise.all(this.#locals.map((assembler) => assembler.close()));
  }

  /** What an earlier run has begun or finished, here or elsewhere. */
  async openKnown(): Promise<void> {
    const recorded: { index: number; output: PlannedOutput; on: PlacedOn }[] = [];
    for (const [index, output] of this.#parts.plan.outputs.entries()) {
      const { spread, overwrite } = this.#parts;
      // Whoever asks for it to be made anew does not wait for a machine that may never come back.
      if (overwrite) await spread?.record.remove(output);
      const on = await spread?.record.get(output);
      if (on === undefined || (await this.#isSealedHere(output))) {
        if (!(await this.#isNew(output))) await this.#openHere(index, output);
        if (on !== undefined && this.#pool !== undefined) {
          this.#leftovers.push(this.#pool.add(index, output, on.peer, on.name));
        }
      } else recorded.push({ index, output, on });
    }
    this.#noticeAway(recorded.map(({ on }) => on));
    await Promise.all(
      recorded.map(async ({ index, output, on }) => {
        await this.#openThere(index, output, on, true);
        const why = this.#refusals.get(on.peer);
        if (!this.#remotes.has(index) && why !== undefined) this.#giveUp(index, output, on, why);
      }),
    );
  }

  #noticeAway(recorded: readonly PlacedOn[]): void {
    const { network, onNotice } = this.#parts.spread ?? {};
    const here = new Set(network?.peers().map(({ peer }) => peer));
    const away = recorded.filter(({ peer }) => !here.has(peer)).map(({ name }) => name);
    if (away.length === 0) return;
    const names = [...new Set(away)].join(', ');
    onNotice?.(`${names} has outputs of this run and is away; in two minutes they are made again`);
  }

  /** Its machine cannot go on with it. Should that come back in time, it need not keep what it has. */
  #giveUp(index: number, output: PlannedOutput, on: PlacedOn, why: string): void {
    if (this.#pool === undefined) return;
    this.#leftovers.push(this.#pool.add(index, output, on.peer, on.name));
    this.#parts.spread?.onNotice(`${output.file} is made again on another disk: ${why}`);
  }

  /** What has begun nowhere, or not where it could go on. */
  async openNew(): Promise<void> {
    const { plan, spread } = this.#parts;
    for (;;) {
      const waiting = [...plan.outputs.entries()].filter(([index]) => !this.#assemblers.has(index));
      if (waiting.length === 0) break;
      const places = await this.#placesOf(waiting.map(([, output]) => output));
      await Promise.all(
        waiting.map(async ([index, output], at) => {
          const peer = places[at] ?? LOCAL_PEER;
          if (peer === LOCAL_PEER) await this.#openHere(index, output);
          else await this.#openThere(index, output, { peer, name: this.#nameOf(peer) }, false);
        }),
      );
    }
    await this.#checkRoom(spread?.isLeft === true);
  }

  /** Of what was made ahead, the parts of outputs that grow elsewhere, or nowhere any more. */
  async dropDrafts(): Promise<void> {
    const { directory, ahead } = this.#parts;
    const here = new Set(this.#locals.map(({ output }) => output.file));
    for (const name of ahead?.keys() ?? []) {
      if (here.has(name)) continue;
      const file = await directory.open(name, 0, { overwrite: false });
      await file.discard();
      await file.close();
    }
  }

  async #placesOf(waiting: readonly PlannedOutput[]): Promise<readonly string[]> {
    const { spread } = this.#parts;
    if (spread?.isWanted !== true) return waiting.map(() => LOCAL_PEER);
    const sizes = waiting.map(({ layout }) => ({ bytes: layout.fileBytes }));
    const places = placeOutputs(sizes, await this.#rooms(spread));
    return places.map((peer, at) => {
      if (peer !== undefined) return peer;
      const refusals = [...this.#refusals].map(([each, why]) => `${this.#nameOf(each)}: ${why}`);
      throw new FaultError(assemblyFaults.noRoom, {
        file: waiting[at]?.file ?? '',
        why: [`${sizes[at]?.bytes} bytes are needed in one place`, ...refusals].join('; '),
      });
    });
  }

  /** What each machine has left for outputs, beside its share of the source; this one first. */
  async #rooms({ network, offer }: SpreadParts): Promise<{ peer: string; bytes: number }[]> {
    const { plan, directory } = this.#parts;
    const shares = sourceShares(plan, offer, network);
    const others = network.peers().filter(({ peer }) => !this.#refusals.has(peer));
    const taken = (peer: string): number =>
      [...this.#remotes.values()].reduce(
        (sum, each) => sum + (each.peer === peer ? each.output.layout.fileBytes : 0),
        0,
      );
    const own = (await directory.freeBytes()) - RESERVE_BYTES - this.#bytesToWriteHere();
    return [
      { peer: LOCAL_PEER, bytes: Math.max(0, own) },
      ...others.map(({ peer, hello }) => {
        const share = shares.get(peer) ?? 0;
        return { peer, bytes: Math.max(0, hello.diskBytes - share - taken(peer)) };
      }),
    ];
  }

  #bytesToWriteHere(): number {
    return this.#locals.reduce((sum, { output, isSealed, allocatedBytes }) => {
      return sum + (isSealed ? 0 : Math.max(0, output.layout.fileBytes - allocatedBytes));
    }, 0);
  }

  /** Where outputs are collected, those of others come here as well in the end. */
  async #checkRoom(isLeft: boolean): Promise<void> {
    const { directory } = this.#parts;
    const collected = [...this.#remotes.values()].reduce(
      (sum, { output }) => sum + (isLeft ? 0 : output.layout.fileBytes),
      0,
    );
    const needed = this.#bytesToWriteHere() + collected;
    const free = await directory.freeBytes();
    if (needed === 0 || needed + RESERVE_BYTES <= free) return;
    throw new FaultError(outputFaults.notEnoughDisk, {
      why: `${needed} bytes are still to be written, ${free} are free`,
    });
  }

  #nameOf(peer: PeerId): string {
    const peers = this.#parts.spread?.network.peers() ?? [];
    return peers.find((each) => each.peer === peer)?.hello.name ?? peer;
  }

  async #stateOf(output: PlannedOutput): Promise<string> {
    const { directory, overwrite } = this.#parts;
    if (overwrite) return 'new';
    const file = await directory.open(output.file, output.layout.fileBytes, { overwrite });
    await file.close();
    return file.state;
  }

  async #isNew(output: PlannedOutput): Promise<boolean> {
    return (await this.#stateOf(output)) === 'new';
  }

  /** Collected by an earlier run, which did not live to forget where it came from. */
  async #isSealedHere(output: PlannedOutput): Promise<boolean> {
    const state = await this.#stateOf(output);
    return state === 'sealed' || state === 'foreign';
  }

  async #openHere(index: number, output: PlannedOutput): Promise<void> {
    const { directory, overwrite, sha256, ahead } = this.#parts;
    const adopted = adoptedRuns(output, ahead?.get(output.file) ?? []);
    const ports = { directory, sha256 };
    const assembler = await Assembler.open(output, overwrite, ports, adopted);
    this.#runsAdopted += assembler.runsAdopted;
    this.#locals.push(assembler);
    this.#assemblers.set(index, assembler);
  }

  /**
   * Opens it there, or notes why that cannot be.
   * @param isRecorded it has begun there, as is known already
   */
  async #openThere(
    index: number,
    output: PlannedOutput,
    on: PlacedOn,
    isRecorded: boolean,
  ): Promise<void> {
    const { spread } = this.#parts;
    if (spread === undefined || this.#pool === undefined) return;
    if (!isRecorded) await spread.record.set(output, on);
    const remote = this.#pool.add(index, output, on.peer, on.name);
    try {
      await remote.open();
    } catch (error) {
      if (!(error instanceof FaultError)) throw error;
      this.#refusals.set(on.peer, error.detail.why ?? error.message);
      await spread.record.remove(output);
      return;
    }
    this.#remotes.set(index, remote);
    this.#assemblers.set(index, remote);
  }
}

/** Source bytes that each machine would be given, of those that are here now. */
function sourceShares(plan: Plan, offer: Offer, network: Network): Map<PeerId, number> {
  const others = network.peers().filter(isWorking);
  const schedule = new Schedule(plan);
  const peers = [localOffer(offer), ...others.map((each) => offerOf(each))];
  schedule.step({ kind: 'peers-joined', peers }, 0);
  const shares = plannedShares(plan, schedule, (peer) => peer);
  return new Map(shares.map(({ name, sourceBytes }) => [name, sourceBytes]));
}
