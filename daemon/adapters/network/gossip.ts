/**
 * Gossip: hints to all members, carried on by each of them, with no promise to arrive.
 *
 * Messages are signed by their maker (StrictSign) and dropped unless it is a member now.
 */

import { type GossipSub, type Message, TopicValidatorResult } from '@libp2p/gossipsub';
import { assert } from '../../../proto/assert.ts';
import { FRAME_BYTES_MAX } from '../../../proto/peer-limits.ts';
import type { PeerId } from '../../../proto/peer-messages.ts';
import type { Gate } from './gate.ts';

export type GossipHandler = (from: PeerId, bytes: Uint8Array) => void;

export class Gossip {
  readonly #pubsub: GossipSub;
  readonly #gate: Gate;
  readonly #handlers = new Map<string, Set<GossipHandler>>();

  constructor(pubsub: GossipSub, gate: Gate) {
    this.#pubsub = pubsub;
    this.#gate = gate;
    pubsub.addEventListener('message', (event) => this.#take(event.detail));
  }

  say(topic: string, bytes: Uint8Array): void {
    assert(bytes.length <= FRAME_BYTES_MAX, 'gossip fits a frame');
    void this.#pubsub.publish(topic, bytes).catch(() => undefined);
  }

  /** Listens to a topic until the returned function is called. */
  on(topic: string, handler: GossipHandler): () => void {
    const handlers = this.#handlers.get(topic) ?? new Set();
    if (handlers.size === 0) {
      this.#handlers.set(topic, handlers);
      this.#pubsub.topicValidators.set(topic, (_, message) => this.#judge(message));
      this.#pubsub.subscribe(topic);
    }
    const own: GossipHandler = (from, bytes) => handler(from, bytes);
    handlers.add(own);
    return () => {
      if (!handlers.delete(own) || handlers.size > 0) return;
      this.#handlers.delete(topic);
      this.#pubsub.unsubscribe(topic);
      this.#pubsub.topicValidators.delete(topic);
    };
  }

  #judge(message: Message): TopicValidatorResult {
    const known = message.type === 'signed' && this.#isMember(message.from.toString());
    const small = message.data.length <= FRAME_BYTES_MAX;
    return known && small ? TopicValidatorResult.Accept : TopicValidatorResult.Reject;
  }

  #take(message: Message): void {
    if (message.type !== 'signed') return;
    const from = message.from.toString();
    if (!this.#isMember(from)) return;
    for (const handler of this.#handlers.get(message.topic) ?? []) handler(from, message.data);
  }

  #isMember(peer: PeerId): boolean {
    return this.#gate.roleOf(peer) !== undefined;
  }
}
