-- For a GitLab that asks who connects; its key is in the vault.
alter table sources add column client_cert_pem text;

-- What GitLab said of a source's credentials when it was last asked. No names of people; of the token its last letters only.
create table source_checks (
  source_id uuid primary key,
  -- When it is to be asked again.
  next_at timestamptz not null,
  -- From here on null until the first check has ended.
  checked_at timestamptz,
  -- ok, refused, unreachable
  state text,
  kind text,
  -- A JSON list; null when GitLab does not say.
  scopes text,
  -- A day; null when it never ends, or GitLab does not say.
  expires_at text,
  gitlab_version text,
  last_four text
);
create index source_checks_by_next on source_checks (next_at);
