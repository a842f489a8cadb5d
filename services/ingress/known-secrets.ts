import type { SourceId } from '#schemas/brand.ts';
import { withDeadline } from '#shared/runtime/deadline.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { SourceDirectory, WebhookSecrets } from '#shared/sources/source-directory.ts';

/** A changed secret acts within this; a delivery costs no query. */
const FRESH_MS = 10_000;
/** A silent database must not hold a delivery that is known from before. */
const ANSWER_MS_MAX = 500;
/** Guessed source ids must not fill memory. */
const ENTRIES_MAX = 10_000;

export interface KnownSecrets {
  /** Undefined when there is no such source. @throws Problem 503 when that cannot be known now: never a false 401. */
  of(source: SourceId): Promise<WebhookSecrets | undefined>;
}

/** Remembers webhook secrets, so that deliveries are taken while the database is away. */
export function createKnownSecrets({ sources, now }: { sources: Pick<SourceDirectory, 'webhookSecrets'>; now(): Date }): KnownSecrets {
  const known = new Map<SourceId, { secrets: WebhookSecrets; at: number }>();

  return {
    async of(source) {
      const entry = known.get(source);
      if (entry !== undefined && now().getTime() - entry.at < FRESH_MS) return entry.secrets;
      try {
        const secrets = await withDeadline(sources.webhookSecrets(source), { ms: ANSWER_MS_MAX, dependency: 'database' });
        if (secrets === undefined) known.delete(source);
        else if (known.size < ENTRIES_MAX || known.has(source)) known.set(source, { secrets, at: now().getTime() });
        return secrets;
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        if (entry !== undefined) return entry.secrets;
        throw new Problem(503, 'source-unknown-now', 'Whether this source exists cannot be known while the database is away; nothing was taken. Send it again.', { retryAfterS: 5 });
      }
    },
  };
}
