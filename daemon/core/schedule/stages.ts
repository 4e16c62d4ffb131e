/**
 * Stages: which peer runs which consecutive layers, so that no stage is slower than it must be.
 *
 *   layers + allowed cuts + peers ──▶ placeStages ──▶ stages  (read next: measurement.ts)
 *
 * A peer has one stage and all its weights. Replicas of a stage share the groups of chunks between
 * them, so that their speeds add up. When peers come or go the same question is asked again, with
 * what each peer holds: near the best, the answer that moves the fewest weights is taken.
 */

import { assert } from '../../../proto/assert.ts';
import { levelSpeeds } from './placement.ts';

export interface LayerCost {
  /** Of its weights. */
  readonly sourceBytes: number;
  /** Of one token with them. */
  readonly multiplications: number;
}

export interface StagePeer {
  readonly peer: string;
  /** Work per time; any unit. 0 gets nothing. */
  readonly speed: number;
  /** Weights that it may hold at a time; a local peer reads the source itself and needs none. */
  readonly roomBytes: number;
  readonly isLocal: boolean;
  /** Whether it has the weights of a layer already. */
  readonly holds: (layer: number) => boolean;
}

/** The layers [from, to), at each of `peers`. */
export interface Stage {
  readonly from: number;
  readonly to: number;
  readonly peers: readonly string[];
}

export interface StageRequest {
  readonly layers: readonly LayerCost[];
  /** Whether what crosses the boundary in front of layer 1 … L - 1 can go to another peer. */
  readonly mayCut: (boundary: number) => boolean;
  readonly peers: readonly StagePeer[];
  /** Peers to a stage, if there are so many and they have the room; with 1 a weight lies at one peer. */
  readonly replicas?: number;
}

export interface StagePlacement {
  /** In the order of the layers, without a gap, from layer 0. */
  readonly stages: readonly Stage[];
  /** The layers behind the last stage: no cut was found for which the peers have room. */
  readonly unplaced?: UnplacedLayers;
}

export interface UnplacedLayers {
  readonly from: number;
  readonly to: number;
  readonly sourceBytes: number;
}

// A placement this much slower than the best is as good when it moves fewer weights: the speeds it
// is computed from are no better known, and what is moved is not computed with meanwhile.
const MOVE_SLACK = 1.25;
// With fewer teams every order is tried, in 2^teams × teams × layers² steps at most: some 10 ms.
const ORDERED_TEAMS_MIN = 6;

interface Member extends StagePeer {
  /** Weights of the layers before n that others hold and it does not. */
  readonly movedBefore: readonly number[];
}

/** The peers of one stage. */
type Team = readonly Member[];

interface Cut {
  readonly team: Team;
  readonly from: number;
  readonly to: number;
}

/** A way to place the layers from 0 on. */
interface Way {
  readonly movedBytes: number;
  readonly slowest: number;
  /** Pairs of teams that stand in another order than they came in: the last thing to decide by. */
  readonly swaps: number;
  readonly last?: Cut;
  readonly before?: Way;
}

export function placeStages(request: StageRequest): StagePlacement {
  const model = new LayerSums(request);
  const members = membersOf(request, model);
  const replicas = Math.max(1, Math.min(request.replicas ?? 1, members.length));
  let best: readonly Cut[] = [];
  // Where a stage fits into no team of so many, smaller teams make smaller stages.
  for (let size = replicas; size > 0 && !model.isCovered(best); size--) {
    const cuts = cutLayers(model, teamsOf(members, size, model));
    if ((cuts.at(-1)?.to ?? 0) > (best.at(-1)?.to ?? 0)) best = cuts;
  }
  // Where each weight is to lie on one machine alone, a spare one stands by.
  const spares = (request.replicas ?? 1) > 1 ? members : [];
  const stages = addSpares(best, spares, model);
  const from = stages.at(-1)?.to ?? 0;
  const to = request.layers.length;
  if (from === to) return { stages };
  return { stages, unplaced: { from, to, sourceBytes: model.bytes(from, to) } };
}

/** Sums over consecutive layers. */
class LayerSums {
  /** 0, the boundaries where a cut is allowed, and the end. */
  readonly boundaries: readonly number[];
  readonly #bytesBefore: readonly number[];
  readonly #workBefore: readonly number[];

  constructor({ layers, mayCut }: StageRequest) {
    assert(layers.length > 0, 'there are no layers to place');
    const inner = layers.map((_, layer) => layer).filter((layer) => layer > 0 && mayCut(layer));
    this.boundaries = [0, ...inner, layers.length];
    this.#bytesBefore = sumsBefore(layers.map(({ sourceBytes }) => sourceBytes));
    this.#workBefore = sumsBefore(layers.map(({ multiplications }) => multiplications));
  }

  bytes(from: number, to: number): number {
    return (this.#bytesBefore[to] ?? 0) - (this.#bytesBefore[from] ?? 0);
  }

  /** What a team takes for one token, in the unit of the speeds. */
  time(team: Team, from: number, to: number): number {
    const speed = team.reduce((sum, member) => sum + member.speed, 0);
    return ((this.#workBefore[to] ?? 0) - (this.#workBefore[from] ?? 0)) / speed;
  }

  fits(team: Team, from: number, to: number): boolean {
    const bytes = this.bytes(from, to);
    return team.every(({ isLocal, roomBytes }) => isLocal || bytes <= roomBytes);
  }

  isCovered(cuts: readonly Cut[]): boolean {
    return cuts.at(-1)?.to === this.boundaries.at(-1);
  }
}

function sumsBefore(numbers: readonly number[]): number[] {
  const sums = [0];
  for (const number of numbers) sums.push((sums.at(-1) ?? 0) + number);
  return sums;
}

function movedBytes(team: Team, from: number, to: number): number {
  return team.reduce(
    (sum, { movedBefore }) => sum + (movedBefore[to] ?? 0) - (movedBefore[from] ?? 0),
    0,
  );
}

/** The working peers: those that hold low layers first, one that holds none where a gap is, or last. */
function membersOf({ peers, layers }: StageRequest, model: LayerSums): Member[] {
  const working = peers.filter(({ speed }) => speed > 0);
  const speeds = levelSpeeds(working.map(({ speed }) => speed));
  const isHeld = layers.map((_, layer) => working.some(({ holds }) => holds(layer)));
  const gap = isHeld.includes(false) ? isHeld.indexOf(false) : layers.length;
  const members = working.map((peer, index) => {
    const moved = isHeld.map((held, layer) =>
      held && !peer.isLocal && !peer.holds(layer) ? model.bytes(layer, layer + 1) : 0,
    );
    const first = layers.findIndex((_, layer) => peer.holds(layer));
    const member = { ...peer, speed: speeds[index] ?? 0, movedBefore: sumsBefore(moved) };
    return { member, place: first < 0 ? gap : first };
  });
  return members.sort((a, b) => a.place - b.place).map(({ member }) => member);
}

/** Teams of `size`; who is over helps a team later. One team of all has whoever can hold all. */
function teamsOf(members: readonly Member[], size: number, model: LayerSums): Team[] {
  if (size === members.length) {
    const end = model.boundaries.at(-1) ?? 0;
    const roomy = members.filter((member) => model.fits([member], 0, end));
    return roomy.length > 0 ? [roomy] : members.length === 1 ? [members] : [];
  }
  return Array.from({ length: Math.floor(members.length / size) }, (_, index) =>
    members.slice(index * size, (index + 1) * size),
  );
}

/** As many layers as fit; of the ways to do that one that is near the fastest and moves little. */
function cutLayers(model: LayerSums, teams: readonly Team[]): Cut[] {
  const fastest = bestWay(model, teams, Number.POSITIVE_INFINITY, (a, b) => a.slowest - b.slowest);
  const near = bestWay(
    model,
    teams,
    fastest.slowest * MOVE_SLACK,
    (a, b) => a.movedBytes - b.movedBytes || a.slowest - b.slowest || a.swaps - b.swaps,
  );
  const cuts: Cut[] = [];
  for (let way: Way | undefined = near; way?.last !== undefined; way = way.before) {
    cuts.unshift(way.last);
  }
  return cuts;
}

/** The least by `order` of the ways that reach furthest, with no stage above `timeMax`. */
function bestWay(
  model: LayerSums,
  teams: readonly Team[],
  timeMax: number,
  order: (a: Way, b: Way) => number,
): Way {
  const { boundaries } = model;
  // For each boundary, by the teams that are used up on the way there.
  const ways = boundaries.map(() => new Map<number, Way>());
  ways[0]?.set(0, { movedBytes: 0, slowest: 0, swaps: 0 });
  const extend = (before: Way, start: number, { team, used, swaps }: Next): void => {
    const from = boundaries[start] ?? 0;
    for (let end = start + 1; end < boundaries.length; end++) {
      const to = boundaries[end] ?? 0;
      const time = model.time(team, from, to);
      if (time > timeMax || !model.fits(team, from, to)) return;
      const way: Way = {
        movedBytes: before.movedBytes + movedBytes(team, from, to),
        slowest: Math.max(before.slowest, time),
        swaps: before.swaps + swaps,
        last: { team, from, to },
        before,
      };
      const known = ways[end]?.get(used);
      if (known === undefined || order(way, known) < 0) ways[end]?.set(used, way);
    }
  };
  ways.forEach((known, start) => {
    for (const [used, way] of known) {
      for (const next of nextTeams(teams, used)) extend(way, start, next);
    }
  });
  const furthest = ways.findLast(({ size }) => size > 0)?.values() ?? [];
  return [...furthest].reduce((best, way) => (order(way, best) < 0 ? way : best));
}

/** A team that may follow, and what is used up then: a set of bits, or how many of the first. */
interface Next {
  readonly team: Team;
  readonly used: number;
  /** Teams behind it in the order in which they came that have been used before it. */
  readonly swaps: number;
}

function nextTeams(teams: readonly Team[], used: number): Next[] {
  if (teams.length >= ORDERED_TEAMS_MIN) {
    return teams.slice(used).map((team, index) => ({ team, used: used + index + 1, swaps: 0 }));
  }
  const isUsed = teams.map((_, index) => (used >> index) % 2 === 1);
  return teams.flatMap((team, index) =>
    isUsed[index] === true
      ? []
      : [{ team, used: used | (1 << index), swaps: isUsed.slice(index).filter(Boolean).length }],
  );
}

/** Whoever of `spares` has no stage yet becomes a replica of the slowest for which it has room. */
function addSpares(cuts: readonly Cut[], spares: readonly Member[], model: LayerSums): Stage[] {
  const stages = cuts.map(({ team, from, to }) => ({ team: [...team], from, to }));
  for (const spare of spares) {
    if (stages.some(({ team }) => team.includes(spare))) continue;
    const cost = ({ team, from, to }: Cut): [number, number] => [
      -model.time(team, from, to),
      movedBytes([spare], from, to),
    ];
    stages
      .filter(({ from, to }) => model.fits([spare], from, to))
      .map((stage) => ({ stage, cost: cost(stage) }))
      .sort((a, b) => a.cost[0] - b.cost[0] || a.cost[1] - b.cost[1])[0]
      ?.stage.team.push(spare);
  }
  return stages.map(({ team, from, to }) => ({ from, to, peers: team.map(({ peer }) => peer) }));
}

export function isSamePlacement(a: readonly Stage[], b: readonly Stage[]): boolean {
  const text = (stages: readonly Stage[]): string =>
    stages.map(({ from, to, peers }) => [from, to, ...peers].join(' ')).join('\n');
  return text(a) === text(b);
}
