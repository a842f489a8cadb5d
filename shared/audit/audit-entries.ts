import type { Actor } from '#schemas/events/fact.ts';

/** What was done, or refused. Ids only; never what somebody typed. */
export interface AuditEntry {
  readonly id: string;
  readonly at: string;
  /** When it last happened: later than `at` where the same was counted. */
  readonly lastAt: string;
  readonly count: number;
  /** `engine`: at its start. `nobody`: whom we do not know. */
  readonly actor: { readonly kind: Actor['kind'] | 'engine' | 'nobody'; readonly id: string | null };
  readonly act: string;
  /** Whom or what it is about. */
  readonly target: string | null;
  /** Of a request, as the table of policy.ts has it; without what was asked for. */
  readonly route: string | null;
  /** Why it was refused. */
  readonly code: string | null;
  /** Of IPv6 its /56. */
  readonly address: string | null;
}

export interface AuditFilter {
  readonly actor?: string;
  readonly acts?: readonly string[];
  readonly target?: string;
  readonly since?: string;
  readonly until?: string;
  /** Only what stands behind this entry in the list. */
  readonly after?: Pick<AuditEntry, 'at' | 'id'>;
  readonly limit: number;
}

/** Something that happens often, or that nobody may wait for: what is the same within one minute is one entry with a count. */
export interface CountedEntry extends Omit<AuditEntry, 'id' | 'at' | 'lastAt'> { readonly at: Date; readonly lastAt: Date }

/** Identity's table of what no fact tells. @throws Unavailable */
export interface AuditEntries {
  /** The latest first, by time and then by id: what is counted comes into the table a moment after it happened. */
  list(filter: AuditFilter): Promise<readonly AuditEntry[]>;
  count(entries: readonly CountedEntry[]): Promise<void>;
}
