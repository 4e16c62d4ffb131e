/**
 * Placement record: which machine has which output of a plan, on the coordinator's disk.
 *
 *   PlacementRecord.set ──▶ one small file an output, by its id ──▶ a restarted run finds it again
 *
 * It is written before the machine is told, so that nothing that grows somewhere is forgotten.
 */

import type { PeerId } from '../../proto/peer-messages.ts';
import type { MappedOutput } from '../core/plan/assembly-map.ts';
import { hex } from '../core/plan/unit-id.ts';
import type { MeasurementFiles } from '../ports.ts';

export interface PlacedOn {
  readonly peer: PeerId;
  /** For people, who may have to start it again. */
  readonly name: string;
}

export class PlacementRecord {
  readonly #files: MeasurementFiles;

  constructor(files: MeasurementFiles) {
    this.#files = files;
  }

  async get({ id }: MappedOutput): Promise<PlacedOn | undefined> {
    const bytes = await this.#files.read(hex(id));
    if (bytes === undefined) return undefined;
    const [peer = '', name = ''] = new TextDecoder().decode(bytes).split('\n');
    return { peer, name };
  }

  async set({ id }: MappedOutput, { peer, name }: PlacedOn): Promise<void> {
    await this.#files.write(hex(id), new TextEncoder().encode(`${peer}\n${name}`));
  }

  async remove({ id }: MappedOutput): Promise<void> {
    await this.#files.remove(hex(id));
  }

  /** Forgets the whole plan, where nothing of it is elsewhere any more. */
  async dropWhereEmpty(): Promise<void> {
    if ((await this.#files.list()).length === 0) await this.#files.drop();
  }
}
