/**
 * Network keys: one Noise handshake for each key of the network.
 *
 *   key ──▶ prologue = SHA-256("quantd-cluster-v1" ‖ key) ──▶ /noise/quantd-<8 digits>
 *
 * A handshake fails unless both ends have the same prologue, so whoever lacks the key gets no
 * connection. Each key has a protocol name of its own, so that two nodes find the newest key both
 * have before they begin. Nothing else is ever offered: TLS and plain text know no prologue.
 */

import { createHash } from 'node:crypto';
import { noise } from '@chainsafe/libp2p-noise';
import type { ConnectionEncrypter } from '@libp2p/interface';
import type { NetworkKey } from './node-options.ts';

const CLUSTER_NAME = 'quantd-cluster-v1';

type NoiseComponents = Parameters<ReturnType<typeof noise>>[0];

export interface KeyedHandshakes {
  readonly encrypters: ((components: NoiseComponents) => ConnectionEncrypter)[];
  /** Epoch by the name of the protocol a connection was made with. */
  readonly epochs: ReadonlyMap<string, number>;
}

export function keyedHandshakes(keys: readonly NetworkKey[]): KeyedHandshakes {
  const handshakes = keys.map(({ epoch, key }) => {
    const prologueBytes = createHash('sha256').update(CLUSTER_NAME).update(key).digest();
    const tag = createHash('sha256').update(prologueBytes).digest('hex').slice(0, 8);
    return { epoch, prologueBytes, protocol: `/noise/quantd-${tag}` };
  });
  return {
    encrypters: handshakes.map(
      ({ prologueBytes, protocol }) =>
        (components) =>
          Object.assign(noise({ prologueBytes })(components), { protocol }),
    ),
    epochs: new Map(handshakes.map(({ protocol, epoch }) => [protocol, epoch])),
  };
}
