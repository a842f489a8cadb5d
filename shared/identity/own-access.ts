import type { SourceId } from '#schemas/brand.ts';

/** Somebody who is active here now, and somebody in a GitLab. */
export interface ActivePerson {
  readonly sourceId: SourceId;
  readonly userId: string;
  readonly gitlabUserId: number;
  /** Null: they have not let us ask with their token, or it is not good now. */
  readonly grantId: string | null;
}

/** People's own access to a GitLab, as far as they let us have it. Identity keeps it; the scheduler asks with it. @throws Unavailable */
export interface OwnAccess {
  people(): Promise<readonly ActivePerson[]>;
  /** For asking now, and for keeping nowhere. Undefined: forgotten meanwhile. */
  token(person: ActivePerson): Promise<string | undefined>;
}
