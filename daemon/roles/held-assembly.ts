/**
 * Held assembly: one output that this machine puts together for a coordinator.
 *
 *   map, pulled and checked ──▶ Assembler ◀── block runs, pulled from their makers
 *        └──▶ state, taken ──▶ … ──▶ seal: read back, named ──▶ pulled as a whole ──▶ end
 *
 * What it says is an answer to what the coordinator says again until it is answered. Whatever is
 * durable when this process dies is found by the next. Read next: assembler.ts.
 */

import { fromHex } from '../../proto/peer-fields.ts';
import { TAKEN_MAX } from '../../proto/peer-limits.ts';
import type {
  Assemble,
  AssemblyPhase,
  AssemblyTake,
  AssemblyTaken,
  PeerId,
  RunId,
  TakenRun,
} from '../../proto/peer-messages.ts';
import { assemblyMapBytes, type MappedOutput, readAssemblyMap } from '../core/plan/assembly-map.ts';
import { hex, type Sha256 } from '../core/plan/unit-id.ts';
import type { Clock, Kernels, Network } from '../ports.ts';
import { Assembler, COMMIT_BYTES } from './assembler.ts';
import type { Credit } from './credit.ts';
import type { ReleaseFolders } from './release-folders.ts';
import { runBits } from './run-bits.ts';

export interface AssemblyPorts {
  readonly network: Network;
  readonly kernels: Pick<Kernels, 'sha256'>;
  readonly clock: Clock;
  readonly sha256: Sha256;
  readonly folders: ReleaseFolders;
  /** A block run that was made on this machine itself, for as long as it waits here. */
  readonly own: (run: RunId, unit: string, bytes: number) => Uint8Array | undefined;
  /** For block runs between their maker and the disk. */
  readonly memory: Credit;
}

// Block runs come one by one; a sync for each would take longer than making them.
const COMMIT_IDLE_MS = 200;
const VERIFIED_SAY_MS = 1000;
const MAP_ATTEMPTS_MAX = 5;
const PULL_ATTEMPTS_MAX = 3;
const PAUSE_MS = 1000;
// More than a coordinator has on its way to one output; it says again what is not heard.
const TAKING_MAX = 8192;

export class HeldAssembly {
  readonly coordinator: PeerId;
  readonly #claim: Assemble;
  readonly #ports: AssemblyPorts;
  readonly #stop = new AbortController();
  readonly #busy = new Set<Promise<void>>();
  /** Serial of what is being pulled, and of what could not be had, by run. */
  readonly #taking = new Map<number, number>();
  readonly #failed = new Map<number, number>();
  #opening: number;
  #phase: 'opening' | AssemblyPhase = 'opening';
  #output: MappedOutput | undefined;
  #assembler: Assembler | undefined;
  #closeFolder: (() => Promise<void>) | undefined;
  #isCommitting = false;
  #cancelCommit: () => void = () => undefined;
  #verifiedBytes = 0;
  #verifiedSaidMs = 0;
  #digest: Uint8Array | undefined;
  #declined: string | undefined;
  #ending: Promise<void> | undefined;
  #erasing: Promise<void> | undefined;
  /** When the coordinator last spoke of it. */
  heardMs: number;

  constructor(claim: Assemble, coordinator: PeerId, ports: AssemblyPorts) {
    this.#claim = claim;
    this.coordinator = coordinator;
    this.#ports = ports;
    this.#opening = claim.opening;
    this.heardMs = ports.clock.now();
  }

  get run(): string {
    return this.#claim.run;
  }

  get isOver(): boolean {
    return this.#phase === 'declined' || this.#phase === 'ended';
  }

  isFor({ id, release, file }: Assemble): boolean {
    const own = this.#claim;
    return hex(own.id) === hex(id) && own.release === release && own.file === file;
  }

  begin(): void {
    this.#track(this.#open());
  }

  /** The coordinator has opened it anew: it is told what is durable, and nothing before that. */
  adopt(opening: number): void {
    this.#opening = opening;
    if (this.#phase === 'opening') return;
    this.#track(this.#commit().then(() => this.#sayState()));
  }

  take({ opening, takes }: AssemblyTake): void {
    if (opening !== this.#opening || this.#phase !== 'open') return;
    const written: number[] = [];
    const stored: number[] = [];
    const failed: number[] = [];
    for (const each of takes) {
      if (each.run >= this.#claim.runCount) continue;
      if (this.#isStored(each)) stored.push(each.run);
      if (this.#assembler?.holds(each.run) === true) written.push(each.run);
      else if (this.#failed.get(each.run) === each.serial) failed.push(each.serial);
      else this.#begin(each);
    }
    if (written.length + failed.length > 0) this.#sayTaken({ written, stored, failed });
  }

  /** Where it was made again of other bytes, what is here is forgotten. */
  #isStored({ run, digest }: TakenRun): boolean {
    const stored = this.#assembler?.storedDigest(run);
    const isOther = stored !== undefined && hex(stored) !== hex(digest);
    if (isOther) this.#assembler?.forget([run]);
    return stored !== undefined && !isOther;
  }

  seal(opening: number): void {
    if (opening !== this.#opening || this.#phase === 'opening') return;
    if (this.#phase === 'open') this.#track(this.#seal());
    else this.#sayState();
  }

  /**
   * Ends it: what is written is made durable; `erase` deletes it all. Asked for again, it resolves
   * when that is done.
   * @param isSaid whether the coordinator is told
   */
  async end(erase: boolean, isSaid: boolean): Promise<void> {
    this.#ending ??= this.#end(erase);
    await this.#ending;
    const { release, file } = this.#claim;
    if (erase) {
      this.#erasing ??= this.#ports.folders.remove(release, file);
      await this.#erasing;
    }
    if (isSaid) this.#sayState();
  }

  async #end(erase: boolean): Promise<void> {
    this.#phase = 'ended';
    this.#stop.abort(new Error('the assembly has ended'));
    while (this.#busy.size > 0) await Promise.race(this.#busy);
    try {
      if (!erase) await this.#assembler?.commit();
    } finally {
      await this.#close();
    }
  }

  /** Bytes of the sealed file; undefined where it is another, or not sealed. */
  async read(
    id: Uint8Array,
    offset: number,
    bytes: number,
    within: number,
  ): Promise<Uint8Array | undefined> {
    const assembler = this.#assembler;
    const isIt = hex(id) === hex(this.#claim.id) && within <= this.#claim.fileBytes;
    if (!isIt || assembler?.isSealed !== true || this.isOver) return undefined;
    const into = new Uint8Array(bytes);
    await assembler.read(offset, into);
    return into;
  }

  /** Never rejects: what goes wrong is told to the coordinator. */
  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.#decline(error))
      .finally(() => this.#busy.delete(tracked));
    this.#busy.add(tracked);
  }

  async #open(): Promise<void> {
    const { sha256, folders } = this.#ports;
    const claim = this.#claim;
    const { headerBytes, runCount, release, file, fileBytes, run } = claim;
    const output = readAssemblyMap(
      claim,
      await this.#pullMap(assemblyMapBytes(headerBytes, runCount)),
      sha256,
    );
    this.#output = output;
    await folders.demandRoom({ release, file, bytes: fileBytes, run });
    const folder = await folders.open(release);
    this.#closeFolder = folder.close;
    this.#assembler = await Assembler.open(output, false, { directory: folder.directory, sha256 });
    if (this.#phase !== 'opening') return;
    this.#phase = 'open';
    this.#sayState();
  }

  async #pullMap(bytes: number): Promise<Uint8Array> {
    const { network, kernels } = this.#ports;
    const { run, map } = this.#claim;
    const into = new Uint8Array(bytes);
    const blob = { kind: 'assembly-map', run, digest: map, bytes } as const;
    for (let attempt = 1; ; attempt++) {
      try {
        await network.pull([this.coordinator], blob, into, { signal: this.#stop.signal });
        if (hex(await kernels.sha256(into)) === hex(map)) return into;
        throw new Error('the map is not that of its digest');
      } catch (error) {
        if (this.#stop.signal.aborted || attempt === MAP_ATTEMPTS_MAX) throw error;
        await this.#pause();
      }
    }
  }

  #begin(taken: TakenRun): void {
    const { run, serial } = taken;
    const isKnown = this.#taking.has(run);
    if (!isKnown && this.#taking.size >= TAKING_MAX) return;
    this.#failed.delete(run);
    // A later try of what is being pulled is answered when that is over.
    this.#taking.set(run, serial);
    if (!isKnown) this.#track(this.#fetch(taken));
  }

  async #fetch(taken: TakenRun): Promise<void> {
    const { run } = taken;
    const { memory } = this.#ports;
    const place = this.#output?.runs[run];
    if (place === undefined) return;
    const giveBack = await memory.take(place.bytes);
    let isWritten = false;
    try {
      const into = new Uint8Array(place.bytes);
      if (await this.#pull(taken, place.unit, into)) {
        await this.#assembler?.write(run, into, taken.digest);
        isWritten = true;
      }
    } finally {
      giveBack();
    }
    const serial = this.#taking.get(run) ?? taken.serial;
    this.#taking.delete(run);
    if (this.#stop.signal.aborted) return;
    if (isWritten) this.#sayTaken({ written: [run] });
    else {
      this.#failed.set(run, serial);
      this.#sayTaken({ failed: [serial] });
    }
    await this.#commitWhereDue();
  }

  /** False where the maker cannot be reached, or its bytes are not those of the digest. */
  async #pull({ from, digest }: TakenRun, unit: string, into: Uint8Array): Promise<boolean> {
    const { network, kernels, own } = this.#ports;
    const { signal } = this.#stop;
    const { run } = this.#claim;
    if (from === network.self) {
      const made = own(run, unit, into.length);
      if (made === undefined) return false;
      into.set(made);
      return hex(await kernels.sha256(into)) === hex(digest);
    }
    const blob = { kind: 'block-run', run, unit, bytes: into.length } as const;
    for (let attempt = 1; attempt <= PULL_ATTEMPTS_MAX; attempt++) {
      if (attempt > 1) await this.#pause();
      if (signal.aborted) return false;
      // One that was told of just now takes a moment to be reached.
      if (!network.peers().some(({ peer }) => peer === from)) continue;
      try {
        await network.pull([from], blob, into, { signal });
        if (hex(await kernels.sha256(into)) === hex(digest)) return true;
      } catch {
        // Asked again, and then left to the coordinator.
      }
    }
    return false;
  }

  /** Commits when enough has been written, or when nothing more comes. */
  async #commitWhereDue(): Promise<void> {
    this.#cancelCommit();
    while (!this.#isCommitting && (this.#assembler?.bytesPending ?? 0) >= COMMIT_BYTES) {
      this.#isCommitting = true;
      try {
        await this.#commit();
      } finally {
        this.#isCommitting = false;
      }
    }
    if (this.#stop.signal.aborted || this.#assembler?.bytesPending === 0) return;
    this.#cancelCommit = this.#ports.clock.after(COMMIT_IDLE_MS, () => {
      if (!this.#stop.signal.aborted) this.#track(this.#commit());
    });
  }

  async #commit(): Promise<void> {
    const stored = (await this.#assembler?.commit()) ?? [];
    if (stored.length > 0) this.#sayTaken({ stored });
  }

  async #seal(): Promise<void> {
    const assembler = this.#assembler;
    if (assembler === undefined) return;
    this.#phase = 'verifying';
    this.#verifiedBytes = 0;
    await this.#commit();
    const isWhole = assembler.storedRuns().length === this.#claim.runCount;
    const lost = isWhole
      ? await assembler.verify(this.#noteVerified, this.#stop.signal)
      : undefined;
    if (this.#stop.signal.aborted) return;
    if (lost?.length === 0) {
      this.#digest = fromHex(await assembler.seal());
      this.#phase = 'sealed';
      this.#sayState();
      return;
    }
    this.#phase = 'open';
    this.#sayState('lost');
  }

  readonly #noteVerified = (bytes: number): void => {
    this.#verifiedBytes += bytes;
    const nowMs = this.#ports.clock.now();
    if (nowMs - this.#verifiedSaidMs < VERIFIED_SAY_MS) return;
    this.#verifiedSaidMs = nowMs;
    this.#sayState();
  };

  #decline(error: unknown): void {
    if (this.isOver) return;
    this.#declined = error instanceof Error ? error.message : String(error);
    this.#phase = 'declined';
    this.#stop.abort(error);
    this.#sayState();
    this.#close().catch(() => undefined);
  }

  async #close(): Promise<void> {
    const closeFolder = this.#closeFolder;
    this.#closeFolder = undefined;
    await this.#assembler?.close();
    this.#assembler = undefined;
    await closeFolder?.();
  }

  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => this.#ports.clock.after(PAUSE_MS, resolve));
  }

  #sayTaken(taken: Partial<Pick<AssemblyTaken, 'written' | 'stored' | 'failed'>>): void {
    const { run, output } = this.#claim;
    for (const [kind, numbers] of Object.entries(taken)) {
      for (let at = 0; at < numbers.length; at += TAKEN_MAX) {
        this.#ports.network.send(this.coordinator, {
          ...{ kind: 'assembly-taken', run, output, opening: this.#opening },
          ...{ written: [], stored: [], failed: [] },
          [kind]: numbers.slice(at, at + TAKEN_MAX),
        });
      }
    }
  }

  #sayState(phase: AssemblyPhase | 'opening' = this.#phase): void {
    if (phase === 'opening') return;
    const { run, output, runCount, release, file } = this.#claim;
    const isOpen = phase === 'open' || phase === 'lost';
    this.#ports.network.send(this.coordinator, {
      ...{ kind: 'assembly-state', run, output, opening: this.#opening, phase },
      stored: isOpen ? runBits(this.#assembler?.storedRuns() ?? [], runCount) : new Uint8Array(0),
      verifiedBytes: this.#verifiedBytes,
      ...(phase === 'sealed' && this.#digest !== undefined
        ? { digest: this.#digest, path: this.#ports.folders.path(release, file) }
        : {}),
      ...(this.#declined === undefined ? {} : { declined: this.#declined }),
    });
  }
}
