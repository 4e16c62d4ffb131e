/**
 * Cluster: this machine among others, as the daemon offers it to commands and to runs.
 *
 *   local API ──▶ Cluster ──▶ roles/membership.ts … and the nodes that carry it
 *                    └──────▶ network, for runs
 *
 * A daemon of a single command has none of this, and opens no port.
 */

import type {
  Approved,
  ClusterView,
  InviteMade,
  InviteView,
  Joined,
  Left,
  Revoked,
} from '../../proto/cluster.ts';
import type { InviteRequest } from '../../proto/cluster-requests.ts';
import { FaultError, type FaultMessage } from '../../proto/fault.ts';
import type { LocalCluster } from '../../proto/local-cluster.ts';
import type { Hello } from '../../proto/peer-messages.ts';
import type { PeerNode } from '../adapters/network/peer-node.ts';
import { plainAddress } from '../core/membership/address.ts';
import { clusterFaults } from '../core/membership/faults.ts';
import { inviteState } from '../core/membership/ledger.ts';
import { fingerprintOf } from '../core/membership/peer-id.ts';
import { decodeToken, TOKEN_ADDRESSES_MAX } from '../core/membership/token.ts';
import type { Clock, Network } from '../ports.ts';
import { Admission } from '../roles/admission.ts';
import { Doorbell } from '../roles/doorbell.ts';
import { checkInvite } from '../roles/joining.ts';
import { MemberExchange } from '../roles/member-exchange.ts';
import type { Membership } from '../roles/membership.ts';
import { APPROVAL_TTL_MS, Nearby } from '../roles/nearby.ts';
import { StableNetwork } from '../roles/stable-network.ts';
import { ClusterNode, type NodeBasis, type OpenPort, type StartNode } from './cluster-node.ts';
import { viewCluster, viewInvite, viewMembers, viewNearby } from './cluster-view.ts';
import { attemptJoin } from './join-attempt.ts';
import { openBrowser, openDoorbell } from './nearby-nodes.ts';

// A coordinator that cannot be told in this time sees the member as away.
const GOODBYE_MS_MAX = 3000;
// Long enough for a new member to be greeted; it is one without it too.
const GREETING_MS_MAX = 5000;

export interface ClusterOptions {
  readonly membership: Membership;
  readonly startNode: StartNode;
  readonly hello: Hello;
  readonly clock: Clock;
  readonly mdns: boolean;
  readonly openPort: OpenPort;
  readonly sha256: (bytes: Uint8Array) => Promise<Uint8Array>;
  /** What went wrong where nobody asked. */
  readonly log: (sentence: string) => void;
}

export class Cluster implements LocalCluster {
  readonly #options: ClusterOptions;
  readonly #membership: Membership;
  readonly #admission: Admission;
  readonly #network: StableNetwork;
  readonly #clusterNode: ClusterNode;
  readonly #exchange: MemberExchange;
  readonly #basis: NodeBasis;
  #browser: { readonly nearby: Nearby; close(): Promise<void> } | undefined;
  #bell: { readonly doorbell: Doorbell; readonly node: PeerNode } | undefined;
  #trouble: FaultMessage | undefined;

  constructor(options: ClusterOptions) {
    const { membership, hello, sha256, startNode, mdns, openPort, log } = options;
    this.#options = options;
    this.#membership = membership;
    this.#admission = new Admission(membership, hello.version);
    this.#network = new StableNetwork(membership.self);
    this.#basis = { identity: membership.ports.identity.privateKey, hello, sha256 };
    this.#clusterNode = new ClusterNode({
      ...{ membership, admission: this.#admission, network: this.#network },
      ...{ startNode, basis: this.#basis, mdns, openPort },
      onRefused: (peer, why) => log(`${this.#nameOf(peer)} is not let in: ${why}`),
      onTrouble: (error) => this.#note(error),
    });
    this.#exchange = new MemberExchange(membership, {
      network: this.#network,
      epochOf: (peer) => this.#clusterNode.node?.epochOf(peer),
      complain: (peer, why) => log(`${this.#nameOf(peer)}: ${why}`),
    });
  }

  /** For runs: the same object whatever becomes of keys and nodes. */
  get network(): Network {
    return this.#network;
  }

  /** Whether this machine may give leases to the others. */
  get isCoordinator(): boolean {
    return this.#membership.roleOf(this.#membership.self) === 'coordinator';
  }

  /** As a coordinator, or as the member that this machine is already. */
  async up(): Promise<void> {
    if (this.#membership.state === undefined) {
      await this.#membership.found(this.#options.hello.name);
    }
    await this.#begin();
  }

  async close(): Promise<void> {
    await this.#closeNearby();
    this.#exchange.close();
    await this.#clusterNode.close();
  }

  view(): ClusterView {
    const { hello, mdns } = this.#options;
    const peer = this.#membership.self;
    return {
      ...viewCluster(this.#membership, this.#bell !== undefined),
      name: hello.name,
      fingerprint: this.#fingerprintOf(peer),
      listens: this.#clusterNode.node?.addresses() ?? [],
      mdns,
      members: viewMembers(this.#membership, this.#network.peers(), { peer, hello }, (member) =>
        this.#addressesOf(member),
      ),
      nearby: (this.#browser?.nearby.machines() ?? []).map(viewNearby),
      offers: (this.#bell?.doorbell.offers() ?? []).map(viewNearby),
      ...(this.#trouble === undefined ? {} : { trouble: this.#trouble }),
    };
  }

  invites(): InviteView[] {
    const { state } = this.#membership.require();
    const context = this.#membership.inviteContext();
    return state.invites.map((invite) => viewInvite(invite, context));
  }

  async invite({ role, uses, ttlSeconds }: InviteRequest): Promise<InviteMade> {
    const { token, invite } = await this.#admission.invite({
      ...{ role, uses, ttlMs: ttlSeconds * 1000 },
      addresses: this.#tokenAddresses(),
    });
    return { ...viewInvite(invite, this.#membership.inviteContext()), token };
  }

  async revoke(which: string): Promise<Revoked> {
    const found = this.#admission.find(which);
    if ('invite' in found) {
      await this.#admission.revokeInvite(found.invite.id);
      return { kind: 'invite', which: found.invite.id, invitesEnded: 0 };
    }
    const context = this.#membership.inviteContext();
    const { invites } = this.#membership.require().state;
    const open = invites.filter((invite) => inviteState(invite, context) === 'open');
    await this.#admission.revokeMember(found.member.peer);
    return { kind: 'member', which: found.member.name, invitesEnded: open.length };
  }

  async join(text: string): Promise<Joined> {
    const { sha256 } = this.#membership.ports.cryptography;
    const token = decodeToken(text, sha256, this.#membership.ports.wallClock());
    checkInvite(this.#membership, token);
    const startMs = this.#options.clock.now();
    await this.#closeNearby();
    await this.#clusterNode.pause();
    const { startNode, mdns, hello } = this.#options;
    const { name, version } = hello;
    const options = { startNode, mdns, name, version };
    try {
      await attemptJoin({ membership: this.#membership, basis: this.#basis, ...options }, token);
    } finally {
      await this.#begin();
    }
    await this.#greeted();
    return this.#joined(startMs);
  }

  async resume(): Promise<Joined> {
    const startMs = this.#options.clock.now();
    const isMember = this.#membership.roleOf(this.#membership.self) !== undefined;
    if (!isMember || this.#membership.isFounder) {
      throw new FaultError(clusterFaults.nothingToResume);
    }
    await this.#clusterNode.begin();
    await this.#greeted();
    return this.#joined(startMs);
  }

  async waitNearby(): Promise<void> {
    if (this.#bell !== undefined) return;
    const isMember = this.#membership.roleOf(this.#membership.self) !== undefined;
    if (isMember) throw new FaultError(clusterFaults.otherCluster);
    const { clock, hello, openPort } = this.#options;
    const { sha256 } = this.#membership.ports.cryptography;
    const doorbell = new Doorbell({
      ...{ name: hello.name, sha256, now: () => clock.now() },
      join: (token, coordinator) => this.#joinBy(token, coordinator),
    });
    const options = { startNode: this.#options.startNode, basis: this.#basis, sha256 };
    const node = await openPort((listen) => openDoorbell(options, listen, doorbell));
    this.#bell = { doorbell, node };
  }

  approve(which: string): Approved {
    if (this.#bell !== undefined) {
      const { name, fingerprint } = this.#bell.doorbell.approve(which);
      return { name, fingerprint, isOneSided: false };
    }
    if (this.#browser === undefined) {
      throw new FaultError(clusterFaults.nobodyWaits, {
        why: 'this daemon does not look for machines nearby',
        hint: 'start it with quantd up --lan, and quantd join --nearby on the other machine',
      });
    }
    const { name, fingerprint } = this.#browser.nearby.approve(which);
    return { name, fingerprint, isOneSided: true };
  }

  async leave(end: boolean): Promise<Left> {
    if (this.#membership.state === undefined) throw new FaultError(clusterFaults.nothingToResume);
    const { isFounder } = this.#membership;
    const others = this.#membership.require().roster.members().length - 1;
    if (isFounder && others > 0 && !end) throw new FaultError(clusterFaults.endsCluster);
    if (!isFounder) await this.#clusterNode.begin();
    const signal = AbortSignal.timeout(GOODBYE_MS_MAX);
    const wasTold = isFounder || (await this.#clusterNode.sayGoodbye(signal));
    await this.#closeNearby();
    await this.#membership.forget();
    await this.#clusterNode.pause();
    return { wasTold };
  }

  async #begin(): Promise<void> {
    await this.#clusterNode.begin();
    if (this.#options.mdns && this.#membership.isFounder) await this.#browse();
  }

  async #browse(): Promise<void> {
    const { clock, hello, startNode } = this.#options;
    const { sha256 } = this.#membership.ports.cryptography;
    this.#browser ??= await openBrowser(
      { startNode, basis: this.#basis, sha256 },
      (ask) =>
        new Nearby({
          ...{ name: hello.name, sha256, clock, ask },
          makeToken: (peer) => this.#tokenFor(peer),
          isMember: (peer) => this.#membership.roleOf(peer) !== undefined,
        }),
    );
  }

  async #tokenFor(peer: string): Promise<string> {
    const { token } = await this.#admission.invite({
      ...{ role: 'worker', uses: 1, ttlMs: APPROVAL_TTL_MS, boundTo: peer },
      addresses: this.#tokenAddresses(),
    });
    return token;
  }

  /** With a token that came by the doorbell: it must be of the coordinator that was approved. */
  #joinBy(text: string, coordinator: string): void {
    const { cryptography, wallClock } = this.#membership.ports;
    const joining = async (): Promise<void> => {
      const token = decodeToken(text, cryptography.sha256, wallClock());
      if (token.coordinator !== coordinator) throw new FaultError(clusterFaults.notApproved);
      await this.join(text);
    };
    joining().catch((error: unknown) => {
      this.#note(error);
      // It waits on: the owner may approve again.
      this.waitNearby().catch((again: unknown) => this.#note(again));
    });
  }

  async #closeNearby(): Promise<void> {
    const bell = this.#bell;
    const browser = this.#browser;
    this.#bell = undefined;
    this.#browser = undefined;
    await bell?.node.stop();
    await browser?.close();
  }

  /** Resolves when the coordinator is connected, or after a while. */
  #greeted(): Promise<void> {
    const cluster = this.#membership.state?.cluster;
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        stop();
        resolve();
      };
      const cancel = this.#options.clock.after(GREETING_MS_MAX, end);
      let stop = (): void => undefined;
      stop = this.#network.listen({
        // It may be there already, before `listen` has returned.
        connected: ({ peer }) => peer === cluster && queueMicrotask(end),
      });
    });
  }

  #joined(startMs: number): Joined {
    const { state, roster } = this.#membership.require();
    return {
      coordinator: roster.member(state.cluster)?.name ?? this.#fingerprintOf(state.cluster),
      fingerprint: this.#fingerprintOf(state.cluster),
      role: roster.roleOf(this.#membership.self) ?? 'worker',
      seconds: (this.#options.clock.now() - startMs) / 1000,
    };
  }

  #addressesOf(peer: string): readonly string[] {
    const { node } = this.#clusterNode;
    if (peer === this.#membership.self) return this.#tokenAddresses();
    const connected = node?.addressOf(peer);
    const known = this.#membership.state?.addresses[peer] ?? [];
    return connected === undefined ? known : [plainAddress(connected) ?? connected];
  }

  /** Where joiners find this machine: without the peer id, of which the token tells. */
  #tokenAddresses(): string[] {
    const listens = this.#clusterNode.node?.addresses() ?? [];
    const plain = listens.map(plainAddress).filter((address) => address !== undefined);
    return [...new Set(plain)].slice(0, TOKEN_ADDRESSES_MAX);
  }

  #fingerprintOf(peer: string): string {
    return fingerprintOf(peer, this.#membership.ports.cryptography.sha256);
  }

  #nameOf(peer: string): string {
    const { state } = this.#membership;
    const name = state && this.#membership.require().roster.member(peer)?.name;
    return name ?? peer;
  }

  #note(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    this.#trouble = error instanceof FaultError ? error.toMessage() : undefined;
    this.#options.log(why);
  }
}
