/**
 * Remote assembler: an output that grows on another machine, as its coordinator sees it.
 *
 *   place, verify, end ──▶ messages ──▶ held-assembly.ts on the other machine
 *   stored, lost, sealed ◀── its answers
 *
 * What is said is said again until it is answered. On each connection the output is opened anew:
 * what the other machine then names as durable is what there is, and whatever else it was believed
 * to hold has to be made again.
 */

import { FaultError, type FaultKind } from '../../proto/fault.ts';
import type {
  AssemblyMessage,
  AssemblyState,
  AssemblyTaken,
  PeerId,
  TakenRun,
} from '../../proto/peer-messages.ts';
import type { MappedOutput } from '../core/plan/assembly-map.ts';
import { hex } from '../core/plan/unit-id.ts';
import type { Network } from '../ports.ts';
import { assemblyFaults } from './assembly-faults.ts';
import { AssemblyWords, type AssemblyWordsParts } from './assembly-words.ts';
import { runFaults } from './faults.ts';
import type { AssemblyEvents, MadeBlocks, OutputAssembler } from './output-assembler.ts';
import { setBits } from './run-bits.ts';

export interface RemoteParts extends AssemblyWordsParts {
  readonly network: Pick<Network, 'self' | 'send'>;
  /** For people. */
  readonly name: string;
  /** Lets the other machine pull what is made here, until the result is called. */
  readonly offer: (unit: string, content: Uint8Array) => () => void;
  /** Tells the other machine where the maker of a block run is. */
  readonly introduce: (maker: PeerId) => void;
}

interface Pending {
  readonly take: TakenRun;
  readonly isOwn: boolean;
  readonly settle: (isHeld: boolean) => void;
}

interface Verifying {
  readonly onBytes: (bytes: number) => void;
  bytes: number;
  readonly resolve: (lost: number[]) => void;
  readonly reject: (error: unknown) => void;
}

// Long enough that a machine which is only busy has said something meanwhile.
const SAY_AGAIN_MS = 5000;
// So that a machine which has nothing to do for an output knows that it is wanted.
const OPEN_AGAIN_MS = 60_000;
// A machine that starts again, or whose link is mended, goes on where it was. One that needs longer
// is seen to by a person.
const AWAY_MS_MAX = 2 * 60_000;
// A maker that it cannot reach is asked by the coordinator for so long.
const UNREACHABLE_MS = 60_000;
const END_MS_MAX = 10_000;

export class RemoteAssembler implements OutputAssembler {
  readonly isLocal = false;
  readonly bytesPending = 0;
  readonly output: MappedOutput;
  readonly #parts: RemoteParts;
  readonly #words: AssemblyWords;
  #stored = new Set<number>();
  /** The durable ones and those that will be. */
  #written = new Set<number>();
  readonly #pending = new Map<number, Pending>();
  /** Of no account until made again and durable. */
  readonly #forgotten = new Set<number>();
  readonly #unreachable = new Map<PeerId, number>();
  #serial = 0;
  /** What it has is known, in this opening. */
  #isOpen = false;
  #awaySinceMs: number | undefined;
  #heardMs = 0;
  #verifying: Verifying | undefined;
  #sealed: { readonly sha256: string; readonly path: string } | undefined;
  #ending: { readonly erase: boolean; readonly done: (isHeard: boolean) => void } | undefined;
  #endingSinceMs = 0;
  #isEnded = false;
  #isDraining = false;
  #events: AssemblyEvents | undefined;
  #failure: FaultError | undefined;
  #opened: (failure: FaultError | undefined) => void = () => undefined;

  constructor(parts: RemoteParts) {
    this.#parts = parts;
    this.output = parts.output;
    this.#words = new AssemblyWords(parts);
    this.#awaySinceMs = parts.clock.now();
  }

  /**
   * Resolves when it is known what the other machine has of the output.
   * @throws FaultError where it refuses, or stays away
   */
  async open(): Promise<void> {
    if (this.#isOpen) return;
    const failure =
      this.#failure ??
      (await new Promise<FaultError | undefined>((resolve) => {
        this.#opened = resolve;
      }));
    if (failure !== undefined) throw failure;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get peer(): PeerId {
    return this.#parts.peer;
  }

  get name(): string {
    return this.#parts.name;
  }

  get isSealed(): boolean {
    return this.#sealed !== undefined;
  }

  /** Where the sealed file lies on its machine, as that says. */
  get path(): string {
    return this.#sealed?.path ?? this.output.file;
  }

  get sha256(): string {
    return this.#sealed?.sha256 ?? '';
  }

  hasRun(run: number): boolean {
    return this.#stored.has(run);
  }

  holds(run: number): boolean {
    return this.#written.has(run);
  }

  storedRuns(): number[] {
    return [...this.#stored];
  }

  forget(runs: readonly number[]): void {
    for (const run of runs) {
      this.#forgotten.add(run);
      this.#stored.delete(run);
      this.#written.delete(run);
    }
  }

  follow(events: AssemblyEvents): void {
    this.#events = events;
    if (this.#failure !== undefined) events.failed(this.#failure);
  }

  place(run: number, made: MadeBlocks, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    if (this.#written.has(run)) return Promise.resolve(true);
    const { clock, network, offer, introduce } = this.#parts;
    const isOwn = made.content !== undefined;
    const from = isOwn ? network.self : made.from;
    const isReachable = isOwn || (this.#unreachable.get(from) ?? 0) <= clock.now();
    if (!isReachable || this.#failure !== undefined || this.#pending.has(run)) {
      return Promise.resolve(false);
    }
    const stopOffering = made.content && offer(made.unit, made.content);
    if (!isOwn) introduce(from);
    const take = { run, serial: this.#serial++, digest: made.digest, from };
    return new Promise<boolean>((settle, reject) => {
      const onAbort = (): void => {
        this.#pending.delete(run);
        reject(signal.reason);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#pending.set(run, {
        take,
        isOwn,
        settle: (isHeld) => {
          this.#pending.delete(run);
          signal.removeEventListener('abort', onAbort);
          settle(isHeld);
        },
      });
      if (this.#isOpen) this.#words.take([take]);
    }).finally(() => stopOffering?.());
  }

  /** The other machine commits by itself. */
  commit(): Promise<number[]> {
    return Promise.resolve([]);
  }

  verify(onBytes: (bytes: number) => void, signal: AbortSignal): Promise<number[]> {
    signal.throwIfAborted();
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#sealed !== undefined) {
      onBytes(this.output.layout.fileBytes);
      return Promise.resolve([]);
    }
    return new Promise<number[]>((resolve, reject) => {
      const onAbort = (): void => {
        this.#verifying = undefined;
        reject(signal.reason);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      const over = (): void => {
        this.#verifying = undefined;
        signal.removeEventListener('abort', onAbort);
      };
      this.#verifying = {
        onBytes,
        bytes: 0,
        resolve: (lost) => {
          over();
          resolve(lost);
        },
        reject: (error) => {
          over();
          reject(error);
        },
      };
      if (this.#isOpen) this.#words.seal();
    });
  }

  async seal(): Promise<string> {
    return this.sha256;
  }

  drain(): void {
    this.#isDraining = true;
  }

  /** Tells that nothing more is wanted; resolves with whether that was heard. */
  end(erase: boolean): Promise<boolean> {
    if (this.#isEnded) return Promise.resolve(true);
    if ((this.#failure ?? this.#awaySinceMs) !== undefined) return Promise.resolve(false);
    return new Promise<boolean>((done) => {
      this.#ending = { erase, done };
      this.#endingSinceMs = this.#parts.clock.now();
      this.#sayEnd();
    });
  }

  #sayEnd(): void {
    if (this.#ending !== undefined) this.#words.end(this.#ending.erase);
  }

  // ── what the network tells ──

  connected(): void {
    this.#awaySinceMs = undefined;
    this.#openAnew();
  }

  disconnected(): void {
    this.#awaySinceMs ??= this.#parts.clock.now();
    this.#isOpen = false;
  }

  hear(message: AssemblyMessage): void {
    const isOver = this.#failure !== undefined || this.#isEnded;
    if (message.opening !== this.#words.opening || isOver) return;
    this.#heardMs = this.#parts.clock.now();
    if (message.kind === 'assembly-state') this.#hearState(message);
    // What is told before it is known what there is will be told again.
    if (message.kind === 'assembly-taken' && this.#isOpen) this.#hearTaken(message);
  }

  /** Says again what has not been answered. */
  tick(): void {
    if (this.#failure !== undefined || this.#isEnded) return;
    const now = this.#parts.clock.now();
    const isOverdue = now - this.#endingSinceMs >= END_MS_MAX;
    if (this.#ending !== undefined && isOverdue) {
      this.#endWith(false);
      return;
    }
    if (this.#awaySinceMs !== undefined) {
      const isOver = this.#isDraining || now - this.#awaySinceMs >= AWAY_MS_MAX;
      // A file that is sealed lies there, whether or not its machine can be reached.
      const isNeeded = this.#ending === undefined && this.#sealed === undefined;
      if (isOver && isNeeded) this.#fail(this.#awayFault());
      return;
    }
    const sinceMs = now - Math.max(this.#heardMs, this.#words.saidMs);
    if (sinceMs < (this.#isWaiting() ? SAY_AGAIN_MS : OPEN_AGAIN_MS)) return;
    this.#words.assemble();
    if (this.#isOpen) this.#saySecondTime();
  }

  #awayFault(): FaultError {
    const { name, output } = this.#parts;
    if (this.#isDraining) return new FaultError(runFaults.interrupted, { why: `${name} is away` });
    return new FaultError(assemblyFaults.away, { file: output.file, why: name });
  }

  #isWaiting(): boolean {
    return (
      !this.#isOpen ||
      this.#pending.size > 0 ||
      this.#verifying !== undefined ||
      this.#ending !== undefined ||
      this.#written.size > this.#stored.size
    );
  }

  #saySecondTime(): void {
    this.#words.take([...this.#pending.values()].map(({ take }) => take));
    if (this.#verifying !== undefined) this.#words.seal();
    if (this.#ending !== undefined) this.#sayEnd();
  }

  #openAnew(): void {
    this.#isOpen = false;
    this.#unreachable.clear();
    this.#words.openAnew();
  }

  #hearState(state: AssemblyState): void {
    switch (state.phase) {
      case 'declined':
        this.#fail(this.#fault(assemblyFaults.declined, state.declined ?? 'it does not say why'));
        break;
      case 'open':
        this.#hearOpen(this.#storedOf(state));
        break;
      case 'lost':
        // What is still on its way of this opening was said before the loss.
        if (this.#verifying === undefined) break;
        this.#replace(this.#storedOf(state));
        this.#openAnew();
        break;
      case 'verifying':
        this.#hearVerified(state.verifiedBytes);
        break;
      case 'sealed':
        this.#hearSealed(state);
        break;
      case 'ended':
        this.#endWith(true);
        break;
    }
  }

  #storedOf({ stored }: AssemblyState): number[] {
    return setBits(stored, this.output.runs.length).filter((run) => !this.#forgotten.has(run));
  }

  #hearOpen(stored: readonly number[]): void {
    if (this.#isOpen) {
      this.#store(stored);
      return;
    }
    this.#isOpen = true;
    this.#replace(stored);
    this.#opened(undefined);
    this.#saySecondTime();
  }

  /** What there is from now on; what was believed to be there and is not is lost. */
  #replace(stored: readonly number[]): void {
    const now = new Set(stored);
    const lost = [...this.#written].filter((run) => !now.has(run));
    const more = stored.filter((run) => !this.#stored.has(run));
    this.#written = new Set(now);
    this.#stored = now;
    for (const run of stored) this.#pending.get(run)?.settle(true);
    if (more.length > 0) this.#events?.stored(more);
    if (lost.length === 0) return;
    if (this.#verifying !== undefined) this.#verifying.resolve(lost);
    else this.#events?.lost(lost);
  }

  #store(runs: readonly number[]): void {
    const more = runs.filter((run) => !this.#stored.has(run) && run < this.output.runs.length);
    for (const run of more) {
      this.#stored.add(run);
      this.#written.add(run);
      this.#pending.get(run)?.settle(true);
    }
    if (more.length > 0) this.#events?.stored(more);
  }

  #hearTaken({ written, stored, failed }: AssemblyTaken): void {
    for (const run of written) {
      if (run >= this.output.runs.length) continue;
      this.#written.add(run);
      this.#pending.get(run)?.settle(true);
    }
    for (const run of stored) if (this.#written.has(run)) this.#forgotten.delete(run);
    this.#store(stored.filter((run) => !this.#forgotten.has(run)));
    const serials = new Set(failed);
    for (const { take, isOwn, settle } of [...this.#pending.values()]) {
      if (!serials.has(take.serial)) continue;
      if (!isOwn) this.#unreachable.set(take.from, this.#parts.clock.now() + UNREACHABLE_MS);
      settle(false);
    }
  }

  #hearVerified(bytes: number): void {
    const verifying = this.#verifying;
    if (verifying === undefined || bytes <= verifying.bytes) return;
    const capped = Math.min(bytes, this.output.layout.fileBytes);
    verifying.onBytes(capped - verifying.bytes);
    verifying.bytes = capped;
  }

  #hearSealed({ digest, path }: AssemblyState): void {
    if (digest === undefined) return;
    this.#sealed = { sha256: hex(digest), path: path ?? this.output.file };
    this.#hearVerified(this.output.layout.fileBytes);
    if (!this.#isOpen) this.#hearOpen([...this.output.runs.keys()]);
    this.#verifying?.resolve([]);
  }

  #fault(kind: FaultKind, why: string): FaultError {
    return new FaultError(kind, { file: this.output.file, why: `${this.#parts.name}: ${why}` });
  }

  #fail(error: FaultError): void {
    this.#failure = error;
    this.#isOpen = false;
    this.#opened(error);
    this.#verifying?.reject(error);
    for (const { settle } of [...this.#pending.values()]) settle(false);
    this.#ending?.done(false);
    this.#events?.failed(error);
  }

  #endWith(isHeard: boolean): void {
    const ending = this.#ending;
    if (ending === undefined) return;
    this.#isEnded = true;
    this.#ending = undefined;
    ending.done(isHeard);
  }
}
