/**
 * Goal: no token moves before both owners have agreed, whatever strangers say. Method: a doorbell
 * and a coordinator joined by calls, and a clock that is turned by hand.
 */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cryptography } from '../adapters/cryptography.ts';
import { decodeOfferAnswer, encodeOfferRequest } from '../core/membership/offer-messages.ts';
import { peerIdOf } from '../core/membership/peer-id.ts';
import type { Clock } from '../ports.ts';
import { Doorbell } from './doorbell.ts';
import { Nearby } from './nearby.ts';

const { sha256 } = cryptography;
const [coordinator = '', stranger = '', box = ''] = [1, 2, 3].map((n) =>
  peerIdOf(new Uint8Array(32).fill(n)),
);

class HandClock implements Clock {
  #nowMs = 0;
  #timers: { at: number; work: () => void }[] = [];

  now(): number {
    return this.#nowMs;
  }

  after(milliseconds: number, work: () => void): () => void {
    const timer = { at: this.#nowMs + milliseconds, work };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Lets time pass in steps, and what waits for it run between them. */
  async pass(milliseconds: number): Promise<void> {
    const STEP_MS = 500;
    for (let passed = 0; passed < milliseconds; passed += STEP_MS) {
      this.#nowMs += STEP_MS;
      const due = this.#timers.filter(({ at }) => at <= this.#nowMs);
      this.#timers = this.#timers.filter(({ at }) => at > this.#nowMs);
      for (const { work } of due) work();
      await settled();
    }
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

function pair(clock: HandClock): { doorbell: Doorbell; nearby: Nearby; tokens: string[] } {
  const tokens: string[] = [];
  const doorbell = new Doorbell({
    ...{ name: 'tower', sha256, now: () => clock.now() },
    join: (token, from) => tokens.push(`${token} from ${from}`),
  });
  const nearby = new Nearby({
    ...{ name: 'nas', sha256, clock, isMember: () => false },
    ask: async (_, request) => doorbell.answer(coordinator, request),
    makeToken: async (peer) => `token for ${peer}`,
  });
  return { doorbell, nearby, tokens };
}

test('a token moves when both have agreed, in either order of looking', async () => {
  const clock = new HandClock();
  const { doorbell, nearby, tokens } = pair(clock);
  nearby.discovered(box, []);
  await clock.pass(10_000);
  expect(nearby.machines()).toMatchObject([{ name: 'tower', offered: false }]);
  // Being looked at is no offer.
  expect(doorbell.offers()).toEqual([]);
  expect(() => doorbell.approve('nas')).toThrow('QD-8238');

  nearby.approve('tower');
  await clock.pass(5000);
  expect(doorbell.offers()).toMatchObject([{ name: 'nas', agreed: false }]);
  expect(tokens).toEqual([]);

  doorbell.approve('nas');
  await clock.pass(3000);
  expect(tokens).toEqual([`token for ${box} from ${coordinator}`]);
  expect(nearby.machines()).toEqual([]);
  nearby.close();
});

test('no sequence of rings brings a token in but from who was approved', () => {
  const anyRing = fc.record({
    from: fc.constantFrom(coordinator, stranger),
    request: fc.oneof(
      fc.constant({ kind: 'who' as const }),
      fc.record({ kind: fc.constant('offer' as const), name: fc.constantFrom('nas', 'evil') }),
      fc.record({ kind: fc.constant('token' as const), token: fc.string({ maxLength: 20 }) }),
    ),
    approves: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(anyRing, { maxLength: 20 }), (rings) => {
      const clock = new HandClock();
      const { doorbell, tokens } = pair(clock);
      let isApproved = false;
      let expected = 0;
      for (const { from, request, approves } of rings) {
        if (isApproved && from === coordinator && request.kind === 'token') expected++;
        const answer = decodeOfferAnswer(doorbell.answer(from, encodeOfferRequest(request)));
        if (answer.kind === 'agreed') expect([isApproved, from]).toEqual([true, coordinator]);
        const offer = doorbell.offers().find(({ peer }) => peer === coordinator);
        // The owner compares fingerprints, since names prove nothing.
        if (approves && offer !== undefined) {
          doorbell.approve(offer.fingerprint);
          isApproved = true;
        }
      }
      expect(tokens).toHaveLength(expected);
    }),
  );
});

test('two of one name are told apart by their fingerprints', () => {
  const clock = new HandClock();
  const { doorbell } = pair(clock);
  for (const from of [coordinator, stranger]) {
    doorbell.answer(from, encodeOfferRequest({ kind: 'offer', name: 'nas' }));
  }
  expect(() => doorbell.approve('nas')).toThrow('QD-8236');
  const [first] = doorbell.offers();
  expect(doorbell.approve(first?.fingerprint ?? '')).toMatchObject({ peer: coordinator });
});

test('who rings without end fills no list, and who is silent is forgotten', async () => {
  const clock = new HandClock();
  const { doorbell } = pair(clock);
  for (let n = 0; n < 300; n++) {
    const from = peerIdOf(new Uint8Array(32).fill(n % 256).fill(n >> 8, 0, 1));
    doorbell.answer(from, encodeOfferRequest({ kind: 'offer', name: `n${n}` }));
  }
  expect(doorbell.offers()).toHaveLength(32);
  await clock.pass(20_000);
  expect(doorbell.offers()).toEqual([]);
});

test('a machine that goes away is no longer shown, and is when it is back', async () => {
  const clock = new HandClock();
  let isThere = true;
  const { doorbell } = pair(clock);
  const nearby = new Nearby({
    ...{ name: 'nas', sha256, clock, isMember: () => false },
    ask: async (_, request) => {
      if (!isThere) throw new Error('no answer');
      return doorbell.answer(coordinator, request);
    },
    makeToken: async () => '',
  });
  nearby.discovered(box, []);
  await clock.pass(5000);
  expect(nearby.machines()).toHaveLength(1);
  isThere = false;
  await clock.pass(30_000);
  expect(nearby.machines()).toEqual([]);
  isThere = true;
  await clock.pass(30_000);
  expect(nearby.machines()).toHaveLength(1);
  nearby.close();
});
