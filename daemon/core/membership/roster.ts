/**
 * Roster: what all records together say about who is a member.
 *
 *   records in any order ──▶ merge ──▶ members
 *
 * Of all records about one subject one holds: the latest, and of equally late ones the one that
 * revokes. So the order of arrival changes nothing, and what no longer holds can be forgotten.
 */

import type { MemberRole, PeerId } from '../../../proto/peer-messages.ts';
import { hex } from '../plan/unit-id.ts';
import { compareBytes } from './byte-cursor.ts';
import { type AdmitRecord, type MemberRecord, openRecord, type Verify } from './records.ts';

interface Held {
  readonly record: MemberRecord;
  readonly bytes: Uint8Array;
}

export class Roster {
  readonly cluster: PeerId;
  readonly #verify: Verify;
  readonly #held = new Map<string, Held>();
  // Records that were looked at: each comes again from every peer, and its signature costs.
  readonly #seen = new Set<string>();

  constructor(cluster: PeerId, verify: Verify, records: readonly Uint8Array[] = []) {
    this.cluster = cluster;
    this.#verify = verify;
    for (const bytes of records) this.merge(bytes);
  }

  /**
   * Takes a record in; true if it changed what holds.
   * @throws FaultError `badRecord` where the founder did not sign it
   */
  merge(bytes: Uint8Array): boolean {
    const key = hex(bytes);
    if (this.#seen.has(key)) return false;
    const record = openRecord(bytes, this.cluster, this.#verify);
    this.#seen.add(key);
    const subject = subjectOf(record);
    const held = this.#held.get(subject);
    const next = { record, bytes: bytes.slice() };
    if (held !== undefined && compareHeld(next, held) <= 0) return false;
    this.#held.set(subject, next);
    return true;
  }

  /** Every record that holds, for others to merge; sorted, so equal rosters give equal bytes. */
  records(): Uint8Array[] {
    return [...this.#held.values()].map(({ bytes }) => bytes).sort(compareBytes);
  }

  /** What holds about a peer, as it was signed. */
  recordOf(peer: PeerId): Uint8Array | undefined {
    return this.#held.get(`peer ${peer}`)?.bytes;
  }

  /** A roster of its own, that can be added to. */
  copy(): Roster {
    const copy = new Roster(this.cluster, this.#verify);
    for (const [subject, held] of this.#held) copy.#held.set(subject, held);
    for (const key of this.#seen) copy.#seen.add(key);
    return copy;
  }

  members(): AdmitRecord[] {
    return [...this.#held.values()]
      .map(({ record }) => record)
      .filter((record) => record.kind === 'admit')
      .sort((a, b) => a.sequence - b.sequence);
  }

  member(peer: PeerId): AdmitRecord | undefined {
    const record = this.#held.get(`peer ${peer}`)?.record;
    return record?.kind === 'admit' ? record : undefined;
  }

  /** The founder is a coordinator whether or not its own record has arrived. */
  roleOf(peer: PeerId): MemberRole | undefined {
    return peer === this.cluster ? 'coordinator' : this.member(peer)?.role;
  }

  isInviteRevoked(invite: string): boolean {
    return this.#held.has(`invite ${invite}`);
  }

  /** For the founder's next record. */
  nextSequence(): number {
    let last = 0;
    for (const { record } of this.#held.values()) last = Math.max(last, record.sequence);
    return last + 1;
  }
}

function subjectOf(record: MemberRecord): string {
  return record.kind === 'revoke-invite' ? `invite ${record.invite}` : `peer ${record.peer}`;
}

function compareHeld(a: Held, b: Held): number {
  const revokes = ({ record }: Held): number => (record.kind === 'admit' ? 0 : 1);
  return (
    a.record.sequence - b.record.sequence ||
    revokes(a) - revokes(b) ||
    // Two that the founder signed with one number, after its file was put back: any rule will do.
    compareBytes(a.bytes, b.bytes)
  );
}
