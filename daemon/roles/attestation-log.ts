/**
 * Attestation log: what machines have signed of a run, kept on disk as it comes.
 *
 *   attest ──▶ a line of attestations.ndjson ──▶ text: of the plan's units, each once
 *
 * A run that goes on after a crash has the lines from before it.
 */

import type { PeerId } from '../../proto/peer-messages.ts';
import { peerIdOf } from '../core/membership/peer-id.ts';
import { type Attestation, attestedBytes } from '../core/plan/attestation.ts';
import type { Plan } from '../core/plan/plan.ts';
import {
  ATTESTATIONS_FILE,
  encodeAttestation,
  keepAttestations,
} from '../core/release/attestations.ts';
import type { FolderFiles, Identity } from '../ports.ts';
import type { OwnWork } from './coordinator.ts';
import { encoded } from './digested-folder.ts';

export class AttestationLog {
  readonly #folder: Pick<FolderFiles, 'append' | 'read'>;
  readonly #key: Identity;
  readonly #self: PeerId;
  /** Lines that are not written yet; in front of the first the end of one that a crash may have torn. */
  #lines = '\n';
  /** The writing under way. */
  #writing: Promise<void> = Promise.resolve();

  /** @param key of this machine, which signs what it makes itself */
  constructor(folder: Pick<FolderFiles, 'append' | 'read'>, key: Identity) {
    this.#folder = folder;
    this.#key = key;
    this.#self = peerIdOf(key.publicKey);
  }

  attest(attested: Attestation | OwnWork): void {
    const own = { peer: this.#self, signature: this.#key.sign(attestedBytes(attested.made)) };
    this.#lines += encodeAttestation({ ...own, ...attested });
    this.#writing = this.#writing.then(() => this.#write());
  }

  /** The file's final text, and how many units of the plan nobody's signature is left of. */
  async text({ tasks }: Plan): Promise<ReturnType<typeof keepAttestations>> {
    await this.#writing;
    await this.#write();
    const found = (await this.#folder.read(ATTESTATIONS_FILE)) ?? new Uint8Array(0);
    const units = tasks.flatMap(({ runs }) => runs.map(({ unit }) => unit));
    return keepAttestations(new TextDecoder().decode(found), units);
  }

  async #write(): Promise<void> {
    const lines = this.#lines;
    this.#lines = '';
    if (lines === '') return;
    // What cannot be written is missed at the end and told of; it stops no run.
    await this.#folder.append(ATTESTATIONS_FILE, encoded(lines)).catch(() => undefined);
  }
}
