/**
 * Publish: sends a finished folder to a repository of a hub, and sees that it arrived.
 *
 *   PublishRequest ──▶ files, digests, card ──▶ what is there ──▶ one commit ──▶ listed as sent
 *
 * Outputs that were left on other machines are sent from where they lie (left-outputs.ts).
 */

import type { RunEvent } from '../../proto/api.ts';
import { FaultError } from '../../proto/fault.ts';
import { LEFT_FILE } from '../../proto/left-record.ts';
import { LOCK_FILE } from '../../proto/lockfile.ts';
import type { CardFinding, PublishFile } from '../../proto/publish-plan.ts';
import type { PublishRequest } from '../../proto/publish-request.ts';
import type { HubAccess } from '../../proto/requests.ts';
import { hex } from '../core/plan/unit-id.ts';
import { readSums, SUMS_BYTES_MAX, SUMS_FILE } from '../core/release/checksums.ts';
import { largeFiles } from '../core/release/large-files.ts';
import { lintCard } from '../core/release/lint-card.ts';
import { cardHead } from '../core/release/source-card.ts';
import type { Clock, Network, PublishedState, PublishTarget, SentFile } from '../ports.ts';
import type { FolderEntry, ReleaseFile, ReleaseFolder } from '../release-ports.ts';
import { runFaults } from './faults.ts';
import { evenPieces, hashPieces } from './hash-pieces.ts';
import { type LeftFile, missingOf, readLeftOutputs } from './left-outputs.ts';
import { Progress } from './progress.ts';
import { publishFaults } from './publish-faults.ts';

export interface PublishPorts {
  readonly openRelease: (path: string) => Promise<ReleaseFolder>;
  readonly openPublishTarget: (repository: string, access: HubAccess) => PublishTarget;
  /** @throws Error that says what is wrong with the text */
  readonly parseYaml: (text: string) => unknown;
  readonly clock: Clock;
  /** The members of the cluster; undefined for a daemon that belongs to none. */
  readonly network: () => Pick<Network, 'pull' | 'peers'> | undefined;
}

type Report = (event: RunEvent) => void;

const CARD_FILE = 'README.md';
const ATTRIBUTES_FILE = '.gitattributes';
// Cards of the best described models have some 50 000 characters.
const TEXT_BYTES_MAX: number = 4 * 1024 * 1024;

/** @throws FaultError QD-63xx, and what the hub answers; what was sent is not sent again */
export async function publish(
  request: PublishRequest,
  ports: PublishPorts,
  report: Report,
  drain: AbortSignal,
): Promise<void> {
  const publication = new Publication(request, ports, report, drain);
  try {
    await publication.run();
  } catch (error) {
    if (!drain.aborted) throw error;
    const why = 'no commit was made';
    throw new FaultError(runFaults.interrupted, { why }, { cause: error });
  } finally {
    await publication.close();
  }
}

class Publication {
  readonly #request: PublishRequest;
  readonly #ports: PublishPorts;
  readonly #report: Report;
  readonly #signal: AbortSignal;
  readonly #progress: Progress;
  readonly #target: PublishTarget;
  readonly #opened: ReleaseFile[] = [];

  constructor(request: PublishRequest, ports: PublishPorts, report: Report, signal: AbortSignal) {
    this.#request = request;
    this.#ports = ports;
    this.#report = report;
    this.#signal = signal;
    this.#progress = new Progress(ports.clock, report);
    this.#target = ports.openPublishTarget(request.repository, request.hub ?? {});
  }

  async run(): Promise<void> {
    const { clock, openRelease } = this.#ports;
    const { repository, confirmed, dryRun } = this.#request;
    const startMs = clock.now();
    if (confirmed && this.#request.hub?.token === undefined) {
      throw new FaultError(publishFaults.noToken);
    }
    const folder = await openRelease(this.#request.folder);
    const network = this.#ports.network();
    const left = await readLeftOutputs(folder, { network, clock });
    const local = await this.#digested(folder, publishable(await folder.list()));
    const files = [...local, ...left.map(sentFrom)].sort((a, b) => (a.file < b.file ? -1 : 1));
    await this.#checkSums(files);
    const listed = await this.#listed();
    const planned = await this.#planned(files, listed === 'unknown' ? undefined : listed);
    const card = await this.#lintCard(files);
    this.#report({
      type: 'publish',
      repository,
      hubUrl: this.#target.hubUrl,
      private: this.#request.private,
      ...(listed === 'unknown' ? {} : { exists: listed !== undefined }),
      files: planned,
      card,
    });
    refuseFaulty(card);
    await this.#checkLeft(left, planned);
    if (confirmed) await this.#send(files, planned, listed === undefined);
    else if (!dryRun) throw new FaultError(publishFaults.notConfirmed);
    this.#report({
      type: 'done',
      seconds: (clock.now() - startMs) / 1000,
      ...{ sourceBytes: 0, sourceBytesRead: 0, unitsMade: 0, outputs: 0, peers: [] },
    });
  }

  async close(): Promise<void> {
    for (const file of this.#opened) await file.close();
  }

  async #digested(folder: ReleaseFolder, entries: readonly FolderEntry[]): Promise<SentFile[]> {
    const names = entries.map(({ file }) => file);
    if (!names.includes(LOCK_FILE)) {
      const text = `there is no ${LOCK_FILE}: nobody can make this again from it`;
      this.#report({ type: 'notice', text });
    }
    const total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#progress.begin('digest', total);
    const files: SentFile[] = [];
    for (const { file } of entries) {
      const opened = await folder.open(file);
      this.#opened.push(opened);
      const digest = await hashPieces(opened, evenPieces(opened.bytes), {
        onBytes: (bytes) => this.#progress.add(bytes),
        signal: this.#signal,
      });
      files.push({ file, bytes: opened.bytes, sha256: hex(digest), read: opened.read });
    }
    return files;
  }

  /** Before the first byte is sent: half a release is of no use to anyone. */
  async #checkLeft(left: readonly LeftFile[], planned: readonly PublishFile[]): Promise<void> {
    const isSent = new Set(planned.flatMap(({ file, state }) => (state === 'same' ? [] : [file])));
    const wanted = left.filter(({ output }) => isSent.has(output.file));
    const missing = await missingOf(wanted, this.#signal);
    if (missing === undefined) return;
    if (this.#request.confirmed) throw missing;
    const { file, why } = missing.detail;
    this.#report({ type: 'notice', text: `${file} could not be sent now: ${why}` });
  }

  async #checkSums(files: readonly SentFile[]): Promise<void> {
    const sums = await this.#small(files, SUMS_FILE, SUMS_BYTES_MAX);
    if (sums === undefined) return;
    const found = new Map(files.map(({ file, sha256 }) => [file, sha256]));
    for (const [file, wanted] of readSums(sums)) {
      const sha256 = found.get(file);
      if (sha256 === wanted) continue;
      const why = sha256 === undefined ? 'it is not there' : `${sha256}, where it says ${wanted}`;
      throw new FaultError(publishFaults.otherSums, { file, why });
    }
  }

  /** What is there; `unknown` where a list was asked for and the hub cannot be reached. */
  async #listed(): Promise<PublishedState | undefined | 'unknown'> {
    try {
      return await this.#target.list(this.#signal);
    } catch (error) {
      const isAway = error instanceof FaultError && error.kind.code === 'QD-2507';
      if (this.#request.confirmed || !isAway) throw error;
      this.#report({ type: 'notice', text: 'the hub cannot be reached: what it has is not known' });
      return 'unknown';
    }
  }

  async #planned(
    files: readonly SentFile[],
    listed: PublishedState | undefined,
  ): Promise<PublishFile[]> {
    const attributes = await this.#small(files, ATTRIBUTES_FILE, TEXT_BYTES_MAX);
    const isLarge = largeFiles(new TextDecoder().decode(attributes));
    const planned: PublishFile[] = [];
    for (const sent of files) {
      const { file, bytes, sha256, machine } = sent;
      const there = listed?.files.get(file);
      const isSame = there !== undefined && (await this.#target.isSame(there, sent, this.#signal));
      const state = there === undefined ? 'new' : isSame ? 'same' : 'changed';
      // Whatever the repository says of such names: it is sent to the storage.
      const large = machine !== undefined || isLarge(file, bytes);
      const where = machine === undefined ? {} : { machine };
      planned.push({ file, bytes, sha256, isLarge: large, state, ...where });
    }
    return planned;
  }

  async #lintCard(files: readonly SentFile[]): Promise<CardFinding[]> {
    const card = await this.#small(files, CARD_FILE, TEXT_BYTES_MAX);
    if (card === undefined) return [{ severity: 'fault', text: `there is no ${CARD_FILE}` }];
    const head = cardHead(new TextDecoder().decode(card));
    try {
      return lintCard(head === undefined ? undefined : this.#ports.parseYaml(head));
    } catch (error) {
      const text = error instanceof Error ? error.message.split('\n')[0] : String(error);
      return [{ severity: 'fault', text: `its head is no YAML: ${text}` }];
    }
  }

  async #send(
    files: readonly SentFile[],
    planned: readonly PublishFile[],
    isNew: boolean,
  ): Promise<void> {
    const { repository } = this.#request;
    if (isNew) await this.#target.create(this.#request.private);
    const wanted = new Set(planned.filter(({ state }) => state !== 'same').map(({ file }) => file));
    const sent = files.filter(({ file }) => wanted.has(file));
    const bytes = sent.reduce((sum, file) => sum + file.bytes, 0);
    this.#progress.begin('publish', bytes);
    const made =
      sent.length === 0
        ? undefined
        : await this.#target.send(sent, {
            title: `Upload ${sent.length} files with quantd`,
            onBytes: (part) => this.#progress.add(part),
            signal: this.#signal,
          });
    const { commit } = await this.#received(files);
    const url = made?.url ?? `${this.#target.hubUrl}/${repository}`;
    this.#report({ type: 'published', repository, commit, url, files: sent.length, bytes });
  }

  /** The repository afterwards. */
  async #received(files: readonly SentFile[]): Promise<PublishedState> {
    const listed = await this.#target.list(this.#signal);
    if (listed === undefined) {
      throw new FaultError(publishFaults.notReceived, { why: 'the repository cannot be seen' });
    }
    for (const sent of files) {
      // The hub adds lines of its own to it.
      if (sent.file === ATTRIBUTES_FILE) continue;
      const there = listed.files.get(sent.file);
      if (there !== undefined && (await this.#target.isSame(there, sent, this.#signal))) continue;
      const why =
        there === undefined ? 'it is not there' : `${there.sha256 ?? there.blob} is there`;
      throw new FaultError(publishFaults.notReceived, { file: sent.file, why });
    }
    return listed;
  }

  /** Of one that is too large a byte more than is allowed: enough to see that it is. */
  async #small(
    files: readonly SentFile[],
    name: string,
    bytesMax: number,
  ): Promise<Uint8Array | undefined> {
    const found = files.find(({ file }) => file === name);
    if (found === undefined) return undefined;
    const bytes = new Uint8Array(Math.min(found.bytes, bytesMax + 1));
    await found.read(0, bytes, this.#signal);
    return bytes;
  }
}

function sentFrom({ output, reader }: LeftFile): SentFile {
  const { file, bytes, sha256, machine } = output;
  const unasked = new AbortController().signal;
  const read: SentFile['read'] = (offset, into, signal = unasked) =>
    reader.read(offset, into, signal);
  return { file, bytes, sha256, machine, read };
}

/**
 * The files of a finished folder; hidden ones but .gitattributes are this machine's own, and so is
 * what tells where outputs lie.
 */
function publishable(entries: readonly FolderEntry[]): FolderEntry[] {
  const isOwn = (file: string): boolean =>
    (/(^|\/)\./.test(file) && file !== ATTRIBUTES_FILE) || file === LEFT_FILE;
  const files = entries.filter(({ file }) => !isOwn(file));
  for (const { file, refused } of files) {
    if (file.endsWith('.part')) throw new FaultError(publishFaults.unfinished, { file });
    if (refused !== undefined)
      throw new FaultError(publishFaults.notRegular, { file, why: refused });
  }
  if (files.length === 0) throw new FaultError(publishFaults.empty);
  return files;
}

function refuseFaulty(card: readonly CardFinding[]): void {
  const faults = card.filter(({ severity }) => severity === 'fault');
  if (faults.length === 0) return;
  const why = faults.map(({ key, text }) => (key === undefined ? text : `${key} ${text}`));
  throw new FaultError(publishFaults.badCard, { file: CARD_FILE, why: why.join('; ') });
}
