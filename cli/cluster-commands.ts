/**
 * Cluster commands: up, join, invite, invites, revoke, peers, approve, leave.
 *
 *   arguments ──▶ ClusterClient ──▶ text or NDJSON
 */

import { type Command, InvalidArgumentError, Option } from 'commander';
import { ClusterClient } from './cluster-client.ts';
import { renderApproved, renderInvite, renderInvites, renderPeers } from './cluster-view.ts';
import { connect, dataDirectory, findDaemon } from './daemon.ts';
import type { ForegroundOptions, Printer } from './foreground.ts';
import { type JoinOptions, runJoin } from './join-command.ts';
import { withHubOptions } from './source-options.ts';
import { runUp } from './up-command.ts';

export interface Shared {
  readonly data?: string;
  readonly json?: boolean;
}

export interface CommandBasis extends Printer {
  readonly program: Command;
  readonly dataOption: () => Option;
  readonly jsonOption: () => Option;
}

interface InviteOptions extends Shared {
  readonly uses: number;
  readonly ttl: number;
  readonly role: 'worker' | 'coordinator';
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `24h`, `30m`, `90s`, `7d` as seconds. */
function seconds(text: string): number {
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  const value = Number(match?.[1] ?? 0) * (SECONDS[match?.[2] ?? ''] ?? 0);
  if (value > 0) return value;
  throw new InvalidArgumentError('Write it as 90s, 30m, 24h or 7d.');
}

function count(text: string): number {
  const value = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= 1000) return value;
  throw new InvalidArgumentError('It is 1 to 1000.');
}

const collect = (text: string, before: string[] | undefined): string[] => [...(before ?? []), text];

export function addClusterCommands(basis: CommandBasis): void {
  const { program } = basis;
  withMachineOptions(
    program.command('up').description('run a daemon until Ctrl-C, as the cluster’s coordinator'),
    basis,
  ).action(async (options: ForegroundOptions) => {
    process.exitCode = await runUp(options, basis);
  });
  withMachineOptions(
    program
      .command('join')
      .description('work for a cluster until Ctrl-C; without a token, go on as its member')
      .argument('[token...]', 'the invite; - reads it from standard input')
      .option('--nearby', 'wait to be found on the local network and approved'),
    basis,
  ).action(async (words: string[], options: JoinOptions) => {
    process.exitCode = await runJoin(words, options, basis);
  });
  addInviteCommands(basis);
  addMemberCommands(basis);
}

function withMachineOptions(command: Command, { dataOption, jsonOption }: CommandBasis): Command {
  return withHubOptions(command)
    .addOption(dataOption())
    .option('--name <name>', 'name of this machine')
    .option('--lan', 'be open to the private networks of this machine')
    .option('--listen <address>', 'be open at this address: HOST:PORT (repeatable)', collect)
    .option('--ram <size>', 'memory it offers, such as 8GiB')
    .option('--disk <size>', 'disk it offers, such as 50GiB; by default half of what is free')
    .option('--threads <n>', 'threads of its kernels; 0 computes nothing for others')
    .addOption(jsonOption());
}

function addInviteCommands(basis: CommandBasis): void {
  const { program, print, printJson } = basis;
  withShared(program.command('invite').description('make a token that lets machines in'), basis)
    .option('--uses <n>', 'how many machines it lets in', count, 1)
    .option('--ttl <time>', 'how long it is good, such as 24h', seconds, 86_400)
    .addOption(
      new Option('--role <role>', 'what they may be')
        .choices(['worker', 'coordinator'])
        .default('worker'),
    )
    .action(async ({ uses, ttl, role, ...options }: InviteOptions) => {
      await withRunning(options, async (cluster) => {
        const invite = await cluster.invite({ uses, ttlSeconds: ttl, role });
        if (options.json === true) printJson({ type: 'invite', ...invite });
        else print(renderInvite(invite, Date.now()));
      });
    });
  withShared(program.command('invites').description('list invites'), basis).action(
    async (options: Shared) => {
      await withAny(options, async (cluster) => {
        const invites = await cluster.invites();
        if (options.json === true) printJson({ type: 'invites', invites });
        else print(renderInvites(invites, Date.now()));
      });
    },
  );
  withShared(program.command('revoke').description('end an invite or a membership'), basis)
    .argument('<which>', 'id of an invite; name or fingerprint of a member')
    .action(async (which: string, options: Shared) => {
      await withAny(options, async (cluster) => {
        const revoked = await cluster.revoke(which);
        if (options.json === true) return printJson({ type: 'revoked', ...revoked });
        const key = ['the network key has changed for all others'];
        if (revoked.invitesEnded > 0) {
          key.push(
            `${revoked.invitesEnded} open invites ended with it; quantd invite makes new ones`,
          );
        }
        print([`${revoked.which} is revoked`, ...(revoked.kind === 'member' ? key : [])]);
      });
    });
}

function addMemberCommands(basis: CommandBasis): void {
  const { program, print, printJson } = basis;
  withShared(
    program.command('peers').description('show the machines of the cluster'),
    basis,
  ).action(async (options: Shared) => {
    await withRunning(options, async (cluster) => {
      const view = await cluster.view();
      if (options.json === true) printJson({ type: 'peers', ...view });
      else print(renderPeers(view));
    });
  });
  withShared(program.command('approve').description('agree with a machine that is nearby'), basis)
    .argument('<machine>', 'its name or fingerprint')
    .action(async (which: string, options: Shared) => {
      await withRunning(options, async (cluster) => {
        const approved = await cluster.approve(which);
        if (options.json === true) printJson({ type: 'approved', ...approved });
        else print(renderApproved(approved));
      });
    });
  withShared(program.command('leave').description('end this machine’s membership'), basis)
    .option('--end', 'end the cluster that this machine founded, for all its members')
    .action(async ({ end = false, ...options }: Shared & { readonly end?: boolean }) => {
      await withAny(options, async (cluster) => {
        const left = await cluster.leave(end);
        if (options.json === true) return printJson({ type: 'left', ...left });
        const away = 'the coordinator could not be told: it shows this machine as away';
        print(['this machine has left its cluster', ...(left.wasTold ? [] : [away])]);
      });
    });
}

function withShared(command: Command, { dataOption, jsonOption }: CommandBasis): Command {
  return command.addOption(dataOption()).addOption(jsonOption());
}

/** With the daemon that runs. */
async function withRunning(
  options: Shared,
  work: (cluster: ClusterClient) => Promise<void>,
): Promise<void> {
  const directory = dataDirectory(options.data);
  const running = await findDaemon(directory);
  if (running === undefined) {
    process.stderr.write(`no daemon answers in ${directory}\n  hint: quantd up --lan\n`);
    process.exitCode = 3;
    return;
  }
  await work(new ClusterClient(running.client));
}

/** With the daemon that runs, or one that knows the cluster and stays closed to it. */
async function withAny(
  options: Shared,
  work: (cluster: ClusterClient) => Promise<void>,
): Promise<void> {
  const connection = await connect({ ...options, words: ['--peering', 'join'] });
  try {
    await work(new ClusterClient(connection.client));
  } finally {
    await connection.close();
  }
}
