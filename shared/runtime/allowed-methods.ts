import type { IRoute, RequestHandler, Router } from 'express';

/** What a handler serves, where it is no router: `GET /v1/codebases/:id/tree/*path`. A star takes what is left, nothing too. */
export type Serves = readonly string[];

/** The methods that are served at a path, as an `Allow` header lists them; empty when there is nothing. */
export type AllowedMethods = (path: string) => readonly string[];

export function createAllowedMethods(): { add(handler: RequestHandler, serves: Serves): void; of: AllowedMethods; all(): Serves } {
  const added: { readonly method: string; readonly path: string; readonly pattern: RegExp }[] = [];
  const add = (method: string, path: string) => void added.push({ method: method.toUpperCase(), path, pattern: patternOf(path) });
  const routers: Router[] = [];
  const ofRouters = () => routers.flatMap(routesOf).map((route) => ({ path: route.path, methods: route.stack.map(({ method }) => method.toUpperCase()) }));

  return {
    add(handler, serves) {
      // Looked at when asked: a service may add routes after it gave its router.
      if ('stack' in handler) routers.push(handler as Router);
      for (const [method = '', path = ''] of serves.map((one) => one.split(' '))) add(method, path);
    },
    of(path) {
      const found = new Set(added.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method));
      for (const route of ofRouters()) if (patternOf(route.path).test(path)) for (const method of route.methods) found.add(method);
      if (found.has('GET')) found.add('HEAD');
      return found.size === 0 ? [] : [...found, 'OPTIONS'].sort();
    },
    all: () => [...new Set([...added, ...ofRouters().flatMap(({ path, methods }) => methods.map((method) => ({ method, path })))].map(({ method, path }) => `${method} ${path}`))],
  };
}

/** Of a router, and of those that it uses without a path of their own. */
function routesOf(router: Router): IRoute[] {
  return router.stack.flatMap(({ route, handle }) => {
    if (route !== undefined) return typeof route.path === 'string' ? [route] : [];
    return 'stack' in handle ? routesOf(handle as Router) : [];
  });
}

/** As Express matches by default: case and a slash at the end do not count. */
export function patternOf(path: string): RegExp {
  const parts = path.split('/').filter((part) => part !== '').map((part) => (part.startsWith('*') ? '(?:/.*)?' : `/${part.startsWith(':') ? '[^/]+' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`));
  return new RegExp(`^${parts.join('')}/?$`, 'i');
}

/** `GET /v1/codebases/{id}`, as people are told. */
export const shownRoute = (route: string) => route.replace(/\/[:*](\w+)/g, '/{$1}');
