/** What can be wrong with the text of a recipe: QD-5401, QD-5402. */

import { exitCodes, type FaultKind } from '../../proto/fault.ts';

export const tomlFaults = {
  notUtf8: {
    code: 'QD-5401',
    exit: exitCodes.usage,
    what: 'a recipe is no UTF-8',
    hint: 'convert it: iconv -f LATIN1 -t UTF-8 FILE > recipe.toml',
  },
  notToml: {
    code: 'QD-5402',
    exit: exitCodes.usage,
    what: 'a recipe cannot be read as TOML',
    hint: 'correct this line; quantd recipe show Q4_K_M prints a recipe that is right',
  },
} as const satisfies Record<string, FaultKind>;
