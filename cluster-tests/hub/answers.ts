/** Answers: how the loopback hub ends a request. */

import type { ServerResponse } from 'node:http';

export type HeaderTexts = Readonly<Record<string, string>>;

export function send(
  response: ServerResponse,
  status: number,
  text: string,
  headers: HeaderTexts = {},
): void {
  response.writeHead(status, headers);
  response.end(text);
}

export function sendJson(
  response: ServerResponse,
  value: unknown,
  headers: HeaderTexts = {},
): void {
  send(response, 200, JSON.stringify(value), { 'content-type': 'application/json', ...headers });
}

/** As the hub says no: the reason as a code and in words, in headers. */
export function refuse(response: ServerResponse, status: number, code: string): void {
  send(response, status, '', { 'x-error-code': code, 'x-error-message': `${code} in words` });
}
