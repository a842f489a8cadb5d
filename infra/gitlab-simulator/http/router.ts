import type { IncomingMessage } from 'node:http';

import type { Caller } from '../state/access.ts';
import { ApiError, type Answer } from './answer.ts';
import type { Input } from './input.ts';

/** One REST call, parsed and authenticated. */
export interface Call {
  request: IncomingMessage;
  method: string;
  url: URL;
  /** The decoded `:name` parts of the path. */
  path: Record<string, string>;
  input: Input;
  caller: Caller | null;
}

export type Endpoint = (call: Call) => Answer | Promise<Answer>;

export interface Route {
  method: string;
  pattern: string;
  endpoint: Endpoint;
  /** Scopes of which one is needed; by default `api`, or `read_api` for reads. */
  scopes?: string[];
  /** GitLab's name of the endpoint's own rate limit. */
  limit?: string;
}

export interface Match {
  route: Route;
  path: Record<string, string>;
}

export interface Router {
  match(method: string, rawPath: string): Match | null;
}

interface Compiled {
  route: Route;
  parts: string[];
}

/**
 * Splits before it decodes: `group%2Fproject` and `feature%2Fx` are one part each, whatever they hold.
 * HEAD asks what GET would answer.
 */
export function createRouter(routes: Route[]): Router {
  const byKey = new Map<string, Compiled[]>();
  for (const route of routes) {
    const parts = route.pattern.split('/').slice(1);
    const key = `${route.method} ${parts.length}`;
    byKey.set(key, [...(byKey.get(key) ?? []), { route, parts }]);
  }
  return {
    match: (method, rawPath) => {
      const given = rawPath.split('/').slice(1);
      const key = `${method === 'HEAD' ? 'GET' : method} ${given.length}`;
      for (const { route, parts } of byKey.get(key) ?? []) {
        const path = matchParts(parts, given);
        if (path) return { route, path };
      }
      return null;
    },
  };
}

function matchParts(parts: string[], given: string[]): Record<string, string> | null {
  for (const [at, part] of parts.entries()) {
    if (!part.startsWith(':') && part !== given[at]) return null;
  }
  const path: Record<string, string> = {};
  for (const [at, part] of parts.entries()) {
    if (part.startsWith(':')) path[part.slice(1)] = decodePart(given[at] ?? '');
  }
  return path;
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new ApiError(400, { error: 'Bad Request' });
  }
}
