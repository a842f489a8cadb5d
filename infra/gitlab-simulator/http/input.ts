import type { IncomingMessage } from 'node:http';

import { ApiError, invalidParameter } from './answer.ts';

/** JSON bodies of REST calls; a file of a commit travels in one, base64-coded. */
const BODY_BYTES_MAX = 64 * 1024 * 1024;

/** What Grape takes for booleans: python-gitlab sends `True`. */
const TRUE_WORDS = new Set(['true', '1', 't', 'on', 'y', 'yes']);
const FALSE_WORDS = new Set(['false', '0', 'f', 'off', 'n', 'no']);

/** Parameters of a call: the query and the body in one, as Grape has them. The body wins. */
export interface Input {
  has(name: string): boolean;
  raw(name: string): unknown;
  text(name: string): string | undefined;
  required(name: string): string;
  flag(name: string): boolean | undefined;
  whole(name: string): number | undefined;
  list(name: string): string[];
}

export async function readInput(request: IncomingMessage, query: URLSearchParams): Promise<Input> {
  const values = fromQuery(query);
  if (request.method !== 'GET' && request.method !== 'HEAD') Object.assign(values, await readBody(request));
  return createInput(values);
}

export function createInput(values: Record<string, unknown>): Input {
  const text = (name: string): string | undefined => {
    const value = values[name];
    if (value === undefined || value === null) return undefined;
    return typeof value === 'object' ? JSON.stringify(value) : String(value);
  };
  return {
    has: (name) => Object.hasOwn(values, name),
    raw: (name) => values[name],
    text,
    required: (name) => {
      const value = text(name);
      if (value === undefined) throw invalidParameter(`${name} is missing`);
      if (value === '') throw invalidParameter(`${name} is empty`);
      return value;
    },
    flag: (name) => toFlag(name, text(name)),
    whole: (name) => {
      const value = text(name);
      if (value === undefined || value === '') return undefined;
      if (!/^-?\d+$/.test(value)) throw invalidParameter(`${name} is invalid`);
      return Number.parseInt(value, 10);
    },
    list: (name) => toList(values[name]),
  };
}

function toFlag(name: string, value: string | undefined): boolean | undefined {
  if (value === undefined || value === '') return undefined;
  if (TRUE_WORDS.has(value.toLowerCase())) return true;
  if (FALSE_WORDS.has(value.toLowerCase())) return false;
  throw invalidParameter(`${name} is invalid`);
}

function toList(value: unknown): string[] {
  if (value === undefined || value === null || value === '') return [];
  if (Array.isArray(value)) return value.map(String);
  return String(value).split(',');
}

function fromQuery(query: URLSearchParams): Record<string, unknown> {
  const values: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [name, value] of query) {
    if (!name.endsWith('[]')) {
      values[name] = value;
      continue;
    }
    const known = values[name.slice(0, -2)];
    values[name.slice(0, -2)] = Array.isArray(known) ? [...(known as unknown[]), value] : [value];
  }
  return values;
}

async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) throw new ApiError(413, { error: 'Request Entity Too Large' });
    chunks.push(chunk);
  }
  if (bytes === 0) return {};
  const body = Buffer.concat(chunks).toString('utf8');
  const type = request.headers['content-type'] ?? '';
  if (type.includes('application/x-www-form-urlencoded')) return fromQuery(new URLSearchParams(body));
  return parseJson(body);
}

function parseJson(body: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Falls through: the same refusal as for JSON that is no object.
  }
  throw new ApiError(400, { error: 'Problems parsing JSON' });
}
