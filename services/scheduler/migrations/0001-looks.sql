-- The scheduler's memory of its looks at GitLab. Not facts: a look that finds nothing new changes nothing, and a lost row
-- costs one look. Times are ISO 8601 in UTC with milliseconds, as the facts hold them: they compare as text.
create table codebase_looks (
  codebase_id text primary key,
  -- When GitLab was last asked for its refs and answered.
  looked_at text,
  -- Where the read tables stood when the answer was compared with them: the look speaks of versions up to there.
  position text,
  -- The refs that were not equal; null when there were too many to name.
  different json,
  -- What that look cost.
  requests int not null default 1,
  -- Looks in a row that GitLab did not answer; the next one is not before this.
  failures int not null default 0,
  next_at text,
  -- The newest cause for every ref that the fetcher is known to have finished.
  settled_hint_at text,
  hook_checked_at text,
  -- Why the installed webhook does not work, as far as known.
  hook_trouble text,
  -- What the last try to make the webhook was made with (a digest of address and credentials).
  hook_basis text
);

-- How close the looks at one source can be within its budget of requests.
create table source_looks (
  source_id text primary key,
  active_bound_seconds int not null,
  idle_bound_seconds int not null,
  requests_per_minute int not null,
  wanted_per_minute int not null,
  held_until text,
  held_reason text
);
