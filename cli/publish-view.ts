/**
 * Publish view: what is sent to a hub, as text.
 *
 *   RunEvent ──▶ renderPublish, renderPublished ──▶ lines
 */

import type { RunEvent } from '../proto/api.ts';
import { bytesText, tableText } from './format.ts';

type EventOf<T extends RunEvent['type']> = Extract<RunEvent, { type: T }>;

const states = { new: '', changed: 'replaces another', same: 'there already' } as const;

export function renderPublish(plan: EventOf<'publish'>): string[] {
  const rows = plan.files.map(({ file, bytes, isLarge, state, machine }) => [
    `  ${file}`,
    bytesText(bytes),
    isLarge ? 'LFS' : '',
    [states[state], machine === undefined ? '' : `on ${machine}`].filter(Boolean).join(', '),
  ]);
  const sent = plan.files.filter(({ state }) => state !== 'same');
  const bytes = sent.reduce((sum, file) => sum + file.bytes, 0);
  const place = `${plan.repository} on ${plan.hubUrl}${existenceText(plan)}`;
  return [
    `publish  ${place} · ${sent.length} of ${plan.files.length} files to send, ${bytesText(bytes)}`,
    ...tableText(rows, [1]),
    ...plan.card.map(({ severity, key, text }) => {
      return `card     ${severity}: ${key === undefined ? '' : `${key} `}${text}`;
    }),
  ];
}

function existenceText({ exists, private: isPrivate }: EventOf<'publish'>): string {
  if (exists === undefined) return ' (not asked)';
  return exists ? '' : ` (made${isPrivate ? ', private' : ''})`;
}

export function renderPublished(event: EventOf<'published'>): string[] {
  const { files, bytes, commit, url } = event;
  if (files === 0) return [`all of it is there already, at commit ${commit}`];
  return [`sent     ${files} files, ${bytesText(bytes)}, as commit ${commit}`, url];
}
