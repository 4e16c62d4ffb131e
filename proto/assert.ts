/** Ends the process on a bug of ours. What the world does to us is a fault, never an assertion. */
export function assert(claim: boolean, sentence: string): asserts claim {
  if (!claim) throw new Error(`assertion failed: ${sentence}`);
}
