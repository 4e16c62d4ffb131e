/** Cluster client: the daemon's answers about the cluster. Read next: proto/cluster.ts. */

import type {
  Approved,
  ClusterView,
  InviteMade,
  InviteView,
  Joined,
  Left,
  Revoked,
} from '../proto/cluster.ts';
import type { InviteRequest } from '../proto/cluster-requests.ts';
import type { Client } from './client.ts';

export class ClusterClient {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  async view(): Promise<ClusterView> {
    return (await this.#client.ask('GET', '/v1/cluster')) as ClusterView;
  }

  async invites(): Promise<InviteView[]> {
    return (await this.#client.ask('GET', '/v1/cluster/invites')) as InviteView[];
  }

  async invite(request: InviteRequest): Promise<InviteMade> {
    return (await this.#post('invites', request)) as InviteMade;
  }

  async revoke(which: string): Promise<Revoked> {
    return (await this.#post('revoke', { which })) as Revoked;
  }

  async join(token: string): Promise<Joined> {
    return (await this.#post('join', { token })) as Joined;
  }

  async resume(): Promise<Joined> {
    return (await this.#post('resume')) as Joined;
  }

  async waitNearby(): Promise<void> {
    await this.#post('nearby');
  }

  async approve(which: string): Promise<Approved> {
    return (await this.#post('approve', { which })) as Approved;
  }

  async leave(end: boolean): Promise<Left> {
    return (await this.#post('leave', { end })) as Left;
  }

  #post(path: string, body: object = {}): Promise<unknown> {
    return this.#client.ask('POST', `/v1/cluster/${path}`, body);
  }
}
