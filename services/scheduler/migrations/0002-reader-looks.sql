-- When GitLab was asked who reads a codebase. Not facts: what was learnt is in the log; a lost row costs one look.
create table reader_looks (
  codebase_id text primary key,
  -- When GitLab was last asked and answered whole.
  asked_at text,
  -- What that cost.
  requests int not null default 2,
  -- Looks in a row that GitLab did not answer; the next one is not before this.
  failures int not null default 0,
  next_at text,
  -- Why it was not answered, in GitLab's words.
  trouble text
);

-- How soon a change of readers is learnt when no webhook tells, within the share of the budget that is set aside for it.
create table source_reader_looks (
  source_id text primary key,
  bound_seconds int not null
);
