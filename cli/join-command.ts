/**
 * `quantd join`: makes this machine a member, and works for the cluster until Ctrl-C.
 *
 * The token goes to the daemon over its socket: the arguments of a process can be read by anyone.
 */

import { text } from 'node:stream/consumers';
import type { ClusterView, Joined } from '../proto/cluster.ts';
import { ClusterClient } from './cluster-client.ts';
import { dataDirectory, findDaemon } from './daemon.ts';
import {
  type ForegroundOptions,
  followCluster,
  type Printer,
  startForeground,
} from './foreground.ts';

export interface JoinOptions extends ForegroundOptions {
  readonly nearby?: boolean;
}

/**
 * @param words the token, as one word or as many as line breaks made of it; `-` reads it from
 *   standard input; none resumes
 */
export async function runJoin(
  words: readonly string[],
  options: JoinOptions,
  printer: Printer,
): Promise<number> {
  const token = words.join('') === '-' ? await text(process.stdin) : words.join(' ');
  const running = await findDaemon(dataDirectory(options.data));
  if (running !== undefined) {
    // It keeps running where it runs.
    const cluster = new ClusterClient(running.client);
    tell(await begin(cluster, token, options), options, printer);
    return 0;
  }
  const foreground = await startForeground(options, 'join');
  let view: ClusterView;
  try {
    tell(await begin(foreground.cluster, token, options), options, printer);
    view = await foreground.cluster.view();
  } catch (error) {
    if (foreground.isEnding()) return foreground.ended;
    foreground.stop();
    await foreground.ended;
    throw error;
  }
  return followCluster(foreground, options, printer, view);
}

async function begin(
  cluster: ClusterClient,
  token: string,
  { nearby }: JoinOptions,
): Promise<Joined | ClusterView> {
  if (token.trim() !== '') return cluster.join(token);
  if (nearby !== true) return cluster.resume();
  await cluster.waitNearby();
  return cluster.view();
}

function tell(answer: Joined | ClusterView, { json }: JoinOptions, printer: Printer): void {
  const isWaiting = 'state' in answer;
  if (json === true) printer.printJson({ type: isWaiting ? 'nearby' : 'joined', ...answer });
  else printer.print(isWaiting ? waitingText(answer) : joinedText(answer));
}

function waitingText({ name, fingerprint }: ClusterView): string[] {
  return [
    `${name} (${fingerprint}) waits for a coordinator on this network.`,
    `There: quantd up --lan, then quantd approve ${fingerprint}`,
  ];
}

function joinedText({ coordinator, fingerprint, role, seconds }: Joined): string[] {
  return [
    `joined ${coordinator} (${fingerprint}) as ${role} in ${seconds.toFixed(1)} s`,
    'This machine will see the weights and texts of the runs it helps with. Ctrl-C stops it;',
    'quantd join goes on, quantd leave ends the membership.',
  ];
}
