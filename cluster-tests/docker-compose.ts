/**
 * Docker Compose: what compose.yaml says of each service, for tests that start them without Docker.
 *
 *   compose.yaml ──▶ readServices ──▶ words to start, volumes, what must be up before
 *
 * Read next: docker-image.ts, which makes what they are started in.
 */

import { parse } from 'yaml';
import type { Image } from './docker-image.ts';

export interface Service {
  readonly words: readonly string[];
  /** Where each volume is seen: its name or a path on the left of `:`, the target. */
  readonly volumes: readonly { readonly source: string; readonly target: string }[];
  readonly dependsOn: readonly string[];
  readonly isReadOnly: boolean;
  readonly hasNetwork: boolean;
}

type Fields = Readonly<Record<string, unknown>>;

/** @param image whose entrypoint and command hold where a service has none of its own */
export function readServices(text: string, image: Image): Map<string, Service> {
  const { services } = fields(parse(text, { merge: true }));
  return new Map(
    Object.entries(fields(services)).map(([name, service]) => [
      name,
      readService(fields(service), image),
    ]),
  );
}

function readService(service: Fields, image: Image): Service {
  const { entrypoint, command, volumes, depends_on: before = {} } = service;
  // An entrypoint of the service's own drops the command of the image.
  const ownCommand = entrypoint === undefined ? image.command : [];
  return {
    words: [
      ...(entrypoint === undefined ? image.entrypoint : strings(entrypoint)),
      ...(command === undefined ? ownCommand : strings(command)),
    ],
    volumes: strings(volumes).map((volume) => {
      // A default of a variable has a colon too.
      const [, source = '', target = ''] = /^(.*?):(\/[^:]*)(?::ro)?$/.exec(volume) ?? [];
      return { source, target };
    }),
    dependsOn: Object.keys(fields(before)),
    isReadOnly: service['read_only'] === true,
    hasNetwork: service['network_mode'] !== 'none',
  };
}

function fields(value: unknown): Fields {
  if (typeof value !== 'object' || value === null) throw new Error(`no fields: ${value}`);
  return Object.fromEntries(Object.entries(value));
}

function strings(value: unknown): string[] {
  if (Array.isArray(value) && value.every((word) => typeof word === 'string')) return value;
  throw new Error(`no words: ${JSON.stringify(value)}`);
}
