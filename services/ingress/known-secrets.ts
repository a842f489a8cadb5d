import type { SourceId } from '#schemas/brand.ts';
import { withDeadline } from '#shared/runtime/deadline.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import type { SourceRegistry, WebhookSecrets } from '#shared/sources/source-directory.ts';

/** A changed secret acts within this; a delivery costs no query. */
const FRESH_MS = 10_000;
/** A silent database must not hold a delivery that is known from before. */
const ANSWER_MS_MAX = 500;
/** Whoever sends what nothing fits costs a query this often. */
const AFRESH_MS = 1_000;
/** Guessed source ids must not fill memory. */
const ENTRIES_MAX = 10_000;

export interface KnownSecrets {
  /** Undefined when there is no such source. @throws Problem 503 when that cannot be known now: never a false 401. */
  of(source: SourceId): Promise<WebhookSecrets | undefined>;
  /** The same, looked up anew unless that was done a moment ago: for a delivery that nothing known fits. */
  afresh(source: SourceId): Promise<WebhookSecrets | undefined>;
}

export interface KnownSecretsDeps {
  readonly sources: Pick<SourceRegistry, 'webhookSecrets' | 'dropFormerSecrets'>;
  readonly store: Pick<ReadStore, 'haveHooksSecrets'>;
  now(): Date;
}

/** Remembers webhook secrets, so that deliveries are taken while the database is away. */
export function createKnownSecrets({ sources, store, now }: KnownSecretsDeps): KnownSecrets {
  const known = new Map<SourceId, { secrets: WebhookSecrets; at: number }>();

  return {
    of: (source) => look(source, FRESH_MS),
    afresh: (source) => look(source, AFRESH_MS),
  };

  async function look(source: SourceId, freshMs: number): Promise<WebhookSecrets | undefined> {
    const entry = known.get(source);
    // What lies ahead, because the clock was set back, is not fresh.
    if (entry !== undefined && Math.abs(now().getTime() - entry.at) < freshMs) return entry.secrets;
    try {
      const secrets = await withDeadline(goodNow(source), { ms: ANSWER_MS_MAX, dependency: 'database' });
      if (secrets === undefined) known.delete(source);
      else if (known.size < ENTRIES_MAX || known.has(source)) known.set(source, { secrets, at: now().getTime() });
      return secrets;
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      if (entry !== undefined) return entry.secrets;
      throw new Problem(503, 'source-unknown-now', 'Whether this source exists cannot be known while the database is away; nothing was taken. Send it again.', { retryAfterS: 5 });
    }
  }

  /** Without the ones from before a change, once every webhook has the new ones or their time is over. */
  async function goodNow(source: SourceId): Promise<WebhookSecrets | undefined> {
    const secrets = await sources.webhookSecrets(source);
    if (secrets?.formerUntil === undefined || secrets.revision === undefined) return secrets;
    const { formerUntil, revision, tokens, signingTokens } = secrets;
    if (now() < formerUntil && !(await store.haveHooksSecrets(source, revision))) return secrets;
    await sources.dropFormerSecrets(source, revision);
    return { tokens: tokens.slice(0, 1), signingTokens: signingTokens.slice(0, 1), revision };
  }
}
