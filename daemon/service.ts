/**
 * Service: the runs a daemon has under way, and its answers to the local API.
 *
 *   LocalService calls ──▶ roles/run.ts, roles/inspect.ts with this machine's adapters
 */

import { join, parse } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { RunEvent, Status } from '../proto/api.ts';
import type { InspectReport } from '../proto/inspect.ts';
import type { HubAccess, RunRequest } from '../proto/requests.ts';
import { openChatTemplate } from './adapters/chat-template.ts';
import { loadIdentity } from './adapters/cluster-store.ts';
import { cryptography, startDigest } from './adapters/cryptography.ts';
import { openFolderFiles } from './adapters/folder-files.ts';
import { openPublishTarget } from './adapters/hub-publish.ts';
import type { Addon } from './adapters/kernels.ts';
import { openMeasurementFiles } from './adapters/measurement-files.ts';
import { isHubSource, openHub } from './adapters/open-hub.ts';
import { openOutputDirectory, outputRoom } from './adapters/output-files.ts';
import { openRebuildFolder } from './adapters/rebuild-folder.ts';
import type { LocalRecipes } from './adapters/recipe-api.ts';
import { openReleaseFolder } from './adapters/release-folder.ts';
import { openSource, openSourceFile } from './adapters/source-directory.ts';
import { openTextTokenizer } from './adapters/text-tokenizer.ts';
import { parseToml } from './adapters/toml.ts';
import { publicKeyOf } from './core/membership/peer-id.ts';
import type { Sha256 } from './core/plan/unit-id.ts';
import type { Clock, LocalService, Network } from './ports.ts';
import { Costs } from './roles/costs.ts';
import { inspectFile, inspectRemote } from './roles/inspect.ts';
import type { MeasureTools } from './roles/prepare-measure.ts';
import { checkRecipe, listRecipes, showRecipe } from './roles/recipes.ts';
import type { SourceOptions } from './roles/run.ts';
import { type StartPorts, startRun } from './roles/start-run.ts';
import type { Settings } from './settings.ts';

interface Running {
  readonly request: RunRequest;
  readonly drain: AbortController;
  readonly ended: Promise<void>;
  stage: string;
  bytesDone: number;
  bytesTotal: number;
}

// Two tasks more than threads: while one is read and one is written, every thread has its own.
const LEASES_BEYOND_THREADS = 2;
const DELAY_RESOLUTION_MS = 10;

export interface ServiceOptions {
  readonly settings: Settings;
  readonly kernels: Addon;
  readonly sha256: Sha256;
  readonly clock: Clock;
  /** Undefined in a daemon that is on no network. */
  readonly peers: ServicePeers | undefined;
  readonly tools: MeasureTools;
}

export interface ServicePeers {
  /** For runs of this machine; undefined while it may not give leases to others. */
  readonly network: () => Network | undefined;
  readonly bytesPerSecond: number;
  readonly multiplicationsPerSecond: number;
}

export class Service implements LocalService {
  readonly recipes: LocalRecipes;
  readonly #settings: Settings;
  readonly #kernels: Addon;
  readonly #ports: StartPorts;
  readonly #running = new Map<number, Running>();
  readonly #delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  #lastRun = 0;

  constructor({ settings, kernels, sha256, clock, peers, tools }: ServiceOptions) {
    this.#settings = settings;
    this.#kernels = kernels;
    this.#delay.enable();
    const hashFile = (path: string, signal?: AbortSignal): Promise<Uint8Array> =>
      kernels.sha256File(path, signal);
    this.#ports = {
      ...tools,
      openSource: (
        source: string,
        { hub: access = {}, keepSource: keep = false, signal }: SourceOptions = {},
      ) => {
        const { dataDirectory } = settings;
        const hashing = { hashFile, digestCache: join(dataDirectory, 'source-digests.json') };
        if (!isHubSource(source)) return openSource(source, hashing);
        const directory = join(dataDirectory, 'hub');
        return openHub(source, { ...hashing, directory, access, keep, signal });
      },
      openFile: openSourceFile,
      openPublishTarget,
      openRelease: (path) => openReleaseFolder(path, kernels),
      openRebuild: openRebuildFolder,
      verify: cryptography.verify,
      openTokenizer: openTextTokenizer,
      openTemplate: openChatTemplate,
      parseToml,
      defaultText: settings.defaultText,
      roomOf: outputRoom,
      spentSeconds: () => {
        const { user, system } = process.cpuUsage();
        const { compute, hash } = kernels.spent();
        return { kernels: compute + hash, process: (user + system) / 1e6 };
      },
      openOutputs: (directory) => openOutputDirectory(directory, kernels),
      kernels,
      sha256,
      clock,
      splitPath: (path) => {
        const { dir, base } = parse(path);
        return { directory: dir, file: base };
      },
      offer: {
        leasesMax: settings.threads + LEASES_BEYOND_THREADS,
        memoryBytes: settings.ramBytes,
        bytesPerSecond: peers?.bytesPerSecond ?? 1,
        multiplicationsPerSecond: peers?.multiplicationsPerSecond ?? 1,
      },
      network: () => peers?.network(),
      isSigned: (peer, message, signature) => {
        const key = publicKeyOf(peer);
        return key !== undefined && cryptography.verify(key, message, signature);
      },
      openPlacement: (release) =>
        openMeasurementFiles(join(settings.dataDirectory, 'placements'), release),
      openFolder: openFolderFiles,
      // The package is read when there is a card to read.
      parseYaml: async (text) => (await import('./adapters/yaml.ts')).parseYaml(text),
      identity: () => loadIdentity(settings.dataDirectory),
      startDigest,
      version: settings.version,
      selfTests: settings.selfTests,
    };
    const ports = { ...this.#ports, shippedRecipes: settings.shippedRecipes };
    this.recipes = {
      list: listRecipes,
      show: (ftype) => showRecipe(ftype, ports),
      check: (request) => checkRecipe(request, ports, new AbortController().signal),
    };
  }

  run(
    request: RunRequest,
    report: (event: RunEvent) => void,
  ): { run: number; ended: Promise<void> } {
    const id = ++this.#lastRun;
    const drain = new AbortController();
    const costs = new Costs(this.#ports, () => this.#kernels.spent());
    const note = (event: RunEvent): void => {
      const running = this.#running.get(id);
      if (running !== undefined && event.type === 'progress') Object.assign(running, event);
      report(costs.complete(event));
    };
    const ended = startRun(request, { ...this.#ports, ...costs.ports }, note, drain.signal).finally(
      () => this.#running.delete(id),
    );
    this.#running.set(id, {
      request,
      drain,
      ended,
      stage: 'plan',
      bytesDone: 0,
      bytesTotal: 0,
    });
    return { run: id, ended };
  }

  drain(run: number): void {
    this.#running.get(run)?.drain.abort();
  }

  async inspect(path: string, hub?: HubAccess): Promise<InspectReport> {
    if (isHubSource(path)) return inspectRemote(await this.#ports.openSource(path, { hub }));
    const file = await openSourceFile(path);
    try {
      return await inspectFile(file, path);
    } finally {
      await file.close();
    }
  }

  status(): Status {
    const { dataDirectory, name, ramBytes, diskBytes, version } = this.#settings;
    const { isa, isas, threads } = this.#kernels.info;
    // What is measured contains the interval of the measuring.
    const eventLoopDelayMs = this.#delay.percentile(99) / 1e6 - DELAY_RESOLUTION_MS;
    this.#delay.reset();
    return {
      version,
      pid: process.pid,
      dataDirectory,
      name,
      uptimeSeconds: process.uptime(),
      isa,
      isas,
      threads,
      ramBytes,
      diskBytes: diskBytes ?? null,
      residentBytes: process.memoryUsage.rss(),
      eventLoopDelayMs: Math.max(0, eventLoopDelayMs),
      runs: [...this.#running].map(([run, { request, stage, bytesDone, bytesTotal }]) => ({
        run,
        kind: request.kind,
        source: placeOf(request),
        stage,
        bytesDone,
        bytesTotal,
      })),
    };
  }

  /** Drains every run and waits for them. */
  async close(): Promise<void> {
    for (const { drain } of this.#running.values()) drain.abort();
    await Promise.allSettled([...this.#running.values()].map(({ ended }) => ended));
    this.#delay.disable();
  }
}

/** What a run is about, as the user named it. */
function placeOf(request: RunRequest): string {
  if (request.kind === 'verify' || request.kind === 'reproduce') return request.release;
  return request.kind === 'publish' ? request.folder : request.source;
}
