import type { RequestHandler, Router } from 'express';

/** What a handler serves, where it is no router: `GET /v1/codebases/:id/tree/*path`. A star takes what is left, nothing too. */
export type Serves = readonly string[];

/** The methods that are served at a path, as an `Allow` header lists them; empty when there is nothing. */
export type AllowedMethods = (path: string) => readonly string[];

export function createAllowedMethods(): { add(handler: RequestHandler, serves: Serves): void; of: AllowedMethods } {
  const routes: { readonly method: string; readonly pattern: RegExp }[] = [];
  const add = (method: string, path: string) => void routes.push({ method: method.toUpperCase(), pattern: patternOf(path) });
  const routers: Router[] = [];

  return {
    add(handler, serves) {
      // Looked at when asked: a service may add routes after it gave its router.
      if ('stack' in handler) routers.push(handler as Router);
      for (const [method = '', path = ''] of serves.map((one) => one.split(' '))) add(method, path);
    },
    of(path) {
      const found = new Set(routes.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method));
      for (const { route } of routers.flatMap((router) => router.stack)) {
        if (route !== undefined && typeof route.path === 'string' && patternOf(route.path).test(path)) for (const layer of route.stack) found.add(layer.method.toUpperCase());
      }
      if (found.has('GET')) found.add('HEAD');
      return found.size === 0 ? [] : [...found, 'OPTIONS'].sort();
    },
  };
}

/** As Express matches by default: case and a slash at the end do not count. */
function patternOf(path: string): RegExp {
  const parts = path.split('/').filter((part) => part !== '').map((part) => (part.startsWith('*') ? '(?:/.*)?' : `/${part.startsWith(':') ? '[^/]+' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`));
  return new RegExp(`^${parts.join('')}/?$`, 'i');
}
