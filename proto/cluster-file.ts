/**
 * Cluster file: what a machine keeps of its cluster, as a schema that checks it.
 *
 * It is JSON in the data directory, readable by its owner alone: it holds network keys. Bytes are
 * lower-case hexadecimal. Read next: daemon/core/membership/cluster-state.ts.
 */

import * as z from 'zod';

/** Version of the file; another one is refused. */
export const CLUSTER_FILE_VERSION = 1;

// One of each for every member that ever was, and more than a cluster of homes will see.
const RECORDS_MAX = 8192;
const INVITES_MAX = 256;
/** Keys before the newest that a member that was away may still knock with. */
export const NETWORK_KEYS_MAX = 16;
const ADDRESSES_MAX = 16;

const hexBytes = (bytes: number): z.ZodString =>
  z
    .string()
    .length(2 * bytes)
    .regex(/^[0-9a-f]*$/);
const time = z.number().int().min(0);
const peer = z.string().min(1).max(64);
const role = z.enum(['coordinator', 'worker']);

export const clusterFile = z.strictObject({
  version: z.literal(CLUSTER_FILE_VERSION),
  cluster: peer,
  networkKeys: z
    .array(z.strictObject({ epoch: time, key: hexBytes(32) }))
    .min(1)
    .max(NETWORK_KEYS_MAX),
  records: z.array(z.string().regex(/^([0-9a-f]{2}){1,1024}$/)).max(RECORDS_MAX),
  invites: z
    .array(
      z.strictObject({
        id: hexBytes(8),
        role,
        createdMs: time,
        expiresMs: time,
        uses: z.number().int().min(1).max(1000),
        verifier: hexBytes(32),
        epoch: time,
        spentBy: z.array(peer).max(1000),
        boundTo: peer.optional(),
      }),
    )
    .max(INVITES_MAX),
  /** Where members were reached before. */
  addresses: z.record(peer, z.array(z.string().max(128)).max(ADDRESSES_MAX)),
});

export type ClusterFile = z.infer<typeof clusterFile>;
