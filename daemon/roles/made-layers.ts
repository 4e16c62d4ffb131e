/** Made layers: the smallest model that is measured, two layers of one number a token, for tests. */

import type { Layer, Statistic } from '../core/models/forward.ts';

export const madeStatistics: readonly Statistic[] = [{ names: ['a'], matrices: 1, columns: 1 }];
const hidden = [{ register: 'hidden', width: 1 }];
const layer = {
  statistics: madeStatistics,
  ...{ reads: hidden, leaves: hidden, inputs: [] },
} satisfies Partial<Layer>;

export const madeModel = {
  ...{ layers: [layer, layer], statistics: [madeStatistics, madeStatistics], positions: 1 },
  cuts: [hidden, hidden, []],
};
