import type { SourceCheck } from '#schemas/api/sources.ts';
import type { SourceId } from '#schemas/brand.ts';

/** What is kept of the last check of a source: no name of a person, and of the token no more than its end. */
export interface KeptCheck {
  readonly state: SourceCheck['state'];
  readonly kind: SourceCheck['token']['kind'];
  readonly scopes: readonly string[] | null;
  readonly expiresAt: string | null;
  readonly gitlabVersion: string | null;
  readonly lastFour: string | null;
  readonly checkedAt: string;
}

/** What GitLab said of each source's credentials. Ingress and scheduler write, query-api reads. @throws Unavailable */
export interface SourceChecks {
  keep(source: SourceId, made: { readonly check: SourceCheck; readonly token: string; readonly at: Date }): Promise<void>;
  /** Due at once. */
  askAgain(source: SourceId, now: Date): Promise<void>;
  kept(): Promise<ReadonlyMap<SourceId, KeptCheck>>;
  /** A source whose check is due, which nobody else is given for some minutes; undefined when there is none. */
  claimDue(now: Date): Promise<SourceId | undefined>;
}

/** Once a day: an expiry is a day, and people are told a month before. */
const CHECK_AGAIN_MS = 24 * 3_600_000;
/** Somebody may be mending it. */
const NOT_GOOD_AGAIN_MS = 3_600_000;
/** Longer than a check takes; who died over it has it taken over. */
export const CLAIM_MS = 600_000;
/** Tokens of GitLab have 26 characters and more; of a shorter one, four would tell much. */
const TELLABLE_LENGTH_MIN = 16;

export function nextCheckAt({ state }: Pick<SourceCheck, 'state'>, at: Date): Date {
  return new Date(at.getTime() + (state === 'ok' ? CHECK_AGAIN_MS : NOT_GOOD_AGAIN_MS));
}

export function lastFourOf(token: string): string | null {
  return token.length < TELLABLE_LENGTH_MIN ? null : token.slice(-4);
}
