/**
 * Nearby: machines on the local network that wait at their doorbells, as a coordinator sees them.
 *
 *   found by mDNS ──▶ who? ──▶ shown ──▶ approve ──▶ offer … agreed ──▶ token ──▶ it joins
 *
 * Nothing is offered before the owner here has said so, and no token is sent before the owner
 * there has. Read next: doorbell.ts, the other side.
 */

import type { PeerId } from '../../proto/peer-messages.ts';
import {
  decodeOfferAnswer,
  encodeOfferRequest,
  type OfferAnswer,
  type OfferRequest,
} from '../core/membership/offer-messages.ts';
import { fingerprintOf, publicKeyOf } from '../core/membership/peer-id.ts';
import type { Sha256 } from '../core/plan/unit-id.ts';
import type { Clock } from '../ports.ts';
import { chooseByName } from './doorbell.ts';

// Anyone may announce names on a local network; a person reads the list.
const MACHINES_MAX = 64;
const WHO_INTERVAL_MS = 3000;
const OFFER_INTERVAL_MS = 1000;
const ANSWER_MS_MAX = 5000;
// mDNS tells of a machine once, so one that went away is looked for where it was.
const SILENT_INTERVAL_MS = 15_000;
// Three questions without an answer: it has gone.
const SILENCES_MAX = 3;
/** How long the token of an approval is good: the joining begins at once. */
export const APPROVAL_TTL_MS = 300_000;

export interface NearbyMachine {
  readonly peer: PeerId;
  readonly name: string;
  readonly fingerprint: string;
  /** Whether the owner here approved it; then it waits for the owner there. */
  readonly offered: boolean;
}

export interface NearbyPorts {
  readonly name: string;
  readonly sha256: Sha256;
  readonly clock: Clock;
  ask(
    target: { readonly peer: PeerId; readonly addresses: readonly string[] },
    request: Uint8Array,
    signal: AbortSignal,
  ): Promise<Uint8Array>;
  /** A token that this peer alone can use. */
  makeToken(peer: PeerId): Promise<string>;
  isMember(peer: PeerId): boolean;
}

interface Machine {
  readonly peer: PeerId;
  addresses: readonly string[];
  /** Undefined until it has said it. */
  name: string | undefined;
  offered: boolean;
  silences: number;
}

export class Nearby {
  readonly #ports: NearbyPorts;
  readonly #machines = new Map<PeerId, Machine>();
  readonly #closed = new AbortController();

  constructor(ports: NearbyPorts) {
    this.#ports = ports;
  }

  discovered(peer: PeerId, addresses: readonly string[]): void {
    const known = this.#machines.get(peer);
    if (known !== undefined) {
      known.addresses = addresses;
      return;
    }
    const isOurs = this.#ports.isMember(peer) || publicKeyOf(peer) === undefined;
    if (isOurs || this.#machines.size >= MACHINES_MAX) return;
    const machine = { peer, addresses, name: undefined, offered: false, silences: 0 };
    this.#machines.set(peer, machine);
    void this.#visit(machine);
  }

  machines(): NearbyMachine[] {
    return [...this.#machines.values()].flatMap(({ peer, name, offered, silences }) =>
      name === undefined || silences >= SILENCES_MAX
        ? []
        : [{ peer, name, offered, fingerprint: fingerprintOf(peer, this.#ports.sha256) }],
    );
  }

  /** Offers a place; resolves at once. @throws FaultError `nobodyWaits`, `ambiguousName` */
  approve(text: string): NearbyMachine {
    const chosen = chooseByName(this.machines(), text);
    const machine = this.#machines.get(chosen.peer);
    if (machine !== undefined) machine.offered = true;
    return { ...chosen, offered: true };
  }

  close(): void {
    this.#closed.abort();
    this.#machines.clear();
  }

  /** Asks and offers until the machine has joined; one that is silent is asked now and then. */
  async #visit(machine: Machine): Promise<void> {
    while (!this.#closed.signal.aborted) {
      try {
        if (await this.#step(machine)) break;
        machine.silences = 0;
      } catch {
        // No answer, or one that is none: a machine that is off, or no machine of ours.
        machine.silences++;
      }
      await this.#pause(intervalOf(machine));
    }
    this.#machines.delete(machine.peer);
  }

  /** True when the machine has its token. */
  async #step(machine: Machine): Promise<boolean> {
    if (!machine.offered) {
      const answer = await this.#ask(machine, { kind: 'who' });
      if (answer.kind === 'waits') machine.name = answer.name;
      return false;
    }
    const answer = await this.#ask(machine, { kind: 'offer', name: this.#ports.name });
    if (answer.kind !== 'agreed') return false;
    const token = await this.#ports.makeToken(machine.peer);
    return (await this.#ask(machine, { kind: 'token', token })).kind === 'taken';
  }

  async #ask(machine: Machine, request: OfferRequest): Promise<OfferAnswer> {
    const late = new AbortController();
    const cancel = this.#ports.clock.after(ANSWER_MS_MAX, () => late.abort());
    const signal = AbortSignal.any([late.signal, this.#closed.signal]);
    try {
      return decodeOfferAnswer(await this.#ports.ask(machine, encodeOfferRequest(request), signal));
    } finally {
      cancel();
    }
  }

  #pause(milliseconds: number): Promise<void> {
    const { signal } = this.#closed;
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        signal.removeEventListener('abort', end);
        resolve();
      };
      const cancel = this.#ports.clock.after(milliseconds, end);
      signal.addEventListener('abort', end);
    });
  }
}

function intervalOf({ offered, silences }: Machine): number {
  if (silences >= SILENCES_MAX) return SILENT_INTERVAL_MS;
  return offered ? OFFER_INTERVAL_MS : WHO_INTERVAL_MS;
}
