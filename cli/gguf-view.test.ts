import { expect, test } from 'vitest';
import { renderCopy } from './gguf-view.ts';

test('what a terminal would obey in keys and values is not printed as it is', () => {
  const lines = renderCopy({
    type: 'copy',
    source: 'm.gguf',
    tensors: 1,
    bytes: 32,
    files: [{ file: 'out.gguf', tensors: 1, bytes: 64 }],
    changes: [
      { key: 'odd\u001b[2Jkey', from: '1 × string [\u001b]0;title\u0007]', to: '"\u202e"' },
    ],
  });
  expect(lines.at(-1)).toBe('  odd\\u{1b}[2Jkey  1 × string [\\u{1b}]0;title\\u{7}] → "\\u{202e}"');
});
