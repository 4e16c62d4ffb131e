/** Goal: templates frame what they are given and can do nothing else. Method: hostile ones. */

import { expect, test } from 'vitest';
import { openChatTemplate } from './chat-template.ts';

const namedTexts = { bos_token: '<bos>', eos_token: '<eos>' };
const messages = [
  { role: 'user', content: 'Hello {{ there }}' },
  { role: 'model', content: 'é🙂\n' },
];
const render = (template: string): string =>
  openChatTemplate(template, { namedTexts }).render(messages);

test('a conversation is framed', () => {
  const template =
    "{{ bos_token }}{% for m in messages %}{{ '<|turn>' + m['role'] + '\n' + m.content + '<turn|>\n' }}{% endfor %}{% if add_generation_prompt %}no{% endif %}";
  expect(render(template)).toBe(
    '<bos><|turn>user\nHello {{ there }}<turn|>\n<|turn>model\né🙂\n<turn|>\n',
  );
});

test('blocks take the white space around them away, as templates are written for', () => {
  expect(
    render('{% for m in messages %}\n  {%- if true %}\n{{ m.role }};\n  {% endif %}\n{% endfor %}'),
  ).toBe('user;\nmodel;\n');
});

test('there is no clock', () => {
  expect(render("{{ strftime_now('%d') if strftime_now is defined else 'none' }}")).toBe('none');
});

test('ranges count, but not for ever', () => {
  expect(render('{{ range(2, 8, 3)[1] }}{% for i in range(3) %}{{ i }}{% endfor %}')).toBe('5012');
  expect(render('{% for i in range(3, 0, -2) %}{{ i }}{% endfor %}')).toBe('31');
  for (const endless of ['range(1000000000)', 'range(0, 5, 0)', 'range(0, 1, 0.000001)']) {
    expect(() => render(`{{ ${endless} }}`)).toThrow(/QD-8433.*range/);
  }
});

test.each([
  ['{% for %}', 'QD-8432'],
  ['{{ raise_exception("roles must alternate") }}', 'roles must alternate'],
  ['{{ nothing.of.this() }}', 'QD-8433'],
  ['{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}', 'QD-8433'],
  ['{{ messages.constructor.constructor("return process")() }}', 'QD-8433'],
  ['{{ bos_token.__proto__.x() }}', 'QD-8433'],
])('%s is refused', (template, said) => {
  expect(() => render(template)).toThrow(said);
});

test('a template that does not end is ended', () => {
  const loop = (inner: string): string => `{% for i in range(100000) %}${inner}{% endfor %}`;
  expect(() => render(loop(loop(loop(''))))).toThrow('QD-8434');
});
