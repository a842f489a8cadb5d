/**
 * Somebody is active who was given an access token, or used a personal one, within so many minutes: an access token of ours lives ten,
 * and whoever goes on asks for the next; the use of a personal token is noted to the minute.
 */
const ACTIVE_MINUTES = 15;

/** The ids of active people, as SQL. @param now the parameter that holds the time, `$1` */
export const activePeople = (now: string): string => `
  select s.user_id from identity_refresh_tokens r join identity_sessions s using (session_id)
   where r.issued_at > ${now}::timestamptz - interval '${ACTIVE_MINUTES} minutes' and s.revoked_at is null and s.expires_at > ${now}
  union select t.user_id from identity_tokens t
   where t.last_used_at > ${now}::timestamptz - interval '${ACTIVE_MINUTES} minutes' and t.revoked_at is null and t.expires_at > ${now}`;

/**
 * Whether a grant (`g`) may be used, as SQL: its user is not disabled and has a sign-in or a personal token that stands, and people are
 * asked for theirs at its source. What may not be used is forgotten.
 */
export const mayBeUsed = (now: string): string => `
  exists (select from identity_users u where u.user_id = g.user_id and u.state = 'active')
  and (exists (select from identity_sessions s where s.user_id = g.user_id and s.revoked_at is null and s.expires_at > ${now}::timestamptz)
    or exists (select from identity_tokens t where t.user_id = g.user_id and t.revoked_at is null and t.expires_at > ${now}::timestamptz))
  and exists (select from identity_sign_in_settings w where w.source_id = g.source_id and w.own_access)`;
