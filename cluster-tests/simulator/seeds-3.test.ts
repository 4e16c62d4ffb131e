/** Goal and method: test-seeds.ts. */

import { testSeeds } from './test-seeds.ts';

testSeeds(2);
