/**
 * Goal: numbers that cannot be stored end a run with their fault, whoever finds them, and nothing
 * that should hold them gets its name.
 * Method: kernels that refuse rows of one kind, which every made-up model has.
 */

import { expect, test } from 'vitest';
import type { Kernels } from '../../daemon/ports.ts';
import { nothingPlanted, type Plant } from './daemons.ts';
import { calmNetwork } from './false-network.ts';
import { simulate } from './simulate.ts';

/** Norms are the only tensors of one row that are stored in full. */
function refusing(kernels: Kernels): Kernels {
  return {
    ...kernels,
    quantize: async (job) => {
      const made = await kernels.quantize(job);
      if (job.element !== 'F32' || job.rows > 1) return made;
      return { ok: false, reason: 'source-not-finite', row: 0, column: 3 };
    },
  };
}

const plant: Plant = {
  ...nothingPlanted,
  coordinator: (ports) => ({ ...ports, kernels: refusing(ports.kernels) }),
  holder: (ports) => ({ ...ports, kernels: refusing(ports.kernels) }),
};

test.each([
  ['the machine itself', 0, true],
  ['a worker', 2, false],
])(
  'a number that is not finite ends the run, found by %s',
  async (_, workers, coordinatorWorks) => {
    for (let seed = 1; seed <= 25; seed++) {
      const { violation, trace } = await simulate(seed, {
        plant,
        traced: true,
        scenario: {
          ...{ kind: 'troubled', workers, coordinatorWorks, isLarge: false },
          ...{ network: calmNetwork, misfortunes: [], badWrites: 0, deathAtDisk: undefined },
          ...{ startsMs: [0, 0], calmFromMs: 1 },
        },
      });
      expect(violation, `seed ${seed}`).toMatch(/FaultError: QD-\d{4} .*(not finite|column 3)/);
      expect(trace.filter((line) => line.includes('rename'))).toEqual([]);
    }
  },
);
