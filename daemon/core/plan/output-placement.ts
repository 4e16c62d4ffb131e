/**
 * Output placement: on whose disk each output grows.
 *
 *   sizes of the outputs + room of each machine ──▶ placeOutputs ──▶ the machine of each output
 *
 * Pure. An output is never cut: it lies on one machine from its first byte to its last. Read next:
 * roles/open-assemblers.ts, which asks the machines and goes to the next where one refuses.
 */

export interface OutputRoom {
  readonly peer: string;
  /** That outputs may take there. */
  readonly bytes: number;
}

interface Room {
  readonly peer: string;
  left: number;
  taken: number;
}

/**
 * The machine of each output, by index; undefined where none has room. The largest first, each to
 * the machine that has the least to write so far, so that disks work side by side; where they do not
 * all fit that way, each to the smallest room that it fits, which leaves the large rooms to others.
 */
export function placeOutputs(
  outputs: readonly { readonly bytes: number }[],
  rooms: readonly OutputRoom[],
): (string | undefined)[] {
  const even = placeBy(outputs, rooms, (a, b) => a.taken - b.taken || b.left - a.left);
  if (!even.includes(undefined)) return even;
  return placeBy(outputs, rooms, (a, b) => a.left - b.left);
}

/** @param compare orders the machines that have room for an output, the best first */
function placeBy(
  outputs: readonly { readonly bytes: number }[],
  rooms: readonly OutputRoom[],
  compare: (a: Room, b: Room) => number,
): (string | undefined)[] {
  const machines = rooms.map(({ peer, bytes }): Room => ({ peer, left: bytes, taken: 0 }));
  const placed: (string | undefined)[] = outputs.map(() => undefined);
  const largestFirst = outputs
    .map(({ bytes }, output) => ({ bytes, output }))
    .sort((a, b) => b.bytes - a.bytes || a.output - b.output);
  for (const { bytes, output } of largestFirst) {
    const [best] = machines.filter(({ left }) => left >= bytes).sort(compare);
    if (best === undefined) continue;
    best.left -= bytes;
    best.taken += bytes;
    placed[output] = best.peer;
  }
  return placed;
}
