import type { Faults } from './faults.ts';
import type { Nodes } from './nodes.ts';
import type { EventStore } from './store/event-store.ts';

/** What the calls and the admin door stand on. */
export interface Double {
  readonly store: EventStore;
  readonly faults: Faults;
  readonly nodes: Nodes;
  /** Passwords by name; none: anybody may do everything. */
  readonly users: ReadonlyMap<string, string>;
  /** One for each subscription that is open: ends it as the server does when it drops one. */
  readonly subscriptions: Set<() => void>;
  /** Calls since the start, by operation. */
  readonly calls: Map<string, number>;
}

export function countCall({ calls }: Double, operation: string): void {
  calls.set(operation, (calls.get(operation) ?? 0) + 1);
}
