/**
 * Cluster API: what commands ask about the cluster.
 *
 *   proto/cluster-requests.ts ──▶ LocalCluster (proto) ──▶ proto/cluster.ts
 */

import { type Context, Hono } from 'hono';
import {
  inviteRequest,
  joinRequest,
  leaveRequest,
  whichRequest,
} from '../../proto/cluster-requests.ts';
import { FaultError } from '../../proto/fault.ts';
import type { LocalCluster } from '../../proto/local-cluster.ts';
import { parseBody } from './api-faults.ts';
import { clusterApiFaults } from './cluster-api-faults.ts';

/** Routes below /v1/cluster; without a cluster each answers with a fault. */
export function clusterRoutes(cluster: LocalCluster | undefined): Hono {
  const app = new Hono();
  const answer =
    (work: (cluster: LocalCluster, context: Context) => unknown) =>
    async (context: Context): Promise<Response> => {
      if (cluster === undefined) throw new FaultError(clusterApiFaults.withoutCluster);
      return context.json((await work(cluster, context)) ?? {});
    };
  const which = async (context: Context): Promise<string> =>
    (await parseBody(whichRequest, context)).which;

  app.get(
    '/',
    answer((held) => held.view()),
  );
  app.get(
    '/invites',
    answer((held) => held.invites()),
  );
  app.post(
    '/invites',
    answer(async (held, c) => held.invite(await parseBody(inviteRequest, c))),
  );
  app.post(
    '/revoke',
    answer(async (held, c) => held.revoke(await which(c))),
  );
  app.post(
    '/join',
    answer(async (held, c) => held.join((await parseBody(joinRequest, c)).token)),
  );
  app.post(
    '/resume',
    answer((held) => held.resume()),
  );
  app.post(
    '/nearby',
    answer((held) => held.waitNearby()),
  );
  app.post(
    '/approve',
    answer(async (held, c) => held.approve(await which(c))),
  );
  app.post(
    '/leave',
    answer(async (held, c) => held.leave((await parseBody(leaveRequest, c)).end)),
  );
  return app;
}
