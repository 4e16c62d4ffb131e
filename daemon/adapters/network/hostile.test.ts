/** Goal: a peer that breaks the rules loses its connection, and costs little. */

import { createConnection, createServer, type Socket } from 'node:net';
import type { Libp2p, Stream } from '@libp2p/interface';
import { multiaddr } from '@multiformats/multiaddr';
import { encode } from 'it-length-prefixed';
import { afterEach, describe, expect, test } from 'vitest';
import { encodeBlockRequest } from '../../../proto/block-codec.ts';
import { encodePeerMessage } from '../../../proto/peer-codec.ts';
import { FRAME_BYTES_MAX } from '../../../proto/peer-limits.ts';
import { LEAF_BYTES, type PeerMessage } from '../../../proto/peer-messages.ts';
import {
  connected,
  dialableOf,
  madeHello,
  madeIdentities,
  madeNode,
  rawPeer,
  until,
} from './made-nodes.ts';
import type { PeerNode } from './peer-node.ts';

const CONTROL = '/quantd/control/1';
const BLOCKS = '/quantd/blk/1';
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  await Promise.all(cleanups.splice(0).map((cleanup) => cleanup()));
});

interface Meeting {
  readonly target: PeerNode;
  readonly raw: Libp2p;
  readonly refusals: string[];
  readonly heard: PeerMessage[];
}

/** A node, and a member of lower id without manners that is connected to it. */
async function meeting(): Promise<Meeting> {
  const ids = await madeIdentities(2);
  const [a, b] = ids;
  if (!a || !b) throw new Error('two identities');
  const refusals: string[] = [];
  const target = await madeNode(b, ids, { onRefused: (_, why) => refusals.push(why) });
  cleanups.push(() => target.stop());
  const raw = await rawPeer(a);
  cleanups.push(() => raw.stop());
  const heard: PeerMessage[] = [];
  target.network.listen({ message: (_, message) => heard.push(message) });
  await raw.dial(dialableOf(target));
  return { target, raw, refusals, heard };
}

async function open({ raw }: Meeting, protocol: string): Promise<Stream> {
  const [connection] = raw.getConnections();
  if (connection === undefined) throw new Error('the raw peer is connected');
  return connection.newStream(protocol);
}

const frame = (message: PeerMessage) => encode.single(encodePeerMessage(message));
const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The connection is gone, for the reason given. */
async function cutOff({ raw, target, refusals }: Meeting, why: string | RegExp): Promise<void> {
  await until(() => raw.getConnections().length === 0, 3000);
  expect(refusals[0]).toMatch(why);
  expect(target.network.peers()).toEqual([]);
}

describe('on the control stream', () => {
  test('a hello, in small pieces, is a hello', async () => {
    const met = await meeting();
    const stream = await open(met, CONTROL);
    for (const byte of frame(madeHello).subarray()) stream.send(Uint8Array.of(byte));
    await until(() => met.target.network.peers().length === 1);
    expect(met.refusals).toEqual([]);
  });

  test('a message before hello', async () => {
    const met = await meeting();
    (await open(met, CONTROL)).send(frame({ kind: 'run-open', run: '0'.repeat(32) }));
    await cutOff(met, 'it said run-open before hello');
  });

  test('hello twice', async () => {
    const met = await meeting();
    const stream = await open(met, CONTROL);
    stream.send(frame(madeHello));
    stream.send(frame(madeHello));
    await cutOff(met, 'it said hello twice');
  });

  test('a frame longer than the limit, by its length alone', async () => {
    const met = await meeting();
    const stream = await open(met, CONTROL);
    stream.send(frame(madeHello));
    stream.send(encode.single(new Uint8Array(FRAME_BYTES_MAX + 1)).sublist(0, 3));
    await cutOff(met, 'too long');
  });

  test('a length that never ends', async () => {
    const met = await meeting();
    (await open(met, CONTROL)).send(new Uint8Array(20).fill(0xff));
    await cutOff(met, /./);
  });

  test('what is no message', async () => {
    const met = await meeting();
    const stream = await open(met, CONTROL);
    stream.send(frame(madeHello));
    stream.send(encode.single(new Uint8Array(50).fill(0x0b)));
    await cutOff(met, /QD-810/);
  });

  test('data after the end is not heard', async () => {
    const met = await meeting();
    const stream = await open(met, CONTROL);
    stream.send(frame(madeHello));
    await until(() => met.target.network.peers().length === 1);
    await stream.close();
    expect(() => stream.send(frame({ kind: 'run-open', run: '0'.repeat(32) }))).toThrow();
    await until(() => met.target.network.peers().length === 0);
    expect(met.heard).toEqual([]);
    expect(met.refusals).toEqual([]);
  });

  test('half a frame and then the end', async () => {
    const met = await meeting();
    const stream = await open(met, CONTROL);
    stream.send(frame(madeHello));
    stream.send(frame({ kind: 'run-open', run: '0'.repeat(32) }).sublist(0, 5));
    await stream.close();
    await cutOff(met, 'end of input');
    expect(met.heard).toEqual([]);
  });

  test('a stream that dies while the connection lives is opened again', async () => {
    const met = await meeting();
    (await open(met, CONTROL)).send(frame(madeHello));
    await until(() => met.target.network.peers().length === 1);
    const events: string[] = [];
    met.target.network.listen({
      connected: () => events.push('came'),
      disconnected: () => events.push('went'),
    });
    const again = await open(met, CONTROL);
    again.send(frame(madeHello));
    again.send(frame({ kind: 'run-open', run: '0'.repeat(32) }));
    await until(() => met.heard.length === 1);
    expect(events).toEqual(['came', 'went', 'came']);
    again.abort(new Error('gone'));
    await until(() => events.length === 4);
    expect(met.raw.getConnections()).toHaveLength(1);
  });

  test('the side of higher id opens no control stream', async () => {
    const ids = await madeIdentities(2);
    const [a, b] = ids;
    if (!a || !b) throw new Error('two identities');
    const target = await madeNode(a, ids);
    cleanups.push(() => target.stop());
    const raw = await rawPeer(b);
    cleanups.push(() => raw.stop());
    const connection = await raw.dial(dialableOf(target));
    const stream = await connection.newStream(CONTROL);
    if (stream.status === 'open') stream.send(frame(madeHello));
    await until(() => stream.status === 'reset');
    expect(target.network.peers()).toEqual([]);
  });
});

describe('on the streams of blocks', () => {
  const request = (offset: number) =>
    encode.single(
      encodeBlockRequest({
        blob: {
          kind: 'block-run',
          run: '0'.repeat(32),
          unit: '0'.repeat(64),
          bytes: 64 * LEAF_BYTES,
        },
        offset,
        bytes: LEAF_BYTES,
        isDigestKnown: false,
      }),
    );

  async function welcomed(): Promise<Meeting> {
    const met = await meeting();
    (await open(met, CONTROL)).send(frame(madeHello));
    await until(() => met.target.network.peers().length === 1);
    return met;
  }

  test('nothing is given before hello', async () => {
    const met = await meeting();
    let read = 0;
    met.target.network.serve({
      read: async () => {
        read += 1;
        return undefined;
      },
    });
    (await open(met, BLOCKS)).send(request(0));
    await pause(300);
    expect(read).toBe(0);
  });

  test('more than four requests at a time end the stream, not the connection', async () => {
    const met = await welcomed();
    let read = 0;
    met.target.network.serve({
      read: () => {
        read += 1;
        return new Promise(() => undefined);
      },
    });
    const stream = await open(met, BLOCKS);
    for (let block = 0; block < 20; block++) stream.send(request(block * LEAF_BYTES));
    await until(() => stream.status === 'reset');
    expect(read).toBeLessThanOrEqual(4);
    expect(met.target.network.peers()).toHaveLength(1);
  });

  test.each([
    ['garbage', encode.single(new Uint8Array(40).fill(3))],
    ['a request that is too long', encode.single(new Uint8Array(257))],
    ['a length that never ends', new Uint8Array(20).fill(0xff)],
  ])('%s ends the stream', async (_, bytes) => {
    const met = await welcomed();
    const stream = await open(met, BLOCKS);
    stream.send(bytes);
    await until(() => stream.status === 'reset');
  });

  test('no more than eight streams', async () => {
    const met = await welcomed();
    const streams: Stream[] = [];
    for (let count = 0; count < 8; count++) streams.push(await open(met, BLOCKS));
    const ninth = await open(met, BLOCKS).catch(() => undefined);
    await until(() => ninth === undefined || ninth.status === 'reset');
    expect(streams.map(({ status }) => status)).toEqual(new Array(8).fill('open'));
  });

  // Goal: a peer that asks and does not read costs a few blocks, not the blob. Method: it pauses
  // its end, asks again and again as far as it is let, and the blocks that were read are counted.
  test('who does not read gets no more than four blocks ahead of what its window takes', async () => {
    const met = await welcomed();
    let read = 0;
    met.target.network.serve({
      read: async (_to, _blob, _offset, bytes) => {
        read += 1;
        return new Uint8Array(bytes);
      },
    });
    const before = process.memoryUsage().rss;
    const streams: Stream[] = [];
    for (let count = 0; count < 8; count++) {
      const stream = await open(met, BLOCKS);
      streams.push(stream);
      stream.pause();
      for (let block = 0; block < 4; block++) stream.send(request(block * LEAF_BYTES));
    }
    await pause(700);
    expect(read).toBe(32);
    expect(process.memoryUsage().rss - before).toBeLessThan(128 * 1024 * 1024);
    // What the window takes counts as answered, and it is never opened again: four blocks in it and
    // four ahead are all that there is a way to ask for.
    for (const stream of streams) {
      for (let block = 4; block < 12; block++) stream.send(request(block * LEAF_BYTES));
    }
    await until(() => streams.every(({ status }) => status === 'reset'));
    expect(read).toBeLessThanOrEqual(64);
  });
});

describe('under the protocols', () => {
  test('a multiplexer frame of 2 GiB ends the connection at its first byte', async () => {
    const met = await meeting();
    const [connection] = met.raw.getConnections();
    if (connection === undefined) throw new Error('the raw peer is connected');
    const maConn: unknown = Reflect.get(connection, 'muxer');
    const muxer = maConn as { send(bytes: Uint8Array): boolean };
    muxer.send(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff, 1));
    await until(() => met.raw.getConnections().length === 0, 3000);
  });

  /** A wire between two nodes that can be held. */
  async function wire(port: number): Promise<{ port: number; hold(): void }> {
    const sockets: Socket[] = [];
    const server = createServer((near) => {
      const far = createConnection(port, '127.0.0.1');
      sockets.push(near, far);
      near.pipe(far).pipe(near);
      for (const socket of [near, far]) socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('a port');
    const hold = (): void => {
      for (const socket of sockets) socket.unpipe().pause();
    };
    return { port: address.port, hold };
  }

  /** Two nodes and the wire between them. */
  async function wired(): Promise<{ first: PeerNode; second: PeerNode; hold(): void }> {
    const ids = await madeIdentities(2);
    const [a, b] = ids;
    if (!a || !b) throw new Error('two identities');
    const first = await madeNode(a, ids);
    const second = await madeNode(b, ids);
    cleanups.push(
      () => first.stop(),
      () => second.stop(),
    );
    const held = await wire(Number(second.addresses()[0]?.split('/')[4]));
    first.keep(b.peer, [`/ip4/127.0.0.1/tcp/${held.port}`]);
    await connected(first, b.peer);
    await connected(second, a.peer);
    return { first, second, hold: held.hold };
  }

  test('a link that carries nothing any more is given up by both ends', async () => {
    const { first, second, hold } = await wired();
    hold();
    await until(() => first.network.peers().length + second.network.peers().length === 0, 9000);
  });

  test('who reads nothing loses its connection before it costs much memory', async () => {
    const { first, second, hold } = await wired();
    hold();
    const tasks = Array.from({ length: 4000 }, (_, index) => 2 ** 31 + index);
    const before = process.memoryUsage().arrayBuffers;
    let said = 0;
    while (first.network.peers().length > 0 && said < 5000) {
      first.network.send(second.self, { kind: 'working', run: '0'.repeat(32), tasks });
      said += 1;
      if (said % 50 === 0) await pause(1);
    }
    expect(said).toBeLessThan(5000);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024);
  });

  test('an address that is a port of something else', async () => {
    const ids = await madeIdentities(2);
    const [a, b] = ids;
    if (!a || !b) throw new Error('two identities');
    const first = await madeNode(a, ids);
    cleanups.push(() => first.stop());
    const garbage = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    });
    await new Promise<void>((resolve) => garbage.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => garbage.close());
    const address = garbage.address();
    if (address === null || typeof address === 'string') throw new Error('a port');
    const target = {
      peer: b.peer,
      addresses: [String(multiaddr(`/ip4/127.0.0.1/tcp/${address.port}`))],
    };
    await expect(
      first.ask(target, '/quantd/test/1', new Uint8Array(1), AbortSignal.timeout(5000)),
    ).rejects.toThrow('QD-8122');
  });
});
