import { expect, test } from 'vitest';
import { renderFault } from './fault-view.ts';

test("what a stranger's file is called moves no terminal's cursor", () => {
  const fault = { code: 'QD-1', exit: 4, what: 'it is bad', hint: 'look' } as const;
  const lines = renderFault({ ...fault, tensor: 'a\u001b[2Jb', key: 'x\u202ey', why: 'one\ntwo' });
  expect(lines).toEqual([
    'error[QD-1]: it is bad',
    '  --> tensor a\\u{1b}[2Jb  key x\\u{202e}y',
    '  cause: one\\ntwo',
    '  hint: look',
  ]);
});
