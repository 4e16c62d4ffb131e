/** What can go wrong while text is cut into tokens or framed with a template: QD-843x. */

import { exitCodes, type FaultKind } from '../../proto/fault.ts';

export const textFaults = {
  longRun: {
    code: 'QD-8431',
    exit: exitCodes.input,
    what: 'a calibration text has a run of characters that is too long to be cut into tokens',
    hint: 'take it out of the text: such a run is data, and teaches nothing about a model',
  },
  badTemplate: {
    code: 'QD-8432',
    exit: exitCodes.input,
    what: 'the chat template of SOURCE cannot be understood',
    hint: 'leave --chat out, or repair chat_template in tokenizer_config.json',
  },
  refusedMessages: {
    code: 'QD-8433',
    exit: exitCodes.input,
    what: 'the chat template of SOURCE refuses a conversation',
    hint: 'make its roles and their order what the model was trained on',
  },
  templateTooSlow: {
    code: 'QD-8434',
    exit: exitCodes.input,
    what: 'the chat template of SOURCE takes too long',
    hint: 'it is damaged or hostile: leave --chat out',
  },
  renderedTooLong: {
    code: 'QD-8435',
    exit: exitCodes.input,
    what: 'the chat template of SOURCE makes too much text of one conversation',
    hint: 'it is damaged or hostile: leave --chat out, or give shorter conversations',
  },
} as const satisfies Record<string, FaultKind>;
