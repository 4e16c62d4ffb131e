/**
 * Cluster view: members, invites and machines nearby, as text.
 *
 *   ClusterView, InviteView ──▶ lines
 */

import type {
  Approved,
  ClusterView,
  InviteView,
  MemberView,
  NearbyView,
} from '../proto/cluster.ts';
import { bytesText, secondsText, tableText } from './format.ts';

const states = {
  none: 'in no cluster',
  nearby: 'waits for a coordinator nearby',
  coordinator: 'coordinator',
  member: 'member',
  revoked: 'was put out of its cluster',
} as const satisfies Record<ClusterView['state'], string>;

export function renderPeers(view: ClusterView): string[] {
  const cluster = view.cluster === undefined ? '' : ` · cluster ${view.cluster}`;
  const rows = view.members.map(memberRow);
  const header = [
    'name',
    'fingerprint',
    'role',
    'state',
    'ISA',
    'threads',
    'RAM',
    'speed',
    'address',
  ];
  return [
    `${view.name} (${view.fingerprint}) · ${states[view.state]}${cluster}`,
    ...(rows.length > 0 ? tableText([header, ...rows], [5, 6, 7]) : []),
    ...renderNearby(view),
  ];
}

function memberRow(member: MemberView): string[] {
  const { threads, ramBytes, bytesPerSecond } = member;
  return [
    member.name,
    member.fingerprint,
    member.role,
    member.isSelf ? 'this machine' : member.isConnected ? 'connected' : 'away',
    member.isa ?? '',
    threads === undefined ? '' : String(threads),
    ramBytes === undefined ? '' : bytesText(ramBytes),
    bytesPerSecond === undefined ? '' : `${bytesText(bytesPerSecond)}/s`,
    member.addresses[0] ?? '',
  ];
}

/** What waits for this machine's owner. */
export function renderNearby(view: ClusterView): string[] {
  return [...view.nearby.map(nearbyLine), ...view.offers.map(offerLine)];
}

export function nearbyLine(machine: NearbyView): string {
  const who = `${machine.name} (${machine.fingerprint})`;
  return machine.isApproved
    ? `${who} is nearby and has been offered a place; its owner has to agree there`
    : `${who} is nearby and waits: quantd approve ${argument(machine)}`;
}

export function offerLine(machine: NearbyView): string {
  const who = `${machine.name} (${machine.fingerprint})`;
  return machine.isApproved
    ? `${who} was approved and will send an invite`
    : `${who} offers to take this machine: quantd approve ${argument(machine)}`;
}

export function renderApproved({ name, fingerprint, isOneSided }: Approved): string[] {
  const next = isOneSided ? 'its owner has to approve this one there' : 'it sends an invite now';
  return [`${name} (${fingerprint}) is approved: ${next}`];
}

/** What to type: a name that a shell takes as it is, else the fingerprint. */
function argument({ name, fingerprint }: NearbyView): string {
  return /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name) ? name : fingerprint;
}

export function renderInvites(invites: readonly InviteView[], nowMs: number): string[] {
  if (invites.length === 0) return ['no invites', '  hint: quantd invite'];
  const rows = invites.map((invite) => [
    invite.id,
    invite.role,
    `${invite.usesLeft} of ${invite.uses}`,
    expiryText(invite, nowMs),
    invite.state,
  ]);
  return tableText([['id', 'role', 'uses left', 'expires', 'state'], ...rows], []);
}

function expiryText({ expires }: InviteView, nowMs: number): string {
  const seconds = (Date.parse(expires) - nowMs) / 1000;
  return seconds > 0 ? `in ${secondsText(seconds)}` : `${secondsText(-seconds)} ago`;
}

/** How a machine is let in: the line to copy, and what it is good for. */
export function renderInvite(
  invite: InviteView & { readonly token: string },
  nowMs: number,
): string[] {
  const uses = invite.uses === 1 ? 'one machine' : `${invite.uses} machines`;
  return [
    `Run this on each ${invite.role} (good for ${uses}, expires ${expiryText(invite, nowMs)}):`,
    '',
    `  quantd join ${invite.token}`,
    '',
  ];
}

/** What a person wants to be told of while a daemon runs. */
export function renderChange(before: ClusterView | undefined, after: ClusterView): string[] {
  const former = new Map((before?.members ?? []).map((member) => [member.peer, member]));
  // A member that has just been admitted is no news before it is connected.
  const changed = after.members.filter(
    ({ peer, isSelf, isConnected }) =>
      !isSelf && isConnected !== (former.get(peer)?.isConnected ?? false),
  );
  const staying = new Set(after.members.map(({ peer }) => peer));
  const gone = [...former.values()].filter(({ peer, isSelf }) => !isSelf && !staying.has(peer));
  const known = new Set(before === undefined ? [] : renderNearby(before));
  return [
    ...changed.map((member) => `${member.name} (${member.fingerprint}) is ${connection(member)}`),
    ...gone.map(({ name, fingerprint }) => `${name} (${fingerprint}) is a member no more`),
    ...renderNearby(after).filter((line) => !known.has(line)),
    ...(before !== undefined && before.state !== after.state
      ? [`this machine is now: ${states[after.state]}`]
      : []),
  ];
}

function connection(member: MemberView): string {
  return member.isConnected
    ? `connected · ${member.isa} · ${member.threads} threads · ${bytesText(member.bytesPerSecond ?? 0)}/s`
    : 'away';
}
