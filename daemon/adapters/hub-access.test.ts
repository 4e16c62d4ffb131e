/**
 * Goal: who asks for the wrong thing, or may not have it, is told so in a way that can be acted on;
 * the token reaches the hub and nothing else.
 * Method: the loopback hub of the tests, and what it was asked.
 */

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type LoopbackHub, startHub, TOKEN } from '../../cluster-tests/hub/loopback-hub.ts';
import { memoryRepository } from '../../cluster-tests/hub/repository.ts';
import { FaultError, type FaultMessage } from '../../proto/fault.ts';
import { parseHubName } from '../../proto/hub-name.ts';
import { parseHubUrl } from './hub-transport.ts';
import { openHub } from './open-hub.ts';

let directory: string;
let hub: LoopbackHub;
const contents = { 'config.json': '{}', 'model.safetensors': 'tensors' };

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'quantd-hub-'));
  hub = await startHub(
    memoryRepository(contents, { name: 'an-org/open', revisions: ['main', 'refs/pr/7'] }),
    memoryRepository(contents, { name: 'an-org/private', access: 'private' }),
    memoryRepository(contents, { name: 'an-org/gated', access: 'gated' }),
  );
});
afterAll(async () => {
  await hub.close();
  rmSync(directory, { recursive: true });
});

/** Reads every file of the source, and forgets it. */
async function readAll(source: string, token?: string): Promise<string[]> {
  const access = { url: hub.url, ...(token === undefined ? {} : { token }) };
  const hashFile = async (): Promise<Uint8Array> => {
    throw new Error('nothing is fetched as a whole here');
  };
  const opened = await openHub(`hf:${source}`, { directory, access, keep: false, hashFile });
  try {
    const texts: string[] = [];
    for (const { file, bytes } of await opened.list()) {
      const into = Buffer.alloc(bytes);
      await opened.read(file, 0, into);
      texts.push(into.toString());
    }
    return texts;
  } finally {
    await opened.remote?.forget(false);
    await opened.close();
  }
}

async function faultOf(work: Promise<unknown>): Promise<FaultMessage> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof FaultError) return error.toMessage();
  throw error ?? new Error('no fault');
}

describe('what may be read', () => {
  test.each([
    ['an-org/open', undefined],
    ['an-org/open@refs/pr/7', undefined],
    ['an-org/private', 'hf_other'],
    ['an-org/gated', TOKEN],
  ])('%s', async (source, token) => {
    expect(await readAll(source, token)).toEqual(Object.values(contents));
    // Where nothing is kept, nothing is left.
    expect(existsSync(join(directory, source.replace('/', '--')))).toBe(false);
  });
});

describe('what may not', () => {
  test.each<[source: string, token: string | undefined, code: string, hint: RegExp]>([
    ['an-org/none', undefined, 'QD-2502', /did you mean a path\?/],
    ['an-org/none', TOKEN, 'QD-2502', /did you mean a path\?/],
    ['an-org/private', undefined, 'QD-2502', /HF_TOKEN/],
    ['an-org/open@v9', undefined, 'QD-2503', /@main/],
    [
      'an-org/gated',
      undefined,
      'QD-2504',
      /accept its licence at http:.*an-org\/gated, then: HF_TOKEN/,
    ],
    ['an-org/gated', 'hf_other', 'QD-2505', /accept its licence at http:.*an-org\/gated/],
    ['an-org/open', 'hf_nobody', 'QD-2506', /token/],
    ['an-org/open/none.gguf', undefined, 'QD-2515', /list of files/],
    ['no name', undefined, 'QD-2501', /org\/name/],
  ])('%s with the token %s: %s', async (source, token, code, hint) => {
    const fault = await faultOf(readAll(source, token));
    expect(fault.code).toBe(code);
    expect(fault.hint).toMatch(hint);
    expect(JSON.stringify(fault)).not.toContain('hf_nobody');
  });
});

describe('the token', () => {
  test('goes to the hub alone', async () => {
    await readAll('an-org/gated', TOKEN);
    const to = (at: string): (string | undefined)[] =>
      hub.asked.filter((asked) => asked.at === at).map(({ authorization }) => authorization);
    expect(to('hub')).toContain(`Bearer ${TOKEN}`);
    expect(new Set(to('storage'))).toEqual(new Set([undefined]));
  });

  test('stays here when the hub leads elsewhere', async () => {
    const elsewhere = await startHub();
    const location = `${elsewhere.url}/x`;
    hub.rule({ at: 'hub', path: '/revision/', trouble: { kind: 'redirect', location } });
    await readAll('an-org/open', TOKEN);
    expect(elsewhere.asked).toMatchObject([{ url: '/x', authorization: undefined }]);
    await elsewhere.close();
  });

  test.each(['ftp://a/', '//', ''])('a redirect to %j is not followed', async (location) => {
    hub.rule({ at: 'hub', path: '/revision/', trouble: { kind: 'redirect', location } });
    await expect(readAll('an-org/open', TOKEN)).rejects.toThrow(/QD-2509/);
  });

  test('does not follow a list that goes on elsewhere', async () => {
    const elsewhere = await startHub();
    const link = `<${elsewhere.url}/api/models/an-org/open/tree/x>; rel="next"`;
    hub.rule({
      at: 'hub',
      path: '/tree/',
      trouble: { kind: 'text', text: '[]', headers: { link } },
    });
    await expect(readAll('an-org/open', TOKEN)).rejects.toThrow(/QD-2509/);
    expect(elsewhere.asked).toEqual([]);
    await elsewhere.close();
  });

  test('is not sent where others could read it', () => {
    expect(() => parseHubUrl('http://hub.example', true)).toThrow(/QD-2517.*without encryption/);
    expect(parseHubUrl('http://hub.example', false).host).toBe('hub.example');
    expect(parseHubUrl('http://127.0.0.1:1', true).port).toBe('1');
  });

  test.each(['a b', 'a\nb', 'ä'])('%j is none, and is not repeated', async (token) => {
    const fault = await faultOf(readAll('an-org/open', token));
    expect(fault.code).toBe('QD-2518');
    expect(JSON.stringify(fault)).not.toContain(token);
  });
});

test('who is asked to wait may give up', async () => {
  const headers = { 'retry-after': '100' };
  const trouble = { kind: 'status', status: 429, headers } as const;
  const before = hub.asked.length;
  hub.rule({ at: 'hub', path: '/revision/', trouble });
  const stop = new AbortController();
  const opening = openHub('hf:an-org/open', {
    ...{ directory, access: { url: hub.url }, keep: false, signal: stop.signal },
    hashFile: async () => new Uint8Array(32),
  });
  await expect.poll(() => hub.asked.length).toBeGreaterThan(before);
  stop.abort(new Error('enough'));
  await expect(opening).rejects.toThrow('enough');
});

describe('a hub that makes no sense', () => {
  const entry = { type: 'file', path: 'a', size: 1, oid: 'a'.repeat(40) };
  const trees: [string, unknown, RegExp][] = [
    ['no JSON', '<html>', /QD-2509/],
    ['no list', { a: 1 }, /QD-2509/],
    ['a path that climbs', [{ ...entry, path: '../a' }], /QD-2516/],
    ['a path from the top', [{ ...entry, path: '/a' }], /QD-2516/],
    ['no path', [{ ...entry, path: undefined }], /QD-2516/],
    ['a size that is none', [{ ...entry, size: -1 }], /QD-2516/],
    ['two sizes', [{ ...entry, lfs: { oid: 'b'.repeat(64), size: 2 } }], /QD-2516/],
    ['no digest', [{ ...entry, oid: undefined }], /QD-2516/],
    ['a digest that is none', [{ ...entry, lfs: { oid: '../x', size: 1 } }], /QD-2516/],
    [
      'too many files',
      Array.from({ length: 10_001 }, (_, n) => ({ ...entry, path: `${n}` })),
      /QD-2516/,
    ],
  ];
  test.each(trees)('%s', async (_, tree, says) => {
    const text = typeof tree === 'string' ? tree : JSON.stringify(tree);
    hub.rule({ at: 'hub', path: '/tree/', trouble: { kind: 'text', text } });
    await expect(readAll('an-org/open')).rejects.toThrow(says);
  });

  test('a commit that is none', async () => {
    const text = '{"_id":"","id":"an-org/open","sha":"../../x","lastModified":"2026-01-01"}';
    hub.rule({ at: 'hub', path: '/revision/', trouble: { kind: 'text', text } });
    await expect(readAll('an-org/open')).rejects.toThrow(/QD-2509/);
  });

  test.each(['ftp://hub', 'hub.example', 'https://me:secret@hub.example', 'https://h/?q'])(
    '%s is no address of one',
    (url) => {
      expect(() => parseHubUrl(url, false)).toThrow(/QD-2517/);
    },
  );
});

describe('names', () => {
  test.each([
    ['org/name', 'org/name', undefined, undefined],
    ['hf:org/name@main', 'org/name', 'main', undefined],
    ['google/gemma-4-26B-A4B-it@refs/pr/3', 'google/gemma-4-26B-A4B-it', 'refs/pr/3', undefined],
    ['a/b/q4/c-00001-of-00002.gguf@v1.0', 'a/b', 'v1.0', 'q4/c-00001-of-00002.gguf'],
  ])('%s', (text, repository, revision, file) => {
    expect(parseHubName(text)).toEqual({ repository, revision, file });
  });

  test.each([
    'name',
    './a/b',
    '/a/b',
    'a/b/',
    'a//b',
    'a/../b',
    'a--b/c',
    'a/b/../c.gguf',
    'a/b@',
    '-a/b',
  ])('%s is none', (text) => {
    expect(parseHubName(text)).toBe(undefined);
  });
});
