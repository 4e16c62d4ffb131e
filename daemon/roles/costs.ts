/**
 * Costs: where a run's time goes, measured around the ports, so that no role knows of it.
 *
 *   RunPorts ──▶ Costs.ports ──▶ run ──▶ RunEvents ──▶ Costs.complete ──▶ `done` with its costs
 */

import type { RunEvent, StageCosts } from '../../proto/api.ts';
import type { Clock, OutputDirectory, OutputFile, Source } from '../ports.ts';
import type { RunPorts } from './run.ts';

/** Seconds of the kernels' threads up to now, of all runs together. */
export type SpentSoFar = () => {
  readonly compute: number;
  readonly hash: number;
  readonly digest: number;
  readonly wait: number;
};
type Stage = StageCosts['stage'];

export class Costs {
  /** What the run is to be given instead of the ports. */
  readonly ports: RunPorts;
  readonly #clock: Clock;
  readonly #spent: SpentSoFar;
  readonly #reading: Busy;
  readonly #writing: Busy;
  readonly #syncing: Busy;
  readonly #stages: StageCosts[] = [];
  #stage: { readonly name: Stage; readonly before: Omit<StageCosts, 'stage'> } | undefined;

  constructor(ports: RunPorts, spent: SpentSoFar) {
    this.#clock = ports.clock;
    this.#spent = spent;
    this.#reading = new Busy(ports.clock);
    this.#writing = new Busy(ports.clock);
    this.#syncing = new Busy(ports.clock);
    this.ports = {
      ...ports,
      openSource: async (...wanted) => this.#timeSource(await ports.openSource(...wanted)),
      openOutputs: async (path) => this.#timeOutputs(await ports.openOutputs(path)),
    };
  }

  /** Follows the run by its events, and adds to the last what its stages cost. */
  complete(event: RunEvent): RunEvent {
    if (event.type === 'progress' && event.stage !== this.#stage?.name) this.#begin(event.stage);
    if (event.type !== 'done') return event;
    this.#end();
    return { ...event, stages: this.#stages };
  }

  #begin(name: Stage): void {
    this.#end();
    this.#stage = { name, before: this.#now() };
  }

  #end(): void {
    if (this.#stage === undefined) return;
    const { name, before } = this.#stage;
    const now = this.#now();
    this.#stages.push({
      stage: name,
      seconds: now.seconds - before.seconds,
      computeThreadSeconds: now.computeThreadSeconds - before.computeThreadSeconds,
      hashThreadSeconds: now.hashThreadSeconds - before.hashThreadSeconds,
      digestThreadSeconds: now.digestThreadSeconds - before.digestThreadSeconds,
      readSeconds: now.readSeconds - before.readSeconds,
      writeSeconds: now.writeSeconds - before.writeSeconds,
      syncSeconds: now.syncSeconds - before.syncSeconds,
    });
    this.#stage = undefined;
  }

  #now(): Omit<StageCosts, 'stage'> {
    const { compute, hash, digest, wait } = this.#spent();
    return {
      seconds: this.#clock.now() / 1000,
      computeThreadSeconds: compute,
      hashThreadSeconds: hash,
      digestThreadSeconds: digest,
      readSeconds: this.#reading.seconds + wait,
      writeSeconds: this.#writing.seconds,
      syncSeconds: this.#syncing.seconds,
    };
  }

  #timeSource(source: Source): Source {
    const reading = this.#reading;
    return {
      ...(source.named === undefined ? {} : { named: source.named }),
      list: () => source.list(),
      read: (...place) => reading.during(source.read(...place)),
      digest: (file, signal) => source.digest(file, signal),
      ...(source.path === undefined ? {} : { path: (file) => source.path?.(file) ?? file }),
      ...(source.isAt === undefined
        ? {}
        : { isAt: async (path) => (await source.isAt?.(path)) === true }),
      checkUnchanged: () => source.checkUnchanged(),
      ...(source.remote === undefined ? {} : { remote: source.remote }),
      close: () => source.close(),
    };
  }

  #timeOutputs(directory: OutputDirectory): OutputDirectory {
    return {
      freeBytes: () => directory.freeBytes(),
      open: async (...wanted) => this.#timeOutput(await directory.open(...wanted)),
      close: () => directory.close(),
    };
  }

  #timeOutput(file: OutputFile): OutputFile {
    const writing = this.#writing;
    const syncing = this.#syncing;
    return {
      state: file.state,
      get allocatedBytes() {
        return file.allocatedBytes;
      },
      readJournal: () => file.readJournal(),
      resume: (journalBytes) => file.resume(journalBytes),
      restart: (...journal) => syncing.during(file.restart(...journal)),
      draft: () => file.draft(),
      write: (offset, bytes) => writing.during(file.write(offset, bytes)),
      read: (offset, into) => file.read(offset, into),
      hash: (...pieces) => file.hash(...pieces),
      commit: (journal) => syncing.during(file.commit(journal)),
      sync: () => syncing.during(file.sync()),
      discard: () => file.discard(),
      seal: () => syncing.during(file.seal()),
      digest: () => file.digest(),
      close: () => file.close(),
    };
  }
}

/** Seconds during which at least one of something was under way. */
class Busy {
  readonly #clock: Clock;
  #count = 0;
  #sinceMs = 0;
  #ms = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get seconds(): number {
    const running = this.#count > 0 ? this.#clock.now() - this.#sinceMs : 0;
    return (this.#ms + running) / 1000;
  }

  async during<Result>(work: Promise<Result>): Promise<Result> {
    if (this.#count++ === 0) this.#sinceMs = this.#clock.now();
    try {
      return await work;
    } finally {
      if (--this.#count === 0) this.#ms += this.#clock.now() - this.#sinceMs;
    }
  }
}
