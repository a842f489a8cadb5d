import type { FactType } from '#schemas/events/facts.ts';

/** Where what is done at an address is recorded. */
export type RecordedBy =
  /** The log tells it, with who did it. */
  | { readonly facts: readonly FactType[] }
  /** Identity writes the entry in the same statement as what it changes. */
  | { readonly entries: readonly string[] }
  /** Counted after the answer. */
  | { readonly noted: string }
  | { readonly nothing: 'reads' | 'goes on with a sign-in' | 'of a follower\'s own reading' | 'of GitLab' };

/** Every address that changes something, and those that show secrets or raw bytes. A test holds it against the table of policy.ts. */
export const RECORDED: Readonly<Record<string, RecordedBy>> = {
  'POST /webhooks/gitlab/:source': { nothing: 'of GitLab' },

  'POST /v1/auth/login': { entries: ['signed-in', 'password-changed'] }, 'POST /v1/auth/refresh': { entries: ['sign-in-ended'] }, 'POST /v1/auth/logout': { entries: ['signed-out'] },
  'POST /v1/auth/gitlab/:source': { nothing: 'goes on with a sign-in' }, 'GET /v1/auth/gitlab/:source/callback': { entries: ['user-made'] }, 'POST /v1/auth/gitlab/:source/session': { entries: ['signed-in'] },
  'PUT /v1/auth/providers/:source': { entries: ['gitlab-sign-in-set'] }, 'DELETE /v1/auth/providers/:source': { entries: ['gitlab-sign-in-off'] },
  'POST /v1/auth/password': { entries: ['password-changed'] }, 'POST /v1/auth/tickets': { nothing: 'goes on with a sign-in' },
  'POST /v1/tokens': { entries: ['token-made'] }, 'DELETE /v1/tokens/:id': { entries: ['token-revoked'] },
  'POST /v1/users': { entries: ['user-made'] }, 'PATCH /v1/users/:id': { entries: ['user-disabled', 'user-enabled', 'user-admin-given', 'user-admin-taken'] },
  'DELETE /v1/users/:id': { entries: ['user-erased'] }, 'POST /v1/users/:id/one-time-password': { entries: ['password-reset'] },
  'PUT /v1/users/:id/gitlab-users/:source': { facts: ['user.gitlab-bound'] }, 'DELETE /v1/users/:id/gitlab-users/:source': { facts: ['user.gitlab-unbound'] },

  'POST /v1/sources': { facts: ['source.registered'] }, 'PATCH /v1/sources/:id': { facts: ['source.changed'] }, 'DELETE /v1/sources/:id': { facts: ['source.removed'] },
  'POST /v1/sources/:id/rotate-secret': { facts: ['source.changed'] }, 'PUT /v1/sources/:id/open-projects': { facts: ['source.open-projects-decided'] }, 'POST /v1/source-checks': { noted: 'source-asked' },
  'GET /v1/sources/:id/manual-hook': { noted: 'webhook-secret-read' },

  'POST /v1/projects': { facts: ['project.created'] }, 'PATCH /v1/projects/:id': { facts: ['project.renamed'] }, 'DELETE /v1/projects/:id': { facts: ['project.removed'] },
  'POST /v1/projects/:id/archive': { facts: ['project.archived'] }, 'POST /v1/projects/:id/restore': { facts: ['project.restored'] },
  'PUT /v1/projects/:id/codebases/:codebase': { facts: ['project.codebase-added'] }, 'DELETE /v1/projects/:id/codebases/:codebase': { facts: ['project.codebase-removed'] },
  'PUT /v1/projects/:id/codebases/:codebase/readers': { facts: ['project.reading-given'] }, 'DELETE /v1/projects/:id/codebases/:codebase/readers': { facts: ['project.reading-taken'] },
  'PUT /v1/projects/:id/members/:user': { facts: ['project.member-added', 'project.member-changed'] }, 'DELETE /v1/projects/:id/members/:user': { facts: ['project.member-removed'] },

  'POST /v1/codebases': { facts: ['codebase.registered', 'codebase.restored'] }, 'PATCH /v1/codebases/:id': { facts: ['codebase.changed'] }, 'DELETE /v1/codebases/:id': { facts: ['codebase.removed'] },
  'POST /v1/codebases/:id/archive': { facts: ['codebase.archived'] }, 'POST /v1/codebases/:id/restore': { facts: ['codebase.restored'] },
  'POST /v1/codebases/:id/syncs': { facts: ['sync.requested'] }, 'POST /v1/codebases/:id/files:batch': { nothing: 'reads' },

  'GET /v1/deliveries/:id/body': { noted: 'delivery-body-read' }, 'POST /v1/parked/:group/:key/redrive': { noted: 'parked-redriven' },

  'POST /v1/followers': { noted: 'follower-made' }, 'DELETE /v1/followers/:name': { noted: 'follower-removed' },
  'POST /v1/followers/:name/ack': { nothing: 'of a follower\'s own reading' }, 'POST /v1/followers/:name/webhook/redeliver': { noted: 'follower-redelivered' },
};

/** What is refused: a sign-in, one that guessed too often, a delivery without its secret, anything else; and entries that there was no room for. */
export const COUNTED_ACTS = ['sign-in-refused', 'sign-in-locked', 'delivery-refused', 'request-refused', 'entries-lost'] as const;
export type CountedAct = (typeof COUNTED_ACTS)[number];

const every = Object.values(RECORDED);

/** What a person decided, and the log tells. */
export const FACTS_OF_PEOPLE: readonly FactType[] = [...new Set(every.flatMap((one) => ('facts' in one ? one.facts : [])))];

export const ENTRY_ACTS: readonly string[] = [...new Set([...every.flatMap((one) => ('entries' in one ? one.entries : 'noted' in one ? [one.noted] : [])), ...COUNTED_ACTS])];
