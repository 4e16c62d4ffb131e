/** `quantd up`: a daemon in the foreground, until Ctrl-C. */

import type { ClusterView, InviteMade } from '../proto/cluster.ts';
import { exitCodes } from '../proto/fault.ts';
import { renderInvite, renderPeers } from './cluster-view.ts';
import { dataDirectory, findDaemon } from './daemon.ts';
import {
  type Foreground,
  type ForegroundOptions,
  followCluster,
  type Printer,
  startForeground,
} from './foreground.ts';
import { renderStatus } from './status-view.ts';

// A shelf of machines, and a day to walk past them.
const INVITE = { uses: 8, ttlSeconds: 86_400, role: 'worker' } as const;

/** Resolves with the exit code when the daemon has ended. */
export async function runUp(options: ForegroundOptions, printer: Printer): Promise<number> {
  const directory = dataDirectory(options.data);
  if ((await findDaemon(directory)) !== undefined) {
    process.stderr.write(`a daemon already runs in ${directory}\n  hint: quantd status\n`);
    return exitCodes.environment;
  }
  const foreground = await startForeground(options, 'up');
  let opened: Opened;
  try {
    opened = await open(foreground, options);
  } catch (error) {
    if (foreground.isEnding()) return foreground.ended;
    throw error;
  }
  const { view, invite } = opened;
  if (options.json === true) {
    printer.printJson({ type: 'up', ...foreground.status, cluster: view, invite });
  } else {
    printer.print(renderUp(foreground, view, invite));
  }
  return followCluster(foreground, options, printer, view);
}

interface Opened {
  readonly view: ClusterView;
  readonly invite: InviteMade | undefined;
}

async function open(foreground: Foreground, options: ForegroundOptions): Promise<Opened> {
  const view = await foreground.cluster.view();
  return { view, invite: await firstInvite(foreground, view, options) };
}

/** Who opened the door wants somebody to come in. */
async function firstInvite(
  { cluster }: Foreground,
  view: ClusterView,
  { lan, listen }: ForegroundOptions,
): Promise<InviteMade | undefined> {
  const isOpen = lan === true || listen !== undefined;
  return isOpen && view.state === 'coordinator' ? cluster.invite(INVITE) : undefined;
}

function renderUp(
  { status, directory }: Foreground,
  view: ClusterView,
  invite: InviteMade | undefined,
): string[] {
  const where = view.listens.map((address) => `listens  ${address.replace(/\/p2p\/.*$/, '')}`);
  const others = view.members.length > 1 ? ['', ...renderPeers(view)] : [];
  return [
    ...renderStatus(status, directory),
    `identity ${view.fingerprint} · cluster ${view.cluster ?? 'none'} · ${view.state}`,
    ...where,
    ...others,
    '',
    ...(invite === undefined ? closedText(view) : renderInvite(invite, Date.now())),
    'In another terminal:',
    '  quantd quantize SOURCE --type Q4_K_M --out DIR',
    '  quantd peers',
  ];
}

function closedText(view: ClusterView): string[] {
  if (view.state !== 'coordinator') return [];
  return ['Only this machine can reach it. To let others in: quantd up --lan', ''];
}
