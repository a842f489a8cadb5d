import { Agent, type Dispatcher } from 'undici';
import type { AddressGuard } from './address-guard.ts';

/** Refuses a request whose host is an address that is not allowed: sockets ask the guard's lookup of names only. Each hop of a redirect is a request of its own. */
export function guardDispatcher(dispatcher: Dispatcher, guard: Pick<AddressGuard, 'mustBeAllowed'>, { allowed, more = [] }: { readonly allowed: readonly string[]; /** Hosts that every request passes through. */ readonly more?: readonly string[] }): Dispatcher {
  return dispatcher.compose((dispatch) => (options, handler) => {
    for (const host of [...more, new URL(options.origin ?? '').hostname]) guard.mustBeAllowed(host, allowed);
    return dispatch(options, handler);
  });
}

/** Connects to what the guard allows, and to nothing else. */
export function createGuardedAgent(guard: AddressGuard, { allowed, ...options }: Agent.Options & { readonly allowed: readonly string[] }): Dispatcher {
  return guardDispatcher(new Agent({ ...options, connect: { ...(typeof options.connect === 'object' ? options.connect : {}), lookup: guard.lookup(allowed) } }), guard, { allowed });
}
