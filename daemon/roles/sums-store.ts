/**
 * Sums store: the coordinator's sums of every layer and group, durable as they come.
 *
 *   LayerSums ──▶ a file each ──▶ a few joined into one ──▶ the sums of a layer over all groups
 *
 * A group that may still turn out to hold a bad chunk stays by itself, so that it can be dropped.
 * What a crash leaves is read again at the next start.
 */

import { assert } from '../../proto/assert.ts';
import { DIGEST_BYTES } from '../../proto/peer-limits.ts';
import { GROUP_CHUNKS } from '../core/calibration/chunks.ts';
import { type GroupSet, groupCount, groupSet, groupsOf } from '../core/importance/group-set.ts';
import { type LayerSums, mergeSums } from '../core/importance/partial-sums.ts';
import { checkSums, sumsBytes } from '../core/importance/statistics.ts';
import type { Statistic } from '../core/models/forward.ts';
import { hex, type Sha256 } from '../core/plan/unit-id.ts';
import type { MeasurementFiles } from '../ports.ts';

interface Stored {
  readonly name: string;
  readonly layer: number;
  readonly groups: readonly number[];
  /** Chunks of those groups that are not in it. */
  readonly leftOut: readonly number[];
}

// Joining reads and writes what is joined: seldom enough to cost little, often enough to save room.
const FILES_MAX = 8;
const LENGTH_BYTES = 4;

export class SumsStore {
  readonly #files: MeasurementFiles;
  readonly #statistics: readonly (readonly Statistic[])[];
  readonly #sha256: Sha256;
  readonly #stored: Stored[] = [];
  /** One change at a time. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(
    files: MeasurementFiles,
    statistics: readonly (readonly Statistic[])[],
    sha256: Sha256,
  ) {
    this.#files = files;
    this.#statistics = statistics;
    this.#sha256 = sha256;
  }

  /** Opens what an earlier process left; what a crash tore of it is as good as absent. */
  static async open(
    files: MeasurementFiles,
    statistics: readonly (readonly Statistic[])[],
    sha256: Sha256,
  ): Promise<SumsStore> {
    const store = new SumsStore(files, statistics, sha256);
    const found: Stored[] = [];
    for (const name of await files.list()) {
      const stored = await store.#readHeader(name);
      if (stored === undefined) await files.remove(name);
      else found.push(stored);
    }
    // A crash between joining and removing leaves both: the larger set counts.
    found.sort((a, b) => b.groups.length - a.groups.length);
    for (const stored of found) {
      const has = stored.groups.some((group) => store.has(stored.layer, group));
      if (has) await files.remove(stored.name);
      else store.#stored.push(stored);
    }
    return store;
  }

  /** What is stored: each layer and group, with the group's chunks that are not in it. */
  list(): {
    readonly layer: number;
    readonly group: number;
    readonly leftOut: readonly number[];
  }[] {
    return this.#stored.flatMap((stored) =>
      stored.groups.map((group) => {
        return { layer: stored.layer, group, leftOut: leftOutOf(group, stored) };
      }),
    );
  }

  has(layer: number, group: number): boolean {
    return this.#stored.some((each) => each.layer === layer && each.groups.includes(group));
  }

  /** Durable when it has resolved. Sums that are there already are left as they are. */
  put(
    layer: number,
    groups: readonly number[],
    leftOut: readonly number[],
    bytes: Uint8Array,
  ): Promise<void> {
    return this.#inTurn(async () => {
      if (groups.some((group) => this.has(layer, group))) return;
      await this.#write({ layer, groups, leftOut }, bytes);
    });
  }

  /** Drops all of it. */
  clear(): Promise<void> {
    return this.#inTurn(async () => {
      for (const stored of [...this.#stored]) await this.#remove(stored);
    });
  }

  /**
   * Drops the sums of a group in every layer, unless these of its chunks are left out: a chunk was
   * bad. With them goes what they were joined with by an earlier process.
   */
  drop(group: number, leftOut: readonly number[]): Promise<void> {
    return this.#inTurn(async () => {
      for (const stored of this.#stored.filter(({ groups }) => groups.includes(group))) {
        if (!isSame(leftOutOf(group, stored), leftOut)) await this.#remove(stored);
      }
    });
  }

  /** Joins files of a layer, of groups that nothing will be dropped of any more. */
  join(layer: number, complete: (group: number) => boolean): Promise<void> {
    return this.#inTurn(async () => {
      const joinable = this.#stored.filter(
        (stored) => stored.layer === layer && stored.groups.every(complete),
      );
      if (joinable.length < FILES_MAX) return;
      const { bytes, groups } = await this.#sum(layer, joinable);
      const leftOut = joinable.flatMap((stored) => stored.leftOut).sort((a, b) => a - b);
      await this.#write({ layer, groups: [...groupsOf(groups)], leftOut }, bytes);
      for (const stored of joinable) await this.#remove(stored);
    });
  }

  /** The sums of a layer over these groups, all of which are stored. */
  sums(layer: number, wanted: GroupSet): Promise<Uint8Array> {
    return this.#inTurn(async () => {
      const ofLayer = this.#stored.filter((stored) => stored.layer === layer);
      const { bytes, groups } = await this.#sum(layer, ofLayer);
      assert(
        groupCount(groups) === groupCount(wanted),
        `layer ${layer} has the sums of all groups`,
      );
      return bytes;
    });
  }

  async #sum(layer: number, parts: readonly Stored[]): Promise<LayerSums> {
    const statistics = this.#statistics[layer] ?? [];
    let whole: LayerSums = { layer, groups: [], bytes: new Uint8Array(sumsBytes(statistics)) };
    for (const stored of parts) {
      const bytes = await this.#readBytes(stored);
      whole = mergeSums(statistics, whole, { layer, groups: groupSet(stored.groups), bytes });
    }
    return whole;
  }

  async #write(parts: Omit<Stored, 'name'>, bytes: Uint8Array): Promise<void> {
    const header = new TextEncoder().encode(JSON.stringify(parts));
    const body = new Uint8Array(LENGTH_BYTES + header.length + bytes.length);
    new DataView(body.buffer).setUint32(0, header.length, true);
    body.set(header, LENGTH_BYTES);
    body.set(bytes, LENGTH_BYTES + header.length);
    const digest = this.#sha256(body);
    const file = new Uint8Array(DIGEST_BYTES + body.length);
    file.set(digest);
    file.set(body, DIGEST_BYTES);
    const name = hex(digest);
    await this.#files.write(name, file);
    this.#stored.push({ ...parts, name });
  }

  async #remove(stored: Stored): Promise<void> {
    this.#stored.splice(this.#stored.indexOf(stored), 1);
    await this.#files.remove(stored.name);
  }

  async #readBytes({ name }: Stored): Promise<Uint8Array> {
    const read = await this.#readFile(name);
    assert(read !== undefined, `the sums ${name} are as they were written`);
    return read.bytes;
  }

  async #readHeader(name: string): Promise<Stored | undefined> {
    const read = await this.#readFile(name);
    if (read === undefined) return undefined;
    const { layer, groups, leftOut } = read.header;
    const statistics = this.#statistics[layer];
    if (statistics === undefined) return undefined;
    try {
      checkSums(statistics, read.bytes);
    } catch {
      return undefined;
    }
    return { name, layer, groups, leftOut };
  }

  async #readFile(
    name: string,
  ): Promise<{ header: Omit<Stored, 'name'>; bytes: Uint8Array } | undefined> {
    const file = await this.#files.read(name);
    if (file === undefined || file.length < DIGEST_BYTES + LENGTH_BYTES) return undefined;
    const body = file.subarray(DIGEST_BYTES);
    if (hex(this.#sha256(body)) !== name) return undefined;
    const length = new DataView(body.buffer, body.byteOffset).getUint32(0, true);
    const end = LENGTH_BYTES + length;
    // The digest is right, so it is what this class wrote.
    const header: Omit<Stored, 'name'> = JSON.parse(
      new TextDecoder().decode(body.subarray(LENGTH_BYTES, end)),
    );
    return { header, bytes: body.slice(end) };
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}

function leftOutOf(group: number, { leftOut }: Pick<Stored, 'leftOut'>): number[] {
  return leftOut.filter((chunk) => Math.floor(chunk / GROUP_CHUNKS) === group);
}

export function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}
